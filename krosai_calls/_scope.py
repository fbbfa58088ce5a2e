"""Which part of an archive a run is about, what of it is covered, and what has to be looked at again.

Plain functions over the catalogue's connection, for the thread that it lives on.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping
from datetime import datetime

from attrs import field, frozen

from krosai_calls._arguments import call_request
from krosai_calls._holdings import EVENTS, RECORDING, as_text, transaction
from krosai_calls._increments import (
    ANCHORS,
    BEGINNING,
    END,
    PAGE,
    KnownCall,
    Span,
    Walk,
    gaps,
    merged,
    reopened,
    walk_of,
)
from krosai_calls._prospects import RETENTION, RETENTION_WARNING
from krosai_calls._wire import Endpoint
from krosai_calls.errors import InvalidArgumentError

_COLUMNS = ("status", "direction", "phone_number_id", "endpoint_id")


@frozen
class Scope:
    """What a run is about.

    Attributes:
        matching: Column and value of each filter but the times.
        wanted: The stretch of time.
        kinds: Which artefacts are made.
    """

    matching: Mapping[str, str]
    wanted: Span = Span(BEGINNING, END)  # noqa: RUF009 - frozen
    kinds: frozenset[str] = frozenset()

    @classmethod
    def of(cls, query: Mapping[str, str], kinds: Iterable[str]) -> Scope:
        """The scope of a listing's query."""
        bounds = {name: datetime.fromisoformat(query[name]) for name in ("from_date", "to_date") if name in query}
        span = Span(bounds.get("from_date", BEGINNING), bounds.get("to_date", END))
        return cls({name: query[name] for name in _COLUMNS if name in query}, span, frozenset(kinds))

    @property
    def name(self) -> str:
        """What tells the filters from others, the times aside."""
        return json.dumps(dict(sorted(self.matching.items())))

    @property
    def shows_all(self) -> bool:
        """Whether a call that is listed once stays listed: not where a status is asked for."""
        return "status" not in self.matching

    def condition(self, *, however_they_stand: bool = False) -> tuple[str, list[str]]:
        """The SQL condition on ``calls``, and its parameters.

        Args:
            however_they_stand: Whether calls that have not ended count whatever status is asked for.
        """
        parts, values = [], []
        for name, value in self.matching.items():
            is_loose = name == "status" and however_they_stand
            parts.append("(status = ? OR completed_at IS NULL)" if is_loose else f"{name} = ?")
            values.append(value)
        for sign, moment, is_bound in (
            (">=", self.wanted.start, self.wanted.start > BEGINNING),
            ("<=", self.wanted.end, self.wanted.end < END),
        ):
            if is_bound:
                parts.append(f"created_at {sign} ?")
                values.append(as_text(moment))
        return " AND ".join(parts) or "TRUE", values


@frozen
class Plan:
    """What a run has to ask for.

    Attributes:
        walks: Stretches to be listed, in this order.
        alone: Calls to be asked for one by one.
        open_ids: All calls that have to be looked at again: those that no walk shows are asked for alone, too.
        addresses: Those of them that can be.
    """

    walks: tuple[Walk, ...] = ()
    alone: tuple[str, ...] = ()
    open_ids: frozenset[str] = field(factory=frozenset)
    addresses: frozenset[str] = field(factory=frozenset)


def plan(connection: sqlite3.Connection, scope: Scope) -> Plan:
    """What has to be asked for: the gaps, and what is still open."""
    # What was listed without any filter was listed for every filter.
    rows = connection.execute(
        "SELECT from_time, to_time FROM covered WHERE scope IN (?, ?)", (scope.name, Scope({}).name)
    )
    covered = [Span(_moment(start), _moment(end)) for start, end in rows]
    walks = [
        walk_of(
            gap,
            scope.wanted,
            _neighbours(connection, scope, "<=", gap.start),
            _neighbours(connection, scope, ">=", gap.end),
        )
        for gap in gaps(scope.wanted, covered)
    ]
    dated, undated = _open_ones(connection, scope)
    more, alone = reopened(dated, [walk.span for walk in walks])
    open_ids = frozenset(call.call_id for call in dated) | frozenset(undated)
    addresses = frozenset(call.call_id for call in dated if call.has_address) | frozenset(undated)
    return Plan((*walks, *more), (*alone, *undated), open_ids, addresses)


def cover(connection: sqlite3.Connection, scope: Scope, span: Span) -> None:
    """Write down that a stretch was listed."""
    rows = connection.execute("SELECT from_time, to_time FROM covered WHERE scope = ?", (scope.name,)).fetchall()
    spans = merged([*(Span(_moment(start), _moment(end)) for start, end in rows), span])
    with transaction(connection):
        connection.execute("DELETE FROM covered WHERE scope = ?", (scope.name,))
        connection.executemany(
            "INSERT INTO covered (scope, from_time, to_time) VALUES (?, ?, ?)",
            [(scope.name, _mark(span.start), _mark(span.end)) for span in spans],
        )


