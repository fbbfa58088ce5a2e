"""The Calls API of the sandbox: one handler for each endpoint of the contract."""

from __future__ import annotations

from collections import OrderedDict
from datetime import UTC
from functools import lru_cache
from typing import Any

from aiohttp import web

from krosai_calls.sandbox import answers, description
from krosai_calls.sandbox.desk import Desk
from krosai_calls.sandbox.dialect import Dialect
from krosai_calls.sandbox.gate import OPEN_ENDPOINT, Gate, json_answer
from krosai_calls.sandbox.links import Signer
from krosai_calls.sandbox.lives import FINAL_STATUSES
from krosai_calls.sandbox.queries import Refusal, check_once, listing_filters, page_of, stats_filters
from krosai_calls.sandbox.storage import Studio
from krosai_calls.sandbox.timeline import Call
from krosai_calls.sandbox.world import World

BASE_PATH = "/v1"
_REMEMBERED_HANGUPS = 1000
_REMEMBERED_CALLS = 4096


class Api:
    """The API's requests and answers.

    Args:
        world: The calls.
        signer: Makes the links to recordings.
        studio: Makes the recordings, whose size is told.
        dialect: How it speaks where the documents leave it open.
    """

    def __init__(self, world: World, signer: Signer, studio: Studio, dialect: Dialect) -> None:
        self._world = world
        self._signer = signer
        self._studio = studio
        self._dialect = dialect
        self._said = lru_cache(maxsize=_REMEMBERED_CALLS)(answers.call_body)
        self._hangups: OrderedDict[tuple[str, str], tuple[int, Any]] = OrderedDict()

    def application(self, desk: Desk, gate: Gate) -> web.Application:
        """Make the web application that a server runs."""
        application = web.Application(middlewares=[desk.middleware("api"), gate.middleware])
        router, calls = application.router, f"{BASE_PATH}/calls"
        router.add_get(calls, self._list, name="list_calls")
        # Before the ids, or it would be taken for one.
        router.add_get(f"{calls}/stats", self._stats, name="get_stats")
        router.add_get(f"{calls}/{{call_id}}", self._get, name="get_call")
        router.add_get(f"{calls}/{{call_id}}/events", self._events, name="list_events")
        router.add_get(f"{calls}/{{call_id}}/recording", self._recording, name="get_recording")
        router.add_post(f"{calls}/{{call_id}}/hangup", self._hang_up, name="hang_up")
        router.add_get(description.PATH, self._describe, name=OPEN_ENDPOINT)
        return application

    def call_body(self, call: Call) -> dict[str, Any]:
        """Say all there is to say of a call, with a fresh link."""
        url = self._signer.sign(call.id).url if call.has_recording else None
        return {**self._said(call), "recording_url": url}

    def reset(self) -> None:
        """Forget which hang-ups were answered."""
        self._hangups.clear()

    async def _list(self, request: web.Request) -> web.Response:
        check_once(request.query)
        limit, offset = page_of(request.query)
        filters = listing_filters(request.query, self._dialect)
        oldest_first = self._dialect.order == "oldest_first"
        calls, total = self._world.page(filters, offset, offset + limit, oldest_first=oldest_first)
        page = [self.call_body(call) for call in calls]
        return json_answer(self._dialect.page(page, total, limit, offset))

    async def _describe(self, request: web.Request) -> web.Response:
        return json_answer(description.description(self._dialect))

    async def _stats(self, request: web.Request) -> web.Response:
        check_once(request.query)
        return json_answer(self._world.read(stats_filters(request.query, self._dialect), answers.stats_body))

    async def _get(self, request: web.Request) -> web.Response:
        return json_answer(self.call_body(self._wanted(request)))

    async def _events(self, request: web.Request) -> web.Response:
        return json_answer(answers.events_body(self._wanted(request), self._dialect))

    async def _recording(self, request: web.Request) -> web.Response:
        call = self._wanted(request)
        if not call.has_recording:
            raise Refusal(404, "RECORDING_NOT_FOUND", "This call has no recording, not yet, or not any more.")
        recording = await self._studio.recording(call)
        link = self._signer.sign(call.id)
        return json_answer(
            {
                "recording_url": link.url,
                "expires_at": link.expires_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
                "duration_seconds": call.duration,
                "format": "mp3",
                "size_bytes": len(recording.data),
            }
        )

    async def _hang_up(self, request: web.Request) -> web.Response:
        call = self._wanted(request)
        key = (call.id, request.headers.get("Idempotency-Key", ""))
        if key[1] and key in self._hangups:
            status, body = self._hangups[key]
        else:
            status, body = self._ended_now(call)
        if key[1]:
            self._hangups[key] = (status, body)
            if len(self._hangups) > _REMEMBERED_HANGUPS:
                self._hangups.popitem(last=False)
        return web.Response(status=status) if body is None else json_answer(body, status)

    def _ended_now(self, call: Call) -> tuple[int, Any]:
        if call.status in FINAL_STATUSES:
            message = f"This call has already ended: {call.status}."
            status = self._dialect.ended_call_status
            return status, Refusal(status, "CALL_ALREADY_ENDED", message, details={"status": call.status}).body
        return self._dialect.hung_up(self.call_body(self._world.end(call.id, "completed", "agent_hangup")))

    def _wanted(self, request: web.Request) -> Call:
        call = self._world.find(request.match_info["call_id"])
        if call is None:
            raise Refusal(404, "CALL_NOT_FOUND", "There is no call with this id.")
        return call
