"""A scripted HTTP server on a raw loopback socket: sends exactly the bytes a test wrote down, right or wrong.

    async with RawServer() as server:
        server.script(answer(429, b"{}", [("Retry-After", "0")]), answer(200, b'{"id": "call_1"}'))
        server.script(answer(200, b"ID3...", cut=2), path="/storage/call_1.mp3")
        ...
        assert [request.target for request in server.requests] == ["/v1/calls/call_1", "/v1/calls/call_1"]

Each request takes the next answer of its path's script, or else of the script for every path; the last answer
of a script repeats. Where a script is no match for what a test needs, `RawServer(handler)` asks a function.
What came is logged as it came, with the connection's number and the request's index on that connection.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import socket
import ssl
import struct
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Literal, Self
from urllib.parse import parse_qsl, unquote

Headers = Sequence[tuple[str, str]]
Then = Literal["keep", "close", "reset", "hang"]


@dataclass(frozen=True)
class Request:
    """One request, exactly as it was received."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    connection: int
    index: int

    @property
    def path(self) -> str:
        """The path with its percent-encoding undone."""
        return unquote(self.target.partition("?")[0], errors="strict")

    @property
    def query(self) -> list[tuple[str, str]]:
        """The query as a form reads it, in the order sent."""
        text = self.target.partition("?")[2]
        return parse_qsl(text, keep_blank_values=True, strict_parsing=bool(text), errors="strict")

    def values(self, name: str) -> list[str]:
        """Every value of a header, in the order sent."""
        return [value for key, value in self.headers if key.lower() == name.lower()]


@dataclass(frozen=True)
class Answer:
    """What goes onto the wire for one request, and what becomes of the connection.

    Attributes:
        wire: The bytes, status line and all.
        then: `keep` the connection, `close` it (FIN), `reset` it (RST), or `hang` until the peer leaves.
        more: Pieces sent after `wire` for as long as the peer takes them, e.g. `itertools.repeat(b"...")`.
        gate: Nothing is sent before this is set.
    """

    wire: bytes = b""
    then: Then = "keep"
    more: Iterable[bytes] = ()
    gate: asyncio.Event | None = None


def answer(
    status: int = 200,
    body: bytes = b"",
    headers: Headers = (),
    *,
    content_type: str | None = "application/json",
    framing: Literal["length", "chunked", "none"] = "length",
    cut: int | None = None,
    then: Then | None = None,
    gate: asyncio.Event | None = None,
) -> Answer:
    """A well-formed HTTP/1.1 answer; `cut` promises all of the body and sends so many bytes of it.

    With `then` unsaid, a body that is cut or has no framing ends with the connection; any other keeps it.
    """
    lines = [f"HTTP/1.1 {status} Scripted"]
    if content_type is not None:
        lines.append(f"Content-Type: {content_type}")
    if framing == "chunked":
        lines.append("Transfer-Encoding: chunked")
        body = (b"%x\r\n%b\r\n" % (len(body), body) if body else b"") + b"0\r\n\r\n"
    elif framing == "length" and status != 204:
        lines.append(f"Content-Length: {len(body)}")
    lines += [f"{name}: {value}" for name, value in headers]
    head = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
    ends = cut is not None or framing == "none"
    return Answer(head + body[:cut], then or ("close" if ends else "keep"), gate=gate)


UNSCRIPTED = answer(404, b'{"error": "not in the script"}')


class RawServer:
    """Listens on loopback while its `async with` block runs; leaving it ends every connection.

    Attributes:
        url: Scheme, host and port, without a trailing slash.
        requests: What was received, in order.
    """

    def __init__(
        self,
        handler: Callable[[Request], Answer] | None = None,
        *,
        host: str = "127.0.0.1",
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.requests: list[Request] = []
        self.url = ""
        self._handler = handler or self._next_of_script
        self._host = host
        self._tls = tls
        self._scripts: dict[str | None, deque[Answer]] = {}
        self._connections = itertools.count(1)
        self._arrival = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._failures: list[BaseException] = []
        self._server: asyncio.Server | None = None

    def script(self, *answers: Answer, path: str | None = None) -> None:
        """Set what the requests for one path (or those for no scripted path) are answered with, in order."""
        self._scripts[path] = deque(answers)

    async def received(self, count: int) -> None:
        """Wait until so many requests have come."""
        while len(self.requests) < count:
            await self._arrival.wait()

    async def disconnected(self) -> None:
        """Wait until no connection is open any more."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, self._host, 0, ssl=self._tls)
        port = self._server.sockets[0].getsockname()[1]
        self.url = f"http{'s' if self._tls else ''}://{self._host}:{port}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await self.disconnected()
        await self._server.wait_closed()
        if self._failures and error is None:
            raise self._failures[0]

    def _next_of_script(self, request: Request) -> Answer:
        path = request.path if request.path in self._scripts else None
        script = self._scripts.get(path) or deque([UNSCRIPTED])
        return script.popleft() if len(script) > 1 else script[0]

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer, next(self._connections)))
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        failure = None if task.cancelled() else task.exception()
        if failure is not None:
            self._failures.append(failure)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        transport = writer.transport
        try:
            # Nothing waits here while the peer could have it; over TLS asyncio never goes on below a limit of 0.
            transport.set_write_buffer_limits(high=1, low=0)
            for index in itertools.count():
                request = await _read_request(reader, number, index)
                self.requests.append(request)
                self._arrival.set()
                self._arrival = asyncio.Event()
                if not await _send(self._handler(request), reader, writer):
                    break
            writer.close()
            await writer.wait_closed()
        except (OSError, EOFError):
            pass  # the peer left, in whatever manner
        finally:
            transport.abort()


async def _read_request(reader: asyncio.StreamReader, connection: int, index: int) -> Request:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    start, *lines = head[:-4].split("\r\n")
    method, target, _ = start.split(" ")
    headers = tuple((name, value.strip()) for name, _, value in (line.partition(":") for line in lines))
    fields = {name.lower(): value for name, value in headers}
    body = b""
    if "chunked" in fields.get("transfer-encoding", ""):
        while size := int(await reader.readline(), 16):
            body += (await reader.readexactly(size + 2))[:-2]
        await reader.readline()
    else:
        body = await reader.readexactly(int(fields.get("content-length", "0")))
    return Request(method, target, headers, body, connection, index)


async def _send(chosen: Answer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
    """Send it, and tell whether the connection stays."""
    if chosen.gate is not None:
        await chosen.gate.wait()
    writer.write(chosen.wire)
    await writer.drain()
    for piece in chosen.more:
        writer.write(piece)
        await writer.drain()
        await asyncio.sleep(0)  # an eager peer must not keep the loop from everyone else
    if chosen.then == "reset":
        wire = writer.get_extra_info("socket")
        with contextlib.suppress(OSError):
            wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()
    elif chosen.then == "hang":
        await reader.read()
    return chosen.then == "keep"
