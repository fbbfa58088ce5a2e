"""The sandbox's history, and its rules, without a socket."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from krosai_calls.sandbox import answers, conversations
from krosai_calls.sandbox.dialect import Dialect
from krosai_calls.sandbox.filters import Filters
from krosai_calls.sandbox.timeline import Call, Timeline
from krosai_calls.sandbox.world import World

NOW = datetime(2025, 3, 14, 9, tzinfo=UTC)
DAY = timedelta(days=1)


def world(calls: int = 250, seed: int = 1, now: datetime = NOW) -> World:
    return World(Timeline(seed, timedelta(hours=9.6), 30), calls, now)


def all_calls(of: World) -> list[Call]:
    return [of.call(slot) for slot in of.slots()]


def bodies(of: World) -> dict[str, dict[str, Any]]:
    return {call.id: answers.call_body(call) for call in all_calls(of)}


# ---- the history


def test_a_seed_gives_the_same_history_each_time_and_another_seed_another_one() -> None:
    assert bodies(world()) == bodies(world())
    assert not bodies(world(seed=1)).keys() & bodies(world(seed=2)).keys()


def test_a_day_later_there_are_some_new_calls_and_the_old_ones_have_not_changed() -> None:
    today, tomorrow = all_calls(world()), bodies(world(now=NOW + DAY))
    settled = {call.id: answers.call_body(call) for call in today[10:-10]}
    assert {call_id: tomorrow[call_id] for call_id in settled} == settled
    assert 1 <= len(tomorrow.keys() - bodies(world()).keys()) <= 5


def test_a_live_call_of_today_has_ended_tomorrow_and_began_at_the_same_time() -> None:
    live, tomorrow = all_calls(world())[:3], world(now=NOW + 3 * DAY)
    for call in live:
        later = tomorrow.find(call.id)
        assert later is not None
        assert later.completed_at is not None
        assert later.created_at == call.created_at


def test_calls_come_newest_first_and_no_two_begin_at_once() -> None:
    begins = [call.created_at for call in all_calls(world(1000))]
    assert begins == sorted(set(begins), reverse=True)
    assert begins[0] < NOW


def test_two_hundred_and_fifty_calls_reach_past_the_retention() -> None:
    calls = all_calls(world())
    old = [call for call in calls if NOW - call.created_at > 90 * DAY]
    assert len(old) > 10
    assert not any(call.has_recording for call in old)
    assert any(call.has_transcript for call in old)
    assert any(call.has_recording for call in calls if call not in old)


def test_a_call_is_found_by_its_id_in_however_large_a_world() -> None:
    large = world(100_000)
    for slot in (large.slots()[0], large.slots()[54_321], large.slots()[-1]):
        call = large.call(slot)
        assert large.find(call.id) == call


@pytest.mark.parametrize(
    "call_id", ["", "call_", "call_aaaaaaaaaaaa", "call_ßßßßßß", "evt_abc", "call_A", "../etc/passwd"]
)
def test_what_is_no_id_of_this_world_is_not_found(call_id: str) -> None:
    assert world().find(call_id) is None


def test_a_call_older_than_the_world_is_not_found() -> None:
    assert world(10).find(all_calls(world(11))[-1].id) is None


def test_only_the_three_newest_calls_are_live() -> None:
    statuses = [call.status for call in all_calls(world())]
    assert set(statuses[:3]) == {"initiated", "ringing", "in_progress"}
    assert set(statuses[3:]) == {"completed", "failed", "busy", "no_answer"}


def test_the_newest_completed_call_is_still_being_processed() -> None:
    completed = [call for call in all_calls(world()) if call.status == "completed"]
    assert not completed[0].has_recording
    assert not completed[0].has_transcript
    assert completed[1].has_recording


def test_a_small_world_shows_only_calls_that_have_ended() -> None:
    assert all(call.completed_at is not None and call.completed_at < NOW for call in all_calls(world(5)))
    assert len(all_calls(world(0))) == 0


def test_about_four_of_five_calls_are_completed() -> None:
    counts = Counter(call.status for call in all_calls(world(2000)))
    assert 0.75 < counts["completed"] / 2000 < 0.85


def test_a_call_that_was_never_answered_lasts_and_costs_nothing() -> None:
    for call in all_calls(world()):
        body = answers.call_body(call)
        assert (body["answered_at"] is None) == (call.status not in ("completed", "in_progress"))
        if call.status == "completed":
            assert 4 <= body["duration"] <= 30
            assert body["cost_cents"] > 0
        else:
            assert body["duration"] == body["cost_cents"] == 0


def test_the_times_of_a_call_agree_with_its_duration() -> None:
    for body in bodies(world()).values():
        if body["status"] == "completed":
            answered, completed = (datetime.fromisoformat(body[name]) for name in ("answered_at", "completed_at"))
            assert (completed - answered).total_seconds() == body["duration"]


def test_times_are_written_in_every_way_the_contract_warns_of_and_mean_what_they_say() -> None:
    written = {call.created_at: answers.call_body(call)["created_at"] for call in all_calls(world())}
    assert all(datetime.fromisoformat(text) == moment for moment, text in written.items())
    assert any(re.search(r"\.\d{3}Z$", text) for text in written.values())
    assert any(re.search(r"\d[+-]\d\d:00$", text) for text in written.values())


def test_numbers_are_e164_and_one_side_is_always_the_business() -> None:
    patterns = r"\+234[789]\d{9}|\+254[17]\d{8}|\+233[25]\d{8}|\+27[678]\d{8}|\+201[0125]\d{8}|\+1\d{3}55501\d\d"
    ours = {call.place.number for call in all_calls(world())}
    assert len(ours) == 6
    for body in bodies(world()).values():
        mine, theirs = body["from_number"], body["to_number"]
        if body["direction"] == "inbound":
            mine, theirs = theirs, mine
        assert mine in ours
        assert re.fullmatch(patterns, theirs), theirs


def test_some_calls_have_metadata_and_it_is_the_same_each_time() -> None:
    metadata = [body["metadata"] for body in bodies(world()).values()]
    assert None in metadata
    assert any(found and "campaign" in found for found in metadata)


def test_events_are_told_in_order_and_end_as_the_call_did() -> None:
    for call in all_calls(world()):
        events = answers.events_body(call, Dialect())["events"]
        moments = [datetime.fromisoformat(event["timestamp"]) for event in events]
        names = [event["event"] for event in events]
        assert moments == sorted(moments)
        assert names[0] == "call.initiated"
        assert ("call.completed" in names) == (call.status == "completed")
        assert ("transcript.ready" in names) == call.has_transcript
        assert len({event["id"] for event in events}) == len(events)


# ---- the words


def test_conversations_take_turns_and_no_slot_is_left_open() -> None:
    for call in all_calls(world(2000)):
        turns = conversations.conversation(call)
        assert 4 <= len(turns) <= 10
        assert all(first[0] != second[0] for first, second in itertools.pairwise(turns))
        assert not any(set("{}|/") & set(words) for _, words in turns)


def test_no_two_of_two_hundred_conversations_are_the_same() -> None:
    texts = [conversations.transcript(call) for call in all_calls(world()) if call.duration > 9]
    assert len(set(texts)) == len(texts) > 150


def test_transcripts_have_labels_mostly_and_sometimes_none_and_some_turns_run_over_lines() -> None:
    texts = [answers.call_body(call)["transcript"] for call in all_calls(world()) if call.recorded_at]
    labelled = [text for text in texts if text and text.startswith("[")]
    assert 0 < texts.count(None) < 40
    assert 0 < len([text for text in texts if text and not text.startswith("[")]) < 40
    assert any(not line.startswith("[") for text in labelled for line in text.splitlines())
    assert any(not text.isascii() for text in labelled)


def test_a_short_call_has_fewer_words_than_a_long_one() -> None:
    calls = [call for call in all_calls(world()) if call.status == "completed"]
    calls.sort(key=lambda call: call.duration)
    words = [len(conversations.transcript(call).split()) for call in calls]
    assert sum(words[:10]) * 2 < sum(words[-10:])


def test_every_scenario_pairs_the_wordings_that_belong_together() -> None:
    texts = [text for found in conversations.every_scenario() for text in found]
    assert len(texts) >= 14
    for text in texts:
        for block in conversations.parse(text):
            for before, line in itertools.pairwise(block.lines):
                assert not line.follows or len(line.wordings) == len(before.wordings), line


# ---- what is looked for


def test_date_filters_are_inclusive_at_both_ends() -> None:
    calls = all_calls(world())
    newest, oldest = calls[20], calls[40]
    found = world().slots(Filters(from_date=oldest.created_at, to_date=newest.created_at))
    assert [world().call(slot) for slot in found] == calls[20:41]


@pytest.mark.parametrize(
    "filters",
    [
        Filters(status="busy"),
        Filters(direction="outbound", phone_number_id="pn_lagos"),
        Filters(endpoint_id="ep_clinic", from_date=NOW - 40 * DAY, to_date=NOW - 9 * DAY),
        Filters(to_date=NOW - 1000 * DAY),
        Filters(from_date=NOW),
        Filters(status="unheard_of"),
    ],
)
def test_a_filter_finds_what_looking_at_every_call_finds(filters: Filters) -> None:
    seen = world()
    expected = [
        call
        for call in all_calls(seen)
        if filters.status in (None, call.status)
        and filters.direction in (None, call.direction)
        and filters.phone_number_id in (None, call.place.phone_number_id)
        and filters.endpoint_id in (None, call.endpoint_id)
        and (filters.from_date is None or call.created_at >= filters.from_date)
        and (filters.to_date is None or call.created_at <= filters.to_date)
    ]
    assert [seen.call(slot) for slot in seen.slots(filters)] == expected


def test_a_hang_up_ends_the_call_for_filters_too_and_reset_takes_it_back() -> None:
    moment = [NOW]
    seen = World(Timeline(1, timedelta(hours=9.6), 30), 250, NOW, lambda: moment[0])
    live = seen.call(seen.slots(Filters(status="in_progress"))[0])
    moment[0] += timedelta(seconds=5)
    ended = seen.end(live.id, "completed", "agent_hangup")
    assert (ended.status, ended.hangup_cause, ended.duration) == ("completed", "agent_hangup", 25)
    assert live.slot not in seen.slots(Filters(status="in_progress"))
    assert live.slot in seen.slots(Filters(status="completed"))
    assert seen.find(live.id) == ended
    seen.reset()
    moment[0] = NOW
    assert seen.find(live.id) == live
