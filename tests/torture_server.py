"""The lying server of the torture: an API that gives links, and a storage behind them that does all it must not.

It serves what `torture_recordings` publishes, by the rules of that module; `torture_lies` says how it lies. Each
recording draws from a random generator of its own, so that a seed says what comes to a recording, request by
request, whatever comes to the others meanwhile.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import struct
from collections import Counter, defaultdict, deque
from collections.abc import Sequence

import torture_lies
from raw_server import RawServer, Request, _read_request
from torture_recordings import Asked, Recording, Reply

HANG_SECONDS = 1.0
SEND_BUFFER_BYTES = 64 * 1024
JOURNAL_LINES = 30
SLOW = (8_000, 0.03)  # a quarter of a megabyte a second


class LyingServer(RawServer):
    """Serves recordings, badly.

    Attributes:
        recordings: What it serves, by name.
        kind: Whether it keeps to the rules from now on.
        slow: Whether it takes its time while it is kind.
        sent: Bytes of recordings that went out.
        resumed: Answers that were parts from within a recording.
        journal: For each recording what was asked and answered last.
    """

    def __init__(self, recordings: Sequence[Recording], *, kind: bool = False, slow: bool = False) -> None:
        super().__init__()
        self.kind = kind
        self.slow = slow
        self.sent = 0
        self.resumed = 0
        self.journal: defaultdict[str, deque[str]] = defaultdict(lambda: deque(maxlen=JOURNAL_LINES))
        self.recordings = {recording.name: recording for recording in recordings}
        self._uses: Counter[str] = Counter()
        self._progress = asyncio.Event()

    async def has_sent(self, count: float) -> None:
        """Wait until so many bytes of recordings have gone out."""
        while self.sent < count:
            await self._progress.wait()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        try:
            writer.transport.set_write_buffer_limits(0)
            wire: socket.socket = writer.get_extra_info("socket")
            wire.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
            keeps = True
            while keeps:
                reply = self._reply(await _read_request(reader, number, 0))
                keeps = await self._send(reply, reader, writer)
            writer.close()
            await writer.wait_closed()
        except (OSError, EOFError):
            pass  # the peer left, in whatever manner
        finally:
            writer.transport.abort()

    def _reply(self, request: Request) -> Reply:
        kind, name = request.path.rsplit("/", 1)
        if kind == "/storage":
            return self._storage(self.recordings[name.removesuffix(".mp3")], request)
        if name == "recording":
            return self._link(self.recordings[kind.rsplit("/", 1)[1]])
        return self._call(self.recordings[name])

    def _storage(self, recording: Recording, request: Request) -> Reply:
        asked = Asked.of(request)
        token = dict(request.query)["signature"]
        self._uses[token] -= token != torture_lies.REDIRECTED
        if self._uses[token] < 0:
            reply = Reply(403, body=b"<Error><Message>Request has expired</Message></Error>", about="403, expired")
        elif self.kind:
            reply = recording.honest(asked)
            if self.slow:
                reply.piece_bytes, reply.pause_seconds = SLOW
        else:
            reply = torture_lies.answer(recording, asked)
        self.resumed += asked.start > 0 and reply.status == 206
        wanted = f"{asked.start}-" if asked.has_range else "all"
        self.journal[recording.name].append(f"{wanted} if {asked.condition}: {reply.about}")
        return reply

    def _link(self, recording: Recording) -> Reply:
        random = recording.random
        fault = 1.0 if self.kind else random.random()
        if fault < 0.02:
            return Reply(404, body=b'{"error": "no recording"}')
        if fault < 0.08:
            return Reply(random.choice([429, 500, 503]), {"Retry-After": "0"}, b'{"error": "not now"}')
        size: int | None = len(recording.current.body)
        if not self.kind and random.random() < 0.4:
            size = random.choice([None, None, len(random.choice(recording.versions).body)])
        told = {
            "recording_url": self._new_link(recording),
            "expires_at": "2099-01-01T00:00:00Z",
            "duration_seconds": round(recording.duration_seconds),
            "format": "mp3",
            "size_bytes": size,
        }
        cut = 1 if 0.08 <= fault < 0.1 else None
        return Reply(200, body=json.dumps(told).encode(), cut=cut, then="close" if cut else "keep")

    def _call(self, recording: Recording) -> Reply:
        told = {
            "id": recording.name,
            "status": "completed",
            "duration": round(recording.duration_seconds),
            "created_at": "2025-01-10T10:00:00Z",
            "recording_url": self._new_link(recording),
        }
        return Reply(200, body=json.dumps(told).encode())

    def _new_link(self, recording: Recording) -> str:
        """A link that expires after a few uses, as far as the storage tells the truth of it."""
        token = f"{len(self._uses)}"
        self._uses[token] = 1 << 20 if self.kind else recording.random.choice([1, 4, 16, 64])
        return f"{self.url}/storage/{recording.name}.mp3?signature={token}"

    async def _send(self, reply: Reply, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Send it, and tell whether the connection stays."""
        writer.write(_head(reply))
        count = len(reply.body) if reply.cut is None else reply.cut
        for start in range(0, count, reply.piece_bytes):
            piece = reply.body[start : min(count, start + reply.piece_bytes)]
            writer.write(b"%x\r\n%b\r\n" % (len(piece), piece) if reply.framing == "chunked" else piece)
            await writer.drain()
            self._count(reply, len(piece))
            await asyncio.sleep(reply.pause_seconds)
        if reply.framing == "chunked" and reply.cut is None:
            writer.write(b"0\r\n\r\n")
        await writer.drain()
        if reply.then == "reset":
            wire: socket.socket = writer.get_extra_info("socket")
            with contextlib.suppress(OSError):
                wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
        elif reply.then == "hang":
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(reader.read(), HANG_SECONDS)
        return reply.then == "keep"

    def _count(self, reply: Reply, size: int) -> None:
        if reply.status in (200, 206) and reply.about:
            self.sent += size
            self._progress.set()
            self._progress = asyncio.Event()


def _head(reply: Reply) -> bytes:
    lines = [f"HTTP/1.1 {reply.status} Scripted", *(f"{name}: {value}" for name, value in reply.headers.items())]
    if reply.framing == "chunked":
        lines.append("Transfer-Encoding: chunked")
    elif reply.framing == "length" and reply.status != 204:
        lines.append(f"Content-Length: {len(reply.body)}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
