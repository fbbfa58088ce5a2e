"""How the torture's storage lies, and how it breaks off: one function for each way, drawn at random.

What a lie must not do, because no client could tell, is said at the top of `torture_recordings`. For the same
reason a total is only false where the client asked for a later part: an earlier answer had told the true one.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable
from random import Random

from torture_recordings import Asked, Framing, Recording, Reply, Then

REDIRECTED = "redirected"
MOST_VERSIONS = 25

Lie = Callable[[Recording, Asked], Reply]

# 404 is rare: it says that the recording is gone, and a client need not look again.
_REFUSALS = (401, 403, 403, 410, 400, 500, 503, 302, 204)


def answer(recording: Recording, asked: Asked) -> Reply:
    """An answer that may be honest, and that may come whole; the recording may be replaced before it."""
    random, mood = recording.random, recording.mood
    recording.clock += random.choices([0, 30, 5000], [6, 2, 2])[0]
    # Most of all while somebody has a part of it, and knows its version by a date.
    is_by_date = asked.has_range and '"' not in (asked.condition or '"')
    if random.random() < (0.35 if is_by_date else 0.12 if asked.has_range else 0.05):
        _replace(recording)
    reply = recording.honest(asked)
    if random.random() < mood.lies:
        lies = _LIES_ABOUT_PARTS if asked.has_range and random.random() < 0.8 else _LIES
        reply = random.choice(lies)(recording, asked)
    # A part that was mixed is only seen when the rest of it comes.
    return _disturbed(_paced(reply, random), random, mood.cuts / 2 if asked.has_range else mood.cuts)


def _replace(recording: Recording) -> None:
    if len(recording.versions) < MOST_VERSIONS:
        recording.publish()


def _refused(recording: Recording, asked: Asked) -> Reply:
    status = recording.random.choice(_REFUSALS)
    if recording.random.random() < 0.03:
        status = 404
    elsewhere = f"/storage/{recording.name}.mp3?signature={REDIRECTED}"
    headers = {"Content-Type": "application/xml", "Location": elsewhere, "Retry-After": "0"}
    body = b"" if status == 204 else b"<Error><Message>Request has expired</Message></Error>"
    return Reply(status, headers, body, f"{status}")


def _unsatisfiable(recording: Recording, asked: Asked) -> Reply:
    """A 416 for no reason: with the true size, with what the client has, or without any."""
    size = recording.random.choice([len(recording.current.body), asked.start, None])
    headers = {} if size is None else {"Content-Range": f"bytes */{size}"}
    return Reply(416, headers, about=f"416 for no reason with */{size}")


def _page(recording: Recording, asked: Asked) -> Reply:
    """A page that says no, with status 200; some are exactly as long as the recording."""
    body = b'<?xml version="1.0"?><Error><Code>SlowDown</Code></Error>'
    if recording.random.random() < 0.5:
        body = body.ljust(len(recording.current.body), b" ")
    kind = recording.random.choice(["application/xml", "audio/mpeg"])
    return Reply(200, {"Content-Type": kind}, body, "200 with a page")


def _range_ignored(recording: Recording, asked: Asked) -> Reply:
    return recording.whole(recording.current)


def _condition_ignored(recording: Recording, asked: Asked) -> Reply:
    """The part that was asked for, of whatever version is there now."""
    if recording.random.random() < 0.5:
        _replace(recording)
    return recording.unconditional(asked)


def _other_version(recording: Recording, asked: Asked) -> Reply:
    """Any version's bytes: under its own labels, under none, or under a tag that was never given before."""
    if len(recording.versions) == 1:
        _replace(recording)
    version = recording.random.choice(recording.versions)
    if asked.has_range and asked.start < len(version.body):
        reply = recording.piece(version, asked.start, len(version.body) - 1)
    else:
        reply = recording.whole(version)
    label = recording.random.choice(["its own", "none", "strange", "weak"])
    if label != "its own":
        _unlabel(reply)
    if label in ("strange", "weak"):
        reply.headers["ETag"] = recording.new_tag() if label == "strange" else f'W/"{recording.name}"'
    reply.about += f" and labels: {label}"
    return reply


def _strange_tag(recording: Recording, asked: Asked) -> Reply:
    """The right bytes under labels that are gone, new, or no ETag by any grammar."""
    reply = recording.honest(asked)
    tag = recording.random.choice(["", recording.new_tag(), f'W/"{recording.name}"', recording.name, '"', "*"])
    if recording.random.random() < 0.5:
        _unlabel(reply)
    reply.headers.pop("ETag", None)
    if tag:
        reply.headers["ETag"] = tag
    reply.about += f" and ETag: {tag or 'none'}"
    return reply


