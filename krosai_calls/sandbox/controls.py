"""What can be done to a running sandbox, from any thread: change its calls, let time pass, look at requests."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any, Unpack, overload

from krosai_calls.errors import ClientStateError
from krosai_calls.sandbox import checks
from krosai_calls.sandbox.added import HANGUP_CAUSES, CallFields
from krosai_calls.sandbox.api import Api
from krosai_calls.sandbox.clock import Clock, wall_clock
from krosai_calls.sandbox.config import Config
from krosai_calls.sandbox.desk import Desk
from krosai_calls.sandbox.dice import token
from krosai_calls.sandbox.faults import FaultFields, Faults, Target, one_fault
from krosai_calls.sandbox.filters import EVERYTHING
from krosai_calls.sandbox.gate import Gate
from krosai_calls.sandbox.journal import Journal, RecordedRequest
from krosai_calls.sandbox.limits import RateWindows
from krosai_calls.sandbox.lives import FINAL_STATUSES
from krosai_calls.sandbox.pauses import Pauses
from krosai_calls.sandbox.storage import Studio
from krosai_calls.sandbox.timeline import Call, Timeline
from krosai_calls.sandbox.world import World


class Controls:
    """What is the same whether and wherever the servers run.

    Args:
        config: What the sandbox was told.
    """

    def __init__(self, config: Config) -> None:
        self._config = config
        now = config.world_now
        self._clock = Clock(config.clock or wall_clock, now, real_time=config.real_time)
        timeline = Timeline(config.seed, config.spacing, config.max_recording_seconds)
        self._world = World(timeline, config.calls, now, self._clock.history_time)
        self._journal = Journal()
        self._faults = Faults(config.fault_rate, config.seed)
        self._pauses = Pauses()
        self._desk = Desk(self._journal, self._faults, self._pauses, config.on_request)
        self._gate = Gate(
            RateWindows(config.rate_plan),
            api_key=self.api_key,
            clock=self._clock.service_time,
            latency_seconds=config.latency_seconds,
            pauses=self._pauses,
        )
        self._api: Api | None = None
        self._studio: Studio | None = None

    # ---- what is there

    @property
    def api_key(self) -> str:
        """The only key that is let in. It hangs on the seed and is worth nothing elsewhere."""
        return f"kros_test_{token(24, self._config.seed, 'api key')}"

    @property
    def calls(self) -> Sequence[dict[str, Any]]:
        """The history, newest first, each call as ``GET /calls/{id}`` would tell it now.

        Calls are made when they are looked at: take what is needed, rather than a list of a very large history.
        """
        return _Calls(self._world, self._running_api())

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

    # ---- what becomes of it

    @property
    def on_request(self) -> Callable[[RecordedRequest], object] | None:
        """Called with each request as it arrives, before it is answered; None for nobody.

        It runs on the sandbox's own loop and may change the sandbox: what it does shows in the answer. What it
        raises is answered with a 500, and raised again when the sandbox is left or reset.
        """
        return self._desk.on_request

    @on_request.setter
    def on_request(self, told: Callable[[RecordedRequest], object] | None) -> None:
        self._desk.on_request = told

    @property
    def on_answer(self) -> Callable[[RecordedRequest], object] | None:
        """Told of each request once it is answered, on the sandbox's loop: a log.

        Its ``status`` is None where the connection was cut instead. It must not raise.
        """
        return self._desk.on_answer

    @on_answer.setter
    def on_answer(self, told: Callable[[RecordedRequest], object] | None) -> None:
        self._desk.on_answer = told

    def add_call(self, **fields: Unpack[CallFields]) -> dict[str, Any]:
        """Add a call, as the newest unless ``created_at`` says otherwise.

        Without a ``status`` it begins to live: as ``advance`` lets time pass it rings (after 1 second), is
        answered (after 5), talks for ``duration`` seconds (20) and is ``completed``; its recording appears 30
        seconds after that, its transcript 9 seconds later. With one it stands so at once, with recording and
        transcript if it is ``completed``, and stays so until ``end_call`` or a hang-up.

        Args:
            **fields: What is known of it, as ``CallFields`` explains each; the rest is drawn from the seed.

        Returns:
            The call as ``GET /calls/{id}`` tells it.

        Raises:
            SettingsError: A field is unknown or cannot be right, or its id is taken.
            ClientStateError: The sandbox has not been started.
        """
        api = self._running_api()
        return copy.deepcopy(api.call_body(self._world.add(fields)))

    def end_call(
        self, call_id: str, *, status: str = "completed", hangup_cause: str | None = None
    ) -> dict[str, Any]:
        """End a call that goes on, now; what it leaves behind appears later, as ``advance`` lets time pass.

        Args:
            call_id: Which call.
            status: How it ends: ``completed``, ``failed``, ``busy`` or ``no_answer``.
            hangup_cause: Why; else what goes with the status.

        Returns:
            The call as ``GET /calls/{id}`` tells it.

        Raises:
            SettingsError: There is no such call, or it has ended already.
            ClientStateError: The sandbox has not been started.
        """
        api = self._running_api()
        checks.one_of("status", status, FINAL_STATUSES)
        if hangup_cause is not None:
            checks.one_of("hangup_cause", hangup_cause, HANGUP_CAUSES)
        return copy.deepcopy(api.call_body(self._world.end(call_id, status, hangup_cause)))

    def delete_call(self, call_id: str) -> None:
        """Make a call as if it had never been: it is not listed, and it and its recording are a 404.

        Args:
            call_id: Which call.

        Raises:
            SettingsError: There is no such call.
        """
        self._world.delete(call_id)

    def advance(self, seconds: float) -> None:
        """Let time pass, without waiting: links expire, rate windows and days turn, calls live, recordings age.

        Args:
            seconds: How much; ten years at most, all told.

        Raises:
            SettingsError: Less than nothing, or too much.
        """
        self._clock.advance(seconds)

    def fail_next(
        self,
        status: int | None = None,
        *,
        times: int | None = 1,
        server: str | None = None,
        endpoint: str | None = None,
        path: str | None = None,
        method: str | None = None,
        **more: Unpack[FaultFields],
    ) -> None:
        """Let the next request that fits meet a fault; of several that wait, the one told first.

            sandbox.fail_next(503, retry_after=2, times=3, endpoint="list_calls")
            sandbox.fail_next(cut_after_bytes=20_000, endpoint="recording")

        Args:
            status: It is refused with this status, 400 to 599.
            times: How many requests it befalls; None for every one from now on.
            server: Only requests to ``api``, or to ``storage``.
            endpoint: Only these, by the client's verb such as ``list_calls``, or ``recording``.
            path: Only those whose path fits a pattern such as ``/v1/calls/*``.
            method: Only those of this HTTP method.
            **more: What happens otherwise, or besides, as ``FaultFields`` explains.

        Raises:
            SettingsError: No fault is named, or several; one that cannot be; or a thousand wait already.
        """
        self._faults.plan(one_fault(status, more), Target(server, endpoint, path, method), times)

    def reset(self) -> None:
        """Make everything as it was at first: calls, time, rates, faults, ``on_request``; forget every request.

        Raises:
            Exception: What ``on_request`` raised since it was last asked; the rest is done all the same.
        """
        self._journal.clear()
        self._clock.restart()
        self._world.reset()
        self._gate.reset()
        self._faults.reset()
        self._desk.on_request = self._config.on_request
        if self._api is not None and self._studio is not None:
            self._api.reset()
            self._studio.reset()
        self._raise_failure()

    def _raise_failure(self) -> None:
        failure, self._desk.failure = self._desk.failure, None
        if failure is not None:
            raise failure

    def _running_api(self) -> Api:
        if self._api is None:
            raise ClientStateError("the sandbox has not been started yet: use it with 'with' or 'async with'")
        return self._api


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
        if isinstance(index, slice):
            return [self[place] for place in range(len(self))[index]]
        start = index if index >= 0 else len(self) + index
        page, _ = self._world.page(EVERYTHING, start, start + 1) if start >= 0 else ([], 0)
        if not page:
            raise IndexError(f"there is no call at {index}")
        return self._body(page[0])

    def _body(self, call: Call) -> dict[str, Any]:
        # A copy: what a reader does to it must not show in the API's answers.
        return copy.deepcopy(self._api.call_body(call))
