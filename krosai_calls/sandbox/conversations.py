"""The words of a call: a scenario that fits the agent and the direction, told with the place's names and prices.

A scenario is a text. Each line is a turn, ``A:`` the agent's and ``C:`` the caller's. Its wordings are set apart
by ``|``, in one row or several; a row that is indented further goes on with the one before, and ``//`` breaks a
turn into lines. ``A=`` and ``C=`` take the wording of the same place as the turn before did, where question and
answer belong together. ``{slots}`` are filled in. A block of lines that begins with ``?`` is optional: it is told
where the call is long enough.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cache

from krosai_calls.sandbox import scenarios_care as care
from krosai_calls.sandbox import scenarios_trade as trade
from krosai_calls.sandbox.dice import Dice
from krosai_calls.sandbox.timeline import DRAWN, Call

MOST_TURNS = 10
_WORDS_PER_SECOND = 3.2
_BRIEF_SECONDS = 9

_SCENARIOS = {
    ("ep_shop", "inbound"): trade.SHOP_INBOUND,
    ("ep_shop", "outbound"): trade.SHOP_OUTBOUND,
    ("ep_stays", "inbound"): trade.STAYS_INBOUND,
    ("ep_stays", "outbound"): trade.STAYS_OUTBOUND,
    ("ep_clinic", "inbound"): care.CLINIC_INBOUND,
    ("ep_clinic", "outbound"): care.CLINIC_OUTBOUND,
    ("ep_wallet", "inbound"): care.WALLET_INBOUND,
    ("ep_wallet", "outbound"): care.WALLET_OUTBOUND,
}
_BRIEF = {"inbound": care.BRIEF_INBOUND, "outbound": care.BRIEF_OUTBOUND}
_BUSINESSES = {
    "ep_shop": ("Jumbo Basket", ("Ada", "Sade", "Zawadi")),
    "ep_stays": ("Marula House", ("Naledi", "Grace", "André")),
    "ep_clinic": ("Acacia Clinic", ("Imani", "Esther", "Paul")),
    "ep_wallet": ("Baobab Pay", ("Leo", "Zuri", "Tomi")),
}
# What is sold, and its price in US dollars.
_ITEMS = (
    ("standing fan", 38),
    ("blender", 45),
    ("school bag", 22),
    ("pressure cooker", 60),
    ("phone charger", 9),
    ("baby car seat", 90),
    ("football jersey", 25),
    ("desk lamp", 19),
    ("cafetière", 16),
    ("rice cooker", 34),
    ("travel suitcase", 55),
    ("solar lantern", 28),
    ("kente throw", 42),
    ("yoga mat", 15),
)
_ROOMS = (
    "garden room",
    "double room on the second floor",
    "family room",
    "small room by the courtyard",
    "sea-blue suite",
)
_HOURS = ("", "one", "two", "three", "four", "five", "six", "seven", "eight")
_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
_PAST = ("yesterday", "yesterday", "two days ago", "on {}", "last week")
_SPEAKERS = {"A": "Agent", "C": "Caller"}


Turn = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Line:
    """A turn as a scenario has it.

    Attributes:
        speaker: ``A`` or ``C``.
        follows: Whether it takes the wording of the same place as the line before.
        wordings: What may be said, one of them.
    """

    speaker: str
    follows: bool
    wordings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Block:
    """Turns that belong together.

    Attributes:
        lines: The turns.
        optional: Whether a short call goes without them.
    """

    lines: tuple[Line, ...]
    optional: bool


def order_number(call: Call) -> str:
    """Give the number of the order that a call is about, should it be about one."""
    return f"KR-{Dice(call.id, 'order').digits(5)}"


def transcript(call: Call) -> str:
    """Write down what was said, with the speakers' labels where the call has them."""
    if call.transcript is not DRAWN:
        return call.transcript
    turns = conversation(call)
    if call.words == "unlabelled":
        return "\n".join(text for _, text in turns)
    return "\n".join(f"[{_SPEAKERS[speaker]}]: {text}" for speaker, text in turns)


def conversation(call: Call) -> list[Turn]:
    """Tell what was said: pairs of a speaker, ``A`` or ``C``, and the words."""
    dice = Dice(call.id, "conversation")
    # An endpoint of somebody's own has no scenarios here.
    endpoint = call.endpoint_id if call.endpoint_id in _BUSINESSES else dice.pick(tuple(_BUSINESSES))
    scenarios = _SCENARIOS[endpoint, call.direction]
    if call.duration <= _BRIEF_SECONDS:
        scenarios = _BRIEF[call.direction]
    blocks = parse(dice.pick(scenarios))
    slots = _slots(call, endpoint, dice)
    told = [_tell(block, slots, dice) for block in blocks]
    kept = _that_fit(blocks, told, call.duration, dice)
    return _joined([turn for place in kept for turn in told[place]])


