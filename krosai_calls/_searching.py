"""Full-text search over the turns of an archive, in bounded time also where nearly every turn matches.

Ranking looks at every match, and at more than that: to tell how rare a word is, FTS5 counts all turns that have
it. So only where few turns match are they ranked, among themselves, in a small index of their own that is thrown
away afterwards; where more do, the newest are given.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from attrs import asdict, frozen

from krosai_calls._catalog_reading import Conditions, conditions_of, place_of
from krosai_calls._json import encode_json
from krosai_calls._values import members_by_text, moment
from krosai_calls.errors import InvalidArgumentError
from krosai_calls.models import CallDirection

# As many are ranked; of more, the newest are given.
RANKED_MATCHES: Final = 2_000
TOKENIZER: Final = "unicode61 remove_diacritics 2"  # a test holds it against the schema's
_SNIPPET_WORDS: Final = 24
_DIRECTIONS: Final = members_by_text(CallDirection)

# Walking back in time: so many turns in the first step, twice as many in each next one.
_FIRST_STEP: Final = 1_000
_LONGEST_STEP: Final = 64_000
# Where so many recent turns hold too few matches, all matches are looked at instead.
_WALKED_TURNS: Final = 128_000
# Passing over so many entries of the index is cheaper than starting in it anew.
_SMALL_GAP: Final = 1_000

_MATCHES = "FROM turns_fts WHERE turns_fts MATCH ?"
_NEWEST_FIRST = "ORDER BY calls.created_at DESC, calls.rowid DESC, turns.position"
_DETAILS = """
    SELECT turns.id, turns.call_id, calls.created_at, calls.from_number, calls.to_number, calls.direction,
        turns.speaker, turns.position, recording.path, transcript.path
    FROM turns JOIN calls ON calls.id = turns.call_id
    LEFT JOIN artefacts AS recording
        ON recording.call_id = calls.id AND recording.kind = 'recording' AND recording.state = 'saved'
    LEFT JOIN artefacts AS transcript
        ON transcript.call_id = calls.id AND transcript.kind = 'transcript' AND transcript.state = 'saved'
    WHERE turns.id IN (SELECT value FROM json_each(?))
