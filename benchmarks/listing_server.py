"""The server that ``listing.py`` lists from: pages of calls on loopback, each after a latency of its own.

It prints its port, and ends when its input does. An address says how it is to be answered:
``/20/60000/v1/calls?limit=100&offset=99`` is a page of a history of 60000 calls, after 20 ms. ``/usage`` says how
many pages were given and how much CPU that took.

It costs as little as it can, because client and server share the machine: a raw protocol, rows rendered before,
nothing compressed. It sends no rate-limit headers, so that no client is paced.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import re
import selectors
import socket
import sys
import time
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import cast

MOST_ROWS = 100
TRANSCRIPT_CHARACTERS = 1000
# More different rows than a few pages hold, so that nobody's cache of strings makes a page cheap.
TAILS = 1000
SENTENCES = (
    "Good morning, thank you for calling.",
    "Hi, it's about the order that I placed last week.",
    "Could you tell me the number, please?",
    "Yes, one moment: it is four, seven, one, nine.",
    "I see it here; it left our café in Orléans on Monday.",
    "Then it should have come by now, should it not?",
    "It should. I will ask the courier, and call you back today.",
    "That is kind of you, thank you.",
)


def heads(calls: int) -> list[bytes]:
    """The beginnings of rows, what is different in each: ids and times, newest first."""
    latest = datetime(2025, 1, 10, 12, tzinfo=UTC)
    rendered = []
    for number in range(calls):
        created = latest - timedelta(seconds=7 * number)
        times = {
            "created_at": created,
            "answered_at": created + timedelta(seconds=4),
            "completed_at": created + timedelta(seconds=94),
        }
        told = {name: f"{moment:%Y-%m-%dT%H:%M:%S}.{number % 1000:03}Z" for name, moment in times.items()}
        rendered.append(as_json({"id": f"call_{number:08}", **told})[:-1] + b",")
    return rendered


def tails() -> list[bytes]:
    """The ends of rows with their commas, each like many others; a page may begin at any of the first TAILS."""
    rng = random.Random(1)
    rendered = [as_json(_fields(rng))[1:] + b"," for _ in range(TAILS)]
    return rendered + rendered[:MOST_ROWS]


def _fields(rng: random.Random) -> dict[str, object]:
    turns: list[str] = []
    while sum(map(len, turns)) < TRANSCRIPT_CHARACTERS:
        speaker = "Caller" if len(turns) % 2 else "Agent"
        turns.append(f"[{speaker}]: {rng.choice(SENTENCES)} {rng.choice(SENTENCES)}\n")
    recording = f"https://storage.krosai.com/recordings/{rng.getrandbits(96):024x}.mp3"
    return {
        "from_number": f"+1555{rng.randrange(10**7):07}",
        "to_number": f"+3361{rng.randrange(10**7):07}",
        "direction": rng.choice(["inbound", "outbound"]),
        "status": "completed",
        "duration": rng.randrange(600),
        "cost_cents": rng.randrange(300),
        "endpoint_id": f"ep_{rng.getrandbits(64):016x}",
        "phone_number_id": f"pn_{rng.getrandbits(64):016x}",
        "recording_url": f"{recording}?signature={rng.getrandbits(256):064x}",
        "transcript": "".join(turns)[:TRANSCRIPT_CHARACTERS],
        "hangup_cause": rng.choice(["normal_clearing", "user_hangup", "agent_hangup"]),
        "metadata": {"campaign": "spring", "agent": rng.randrange(50), "tags": ["new", "callback"]},
    }


def as_json(value: object) -> bytes:
    """Compact JSON in UTF-8, as services send it."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


class History:
    """The calls, and how often they were asked for.

    Args:
        calls: How many there are at most.
    """

    def __init__(self, calls: int) -> None:
        self._heads = heads(calls)
        self._tails = tails()
        self._pages = 0

    def page(self, total: int, limit: int, offset: int) -> list[bytes]:
        """A page of the first ``total`` calls, from any place on; in pieces, because joining is what costs."""
        self._pages += 1
        some_heads = self._heads[offset : min(offset + limit, total)]
        first = offset % TAILS
        rows = zip(some_heads, self._tails[first : first + limit], strict=False)
        pieces = [b'{"calls":[', *chain.from_iterable(rows)]
        pieces[-1] = pieces[-1].removesuffix(b",")
        pieces.append(b'],"total":%d,"limit":%d,"offset":%d}' % (total, limit, offset))
        return pieces

    def usage(self) -> list[bytes]:
        """How many pages were given, and the seconds of CPU that this process has used."""
        return [as_json({"pages": self._pages, "cpu_seconds": time.process_time()})]


class Connection(asyncio.Protocol):
    """One client's connection.

    Args:
        history: What to answer from.
    """

    def __init__(self, history: History) -> None:
        self._history = history
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Make room for a whole page, so that one write is enough for it."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2**19)
        self._transport.set_write_buffer_limits(2**20)

    def data_received(self, data: bytes) -> None:
        """Answer the requests that are whole now."""
        self._received += data
        while (end := self._received.find(b"\r\n\r\n")) >= 0:
            target = self._received.split(b" ", 2)[1].decode()
            self._received = self._received[end + 4 :]
            self._take(target)

    def _take(self, target: str) -> None:
        if target == "/usage":
            self._answer("200 OK", self._history.usage())
            return
        place = re.match(r"/([\d.]+)/(\d+)/v1/calls(?:\?|$)", target)
        if place is None:
            self._answer("404 Not Found", [b'{"error":"no such address"}'])
            return
        latency = float(place[1]) / 1000
        asked = {name: int(value) for name, value in re.findall(r"[?&](limit|offset)=(\d+)", target)}
        page = (int(place[2]), min(asked.get("limit", 50), MOST_ROWS), asked.get("offset", 0))
        if latency:
            asyncio.get_running_loop().call_later(latency, self._answer_page, *page)
        else:
            self._answer_page(*page)

    def _answer_page(self, total: int, limit: int, offset: int) -> None:
        if not self._transport.is_closing():
            self._answer("200 OK", self._history.page(total, limit, offset))

    def _answer(self, status: str, body: list[bytes]) -> None:
        length = sum(map(len, body))
        head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
        self._transport.write(b"".join([head.encode(), *body]))


async def serve(history: History) -> None:
    """Answer until the input ends."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(history), "127.0.0.1", 0)
    ended = asyncio.Event()
    # Whoever started this holds the other end; when that process goes, however it goes, this one does too.
    loop.add_reader(sys.stdin, ended.set)
    print(server.sockets[0].getsockname()[1], flush=True)
    await ended.wait()
    server.close()


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=60_000, help="the longest history that is asked for")
    history = History(parser.parse_args().calls)
    # epoll waits in whole milliseconds, rounded up, which would make 20 ms up to 21; select does not round.
    loop = asyncio.SelectorEventLoop(selectors.SelectSelector())
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.run(serve(history))


if __name__ == "__main__":
    main()