def every_scenario() -> Iterator[Sequence[str]]:
    """Give the texts of every kind of call."""
    yield from (*_SCENARIOS.values(), *_BRIEF.values())


@cache
def parse(text: str) -> tuple[Block, ...]:
    """Read a scenario's text."""
    blocks: list[Block] = []
    for paragraph in text.strip().split("\n\n"):
        rows = paragraph.replace("\n    |", " |").replace("\n      ", " ").splitlines()
        optional = rows[0].strip() == "?"
        blocks.append(Block(tuple(map(_parse_line, rows[optional:])), optional))
    return tuple(blocks)


def _parse_line(row: str) -> Line:
    row = row.strip()
    return Line(row[0], row[1] == "=", tuple(row[3:].split(" | ")))


def _tell(block: Block, slots: dict[str, str], dice: Dice) -> list[Turn]:
    told: list[Turn] = []
    place = 0
    for line in block.lines:
        place = place if line.follows else dice.below(len(line.wordings))
        words = line.wordings[place].format_map(slots)
        told.append((line.speaker, "\n".join(part.strip() for part in words.split("//"))))
    return told


def _joined(turns: list[Turn]) -> list[Turn]:
    # Where an optional block was left out, one speaker may go on after himself.
    joined: list[Turn] = []
    for speaker, words in turns:
        if joined and joined[-1][0] == speaker:
            joined[-1] = (speaker, f"{joined[-1][1]} {words}")
        else:
            joined.append((speaker, words))
    return joined


def _that_fit(blocks: tuple[Block, ...], told: list[list[Turn]], seconds: int, dice: Dice) -> list[int]:
    """Choose which blocks are told: what is needed, and of the rest what the call has time and turns for."""
    kept = {place for place, block in enumerate(blocks) if not block.optional}
    words_left = seconds * _WORDS_PER_SECOND - sum(_words(told[place]) for place in kept)
    turns_left = MOST_TURNS - sum(len(told[place]) for place in kept)
    for place in dice.shuffled([place for place, block in enumerate(blocks) if block.optional]):
        if _words(told[place]) <= words_left and len(told[place]) <= turns_left:
            kept.add(place)
            words_left -= _words(told[place])
            turns_left -= len(told[place])
    return sorted(kept)


def _words(turns: list[Turn]) -> int:
    return sum(len(text.split()) for _, text in turns)


def _slots(call: Call, endpoint: str, dice: Dice) -> dict[str, str]:
    place = call.place
    # Who calls twice from one number has one name.
    person = Dice(call.customer_number, "name")
    caller, surname = person.pick(place.first_names), person.pick(place.surnames)
    business, agents = _BUSINESSES[endpoint]
    item, dollars = dice.pick(_ITEMS)
    day, other_day, third_day = dice.shuffled(_WEEKDAYS)[:3]
    hour = dice.between(1, 5)
    greeting = _greeting(call)
    return {
        "greeting": greeting,
        "greeting_low": greeting[0].lower() + greeting[1:],
        "business": business,
        "agent": dice.pick(agents),
        "caller": caller,
        "full_name": f"{caller} {surname}",
        "name_other": dice.pick([name for name in place.first_names if name != caller]),
        "doctor": f"Doctor {dice.pick([name for name in place.surnames if name != surname])}",
        "opening": dice.pick(place.opening),
        "thanks": dice.pick(place.thanks),
        "fine": dice.pick(place.fine),
        "order": order_number(call),
        "item": item,
        "amount": place.price(dollars),
        "large": place.price(dollars * dice.between(4, 9)),
        "fee": place.price(dice.between(2, 6)),
        "city": place.city,
        "area": dice.pick(place.areas),
        "street": dice.pick(place.streets),
        "number": str(dice.between(2, 148)),
        "day": day,
        "other_day": other_day,
        "past_day": third_day,
        "past": dice.pick(_PAST).format(third_day),
        "soon": "today" if greeting == "Good morning" else "tomorrow",
        "time": f"{_HOURS[hour]} o'clock" if dice.chance(60) else f"half past {_HOURS[hour]}",
        "later": f"{_HOURS[hour + dice.between(2, 3)]} o'clock",
        "room": dice.pick(_ROOMS),
        "nights": dice.pick(("two", "three", "four", "five")),
        "digits": dice.digits(4),
        "case": dice.digits(5),
    }


def _greeting(call: Call) -> str:
    hour = (call.created_at + timedelta(hours=call.place.utc_offset_hours)).hour
    if 4 <= hour < 12:
        return "Good morning"
    return "Good afternoon" if 12 <= hour < 17 else "Good evening"
