"""What the sandbox lists when its calls have changed, beside what looking at every call finds."""

from __future__ import annotations

import random
from datetime import timedelta

import pytest
from sandbox_caller import NOW, calling

from krosai_calls.sandbox.filters import Filters
from krosai_calls.sandbox.timeline import Call, Timeline
from krosai_calls.sandbox.world import World

HOUR = timedelta(hours=1)


def looked_at(world: World, filters: Filters) -> list[Call]:
    """The wanted calls, found the slow way."""
    calls = [world.call(number) for number in world.slots()]
    return [
        call
        for call in calls
        if filters.accept(call)
        and (filters.from_date is None or call.created_at >= filters.from_date)
        and (filters.to_date is None or call.created_at <= filters.to_date)
    ]


@pytest.mark.parametrize("seed", range(8))
def test_however_much_has_changed_filters_find_what_looking_at_every_call_finds(seed: int) -> None:
    dice, moment = random.Random(seed), [NOW]
    world = World(Timeline(seed, HOUR * 9.6, 30), 120, NOW, lambda: moment[0])
    for _ in range(60):
        numbers = world.slots()
        change = dice.choice(("add", "add an older one", "delete", "delete", "wait"))
        if change == "add":
            world.add({})
        elif change == "add an older one":
            created_at = NOW - HOUR * dice.uniform(0, 1200)
            world.add({"created_at": created_at, "status": dice.choice(("completed", "ringing"))})
        elif change == "delete":
            world.delete(world.call(dice.choice(numbers)).id)
        else:
            moment[0] += timedelta(seconds=dice.randrange(20))
        begins = [world.call(number).created_at for number in world.slots()]
        assert begins == sorted(begins, reverse=True)
        low, high = sorted(dice.choice(begins) for _ in range(2))
        for filters in (
            Filters(from_date=low, to_date=high),
            Filters(status=dice.choice(("completed", "ringing", "in_progress"))),
            Filters(direction="inbound", phone_number_id="pn_lagos", from_date=low),
        ):
            found = looked_at(world, filters)
            assert [world.call(number) for number in world.slots(filters)] == found == world.read(filters, list)
            assert world.page(filters, 3, 9) == (found[3:9], len(found))


async def test_a_change_to_a_million_calls_costs_no_look_at_them(monkeypatch: pytest.MonkeyPatch) -> None:
    async with calling(calls=1_000_000, hours_between_calls=0.001) as caller:
        made: list[int] = []
        world = caller.sandbox._world
        settled = world._settled_call

        def counting(slot: int) -> Call:
            made.append(slot)
            return settled(slot)

        monkeypatch.setattr(world, "_settled_call", counting)
        middle = NOW - timedelta(seconds=3.6 * 500_000)
        added = caller.sandbox.add_call(created_at=middle, status="completed")
        page = (await caller.ask("/calls?limit=1&offset=999999")).json()
        assert page["total"] == 1_000_001
        found = (await caller.ask(f"/calls?to_date={added['created_at']}&limit=1")).json()
        assert found["calls"][0]["id"] == added["id"]
        assert len(made) < 100
