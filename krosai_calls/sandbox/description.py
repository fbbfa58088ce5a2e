"""The OpenAPI description of what the API serves: a file of the package, said in the sandbox's dialect."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

from krosai_calls.sandbox.dialect import Dialect

PATH = "/openapi.json"


def description(dialect: Dialect) -> dict[str, Any]:
    """Give the description of an API that speaks a dialect."""
    text = files(__package__).joinpath("openapi.json").read_text(encoding="utf-8")
    document: dict[str, Any] = json.loads(text)
    schemas = document["components"]["schemas"]
    _rename(schemas["Page"], "calls", dialect.envelope)
    if not dialect.total:
        _leave_out(schemas["Page"], "total")
    _describe_events(schemas, dialect)
    _describe_hangup(document, dialect)
    for name in ("FromDate", "ToDate"):
        parameter = document["components"]["parameters"][name]
        parameter["description"] = _bound(name, dialect)
    return document


def _describe_events(schemas: dict[str, Any], dialect: Dialect) -> None:
    _rename(schemas["Event"], "event", dialect.event_name_key)
    _rename(schemas["Event"], "timestamp", dialect.event_time_key)
    names = [dialect.event_name(name) for name in schemas["EventName"]["enum"]]
    schemas["EventName"]["enum"] = list(dict.fromkeys(names))
    if dialect.events_envelope == "list":
        schemas["Events"] = schemas["Events"]["properties"]["events"]
    else:
        _rename(schemas["Events"], "events", dialect.events_envelope)


def _describe_hangup(document: dict[str, Any], dialect: Dialect) -> None:
    responses = document["paths"]["/calls/{call_id}/hangup"]["post"]["responses"]
    schemas = document["components"]["schemas"]
    match dialect.hangup_answer:
        case "brief":
            kept = {name: schemas["Call"]["properties"][name] for name in ("id", "status", "hangup_cause")}
            schemas["HungUp"] = _closed(kept)
        case "success":
            schemas["HungUp"] = _closed({"success": {"const": True}, "message": {"type": "string"}})
        case "empty":
            responses["204"] = responses.pop("200")
            del responses["204"]["content"], schemas["HungUp"]
    status = str(dialect.ended_call_status)
    ended = responses.pop("409")
    if status in responses:  # a call that has ended is as good as none
        del document["components"]["responses"]["AlreadyEnded"]
    else:
        responses[status] = ended


def _bound(name: str, dialect: Dialect) -> str:
    if name == "FromDate":
        return f"Only calls created {'then or ' if dialect.from_is_inclusive else ''}later; ISO 8601."
    if dialect.to_is_inclusive:
        return "Only calls created then or earlier; ISO 8601. A day means its end."
    return "Only calls created earlier; ISO 8601. A day means its beginning."


def _closed(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _rename(schema: dict[str, Any], old: str, new: str) -> None:
    schema["properties"] = {new if name == old else name: kept for name, kept in schema["properties"].items()}
    schema["required"] = [new if name == old else name for name in schema["required"]]


def _leave_out(schema: dict[str, Any], name: str) -> None:
    del schema["properties"][name]
    schema["required"].remove(name)