"""


@frozen
class SearchHit:
    """A turn in which somebody said what was looked for.

    Attributes:
        call_id: The call.
        created_at: When the call was set up, UTC.
        from_number: Who called, E.164.
        to_number: Who was called, E.164.
        direction: ``inbound`` or ``outbound``.
        speaker: Who said it, such as ``Caller``; None where the transcript does not tell.
        snippet: The words around the first match, with ``…`` where something was left out.
        position: Which turn of the call it is, from 0 on.
        recording_path: The recording's file, absolute; None where the archive has none.
        transcript_path: The transcript's file, absolute; None where the archive has none.
        rank: Its place among the best, from 1 on; None where more turns match than are ranked, and the newest
            are given.
    """

    call_id: str
    created_at: datetime | None
    from_number: str | None
    to_number: str | None
    direction: CallDirection | str | None
    speaker: str | None
    snippet: str
    position: int
    recording_path: Path | None
    transcript_path: Path | None
    rank: int | None

    def to_dict(self) -> dict[str, Any]:
        """The hit as JSON has it."""
        return asdict(self, value_serializer=lambda _, __, value: _plain(value))


def _plain(value: Any) -> Any:
    match value:
        case datetime():
            return value.isoformat().replace("+00:00", "Z")
        case Path():
            return str(value)
        case _:
            return value


@frozen(kw_only=True)
class Question:
    """What is looked for.

    Attributes:
        query: In the syntax of FTS5.
        limit: How many hits at most.
        markers: What stands before and after each word that matches, in a snippet.
        conditions: Which turns may match.
    """

    query: str
    limit: int
    markers: tuple[str, str]
    conditions: Conditions


def question_of(query: object, *, limit: object, markers: object, filters: Mapping[str, Any]) -> Question:
    """What is looked for, if it can be looked for.

    Raises:
        InvalidArgumentError: An argument cannot be right. Whether the query's syntax is, only the index can tell.
    """
    if not isinstance(query, str) or not query.strip():
        raise InvalidArgumentError("the query is empty: name a word to look for")
    if "\0" in query or any("\ud800" <= letter <= "\udfff" for letter in query):
        raise InvalidArgumentError("the query holds characters that no text has: NUL or half a surrogate pair")
    if not isinstance(limit, int) or isinstance(limit, bool) or limit < 1:
        raise InvalidArgumentError(f"limit is {limit!r:.80}: it is a whole number from 1 on")
    if not isinstance(markers, tuple) or [type(marker) for marker in markers] != [str, str]:
        raise InvalidArgumentError(f"markers is {markers!r:.80}: it is two texts, for before and after a match")
    conditions = conditions_of(filters)
    return Question(query=query, limit=limit, markers=(markers[0], markers[1]), conditions=conditions)


def search(connection: sqlite3.Connection, directory: Path, question: Question) -> list[SearchHit]:
    """The turns that match: the best first where few match, and otherwise the newest.

    Raises:
        InvalidArgumentError: The query is not in the syntax of FTS5.
    """
    connection.execute("PRAGMA temp_store = MEMORY")
    connection.execute(f"CREATE VIRTUAL TABLE temp.found USING fts5 (text, tokenize = '{TOKENIZER}')")
    _require_syntax(connection, question.query)
    connection.execute("BEGIN")  # one look at the catalogue, whatever a run writes meanwhile
    count = f"SELECT count(*) FROM (SELECT 1 {_MATCHES} LIMIT ?)"  # noqa: S608 - our words
    (matches,) = connection.execute(count, (question.query, RANKED_MATCHES + 1)).fetchone()
    are_few = matches <= RANKED_MATCHES
    turns = _among_all(connection, question, RANKED_MATCHES) if are_few else _newest(connection, question)
    # Its rows are numbered newest first, so that of two equally good ones the newer comes first.
    connection.execute(
        "INSERT INTO temp.found (rowid, text)"
        " SELECT key + 1, text FROM json_each(?) JOIN turns ON turns.id = value",
        (encode_json(turns),),
    )
    rows: Sequence[int] = range(1, len(turns) + 1)
    if are_few:
        ranks = dict(connection.execute("SELECT rowid, rank FROM found WHERE found MATCH ?", (question.query,)))
        rows = sorted(ranks, key=lambda row: (ranks[row], row))[: question.limit]
    return _hits(connection, directory, question, {row: turns[row - 1] for row in rows}, are_ranked=are_few)


def _require_syntax(connection: sqlite3.Connection, query: str) -> None:
    # Asked of the index that is still empty: whatever is wrong now is wrong with the query.
    reason = "it begins with *" if query.startswith("*") else ""  # which asks FTS5 about itself
    try:
        connection.execute("SELECT 1 FROM found WHERE found MATCH ?", (query,)).fetchall()
    except sqlite3.Error as fault:
        reason = str(fault).removeprefix("fts5: ")
    if not reason:
        return
    literally = '"' + query.replace('"', '""') + '"'
    raise InvalidArgumentError(
        f"the query is not in the syntax of full-text queries ({reason}). Words that are to be found as they"
        f" stand go into double quotes, with each double quote among them doubled: {literally}"
    )


def _among_all(connection: sqlite3.Connection, question: Question, limit: int) -> list[int]:
    """The newest matching turns, by looking at every match."""
    statement = (
        "SELECT turns.id FROM turns_fts CROSS JOIN turns ON turns.id = turns_fts.rowid"  # noqa: S608 - our words
        " CROSS JOIN calls ON calls.id = turns.call_id"
        f" WHERE turns_fts MATCH ? AND {question.conditions.sql} {_NEWEST_FIRST} LIMIT ?"
    )
    values = (question.query, *question.conditions.values, limit)
    return [turn for (turn,) in connection.execute(statement, values)]


def _newest(connection: sqlite3.Connection, question: Question) -> list[int]:
    """The newest matching turns, by walking back in time until there are enough."""
    walk = connection.execute(
        "SELECT turns.id FROM calls JOIN turns ON turns.call_id = calls.id"  # noqa: S608 - our words
        f" WHERE {question.conditions.sql} {_NEWEST_FIRST}",
        question.conditions.values,
    )
    found: list[int] = []
    step, walked = _FIRST_STEP, 0
    while walked < _WALKED_TURNS:
        turns = [turn for (turn,) in walk.fetchmany(step)]
        matching = _matching(connection, question.query, turns)
        found += [turn for turn in turns if turn in matching]
        if len(found) >= question.limit or not turns:
            return found[: question.limit]
        step, walked = min(2 * step, _LONGEST_STEP), walked + len(turns)
    return _among_all(connection, question, question.limit)


def _matching(connection: sqlite3.Connection, query: str, turns: Iterable[int]) -> set[int]:
    """Which of these turns match; perhaps some others, too."""
    statement = f"SELECT rowid {_MATCHES} AND rowid BETWEEN ? AND ?"
    return {turn for span in spans(turns) for (turn,) in connection.execute(statement, (query, *span))}


def spans(numbers: Iterable[int]) -> list[tuple[int, int]]:
    """The stretches in which numbers lie, first and last of each, small gaps passed over. Pure."""
    ordered = sorted(numbers)
    if not ordered:
        return []
    ends = [(before, after) for before, after in pairwise(ordered) if after - before > _SMALL_GAP]
    return list(
        zip(
            [ordered[0], *(after for _, after in ends)],
            [*(before for before, _ in ends), ordered[-1]],
            strict=True,
        )
    )


def _hits(
    connection: sqlite3.Connection,
    directory: Path,
    question: Question,
    turn_of: Mapping[int, int],
    *,
    are_ranked: bool,
) -> list[SearchHit]:
    """The hits for rows of the small index, in their order."""
    statement = (
        f"SELECT rowid, snippet(found, 0, ?, ?, '…', {_SNIPPET_WORDS}) FROM found"  # noqa: S608 - our words
        " WHERE found MATCH ? AND rowid IN (SELECT value FROM json_each(?))"
    )
    values = (*question.markers, question.query, encode_json(list(turn_of)))
    snippets = dict(connection.execute(statement, values))
    details = {turn: rest for turn, *rest in connection.execute(_DETAILS, (encode_json(list(turn_of.values())),))}
    hits = []
    for rank, row in enumerate((row for row in turn_of if row in snippets), 1):
        call_id, created_at, caller, called, direction, speaker, position, recording, transcript = details[
            turn_of[row]
        ]
        hits.append(
            SearchHit(
                call_id=call_id,
                created_at=moment(created_at),
                from_number=caller,
                to_number=called,
                direction=_DIRECTIONS.get(direction, direction),
                speaker=speaker,
                snippet=snippets[row],
                position=position,
                recording_path=place_of(directory, recording),
                transcript_path=place_of(directory, transcript),
                rank=rank if are_ranked else None,
            )
        )
    return hits