def counts(connection: sqlite3.Connection, scope: Scope) -> dict[tuple[str, str], int]:
    """How many artefacts there are, by kind and state."""
    condition, values = scope.condition(however_they_stand=True)
    join = "" if condition == "TRUE" else f"JOIN calls ON calls.id = call_id WHERE {condition}"
    question = f"SELECT kind, state, count(*) FROM artefacts {join} GROUP BY kind, state"  # noqa: S608 - ours
    return {(kind, state): count for kind, state, count in connection.execute(question, values)}


def count_calls(connection: sqlite3.Connection, scope: Scope) -> int:
    """How many calls of the scope the catalogue has."""
    condition, values = scope.condition()
    question = f"SELECT count(*) FROM calls WHERE {condition}"  # noqa: S608 - ours
    return int(connection.execute(question, values).fetchone()[0])


def count_expiring(connection: sqlite3.Connection, scope: Scope, now: datetime) -> int:
    """How many recordings will soon be past their retention and are not saved."""
    condition, values = scope.condition()
    question = f"""
        SELECT count(*) FROM artefacts JOIN calls ON calls.id = call_id
        WHERE kind = ? AND state IN ('wanted', 'pending', 'failed') AND created_at BETWEEN ? AND ?
            AND {condition}
    """  # noqa: S608 - ours
    soon = threatened(now)
    bounds = as_text(soon.start), as_text(soon.end)
    return int(connection.execute(question, (RECORDING, *bounds, *values)).fetchone()[0])


def threatened(now: datetime) -> Span:
    """When the calls were created whose recordings will soon be past their retention."""
    return Span(now - RETENTION, now - RETENTION + RETENTION_WARNING)


def _neighbours(connection: sqlite3.Connection, scope: Scope, sign: str, moment: datetime) -> list[KnownCall]:
    if moment in (BEGINNING, END):
        return []
    condition, values = scope.condition()
    order = "DESC" if sign == "<=" else "ASC"
    question = f"""
        SELECT id, created_at FROM calls WHERE created_at {sign} ? AND {condition}
        ORDER BY created_at {order} LIMIT {ANCHORS}
    """  # noqa: S608 - ours
    found = connection.execute(question, (as_text(moment), *values))
    return [KnownCall(call_id, _moment(created_at)) for call_id, created_at in found]


def _open_ones(connection: sqlite3.Connection, scope: Scope) -> tuple[list[KnownCall], list[str]]:
    """The calls that have to be looked at again, newest first, and those of them that have no time."""
    condition, values = scope.condition(however_they_stand=True)
    kinds = ", ".join(f"'{kind}'" for kind in sorted(scope.kinds))
    ids = f"""
        SELECT call_id FROM artefacts WHERE state IN ('wanted', 'pending', 'failed')
            AND (state = 'pending' OR kind IN ({kinds}))
    """  # noqa: S608 - ours
    if EVENTS in scope.kinds:  # they may be wanted for the first time
        ids += " UNION SELECT id FROM calls WHERE id NOT IN (SELECT call_id FROM artefacts WHERE kind = 'events')"
    question = f"""
        SELECT id, created_at FROM calls WHERE id IN ({ids}) AND {condition} ORDER BY created_at DESC
    """  # noqa: S608 - ours
    dated: list[KnownCall] = []
    undated: list[str] = []
    above = ""
    for call_id, created_at in connection.execute(question, values).fetchall():
        has_address = _has_address(call_id)
        if created_at is not None:
            between = _count_between(connection, created_at, above)
            dated.append(KnownCall(call_id, _moment(created_at), between, has_address))
            above = created_at
        elif has_address:
            undated.append(call_id)
    return dated, undated


def _count_between(connection: sqlite3.Connection, lower: str, upper: str) -> int:
    question = "SELECT count(*) FROM (SELECT 1 FROM calls WHERE created_at > ? AND created_at < ? LIMIT ?)"
    return int(connection.execute(question, (lower, upper, PAGE)).fetchone()[0])


def _has_address(call_id: str) -> bool:
    try:
        call_request(Endpoint.GET_CALL, call_id)
    except InvalidArgumentError:
        return False
    return True


def _moment(text: str) -> datetime:
    return {"": BEGINNING, "~": END}.get(text) or datetime.fromisoformat(text)


def _mark(moment: datetime) -> str:
    return {BEGINNING: "", END: "~"}.get(moment) or as_text(moment)
