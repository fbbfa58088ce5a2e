"""The sandbox itself: two servers on loopback, started and stopped with a context manager."""

from __future__ import annotations

import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from datetime import datetime
from types import TracebackType
from typing import Self

from aiohttp import web

from krosai_calls._portal import Portal
from krosai_calls.errors import ClientStateError, SettingsError
from krosai_calls.sandbox.api import BASE_PATH, Api
from krosai_calls.sandbox.audio import Recorder
from krosai_calls.sandbox.config import Config
from krosai_calls.sandbox.controls import Controls
from krosai_calls.sandbox.dialect import Dialect
from krosai_calls.sandbox.dice import token
from krosai_calls.sandbox.journal import RecordedRequest
from krosai_calls.sandbox.links import Signer
from krosai_calls.sandbox.storage import Storage, Studio

_BACKLOG = 1024
_ENCODING_THREADS = 2
# How long a request that is under way may still take when the sandbox is left.
_GRACE_SECONDS = 0.1


class Sandbox(Controls):
    """A stand-in for the Calls API, with a history of its own and real HTTP on loopback.

    Use it with ``with``, and it runs on a thread of its own; with ``async with``, and it runs in your loop. A call
    is the same call whenever the sandbox runs: ids, numbers, times, words and sound hang on the seed alone.

    Args:
        calls: How many calls the history has: about five in two days, the newest just before ``now``.
        seed: Which history it is.
        plan: Whose rate limits to enforce: ``free``, ``pro`` or ``business``; None refuses nothing.
        now: The moment the history is looked at, with a time zone; else the beginning of this hour. What is older
            than 90 days has lost its recording.
        clock: Gives the current UTC datetime, for links and rate windows; else the machine's clock.
        link_ttl_seconds: How long a link to a recording holds.
        latency_seconds: How long the API holds back each answer.
        host: The loopback address to listen on.
        port: The API's port; 0 takes a free one.
        storage_port: The storage host's port; 0 takes a free one.
        max_recording_seconds: The longest that a call lasts.
        hours_between_calls: How dense the history is. Fewer hours bring more calls into the 90 days.
        real_time: Whether the calls live as the clock goes. Otherwise only ``advance`` lets time pass for them, so
            that a slow test sees what a quick one does.
        on_request: Called with each request as it arrives, before it is answered. It runs on the sandbox's loop,
            and may change the sandbox.
        dialect: How it speaks where the service's documents leave it open.
        fault_rate: The share of requests, from 0 to 1, that meet a fault of some kind; which ones hangs on the
            seed. With ``fail_next`` a test says it exactly.
        recorder: Makes the recordings; else one of its own. ``Recorder(join_ready_made)`` of ``audio`` costs the
            least, and one that several sandboxes share makes each recording once.

    Raises:
        SettingsError: A parameter cannot be right.
    """

    def __init__(
        self,
        calls: int = 250,
        seed: int = 1,
        *,
        plan: str | None = None,
        now: datetime | None = None,
        clock: Callable[[], datetime] | None = None,
        link_ttl_seconds: float = 3600.0,
        latency_seconds: float = 0.0,
        host: str = "127.0.0.1",
        port: int = 0,
        storage_port: int = 0,
        max_recording_seconds: int = 30,
        hours_between_calls: float = 9.6,
        real_time: bool = False,
        on_request: Callable[[RecordedRequest], object] | None = None,
        dialect: Dialect | None = None,
        fault_rate: float = 0.0,
        recorder: Recorder | None = None,
    ) -> None:
        config = Config(
            calls=calls,
            seed=seed,
            plan=plan,
            now=now,
            clock=clock,
            link_ttl_seconds=link_ttl_seconds,
            latency_seconds=latency_seconds,
            host=host,
            port=port,
            storage_port=storage_port,
            max_recording_seconds=max_recording_seconds,
            hours_between_calls=hours_between_calls,
            real_time=real_time,
            on_request=on_request,
            dialect=Dialect() if dialect is None else dialect,
            fault_rate=fault_rate,
        )
        super().__init__(config)
        self._recorder = recorder or Recorder()
        self._origins: tuple[str, str] | None = None
        self._portal: Portal | None = None
        self._open: AsyncExitStack | None = None

    @property
    def base_url(self) -> str:
        """The address to give to a client, such as ``http://127.0.0.1:40123/v1``."""
        return self._running_origins()[0] + BASE_PATH

    @property
    def storage_url(self) -> str:
        """The origin that recordings are fetched from."""
        return self._running_origins()[1]

    def __enter__(self) -> Self:
        self._refuse_second_start()
        portal = Portal("krosai-sandbox")
        try:
            portal.run(self._start)
        except BaseException:
            portal.close()
            raise
        self._portal = portal
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        portal, self._portal = self._portal, None
        if portal is None:
            raise ClientStateError("the sandbox was not entered with 'with'")
        try:
            portal.run(self._stop)
        finally:
            portal.close()
        if error is None:
            self._raise_failure()

    async def __aenter__(self) -> Self:
        await self._start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._stop()
        if error is None:
            self._raise_failure()

    async def _start(self) -> None:
        self._refuse_second_start()
        async with AsyncExitStack() as stack:
            self._open = stack
            try:
                await self._serve(stack)
            except BaseException:
                self._open = None
                raise
            self._open = stack.pop_all()

    async def _serve(self, stack: AsyncExitStack) -> None:
        config = self._config
        api_socket = stack.enter_context(_listening(config.host, config.port))
        storage_socket = stack.enter_context(_listening(config.host, config.storage_port))
        executor = ThreadPoolExecutor(_ENCODING_THREADS, thread_name_prefix="krosai-sandbox-encoder")
        stack.callback(executor.shutdown, cancel_futures=True)
        studio = self._studio = Studio(self._recorder, executor)
        origins = (_origin(config.host, api_socket), _origin(config.host, storage_socket))
        secret = token(32, config.seed, "links")
        signer = Signer(origins[1], secret, config.link_ttl_seconds, self._clock.service_time)
        self._clock.restart()
        self._api = Api(self._world, signer, studio, config.dialect)
        storage = Storage(self._world, signer, studio, config.dialect.expired_link_status)
        await _run(stack, storage.application(self._desk), storage_socket)
        await _run(stack, self._api.application(self._desk, self._gate), api_socket)
        self._pauses.begin()
        stack.push_async_callback(self._pauses.end)
        self._origins = origins

    async def _stop(self) -> None:
        stack, self._open, self._origins = self._open, None, None
        if stack is not None:
            await stack.aclose()

    def _refuse_second_start(self) -> None:
        if self._open is not None:
            raise ClientStateError("the sandbox is already running: make another one")

    def _running_origins(self) -> tuple[str, str]:
        if self._origins is None:
            raise ClientStateError("the sandbox is not running: use it with 'with' or 'async with'")
        return self._origins


def _listening(host: str, port: int) -> socket.socket:
    # "localhost" would be two addresses with two free ports.
    address = "127.0.0.1" if host == "localhost" else host
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        return socket.create_server((address, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        raise SettingsError(f"cannot listen on port {port} of {host}: {error.strerror or error}") from None


def _origin(host: str, listening: socket.socket) -> str:
    port = listening.getsockname()[1]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


async def _run(stack: AsyncExitStack, application: web.Application, listening: socket.socket) -> None:
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=_GRACE_SECONDS)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    await web.SockSite(runner, listening, backlog=_BACKLOG).start()
