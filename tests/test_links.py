"""Which links to recordings are followed."""

from __future__ import annotations

import pytest
from yarl import URL

from krosai_calls._links import link_problem

PUBLIC, LOCAL = URL("https://api.krosai.com/v1"), URL("http://127.0.0.1:8080/v1")


@pytest.mark.parametrize(
    "link",
    [
        "file:///etc/passwd",
        "ftp://storage.test/x.mp3",
        "data:audio/mpeg;base64,AAAA",
        "https:///x.mp3",
        "https://user:word@storage.test/x.mp3",
        "https://storage.test/x\n.mp3",
        "https://storage.test/x y.mp3",
        "https://storage.test:99999/x.mp3",
        "https://①②⑦.0.0.1/x.mp3",
        "https://storage.test/" + "x" * 9000,
        "",
    ],
)
def test_a_link_of_another_kind_has_a_problem(link: str) -> None:
    assert link_problem(link, api_url=LOCAL)


def test_a_plain_link_is_a_problem_only_where_the_api_is_https() -> None:
    assert link_problem("http://storage.krosai.com/x.mp3", api_url=PUBLIC)
    assert not link_problem("http://storage.test/x.mp3", api_url=LOCAL)
    assert not link_problem("https://storage.krosai.com/x.mp3?a=%2Fb&c=d", api_url=PUBLIC)


@pytest.mark.parametrize(
    "host",
    [
        "169.254.169.254",
        "127.0.0.1",
        "10.1.2.3",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[fd00::1]",
        "0.0.0.0",
        "localhost",
        "db",
    ],
)
def test_m04_a_public_service_cannot_lead_into_a_private_network(host: str) -> None:
    assert "private network" in link_problem(f"https://{host}/x.mp3", api_url=PUBLIC)
    assert not link_problem(f"https://{host}/x.mp3", api_url=LOCAL)
