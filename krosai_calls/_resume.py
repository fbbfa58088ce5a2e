"""What storage's answer means for a recording, given what of it is there. Pure; every rule is from RFC 9110.

what is there     what storage answers                             what to do
nothing           200, and a length is known                       TAKE the whole
a part            206, from its end, of the same version           APPEND
a part            200: another version, or ranges are ignored      TAKE the whole, from its first byte
a part            416, and nothing was missing                     nothing is left: WHOLE
a part            206 of another version, place or length; 416     START_OVER
anything          401, 403, 410                                    RENEW_LINK
anything          404                                              MISSING
anything          301, 302, 303, 307, 308                          FOLLOW
anything          408, 425, 429, 500, 502, 503, 504                WAIT
anything          compressed, empty, of no or another length       DOUBT
anything          anything else                                    FAIL
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Mapping
from enum import Enum, auto

from attrs import frozen

from krosai_calls._retry import RETRIED_STATUSES
from krosai_calls._wire import http_date

# Last-Modified tells seconds: two versions within one would share it, were they not a minute old (8.8.2.2).
SAFE_AGE_SECONDS = 60
_STRONG_TAG = re.compile(r'"[\x21\x23-\x7e]{0,254}"')
_NUMBER = "([0-9]{1,18})"
_CONTENT_RANGE = re.compile(rf"bytes {_NUMBER}-{_NUMBER}/(?:{_NUMBER}|\*)")
_UNSATISFIED = re.compile(rf"bytes \*/{_NUMBER}")
# A digest as RFC 9530 writes it, and without the colons as RFC 3230 did; and how many bytes each has.
_DIGEST = re.compile(r"(?:^|[,\s])(sha-512|sha-256|md5)=:?([a-z0-9+/]+=*)", re.IGNORECASE)
_DIGEST_BYTES = {"sha512": 64, "sha256": 32, "md5": 16}


class Verdict(Enum):
    """What to do with an answer of storage."""

    TAKE = auto()  # the body is the recording from its first byte
    APPEND = auto()  # the body goes on where the part ends
    WHOLE = auto()  # the part is all there is
    START_OVER = auto()  # the part is of no use: forget it and ask for the whole
    RENEW_LINK = auto()  # the link does not open it any more: a fresh one may
    MISSING = auto()  # there is nothing behind the link
    FOLLOW = auto()  # it is elsewhere
    WAIT = auto()  # not now: the retry policy knows when to ask again
    DOUBT = auto()  # what comes cannot be taken for the recording; another try may show that it was a slip
    FAIL = auto()  # nothing that a storage host has to say


@frozen
class Held:
    """What of a recording is there.

    Attributes:
        received: How many of its first bytes.
        validator: The version that they are of: a strong ETag, or a Last-Modified that tells versions apart; None
            where nothing does.
        size_bytes: The length of the whole; None where nobody said.
    """

    received: int = 0
    validator: str | None = None
    size_bytes: int | None = None

    @property
    def is_whole(self) -> bool:
        """Whether nothing is missing."""
        return 0 < self.received == self.size_bytes

    @property
    def is_usable(self) -> bool:
        """Whether it can be gone on with: without a validator, bytes of another version would go unnoticed."""
        return self.received > 0 and self.validator is not None and self.size_bytes is not None

    def headers(self) -> dict[str, str]:
        """What to ask with, to get what is missing, or all of it where the version has changed (13.1.5)."""
        if not self.is_usable:
            return {}
        return {"Range": f"bytes={self.received}-", "If-Range": self.validator or ""}


@frozen
class Judgement:
    """What an answer means.

    Attributes:
        verdict: What to do.
        start: Where in the recording the body begins.
        stop: Where it ends.
        size_bytes: The length of the whole; None where there is no body to take.
        validator: The version of the recording; None where nothing tells versions apart.
        digest: What all of its bytes come to, as ``digest_of`` gives it; None where storage does not say.
        problem: Why it is in doubt, or empty.
    """

    verdict: Verdict
    start: int = 0
    stop: int = 0
    size_bytes: int | None = None
    validator: str | None = None
    digest: tuple[str, str] | None = None
    problem: str = ""


def judge(held: Held, status: int, headers: Mapping[str, str], *, size_in_link: int | None = None) -> Judgement:
    """What an answer means.

    Args:
        held: What is there, as it was asked with.
        status: The answer's status.
        headers: The answer's headers, names in lower case.
        size_in_link: The ``size_bytes`` that the API told with the link, or None.
    """
    match status:
        case 200:
            return _whole(headers, size_in_link)
        case 206 if held.is_usable:
            return _part(held, headers, size_in_link)
        case 206:
            return Judgement(Verdict.DOUBT, problem="storage sent a part of it, although nobody asked for one")
        case 416 if held.is_usable:
            total = _UNSATISFIED.fullmatch(headers.get("content-range", "").strip())
            is_whole = total is not None and int(total[1]) == held.received == held.size_bytes
            return Judgement(Verdict.WHOLE if is_whole else Verdict.START_OVER)
        case 401 | 403 | 410:
            return Judgement(Verdict.RENEW_LINK)
        case 404:
            return Judgement(Verdict.MISSING)
        case 301 | 302 | 303 | 307 | 308 if headers.get("location"):
            return Judgement(Verdict.FOLLOW)
        case _:
            return Judgement(Verdict.WAIT if status in RETRIED_STATUSES else Verdict.FAIL)


def validator_of(headers: Mapping[str, str]) -> str | None:
    """What tells this version of a recording from any other; None where nothing does for certain."""
    etag = headers.get("etag", "")
    if _STRONG_TAG.fullmatch(etag):
        return etag
    modified = headers.get("last-modified", "")
    moment, now = http_date(modified), http_date(headers.get("date", ""))
    if moment is None or now is None or (now - moment).total_seconds() < SAFE_AGE_SECONDS:
        return None
    return modified if modified.isascii() and modified.isprintable() else None


def digest_of(status: int, headers: Mapping[str, str]) -> tuple[str, str] | None:
    """The digest of the whole that an answer tells: hashlib's name for it, and the hex digits; None without one.

    An ETag is none, whatever it looks like. What is told of the content counts where that is the whole.
    """
    names = ("repr-digest", "digest", "content-digest") if status == 200 else ("repr-digest", "digest")
    told = _DIGEST.findall(",".join(headers.get(name, "") for name in names))
    told.append(("sha-256", headers.get("x-amz-checksum-sha256", "")))
    if status == 200:
        told.append(("md5", headers.get("content-md5", "")))
    for wanted, size in _DIGEST_BYTES.items():
        for name, text in told:
            digest = _from_base64(text)
            if name.lower().replace("-", "") == wanted and len(digest) == size:
                return wanted, digest.hex()
    return None


def _from_base64(text: str) -> bytes:
    try:
        return binascii.a2b_base64(text, strict_mode=True)
    except ValueError:
        return b""


def _whole(headers: Mapping[str, str], size_in_link: int | None) -> Judgement:
    told = size_in_link if size_in_link is not None and size_in_link >= 0 else None
    sent = _length(headers)
    problem = _compressed(headers)
    if not problem and sent is not None and told is not None and sent != told:
        problem = f"storage sends {sent} bytes where the API says {told}"
    size = told if sent is None else sent
    if not problem and size is None:
        problem = "nobody says how long it is, so that a cut could not be told from an end"
    if not problem and size == 0:
        problem = "it is empty"
    if problem or size is None:
        return Judgement(Verdict.DOUBT, problem=problem)
    return Judgement(Verdict.TAKE, 0, size, size, validator_of(headers), digest_of(200, headers))


def _part(held: Held, headers: Mapping[str, str], size_in_link: int | None) -> Judgement:
    if problem := _compressed(headers):
        return Judgement(Verdict.DOUBT, problem=problem)
    place = _CONTENT_RANGE.fullmatch(headers.get("content-range", "").strip())
    is_as_told = size_in_link is None or size_in_link < 0 or size_in_link == held.size_bytes
    if place is None or not is_as_told:
        return Judgement(Verdict.START_OVER)
    start, stop = int(place[1]), int(place[2]) + 1
    total = held.size_bytes if place[3] is None else int(place[3])
    sent = _length(headers)
    # The tag has to come again: without it nothing says that the condition was looked at.
    is_same = total == held.size_bytes and held.validator in (headers.get("etag"), headers.get("last-modified"))
    is_in_place = start == held.received < stop <= (held.size_bytes or 0) and sent in (None, stop - start)
    if not is_same or not is_in_place:
        return Judgement(Verdict.START_OVER)
    return Judgement(Verdict.APPEND, start, stop, held.size_bytes, held.validator, digest_of(206, headers))


def _compressed(headers: Mapping[str, str]) -> str:
    encoding = headers.get("content-encoding", "").strip().lower()
    if encoding in ("", "identity"):
        return ""
    return f"storage sent it compressed ({encoding[:20]!r}), although nobody asked for that"


def _length(headers: Mapping[str, str]) -> int | None:
    text = headers.get("content-length", "")
    return int(text) if re.fullmatch(_NUMBER, text) else None
