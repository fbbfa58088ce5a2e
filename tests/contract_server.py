"""A stand-in for the service, of `wire-contract.md` alone: strict in what it takes, varied in what it gives.

What it is sent it holds against the contract: whatever the contract does not know (a parameter, a path, a
body where none is due, a missing key) is noted in `violations` and answered 400. What the contract says may
vary is a field of `Manner`. It shares nothing with the client: no model, no codec, no table of endpoints.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from types import TracebackType
from typing import Any, Literal, Self

from raw_server import Answer, RawServer, Request, answer

Row = dict[str, Any]
# Wherever this turns up outside a request's headers, a secret has leaked.
KEY = "kros_test_CANARY_KEY"
FILTERS = {"phone_number_id", "endpoint_id", "from_date", "to_date"}
LISTING = FILTERS | {"status", "direction", "limit", "offset"}
ENDED = {"completed", "failed", "busy", "no_answer"}
EXACT = {"status", "direction", "phone_number_id", "endpoint_id"}
COOKIE = [("Set-Cookie", "session=1; Path=/")]
STATUSES = ENDED | {"initiated", "ringing", "in_progress"}


@dataclass(frozen=True)
class Manner:
    """Every freedom that the contract gives the service; as it stands, the documented shape.

    Attributes:
        base: The path of the base URL.
        scheme: How the key is taken.
        extra_query: Parameters allowed beyond the contract's own, such as `organization_id`.
        calls_under: The name of the page's list.
        tells_total: Whether a page says how many there are.
        tells_place: Whether a page repeats its limit and offset.
        events_under: The name of the event list, or None for a bare list.
        event_name, event_time: What an event calls its name and its moment.
        event_prefix: Put before an event's name.
        hang_up: What a successful hang-up is answered with.
        refuses_ended_with: The status that a hang-up of an ended call gets.
        times: How an instant is written.
        absent: How a field without a value is shown.
        unknown: Added to every object: fields that the contract does not know.
    """

    base: str = "/v1"
    scheme: Literal["x-api-key", "bearer"] = "x-api-key"
    extra_query: frozenset[str] = frozenset()
    calls_under: Literal["calls", "data"] = "calls"
    tells_total: bool = True
    tells_place: bool = True
    events_under: Literal["events", "data"] | None = "events"
    event_name: Literal["event", "type"] = "event"
    event_time: Literal["timestamp", "created_at"] = "timestamp"
    event_prefix: str = "call."
    hang_up: Literal["call", "brief", "success", "empty"] = "call"
    refuses_ended_with: Literal[400, 404, 409] = 409
    times: Literal["z", "milliseconds", "offset"] = "z"
    absent: Literal["null", "missing"] = "null"
    unknown: Mapping[str, Any] = field(default_factory=dict)

    def write(self, moment: datetime) -> str:
        if self.times == "offset":
            return moment.astimezone(timezone(timedelta(hours=5, minutes=30))).isoformat()
        unit = "seconds" if self.times == "z" else "milliseconds"
        return moment.astimezone(UTC).isoformat(timespec=unit).replace("+00:00", "Z")

    def show(self, row: Mapping[str, Any]) -> Row:
        """One object as this service would write it."""
        shown = {key: self.write(value) if isinstance(value, datetime) else value for key, value in row.items()}
        if self.absent == "missing":
            shown = {key: value for key, value in shown.items() if value is not None}
        return shown | dict(self.unknown)


DOCUMENTED = Manner()


def make_call(number: int = 1, **fields: Any) -> Row:
    """A completed call with every field of the contract; its instants are `datetime` until they are shown."""
    began = datetime(2025, 1, 10, 12, 0, 0, 250_000, tzinfo=UTC) - timedelta(minutes=number)
    return {
        "id": f"call_{number:04d}",
        "from_number": "+14155551234",
        "to_number": "+14155555678",
        "direction": "inbound",
        "status": "completed",
        "duration": 180,
        "cost_cents": 12,
        "endpoint_id": "ep_1",
        "phone_number_id": "pn_1",
        "recording_url": None,
        "transcript": "[Agent]: Good morning.\n[Caller]: Hi, it's about my order.",
        "created_at": began,
        "answered_at": began + timedelta(seconds=3),
        "completed_at": began + timedelta(seconds=183),
        "hangup_cause": "normal_clearing",
        "metadata": {"order": 7, "tags": ["a", None]},
    } | fields


class ContractServer:
    """The service; `async with` gives it, listening.

    Attributes:
        rows: The calls, newest first.
        violations: What was sent against the contract, one line each.
        sent: The body of every answer, as the Python value that was written as JSON.
    """

    def __init__(self, manner: Manner = DOCUMENTED, rows: Sequence[Row] = (), key: str = KEY) -> None:
        self.manner = manner
        self.rows = list(rows)
        self.key = key
        self.violations: list[str] = []
        self.sent: list[Any] = []
        self._wire = RawServer(self._answer)

    @property
    def base_url(self) -> str:
        return self._wire.url + self.manner.base

    @property
    def requests(self) -> list[Request]:
        return self._wire.requests

    async def __aenter__(self) -> Self:
        await self._wire.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._wire.__aexit__(kind, error, trace)

    def _answer(self, request: Request) -> Answer:
        if complaints := self._complaints(request):
            self.violations += [f"{request.method} {request.target}: {complaint}" for complaint in complaints]
            return self._json({"error": "; ".join(complaints), "code": "MISSING_FIELDS"}, 400)
        return self._dispatch(request)

    def _complaints(self, request: Request) -> list[str]:
        found = []
        secret = f"Bearer {self.key}" if self.manner.scheme == "bearer" else self.key
        due, other = "x-api-key", "authorization"
        if self.manner.scheme == "bearer":
            due, other = other, due
        if request.values(due) != [secret]:
            found.append(f"the key is not in {due}, once")
        if request.values(other):
            found.append(f"a key in {other} too")
        if request.values("cookie"):
            found.append("a cookie")
        if request.body or request.values("transfer-encoding"):
            found.append("a body")
        if len(request.values("idempotency-key")) != (request.method == "POST"):
            found.append("an Idempotency-Key belongs on every POST and nowhere else")
        names = [name for name, _ in request.query]
        found += [f"{name} twice" for name in set(names) if names.count(name) > 1]
        raw_path = request.target.partition("?")[0]
        if "#" in request.target or "//" in raw_path or raw_path.endswith("/"):
            found.append("an odd target")
        return found + self._unfit_parameters(request)

    def _unfit_parameters(self, request: Request) -> list[str]:
        path = "/".join(self._segments(request))
        allowed = {"calls": LISTING, "calls/stats": FILTERS}.get(path, set()) | self.manner.extra_query
        found = [f"unknown parameter {name}" for name, _ in request.query if name not in allowed]
        for name, value in request.query:
            fits = {
                "limit": value.isdecimal() and value.isascii() and 1 <= int(value) <= 100,
                "offset": value.isdecimal() and value.isascii(),
                "status": value in STATUSES,
                "direction": value in {"inbound", "outbound"},
                "from_date": _instant(value) is not None,
                "to_date": _instant(value) is not None,
            }.get(name, value != "")
            if not fits:
                found.append(f"{name}={value!r}")
        return found

    def _segments(self, request: Request) -> list[str]:
        root = self.manner.base + "/"
        return request.path.removeprefix(root).split("/") if request.path.startswith(root) else []

    def _dispatch(self, request: Request) -> Answer:
        match request.method, self._segments(request):
            case "GET", ["calls"]:
                return self._listing(dict(request.query))
            case "GET", ["calls", "stats"]:
                return self._stats(dict(request.query))
            case "GET", ["calls", call_id] if row := self._row(call_id):
                return self._json(self.manner.show(row))
            case "GET", ["calls", call_id, "events"] if row := self._row(call_id):
                return self._events(row)
            case "GET", ["calls", call_id, "recording"] if row := self._row(call_id):
                return self._recording(row)
            case "POST", ["calls", call_id, "hangup"] if row := self._row(call_id):
                return self._hang_up(row)
            case "GET", ["calls", _] | ["calls", _, "events" | "recording"]:
                return self._json({"error": "no such call"}, 404)
            case "POST", ["calls", _, "hangup"]:
                return self._json({"error": "no such call"}, 404)
        self.violations.append(f"{request.method} {request.target}: no such endpoint")
        return self._json({"error": "no such endpoint"}, 404)

    def _common_headers(self) -> list[tuple[str, str]]:
        return [
            ("X-Request-Id", f"req_{len(self.sent)}"),
            ("X-RateLimit-Limit", "1000"),
            ("X-RateLimit-Remaining", "999"),
            ("X-RateLimit-Reset", str(int(time.time()) + 1)),
        ]

    def _json(self, body: Any, status: int = 200) -> Answer:
        self.sent.append(body)
        return answer(status, json.dumps(body).encode(), [*self._common_headers(), *COOKIE])

    def _row(self, call_id: str) -> Row | None:
        return next((row for row in self.rows if row["id"] == call_id), None)

    def _matching(self, query: Mapping[str, str]) -> list[Row]:
        since, until = _instant(query.get("from_date", "")), _instant(query.get("to_date", ""))
        exact = {name: value for name, value in query.items() if name in EXACT}
        return [
            row
            for row in self.rows
            if all(row[name] == value for name, value in exact.items())
            and (since is None or row["created_at"] >= since)
            and (until is None or row["created_at"] <= until)
        ]

    def _listing(self, query: Mapping[str, str]) -> Answer:
        limit, offset = int(query.get("limit", "50")), int(query.get("offset", "0"))
        rows = self._matching(query)
        page = [self.manner.show(row) for row in rows[offset : offset + limit]]
        body: Row = {self.manner.calls_under: page}
        if self.manner.tells_total:
            body["total"] = len(rows)
        if self.manner.tells_place:
            body |= {"limit": limit, "offset": offset}
        return self._json(body | dict(self.manner.unknown))

    def _stats(self, query: Mapping[str, str]) -> Answer:
        rows = self._matching(query)
        statuses = [row["status"] for row in rows]
        seconds = sum(row["duration"] for row in rows)
        body = {
            "total_calls": len(rows),
            "completed_calls": statuses.count("completed"),
            "failed_calls": statuses.count("failed"),
            "inbound_calls": sum(row["direction"] == "inbound" for row in rows),
            "outbound_calls": sum(row["direction"] == "outbound" for row in rows),
            "total_duration": seconds,
            "average_duration": seconds / len(rows) if rows else None,
            "total_cost_cents": sum(row["cost_cents"] for row in rows),
            "by_status": {status: statuses.count(status) for status in set(statuses)},
        }
        return self._json(self.manner.show(body))

    def _events(self, row: Row) -> Answer:
        moments = [("ringing", row["created_at"])]
        moments += [("answered", row["answered_at"])] if row["answered_at"] else []
        moments += [("completed", row["completed_at"])] if row["status"] in ENDED else []
        events = [
            self.manner.show(
                {
                    "id": f"evt_{number:03d}",
                    self.manner.event_name: self.manner.event_prefix + name,
                    self.manner.event_time: moment,
                    "data": {"call_id": row["id"]},
                }
            )
            for number, (name, moment) in enumerate(moments, start=1)
        ]
        return self._json(events if self.manner.events_under is None else {self.manner.events_under: events})

    def _recording(self, row: Row) -> Answer:
        if row["recording_url"] is None:
            return self._json({"error": "no recording"}, 404)
        link = {
            "recording_url": row["recording_url"],
            "expires_at": datetime(2025, 1, 10, 11, tzinfo=UTC),
            "duration_seconds": row["duration"],
            "format": "mp3",
            "size_bytes": row["duration"] * 12_000,
        }
        return self._json(self.manner.show(link))

    def _hang_up(self, row: Row) -> Answer:
        if row["status"] in ENDED:
            return self._json({"error": "the call has ended"}, self.manner.refuses_ended_with)
        row |= {"status": "completed", "hangup_cause": "agent_hangup"}
        match self.manner.hang_up:
            case "call":
                return self._json(self.manner.show(row))
            case "brief":
                return self._json({name: row[name] for name in ("id", "status", "hangup_cause")})
            case "success":
                return self._json({"success": True, "message": "Call ended"})
            case "empty":
                self.sent.append(None)
                return answer(204, headers=self._common_headers(), content_type=None)


def _instant(text: str) -> datetime | None:
    """The instant of an ISO 8601 text with a zone; a bare date is the beginning of its UTC day."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        return moment.replace(tzinfo=UTC) if len(text) == 10 else None
    return moment
