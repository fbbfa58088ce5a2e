"""The command that says what is in force, and whether it works: doctor."""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from krosai_calls._version import __version__
from krosai_calls.cli.display import duration_of
from krosai_calls.cli.setup import Setup

if TYPE_CHECKING:
    from krosai_calls.client import AsyncCallsClient
    from krosai_calls.observing import Event, RequestAnswered

_KEY_PREFIXES = ("kros_live_", "kros_test_", "kros_")
_PROXY_VARIABLES = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY")
_LIBRARIES = ("aiohttp", "attrs", "cattrs", "yarl", "click", "rich", "orjson")
# The Date header tells whole seconds; and links that live an hour mind nothing shorter.
CLOCK_MAY_DIFFER_SECONDS = 60.0


@click.command("doctor", epilog="Example:  krosai-calls doctor")
@click.pass_obj
def doctor_command(setup: Setup) -> int:
    """Say what is in force and from where, and ask the API once whether key and clock are right."""
    answers: list[tuple[RequestAnswered, datetime]] = []

    def note(event: Event) -> None:
        from krosai_calls.observing import RequestAnswered

        if isinstance(event, RequestAnswered) and event.request.origin == "api":
            answers.append((event, datetime.now(UTC)))

    async def job(client: AsyncCallsClient) -> int:
        await client.list_calls(limit=1)
        return 0

    facts = {**_versions(), **_settings_in_force(setup)}
    try:
        return setup.run(job, on_event=note)
    finally:  # also where it fails: what is in force is what one looks for then
        setup.out.facts_or_json(facts | (service_facts(*answers[-1]) if answers else {}))


COMMANDS: tuple[click.Command, ...] = (doctor_command,)


def _versions() -> dict[str, Any]:
    import platform
    from importlib.metadata import PackageNotFoundError, version

    libraries = {}
    for name in _LIBRARIES:
        try:
            libraries[name] = version(name)
        except PackageNotFoundError:
            libraries[name] = "not installed"
    return {
        "krosai_calls": __version__,
        "python": f"{platform.python_version()} on {platform.system()} {platform.machine()}",
        "executable": sys.executable,
        **libraries,
    }


def _settings_in_force(setup: Setup) -> dict[str, Any]:
    if setup.sandbox:
        return {
            "base URL": "the embedded sandbox's, from --sandbox",
            "key": "the sandbox's own",
            "proxies": "none",
        }
    from krosai_calls._text import without_query
    from krosai_calls.settings import BASE_URL_VARIABLE, DEFAULT_BASE_URL, KEY_VARIABLE

    sources = (
        (setup.base_url, "--base-url"),
        (os.environ.get(BASE_URL_VARIABLE), BASE_URL_VARIABLE),
        (DEFAULT_BASE_URL, "the default"),
    )
    address, source = next((value, source) for value, source in sources if value)
    key = os.environ.get(KEY_VARIABLE, "")
    proxies = {name: os.environ.get(name) or os.environ.get(name.lower()) for name in _PROXY_VARIABLES}
    named = [f"{name}={without_query(value)}" for name, value in proxies.items() if value]
    return {
        "base URL": f"{without_query(address)}, from {source}",
        "key": f"{key_prefix(key)}, from {KEY_VARIABLE}" if key else f"none: set {KEY_VARIABLE}",
        "proxies": f"{', '.join(named)}, from the environment" if named else "none",
    }


def key_prefix(key: str) -> str:
    """What may be shown of a key: that it is one, and for what. Pure."""
    prefix = next((prefix for prefix in _KEY_PREFIXES if key.startswith(prefix)), "")
    return f"{prefix}… ({len(key)} characters)" if prefix else f"an unusual one of {len(key)} characters"


def service_facts(answered: RequestAnswered, now: datetime) -> dict[str, Any]:
    """What one answer tells of key, clock and pace. Pure.

    Args:
        answered: The request and what came of it.
        now: What time it is here.
    """
    if answered.status is None:
        return {"service": "no usable answer"}
    facts: dict[str, Any] = {"service": f"answered {answered.status} in {answered.seconds * 1000:.0f} ms"}
    words = {401: "refused", 403: "known, but it may not list calls", 402: "accepted, but the balance is used up"}
    facts["key is"] = "accepted" if answered.status == 200 else words.get(answered.status, "not judged")
    facts["clock is"] = _clock_words(answered, now)
    limit = answered.rate_limit
    if limit is not None and limit.limit is not None:
        left = "" if limit.remaining is None else f", {limit.remaining:g} left in this one"
        from krosai_calls.cli.progress import DAILY_BY_RATE

        daily = DAILY_BY_RATE.get(limit.limit)
        on_plan = "" if daily is None else f"; the plan of that pace has {daily:,} a day"
        facts["pace"] = f"{limit.limit:g} requests a second{left}{on_plan}"
    return facts


def _clock_words(answered: RequestAnswered, now: datetime) -> str:
    if answered.server_time is None:
        return "not comparable: the service tells no time"
    ahead = (now - answered.server_time).total_seconds()
    if abs(ahead) <= CLOCK_MAY_DIFFER_SECONDS:
        return "right"
    side = "ahead of" if ahead > 0 else "behind"
    return f"wrong: {duration_of(abs(ahead))} {side} the service's, {answered.server_time:%Y-%m-%d %H:%M:%S} UTC"
