"""How long the first page of a search takes in a synthetic catalogue, by how common the words are.

The aim: under 50 ms for a common word's first page at a million calls (``--calls 1000000``: two minutes to
build, and 2.4 GB). Every search opens the catalogue anew, as a command or a web request would.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import accumulate, islice
from pathlib import Path

from krosai_calls import _schema
from krosai_calls.library import Archive

VOCABULARY = 20_000
TURNS_A_CALL = 5
WORDS_A_TURN = 12
BATCH = 2_000
NEWEST = datetime(2026, 11, 20, tzinfo=UTC)
PAGE = 20

# What is looked for; w0 is the commonest word, and the others are named by their place.
QUERIES = {
    "the commonest word": "w0",
    "a common word": "w40",
    "a word now and then": "w400",
    "a rare word": "w9000",
    "two common words": "w0 w40",
    "common and rare": "w0 w9000",
    "either of two": "w3 OR w40",
    "one without another": "w40 NOT w0",
    "a phrase": '"w1 w2"',
    "a prefix": "w19*",
    "only in old calls": "bygone",
    "nowhere": "nothing",
}


def call_rows(count: int, chance: random.Random) -> Iterator[tuple[int, datetime, list[str]]]:
    """Calls in the order in which an archive gets them: newest first, then a twentieth of them by nights."""
    weights = list(accumulate(1 / (place + 1) for place in range(VOCABULARY)))
    words = [f"w{place}" for place in range(VOCABULARY)]
    old = count - count // 20
    nightly = max(1, count // 400)
    order = [*range(old - 1, -1, -1)]
    for start in range(old, count, nightly):
        order += range(min(start + nightly, count) - 1, start - 1, -1)
    for number in order:
        spoken = chance.choices(words, cum_weights=weights, k=TURNS_A_CALL * WORDS_A_TURN)
        if number < count // 10:
            spoken[0] = "bygone"
        turns = [" ".join(spoken[start : start + WORDS_A_TURN]) for start in range(0, len(spoken), WORDS_A_TURN)]
        yield number, NEWEST - timedelta(seconds=60 * (count - number)), turns


def build(folder: Path, count: int) -> None:
    """Make the catalogue."""
    connection = sqlite3.connect(folder / "catalog.sqlite", isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = OFF")
    _schema.migrate(connection)
    rows = call_rows(count, random.Random(1))
    while batch := list(islice(rows, BATCH)):
        connection.execute("BEGIN")
        first = connection.execute("SELECT coalesce(max(id), 0) FROM turns").fetchone()[0]
        for number, created, turns in batch:
            call_id, moment = (
                f"call_{number:07}",
                created.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            )
            speakers = ["Agent", "Caller"] * TURNS_A_CALL
            transcript = "\n".join(f"[{who}]: {text}" for who, text in zip(speakers, turns, strict=False))
            raw = {"id": call_id, "direction": "inbound", "transcript": transcript, "created_at": moment}
            connection.execute(
                "INSERT INTO calls (id, from_number, to_number, direction, status, duration, endpoint_id,"
                " transcript, created_at, raw) VALUES (?, ?, ?, ?, 'completed', 60, ?, ?, ?, ?)",
                (
                    call_id, f"+2348{number:08}", "+254700000000", ("inbound", "outbound")[number % 2],
                    f"ep_{number % 40}", transcript, moment, json.dumps(raw),
                ),
            )  # fmt: skip
            connection.executemany(
                "INSERT INTO turns (call_id, position, speaker, text) VALUES (?, ?, ?, ?)",
                [(call_id, place, speakers[place], text) for place, text in enumerate(turns)],
            )
            connection.execute(
                "INSERT INTO artefacts (call_id, kind, state, path, size_bytes, sha256) VALUES"
                " (?, 'recording', 'saved', ?, 720000, ?)",
                (call_id, f"recordings/{created:%Y/%m/%d}/{call_id}.mp3", f"{number:064x}"),
            )
        connection.execute("INSERT INTO turns_fts(rowid, text) SELECT id, text FROM turns WHERE id > ?", (first,))
        connection.execute("COMMIT")
    connection.close()


def measure(folder: Path, rounds: int) -> None:
    """Search, and print."""
    archive = Archive(folder)
    print(f"{'what':<22} {'query':<14} {'hits':>5} {'order':<7} {'first ms':>9} {'median ms':>10} {'worst ms':>9}")
    for what, query in QUERIES.items():
        seconds = []
        for _ in range(rounds):
            begin = time.perf_counter()
            hits = archive.search(query, limit=PAGE)
            seconds.append(time.perf_counter() - begin)
        order = "-" if not hits else "newest" if hits[0].rank is None else "best"
        first, median, worst = (1000 * value for value in (seconds[0], statistics.median(seconds), max(seconds)))
        print(f"{what:<22} {query:<14} {len(hits):5} {order:<7} {first:9.1f} {median:10.1f} {worst:9.1f}")


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=50_000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--folder", type=Path, help="Keep the catalogue here, and use the one that is there.")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / "catalog.sqlite").exists():
            begin = time.perf_counter()
            build(folder, options.calls)
            print(f"built in {time.perf_counter() - begin:.0f} s")
        size = (folder / "catalog.sqlite").stat().st_size
        print(f"{options.calls:,} calls, {options.calls * TURNS_A_CALL:,} turns, {math.ceil(size / 1e6):,} MB\n")
        measure(folder, options.rounds)


if __name__ == "__main__":
    main()
