"""The description of what the sandbox serves: its answers are as it says, and the client asks for nothing else."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import jsonschema
import pytest
from sandbox_caller import NOW, Caller, calling

from krosai_calls import AsyncCallsClient, Call, CallEvent, CallStats, HangupCause, RecordingLink
from krosai_calls.models import CallDirection, CallStatus
from krosai_calls.sandbox import Dialect, Sandbox
from krosai_calls.sandbox.added import HANGUP_CAUSES, STATUSES
from krosai_calls.sandbox.audio import Recorder, join_ready_made
from krosai_calls.sandbox.description import description

RECORDER = Recorder(join_ready_made)
DIALECTS = {
    "as it is": Dialect(),
    "pages": Dialect(envelope="data", total=False, order="oldest_first", date_bounds="exclusive"),
    "events": Dialect(events_envelope="list", event_names="other_pages", event_name_key="type"),
    "other events": Dialect(events_envelope="data", event_names="unprefixed", event_time_key="created_at"),
    "a brief hang-up": Dialect(hangup_answer="brief", ended_call_status=404),
    "a hang-up that succeeds": Dialect(hangup_answer="success", ended_call_status=400),
    "an empty hang-up": Dialect(hangup_answer="empty"),
}
every_dialect = pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Every operation: its path, its method, and what is said of it."""
    for path, item in document["paths"].items():
        for method in item.keys() & {"get", "post"}:
            yield path, method, item[method]


def resolved(document: dict[str, Any], part: dict[str, Any]) -> dict[str, Any]:
    """What a reference stands for."""
    for step in part.get("$ref", "#").split("/")[1:]:
        part = document[step] if step == "components" else part[step]
        document = part
    return part


def find(document: dict[str, Any], method: str, path: str) -> dict[str, Any]:
    """What is said of a request."""
    matching = [
        operation
        for pattern, known, operation in operations(document)
        if known == method.lower() and re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", pattern), path)
    ]
    (found, *_) = sorted(matching, key=lambda operation: operation["operationId"] != "get_stats")
    return found


def check_answer(document: dict[str, Any], operation: dict[str, Any], status: int, body: bytes) -> None:
    """The status is described, and the body is as it is."""
    answer = resolved(document, operation["responses"][str(status)])
    if "content" not in answer:
        assert body == b""
        return
    schema = {**answer["content"]["application/json"]["schema"], "components": document["components"]}
    validator = jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker())
    assert [error.message for error in validator.iter_errors(json.loads(body))] == []


async def ask(caller: Caller, document: dict[str, Any], path: str, *, method: str = "GET", **more: Any) -> int:
    """Ask for something, and check the answer by the description."""
    answer = await caller.ask(path, method=method, **more)
    operation = find(document, method, path.partition("?")[0])
    check_answer(document, operation, answer.status, answer.body)
    described = resolved(document, operation["responses"][str(answer.status)])["headers"]
    assert all(name in answer.headers for name in described)
    return answer.status


@every_dialect
async def test_every_answer_is_as_the_description_says(dialect: Dialect) -> None:
    async with calling(calls=60, dialect=dialect, plan="business", recorder=RECORDER) as caller:
        document = (await caller.ask("/../openapi.json", headers={"x-api-key": ""})).json()
        live = caller.sandbox.add_call(status="in_progress", cost_cents=1.5)["id"]
        caller.sandbox.add_call(status="failed", endpoint_id=None, phone_number_id=None)
        ids = [call["id"] for call in caller.sandbox.calls]
        assert await ask(caller, document, "/calls?limit=100") == 200
        assert await ask(caller, document, "/calls/stats") == 200
        for call_id in ids:
            for path in ("", "/events", "/recording"):
                assert await ask(caller, document, f"/calls/{call_id}{path}") in (200, 404)
        path, status = f"/calls/{live}/hangup", 204 if dialect.hangup_answer == "empty" else 200
        assert await ask(caller, document, path, method="POST") == status
        assert await ask(caller, document, path, method="POST") == dialect.ended_call_status
        assert await ask(caller, document, "/calls/call_x") == 404
        assert await ask(caller, document, "/calls?limit=0") == 400
        assert await ask(caller, document, "/calls/stats?from_date=") == 400
        assert await ask(caller, document, "/calls/stats", headers={"x-api-key": "kros_test_x"}) == 401
        caller.sandbox.fail_next(429, retry_after=1.5)
        assert await ask(caller, document, "/calls/stats") == 429


