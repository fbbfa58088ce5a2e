"""What all requests to the API have in common: the key, the rate, the request id, the shape of a refusal."""

from __future__ import annotations

import hmac
import itertools
import json
import re
from collections.abc import Callable
from datetime import datetime
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler

from krosai_calls.sandbox.desk import FAULT
from krosai_calls.sandbox.dice import token
from krosai_calls.sandbox.faults import Fault, Refuse
from krosai_calls.sandbox.limits import RateWindows, Verdict
from krosai_calls.sandbox.pauses import Pauses
from krosai_calls.sandbox.queries import Refusal

# What anybody may ask for, without a key and as often as they like.
OPEN_ENDPOINT = "openapi"
_CODES = {
    400: "INVALID_PARAMETER",
    401: "INVALID_API_KEY",
    402: "INSUFFICIENT_BALANCE",
    403: "INSUFFICIENT_SCOPE",
    404: "CALL_NOT_FOUND",
    409: "CONFLICT",
    422: "INVALID_PARAMETER",
    429: "RATE_LIMIT_EXCEEDED",
    500: "INTERNAL_ERROR",
    503: "SERVICE_UNAVAILABLE",
}
_SANE_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")


class Gate:
    """Lets requests through to the API's handlers, and their answers out.

    Args:
        windows: Counts requests against the plan.
        api_key: The only key that is let in.
        clock: Tells the current time in UTC.
        latency_seconds: How long every answer is held back.
        pauses: Where that is waited.
    """

    def __init__(
        self,
        windows: RateWindows,
        *,
        api_key: str,
        clock: Callable[[], datetime],
        latency_seconds: float,
        pauses: Pauses,
    ) -> None:
        self._windows = windows
        self._api_key = api_key
        self._clock = clock
        self._latency_seconds = latency_seconds
        self._pauses = pauses
        self._request_numbers = itertools.count(1)

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Admit and answer: the same for every request."""
        request_id = self._request_id(request)
        if self._latency_seconds:
            await self._pauses.wait(self._latency_seconds)
        verdict = self._windows.look(self._now())
        try:
            if request.match_info.route.name != OPEN_ENDPOINT:
                check_key(request, self._api_key)
                verdict = self._windows.take(self._now())
                check_rate(verdict)
            check_fault(request.get(FAULT))
            response = await handler(request)
        except Refusal as refusal:
            response = json_answer(refusal.body, refusal.status)
            response.headers.update(refusal.headers)
        except web.HTTPException as refusal:  # the router's: no such path, or not with this method
            response = json_answer(_routing_error(request, refusal), refusal.status)
            if "Allow" in refusal.headers:
                response.headers["Allow"] = refusal.headers["Allow"]
        self._finish(response, verdict, request_id)
        return response

    def reset(self) -> None:
        """Open the rate windows and number requests from the beginning."""
        self._windows.reset()
        self._request_numbers = itertools.count(1)

    def _finish(self, response: web.StreamResponse, verdict: Verdict, request_id: str) -> None:
        response.headers["X-RateLimit-Limit"] = str(self._windows.plan.per_second)
        response.headers["X-RateLimit-Remaining"] = str(verdict.remaining)
        response.headers["X-RateLimit-Reset"] = str(verdict.reset)
        response.headers["x-request-id"] = request_id
        if verdict.retry_after is not None:
            response.headers["Retry-After"] = str(verdict.retry_after)

    def _request_id(self, request: web.Request) -> str:
        given = request.headers.get("x-request-id", "")
        number = next(self._request_numbers)
        if _SANE_REQUEST_ID.fullmatch(given):
            return given
        return f"req_{token(16, self._api_key, number)}"

    def _now(self) -> float:
        return self._clock().timestamp()


def json_answer(body: Any, status: int = 200) -> web.Response:
    """Answer with JSON, its letters as they are."""
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
    return web.Response(body=text.encode(), status=status, content_type="application/json", charset="utf-8")


def check_key(request: web.Request, api_key: str) -> None:
    """Let the sandbox's key pass, as either header.

    Raises:
        Refusal: There is none, it is another one, or it is a real one.
    """
    given = request.headers.get("x-api-key", "")
    if not given:
        scheme, _, credentials = request.headers.get("Authorization", "").partition(" ")
        given = credentials.strip() if scheme.lower() == "bearer" else ""
    if not given:
        raise Refusal(401, "MISSING_API_KEY", "No API key: send it as x-api-key or as Authorization: Bearer.")
    if given.startswith("kros_live_"):
        raise Refusal(
            401, "INVALID_API_KEY", "A real key does not belong into a sandbox: use the sandbox's api_key instead."
        )
    if not hmac.compare_digest(given.encode(errors="replace"), api_key.encode()):
        raise Refusal(401, "INVALID_API_KEY", "This is not the sandbox's key: use its api_key.")


def check_rate(verdict: Verdict) -> None:
    """Let a request pass that the plan has room for.

    Raises:
        Refusal: It has none.
    """
    if verdict.retry_after is not None:
        raise Refusal(
            429,
            "RATE_LIMIT_EXCEEDED",
            f"Too many requests this {verdict.exhausted}: try again in {verdict.retry_after} seconds.",
            retry_after=verdict.retry_after,
            details={"window": verdict.exhausted},
        )


def check_fault(fault: Fault | None) -> None:
    """Let a request pass that is not to be refused on purpose.

    Raises:
        Refusal: It is.
    """
    if isinstance(fault, Refuse):
        told = {"retry_after": fault.retry_after} if isinstance(fault.retry_after, int | float) else {}
        message = f"This sandbox was told to answer with {fault.status}."
        raise Refusal(fault.status, _CODES.get(fault.status, "REFUSED"), message, headers=fault.headers, **told)


def _routing_error(request: web.Request, refusal: web.HTTPException) -> dict[str, Any]:
    if refusal.status == 405:
        return {"error": f"{request.method} is not possible here.", "code": "METHOD_NOT_ALLOWED"}
    return {"error": "There is no such path: all of the API lives below /v1/calls.", "code": "NOT_FOUND"}
