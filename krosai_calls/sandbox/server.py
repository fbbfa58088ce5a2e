"""The sandbox itself: two servers on loopback, started and stopped with a context manager."""

from __future__ import annotations

import copy
import socket
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from datetime import datetime
from types import TracebackType
from typing import Any, Self, overload

from aiohttp import web

from krosai_calls._portal import Portal
from krosai_calls.errors import ClientStateError, SettingsError
from krosai_calls.sandbox.api import BASE_PATH, Api
from krosai_calls.sandbox.audio import Recorder
from krosai_calls.sandbox.config import Config, wall_clock
from krosai_calls.sandbox.dice import token
from krosai_calls.sandbox.gate import Gate
from krosai_calls.sandbox.journal import Journal, RecordedRequest
from krosai_calls.sandbox.limits import RateWindows
from krosai_calls.sandbox.links import Signer
from krosai_calls.sandbox.storage import Storage, Studio
from krosai_calls.sandbox.timeline import Timeline
from krosai_calls.sandbox.world import World

_BACKLOG = 1024
_ENCODING_THREADS = 2
# How long a request that is under way may still take when the sandbox is left.
_GRACE_SECONDS = 0.1


class Sandbox:
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
        recorder: Recorder | None = None,
    ) -> None:
        self._config = Config(
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
        )
        timeline = Timeline(seed, self._config.spacing, max_recording_seconds)
        self._clock = clock or wall_clock
        self._world = World(timeline, calls, self._config.world_now)
        self._journal = Journal()
        self._recorder = recorder or Recorder()
        self._gate = self._new_gate()
        self._api: Api | None = None
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

    @property
    def api_key(self) -> str:
        """The only key that is let in. It hangs on the seed and is worth nothing elsewhere."""
        return f"kros_test_{token(24, self._config.seed, 'api key')}"

    @property
    def requests(self) -> list[RecordedRequest]:
        """What was asked so far, in the order of arrival. It stays readable after the sandbox has stopped."""
        return self._journal.requests()

    @property
    def api_requests(self) -> list[RecordedRequest]:
        """What the API was asked."""
        return self._journal.requests("api")

    @property
    def storage_requests(self) -> list[RecordedRequest]:
        """What the storage host was asked."""
        return self._journal.requests("storage")

    @property
    def calls(self) -> Sequence[dict[str, Any]]:
        """The history, newest first, each call as ``GET /calls/{id}`` would tell it.

        Calls are made when they are looked at: take what is needed, rather than a list of a very large history.
        """
        if self._api is None:
            raise ClientStateError("the sandbox has not been started yet: use it with 'with' or 'async with'")
        return _Calls(self._world, self._api)

    def reset(self) -> None:
        """Forget every request, take back every hang-up and open the rate windows."""
        self._journal.clear()
        self._world.reset()
        self._gate.reset()
        if self._api is not None:
            self._api.reset()

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
        studio = Studio(self._recorder, executor)
        origins = (_origin(config.host, api_socket), _origin(config.host, storage_socket))
        signer = Signer(origins[1], token(32, config.seed, "links"), config.link_ttl_seconds, self._clock)
        started_at = self._clock()

        def world_time() -> datetime:
            return self._world.now + (self._clock() - started_at)

        self._api = Api(self._world, signer, studio, world_time)
        storage = Storage(self._world, signer, studio, self._journal)
        await _run(stack, storage.application(), storage_socket)
        await _run(stack, self._api.application(self._gate), api_socket)
        self._origins = origins

    async def _stop(self) -> None:
        stack, self._open, self._origins = self._open, None, None
        if stack is not None:
            await stack.aclose()

    def _new_gate(self) -> Gate:
        return Gate(
            self._journal,
            RateWindows(self._config.rate_plan),
            api_key=self.api_key,
            clock=self._clock,
            latency_seconds=self._config.latency_seconds,
        )

    def _refuse_second_start(self) -> None:
        if self._open is not None:
            raise ClientStateError("the sandbox is already running: make another one")

    def _running_origins(self) -> tuple[str, str]:
        if self._origins is None:
            raise ClientStateError("the sandbox is not running: use it with 'with' or 'async with'")
        return self._origins


class _Calls(Sequence[dict[str, Any]]):
    """The history as it can be read from outside."""

    def __init__(self, world: World, api: Api) -> None:
        self._world = world
        self._api = api

    def __len__(self) -> int:
        return len(self._world.slots())

    @overload
    def __getitem__(self, index: int) -> dict[str, Any]: ...
    @overload
    def __getitem__(self, index: slice) -> list[dict[str, Any]]: ...
    def __getitem__(self, index: int | slice) -> dict[str, Any] | list[dict[str, Any]]:
        slots = self._world.slots()
        if isinstance(index, slice):
            return [self._body(slot) for slot in slots[index]]
        return self._body(slots[index])

    def _body(self, slot: int) -> dict[str, Any]:
        # A copy: what a reader does to it must not show in the API's answers.
        return copy.deepcopy(self._api.call_body(self._world.call(slot)))


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
