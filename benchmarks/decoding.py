"""What making records of a page costs: 100 calls with transcripts of 1000 characters, about 164 KB of JSON.

The aim: parsing and building take at most 3 times what ``orjson.loads`` alone takes, with orjson installed. Plain
ASCII is the harder case: orjson copies it, and all else takes as long as ever. The garbage collector runs, as it
does for everybody.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import time
import uuid
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import patch

from krosai_calls import _codec
from krosai_calls._wire import Answer

try:
    import orjson
except ImportError:
    orjson = None  # type: ignore[assignment]

CALLS = 100
ASCII = "hello thanks for calling how can I help you today with the order yes please hold on a moment"
ACCENTED = f"{ASCII} naïve café"


def page_of_calls(vocabulary: str, transcript_chars: int) -> bytes:
    """A page as the service sends it, the same in each run."""
    chance = random.Random(0)
    rows = [call_row(chance, number, vocabulary.split(), transcript_chars) for number in range(CALLS)]
    page = {"calls": rows, "total": 100_000, "limit": CALLS, "offset": 0}
    return json.dumps(page, ensure_ascii=False, separators=(",", ":")).encode()


def call_row(chance: random.Random, number: int, words: list[str], transcript_chars: int) -> dict[str, Any]:
    """A call with all its fields."""
    begin = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=7 * number, microseconds=chance.randrange(10**6))
    transcript = "[Agent]: "
    while len(transcript) < transcript_chars:
        transcript += chance.choice(words) + " "
    return {
        "id": str(uuid.UUID(int=chance.getrandbits(128))),
        "from_number": f"+1555{chance.randrange(10**7):07}",
        "to_number": f"+4420{chance.randrange(10**8):08}",
        "direction": chance.choice(["inbound", "outbound"]),
        "status": chance.choice(["completed", "failed", "busy", "no_answer"]),
        "duration": chance.randrange(600),
        "cost_cents": chance.randrange(300),
        "endpoint_id": f"ep_{chance.getrandbits(64):016x}",
        "phone_number_id": f"pn_{chance.getrandbits(64):016x}",
        "recording_url": f"https://storage.krosai.com/recordings/{number}.mp3?signature={chance.getrandbits(256):064x}",
        "transcript": transcript,
        "created_at": wire_time(begin),
        "answered_at": wire_time(begin + timedelta(seconds=4)),
        "completed_at": wire_time(begin + timedelta(seconds=90)),
        "hangup_cause": "normal_clearing",
        "metadata": {"campaign": "spring", "agent": chance.randrange(50), "tags": ["a", "b"]},
    }


def wire_time(moment: datetime) -> str:
    """A time as the service writes it."""
    return moment.isoformat().replace("+00:00", "Z")


def microseconds_of(work: Callable[[], object], repeats: int, **replaced: object) -> float:
    """How long a page takes, on average, with these names of the codec replaced meanwhile."""
    with ExitStack() as stack:
        for name, value in replaced.items():
            stack.enter_context(patch.object(_codec, name, value))
        begin = time.perf_counter()
        for _ in range(repeats):
            work()
        return (time.perf_counter() - begin) / repeats * 1e6


def measure(body: bytes, rounds: int, repeats: int) -> None:
    """Measure and print."""
    answer = Answer("GET", "https://api.krosai.com/v1/calls", 200, body=body)

    def records() -> object:
        return _codec.decode_page(answer, limit=CALLS, offset=0)

    without_orjson = {"load_json_swiftly": lambda _: None}
    careful_rows = {"read_expected_call": lambda *_: None}
    contestants: dict[str, tuple[Callable[[], object], dict[str, Any]]] = {
        "json.loads": (lambda: json.loads(body), {}),
        "records without orjson": (records, without_orjson),
        "records, rows by cattrs, without orjson": (records, without_orjson | careful_rows),
    }
    if orjson is not None:
        contestants["orjson.loads"] = (lambda: orjson.loads(body), {})
        contestants["records"] = (records, {})
        contestants["records, rows by cattrs"] = (records, careful_rows)
    taken: dict[str, list[float]] = {name: [] for name in contestants}
    for number in range(rounds + 1):
        for name in random.sample(list(contestants), len(contestants)):
            work, replaced = contestants[name]
            microseconds = microseconds_of(work, repeats, **replaced)
            if number:  # the first round warms caches
                taken[name].append(microseconds)
    medians = {name: statistics.median(values) for name, values in taken.items()}
    reference = "orjson.loads" if orjson is not None else "json.loads"
    for name, median in sorted(medians.items(), key=lambda pair: pair[1]):
        print(f"{name:<40} {median:7.0f} µs   {median / medians[reference]:5.2f} x {reference}")
    if orjson is None:
        print("orjson is not installed; the extra 'speed' brings it: pip install -e '.[speed]'")


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--repeats", type=int, default=40, help="pages a round")
    parser.add_argument("--transcript", type=int, default=1000, help="characters of each transcript")
    options = parser.parse_args()
    for name, vocabulary in {"with accents": ACCENTED, "in plain ASCII": ASCII}.items():
        body = page_of_calls(vocabulary, options.transcript)
        print(f"{CALLS} calls, transcripts {name}, {len(body)} bytes (medians of {options.rounds} rounds)")
        measure(body, options.rounds, options.repeats)
        print()


if __name__ == "__main__":
    main()