async def test_the_description_is_for_everybody_and_costs_no_request() -> None:
    async with calling(calls=5, plan="free") as caller:
        for _ in range(20):
            answer = await caller.ask("/../openapi.json", headers={"x-api-key": ""})
            assert (answer.status, answer.json()) == (200, description(Dialect()))
        assert (await caller.ask("/calls")).headers["X-RateLimit-Remaining"] == "9"


def test_the_file_of_the_package_is_what_is_served_where_nothing_else_was_said() -> None:
    import krosai_calls.sandbox as package

    text = (Path(package.__file__).parent / "openapi.json").read_text(encoding="utf-8")
    assert json.loads(text) == description(Dialect())
    assert json.loads(text)["openapi"].startswith("3.1.")


def test_the_file_is_shipped() -> None:
    setup = (Path(__file__).parent.parent / "setup.cfg").read_text(encoding="utf-8")
    assert "krosai_calls.sandbox = openapi.json" in setup


@every_dialect
def test_every_reference_leads_somewhere_and_nothing_is_described_in_vain(dialect: Dialect) -> None:
    document = description(dialect)
    text = json.dumps(document)
    references = set(re.findall(r'"\$ref": "#/components/(\w+)/(\w+)"', text))
    parts = {(kind, name) for kind, named in document["components"].items() for name in named}
    assert parts - {("securitySchemes", "apiKey"), ("securitySchemes", "bearer")} == references


# ---- the client


# What a record has beyond what the service tells.
OF_OUR_OWN = {"extra"}


@pytest.mark.parametrize(
    ("record", "schema"), [(Call, "Call"), (CallStats, "Stats"), (RecordingLink, "RecordingLink")]
)
def test_a_record_of_the_client_has_a_place_for_each_thing_that_is_described(record: Any, schema: str) -> None:
    described = set(description(Dialect())["components"]["schemas"][schema]["properties"])
    renamed = {"url" if name == "recording_url" and record is RecordingLink else name for name in described}
    known = {field.name for field in attrs.fields(record) if not field.name.startswith("_")} - OF_OUR_OWN
    assert renamed == known


def test_an_events_fields_are_the_clients_under_one_name_or_another() -> None:
    described = set(description(Dialect(event_name_key="type"))["components"]["schemas"]["Event"]["properties"])
    assert (
        described
        == {field.name for field in attrs.fields(CallEvent) if not field.name.startswith("_")} - OF_OUR_OWN
    )


def test_words_that_are_described_are_words_that_the_client_knows() -> None:
    properties = description(Dialect())["components"]["schemas"]["Call"]["properties"]
    assert set(properties["status"]["enum"]) == set(STATUSES) == {status.value for status in CallStatus}
    assert set(properties["direction"]["enum"]) == {direction.value for direction in CallDirection}
    causes = {cause for cause in properties["hangup_cause"]["enum"] if cause is not None}
    assert causes == set(HANGUP_CAUSES) == {cause.value for cause in HangupCause}


async def test_the_client_asks_for_what_is_described_and_for_all_of_it() -> None:
    filters: Any = {"phone_number_id": "pn_lagos", "endpoint_id": "ep_shop", "from_date": NOW, "to_date": NOW}
    async with (
        Sandbox(calls=5, now=NOW) as sandbox,
        AsyncCallsClient(sandbox.api_key, base_url=sandbox.base_url) as client,
    ):
        call_id = sandbox.add_call(status="completed")["id"]
        await client.list_calls(status="completed", direction="inbound", limit=5, offset=1, **filters)
        await client.get_stats(**filters)
        await client.get_call(call_id)
        await client.list_events(call_id)
        await client.get_recording(call_id)
        await client.hang_up(sandbox.add_call(status="ringing")["id"])
        asked = sandbox.api_requests
    document = description(Dialect())
    seen = {}
    for request in asked:
        operation = find(document, request.method, request.path.removeprefix("/v1"))
        parameters = [resolved(document, part) for part in operation.get("parameters", ())]
        in_query, in_header = (
            {part["name"].lower() for part in parameters if part["in"] == place} for place in ("query", "header")
        )
        assert set(request.query) == in_query
        assert in_header <= set(request.headers)
        assert request.endpoint == operation["operationId"]
        assert request.headers["x-api-key"] == "***"
        seen[operation["operationId"]] = request.status
    assert seen == {operation["operationId"]: 200 for _, _, operation in operations(document)}