def _short_piece(recording: Recording, asked: Asked) -> Reply:
    """A part that ends before what was asked for: allowed, and no error."""
    body = recording.current.body
    start = min(asked.start, len(body) - 1)
    last = recording.random.randint(start, len(body) - 1)
    reply = recording.piece(recording.current, start, last)
    if recording.random.random() < 0.3:
        reply.headers["Content-Range"] = f"bytes {start}-{last}/*"
        reply.about += " and no total"
    return reply


def _wrong_range(recording: Recording, asked: Asked) -> Reply:
    """A 206 that is not the part that was asked for, or that does not say which part it is."""
    random, version = recording.random, recording.current
    size = len(version.body)
    start = random.choice([0, random.randrange(size), max(0, asked.start - 384), min(size - 1, asked.start + 384)])
    reply = recording.piece(version, start, size - 1)
    spans = ["start", "none", "unit", "end", "backwards", "parts"] + ["total"] * (asked.start > 0)
    match random.choice(spans):
        case "none":
            del reply.headers["Content-Range"]
        case "unit":
            reply.headers["Content-Range"] = f"items {start}-{size - 1}/{size}"
        case "end":
            reply.headers["Content-Range"] = f"bytes {start}-{max(start, size - 1000)}/{size}"
        case "backwards":
            reply.headers["Content-Range"] = f"bytes {size - 1}-{start}/{size}"
        case "parts":
            reply.headers["Content-Type"] = "multipart/byteranges; boundary=x"
            del reply.headers["Content-Range"]
        case "total":
            last = random.randrange(min(asked.start, size - 1), size)
            reply = recording.piece(version, min(asked.start, last), last)
            reply.headers["Content-Range"] = f"bytes {min(asked.start, last)}-{last}/{last + 1}"
    reply.about += f" and Content-Range: {reply.headers.get('Content-Range')}"
    return reply


def _compressed(recording: Recording, asked: Asked) -> Reply:
    reply = recording.honest(asked)
    reply.body = gzip.compress(reply.body, 1)
    reply.headers["Content-Encoding"] = "gzip"
    reply.about += " and compressed"
    return reply


def _too_much(recording: Recording, asked: Asked) -> Reply:
    """More bytes than were promised, in chunks, so that the connection shows no fault."""
    reply = recording.honest(asked)
    reply.body += recording.random.randbytes(recording.random.randint(1, 300))
    reply.framing = "chunked"
    reply.about += " and more"
    return reply


def _unlabel(reply: Reply) -> None:
    for name in ("ETag", "Last-Modified"):
        reply.headers.pop(name, None)


def _paced(reply: Reply, random: Random) -> Reply:
    """Most answers take their time, so that kills and cuts land within them."""
    seconds = random.choices([0.0, random.uniform(0.005, 0.06), random.uniform(0.3, 0.9)], [6, 12, 1])[0]
    if seconds:
        pieces = random.randint(5, 50)
        reply.piece_bytes, reply.pause_seconds = 1 + len(reply.body) // pieces, seconds / pieces
    if reply.status in (200, 206) and reply.framing == "length":
        framings: list[Framing] = ["length", "chunked", "close"]
        reply.framing = random.choices(framings, [16, 3, 1])[0]
    return reply


def _disturbed(reply: Reply, random: Random, rate: float) -> Reply:
    size = len(reply.body)
    if reply.framing == "close":
        reply.then = "close"
    if size and random.random() < rate:
        reply.cut = min(size, random.choice([0, 1, size - 1, *[random.randrange(size)] * 9]))
        ends: list[Then] = ["close", "reset", "hang"]
        reply.then = random.choices(ends, [10, 9, 1])[0]
        reply.about += f", {reply.then} after {reply.cut} bytes"
    elif random.random() < 0.05:
        reply.then = "reset"
        reply.about += ", reset at the end"
    return reply


# What is there more than once comes more often.
_LIES: list[Lie] = [
    *[_refused] * 2,
    _unsatisfiable,
    _page,
    _other_version,
    _strange_tag,
    _short_piece,
    _wrong_range,
    _compressed,
    _too_much,
]
_LIES_ABOUT_PARTS: list[Lie] = [
    *[_condition_ignored] * 4,
    *[_other_version] * 4,
    *[_wrong_range] * 3,
    *[_strange_tag] * 2,
    *[_short_piece] * 2,
    _range_ignored,
    _unsatisfiable,
    _compressed,
    _too_much,
]
