"""The README's recipe for OpenTelemetry, with the real SDK."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from raw_server import Answer, RawServer, Request, answer

from krosai_calls import AsyncCallsClient, ConnectionFailedError, RetryPolicy
from krosai_calls.observing import Event

README = Path(__file__).parent.parent / "README.md"
CALL = b'{"id": "call_1"}'


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def provider(exporter: InMemorySpanExporter) -> TracerProvider:
    made = TracerProvider()
    made.add_span_processor(SimpleSpanProcessor(exporter))
    return made


@pytest.fixture
def watcher(provider: TracerProvider, monkeypatch: pytest.MonkeyPatch) -> Callable[[Event], object]:
    """The recipe's watcher, as a reader gets it who pastes the block."""
    monkeypatch.setattr("opentelemetry.trace.get_tracer", provider.get_tracer)
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    (block,) = [block for block in blocks if "opentelemetry" in block]
    names: dict[str, Any] = {}
    exec(block, names)
    made: Callable[[Event], object] = names["trace_requests"]
    return made


def client_of(server: RawServer, watcher: Callable[[Event], object], **settings: Any) -> AsyncCallsClient:
    settings.setdefault("retry", RetryPolicy(base_delay_seconds=0.0))
    return AsyncCallsClient("key", base_url=server.url, on_event=watcher, **settings)


def facts(span: ReadableSpan) -> tuple[str, object, object, StatusCode]:
    attributes = span.attributes or {}
    count, status = attributes["http.request.resend_count"], attributes.get("http.response.status_code")
    return span.name, count, status, span.status.status_code


async def test_each_attempt_is_a_span(watcher: Callable[[Event], object], exporter: InMemorySpanExporter) -> None:
    async with RawServer() as server, client_of(server, watcher) as client:
        server.script(answer(500), answer(200, CALL))
        await client.get_call("call_1")
    spans = exporter.get_finished_spans()
    assert [facts(span) for span in spans] == [
        ("GET /calls/{id}", 0, 500, StatusCode.ERROR),
        ("GET /calls/{id}", 1, 200, StatusCode.UNSET),
    ]
    assert {span.kind for span in spans} == {SpanKind.CLIENT}


async def test_a_fault_is_a_span_with_its_words(
    watcher: Callable[[Event], object], exporter: InMemorySpanExporter
) -> None:
    async with RawServer() as server, client_of(server, watcher, retry=RetryPolicy(max_attempts=1)) as client:
        server.script(Answer(then="reset"))
        with pytest.raises(ConnectionFailedError) as raised:
            await client.get_call("call_1")
    (span,) = exporter.get_finished_spans()
    assert facts(span)[2:] == (0, StatusCode.ERROR)
    assert span.status.description == str(raised.value)


async def test_equal_requests_at_once_stay_apart_and_belong_to_their_callers(
    watcher: Callable[[Event], object], exporter: InMemorySpanExporter, provider: TracerProvider
) -> None:
    tracer = provider.get_tracer("callers")
    gates = [asyncio.Event() for _ in range(3)]
    statuses = iter([404, 403, 402])
    arriving = iter(gates)

    def handle(request: Request) -> Answer:
        if request.path.endswith("first"):
            return answer(200, b'{"id": "first"}')
        return answer(next(statuses), gate=next(arriving))

    async def ask(client: AsyncCallsClient, name: str) -> None:
        with tracer.start_as_current_span(name):
            await client.get_call("call_1")

    async with RawServer(handle) as server, client_of(server, watcher) as client:
        await client.get_call("first")
        exporter.clear()
        tasks = []
        for number in range(3):
            tasks.append(asyncio.ensure_future(ask(client, f"caller {number}")))
            await server.received(2 + number)
        for number in (2, 0, 1):
            gates[number].set()
            await asyncio.wait([tasks[number]])
        await asyncio.gather(*tasks, return_exceptions=True)
    spans = exporter.get_finished_spans()
    callers = {span.context.span_id: span.name for span in spans if span.name.startswith("caller")}
    ours = [span for span in spans if span.parent is not None]
    assert [(callers[span.parent.span_id], facts(span)[2]) for span in ours if span.parent] == [
        ("caller 2", 402),
        ("caller 0", 404),
        ("caller 1", 403),
    ]
