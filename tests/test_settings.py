"""What a client is set to, from its arguments and the environment."""

from __future__ import annotations

import copy
import math
import pickle
from collections.abc import Callable
from typing import Any

import pytest
from yarl import URL

from krosai_calls._retry import RetryPolicy
from krosai_calls._text import Secret
from krosai_calls.errors import SettingsError
from krosai_calls.settings import ClientSettings, environment_proxy

KEY = "kros_test_CANARY-KEY"


def resolve(api_key: Any = KEY, environment: dict[str, str] | None = None, **others: Any) -> ClientSettings:
    return ClientSettings.resolve(api_key, environment=environment or {}, **others)


def set_one(name: str, value: object) -> ClientSettings:
    others: dict[str, Any] = {name: value}
    return resolve(**others)


def test_the_defaults_are_the_documented_ones() -> None:
    settings = resolve()
    assert settings.api_key.reveal() == KEY
    assert str(settings.base_url) == "https://api.krosai.com/v1"
    timeouts = [settings.timeout_seconds, settings.connect_timeout_seconds, settings.read_timeout_seconds]
    assert timeouts == [30.0, 10.0, 30.0]
    assert (settings.max_concurrency, settings.max_response_bytes) == (16, 16 * 2**20)
    assert settings.retry == RetryPolicy(max_attempts=5, base_delay_seconds=0.5, max_delay_seconds=30.0)
    assert (settings.auth_scheme, settings.allow_insecure_http) == ("x-api-key", False)
    unset = [settings.organization_id, settings.requests_per_second, settings.max_requests, settings.proxy]
    assert unset == [None] * 4


def test_the_environment_fills_in_what_no_argument_says() -> None:
    settings = resolve(None, {"KROSAI_API_KEY": "from-env", "KROSAI_BASE_URL": "https://env.test/v2"})
    assert settings.api_key.reveal() == "from-env"
    assert str(settings.base_url) == "https://env.test/v2"


def test_arguments_come_before_the_environment() -> None:
    environment = {"KROSAI_API_KEY": "from-env", "KROSAI_BASE_URL": "https://env.test/v2"}
    settings = resolve("given", environment, base_url="https://given.test")
    assert settings.api_key.reveal() == "given"
    assert str(settings.base_url) == "https://given.test"


def test_the_processes_own_environment_is_looked_into(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KROSAI_API_KEY", "from-process")
    monkeypatch.setenv("KROSAI_BASE_URL", "https://process.test/v1")
    settings = ClientSettings.resolve()
    assert settings.api_key.reveal() == "from-process"
    assert str(settings.base_url) == "https://process.test/v1"


def test_a_setting_that_is_none_is_its_default() -> None:
    settings = resolve(timeout_seconds=None, retry=None, default_query=None)
    assert (settings.timeout_seconds, settings.retry, settings.default_query) == (30.0, RetryPolicy(), {})


def test_an_empty_variable_for_the_address_is_none() -> None:
    assert str(resolve(environment={"KROSAI_BASE_URL": ""}).base_url) == "https://api.krosai.com/v1"


@pytest.mark.parametrize(
    ("api_key", "environment"),
    [
        pytest.param(None, {}, id="nowhere"),
        pytest.param(None, {"KROSAI_API_KEY": ""}, id="an empty variable"),
        pytest.param("", {"KROSAI_API_KEY": "from-env"}, id="an empty argument hides the environment's"),
    ],
)
def test_a_missing_key_says_where_to_put_it(api_key: str | None, environment: dict[str, str]) -> None:
    with pytest.raises(SettingsError, match="no API key: set KROSAI_API_KEY"):
        resolve(api_key, environment)


@pytest.mark.parametrize(
    "key",
    [
        pytest.param(" CANARY", id="a blank in front"),
        pytest.param("CANARY key", id="a blank inside"),
        pytest.param("CANARY\n", id="a line end"),
        pytest.param("CANARY\r\nX-Evil: 1", id="a header more"),
        pytest.param("CANARY\0", id="NUL"),
        pytest.param("CANARY\x1b[0m", id="an escape sequence"),
        pytest.param("CANARY\x7f", id="DEL"),
        pytest.param("CANARYé", id="a letter beyond ASCII"),
        pytest.param("CANARY\u200b", id="a zero-width space"),
        pytest.param("CANARY\ud800", id="a lone surrogate"),
        pytest.param("CANARY" * 100, id="far too long"),
        pytest.param(b"CANARY", id="bytes"),
        pytest.param(" ", id="a blank alone"),
    ],
)
@pytest.mark.parametrize("from_environment", [False, True], ids=["given", "from the environment"])
def test_a_key_that_cannot_be_one_is_refused_and_not_shown(key: Any, from_environment: bool) -> None:
    with pytest.raises(SettingsError, match="the API key ") as caught:
        resolve(None, {"KROSAI_API_KEY": key}) if from_environment else resolve(key)
    assert "CANARY" not in str(caught.value)
    assert "CANARY" not in repr(caught.value)


@pytest.mark.parametrize("key", ["k", "kros_live_" + "x" * 500, "!~;=/+", "a.b"], ids=["1", "510", "signs", "."])
def test_any_visible_ascii_is_a_key(key: str) -> None:
    assert resolve(key).api_key.reveal() == key


@pytest.mark.parametrize(
    ("given", "used"),
    [
        pytest.param("https://api.krosai.com/v1/", "https://api.krosai.com/v1", id="a slash at the end"),
        pytest.param("https://api.krosai.com", "https://api.krosai.com", id="no path"),
        pytest.param("https://api.krosai.com/", "https://api.krosai.com", id="a bare slash"),
        pytest.param("HTTPS://API.KrosAI.com/API/v1", "https://api.krosai.com/API/v1", id="capitals"),
        pytest.param("https://h:8443/v1", "https://h:8443/v1", id="a port"),
        pytest.param("https://[2001:db8::1]:8443/v1", "https://[2001:db8::1]:8443/v1", id="IPv6"),
    ],
)
def test_an_address_is_kept_without_its_last_slash(given: str, used: str) -> None:
    assert str(resolve(base_url=given).base_url) == used


def test_an_escaped_slash_in_an_address_stays_escaped() -> None:
    assert str(resolve(base_url="https://h/gateway%2Fkrosai/v1").base_url) == "https://h/gateway%2Fkrosai/v1"


@pytest.mark.parametrize(
    "address",
    [
        pytest.param("api.krosai.com/v1", id="no scheme"),
        pytest.param("ftp://api.krosai.com", id="another scheme"),
        pytest.param("file:///etc/passwd", id="a file"),
        pytest.param("https:///v1", id="no host"),
        pytest.param("https://", id="nothing behind the scheme"),
        pytest.param("https://h:0/v1", id="port 0"),
        pytest.param("https://h:99999/v1", id="a port too large"),
        pytest.param("https://h:x/v1", id="a port that is none"),
        pytest.param("https://[::1/v1", id="half an IPv6 address"),
        pytest.param("https://user:CANARY@h/v1", id="user and password"),
        pytest.param("https://CANARY@h/v1", id="a user"),
        pytest.param("https://h/v1?token=CANARY", id="a query"),
        pytest.param("https://h/v1?", id="an empty query"),
        pytest.param("https://h/v1#x", id="a fragment"),
        pytest.param("https://a\tpi.krosai.com", id="a tab, which parsers drop"),
        pytest.param("https://api.krosai.com\n", id="a line end"),
        pytest.param("https://api.krosai.com /v1", id="a blank"),
        pytest.param("https://api.krosai.com\\@evil.test", id="a backslash"),
        pytest.param("https://①②⑦.0.0.1/", id="digits in circles"),
        pytest.param(" https://h", id="a blank in front"),
        pytest.param(b"https://h", id="bytes"),
    ],
)
def test_an_address_that_cannot_be_the_apis_is_refused(address: Any) -> None:
    with pytest.raises(SettingsError, match="the base URL ") as caught:
        resolve(base_url=address)
    assert "CANARY" not in str(caught.value)


@pytest.mark.parametrize(
    "host",
    [
        *("localhost", "localhost.", "127.0.0.1:8080", "127.1.2.3", "10.0.0.5", "172.16.0.1", "192.168.1.1"),
        *("169.254.0.1", "[::1]", "[fd00::1]", "[fe80::1]", "[::ffff:10.0.0.1]"),
        *("api", "api.internal", "nas.lan", "x.home.arpa", "a.b.local", "x.test"),
    ],
)
def test_plain_http_to_a_private_host_needs_no_switch(host: str) -> None:
    assert resolve(base_url=f"http://{host}/v1").base_url.scheme == "http"


@pytest.mark.parametrize(
    "host",
    [
        *("api.krosai.com", "example.com.", "internal.example.com", "notinternal.com", "10.0.0.1.example.com"),
        *("8.8.8.8", "172.32.0.1", "100.64.0.1", "[2001:4860:4860::8888]"),
        # One public address, as resolvers also take it.
        *("[::ffff:8.8.8.8]", "0x08080808", "134744072"),
    ],
)
def test_plain_http_to_a_public_host_is_refused_unless_asked_for(host: str) -> None:
    with pytest.raises(SettingsError, match=r"plain http to .* would show the API key"):
        resolve(base_url=f"http://{host}/v1")
    assert resolve(base_url=f"http://{host}/v1", allow_insecure_http=True).base_url.scheme == "http"
    assert resolve(base_url=f"https://{host}/v1").base_url.scheme == "https"


@pytest.mark.parametrize("scheme", ["x-api-key", "bearer"])
def test_the_key_goes_out_in_one_of_two_ways(scheme: str) -> None:
    assert resolve(auth_scheme=scheme).auth_scheme == scheme


@pytest.mark.parametrize("scheme", ["basic", "Bearer", "", 7])
def test_another_way_is_refused(scheme: Any) -> None:
    with pytest.raises(SettingsError, match=r"^auth_scheme is .* one of x-api-key, bearer$"):
        resolve(auth_scheme=scheme)


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({"": "x"}, id="no name"),
        pytest.param({"a b": "x"}, id="a blank in the name"),
        pytest.param({"a:": "x"}, id="a colon in the name"),
        pytest.param({"é": "x"}, id="a name beyond ASCII"),
        pytest.param({"a\n": "x"}, id="a line end in the name"),
        pytest.param({7: "x"}, id="a name that is no text"),
        pytest.param({"a": "CANARY\r\nx-evil: 1"}, id="line ends in the value"),
        pytest.param({"a": "CANARYé"}, id="a value beyond ASCII"),
        pytest.param({"a": " CANARY"}, id="a blank in front of the value"),
        pytest.param({"a": ""}, id="no value"),
        pytest.param({"a": None}, id="None for a value"),
    ],
)
def test_headers_that_cannot_be_sent_are_refused(headers: Any) -> None:
    with pytest.raises(SettingsError, match="header") as caught:
        resolve(default_headers=headers)
    assert "CANARY" not in str(caught.value)


def test_headers_that_can_be_sent_are_kept() -> None:
    assert resolve(default_headers={"X-Trace-1": "a b; c"}).default_headers == {"X-Trace-1": "a b; c"}


@pytest.mark.parametrize("organization", ["", "a\nb", "é", 7])
def test_an_organisation_that_cannot_be_sent_is_refused(organization: Any) -> None:
    with pytest.raises(SettingsError, match="x-organization-id"):
        resolve(organization_id=organization)


@pytest.mark.parametrize("query", [{"a": None}, {"a": [1]}, {7: "x"}], ids=["None", "a list", "no name"])
def test_a_query_that_cannot_be_sent_is_refused(query: Any) -> None:
    with pytest.raises(SettingsError):
        resolve(default_query=query)


@pytest.mark.parametrize("value", [0, -1, math.nan, math.inf, True, "30"])
@pytest.mark.parametrize(
    "name", ["timeout_seconds", "connect_timeout_seconds", "read_timeout_seconds", "requests_per_second"]
)
def test_a_number_that_cannot_be_is_refused(name: str, value: Any) -> None:
    with pytest.raises(SettingsError, match=f"^{name} is "):
        set_one(name, value)


@pytest.mark.parametrize("value", [-1, 1.5, True, "3", math.inf])
@pytest.mark.parametrize("name", ["max_concurrency", "max_response_bytes", "max_requests"])
def test_a_count_that_cannot_be_is_refused(name: str, value: Any) -> None:
    with pytest.raises(SettingsError, match=f"^{name} is "):
        set_one(name, value)


def test_there_must_be_a_slot_and_room_for_an_answer_but_a_budget_may_be_nothing() -> None:
    for name in ("max_concurrency", "max_response_bytes"):
        with pytest.raises(SettingsError, match=f"^{name} is 0: it is a whole number from 1 on"):
            set_one(name, 0)
    assert resolve(max_requests=0).max_requests == 0


def test_a_retry_policy_is_one() -> None:
    with pytest.raises(SettingsError, match=r"^retry is a RetryPolicy"):
        resolve(retry=3)


@pytest.mark.parametrize("proxy", ["http://user:CANARY@proxy.test:3128", "http://proxy.test/?token=CANARY"])
def test_no_repr_shows_a_secret(proxy: str) -> None:
    settings = resolve(proxy=proxy, default_headers={"Authorization": "CANARY"}, default_query={"token": "CANARY"})
    assert "CANARY" not in repr(settings) + str(settings)
    assert "proxy.test" in repr(settings)


def test_a_proxy_without_a_scheme_is_refused_without_showing_its_password() -> None:
    with pytest.raises(SettingsError, match="no address such as http") as raised:
        resolve(proxy="user:CANARY@proxy.test:3128")
    assert "CANARY" not in str(raised.value)


def test_a_secret_shows_itself_only_when_asked_by_name() -> None:
    secret = Secret(KEY)
    assert secret.reveal() == KEY
    for shown in (repr(secret), str(secret), f"{secret}", f"{secret!r:>40}", "%s" % secret, repr([secret])):  # noqa: UP031 - every way of formatting is the subject
        assert "CANARY" not in shown
        assert "***" in shown


@pytest.mark.parametrize(
    ("travel", "made"),
    [
        pytest.param(pickle.dumps, Secret(KEY), id="a secret, pickled"),
        pytest.param(copy.copy, Secret(KEY), id="a secret, copied"),
        pytest.param(copy.deepcopy, Secret(KEY), id="a secret, copied deeply"),
        pytest.param(pickle.dumps, resolve(), id="settings, pickled"),
        pytest.param(copy.deepcopy, resolve(), id="settings, copied deeply"),
    ],
)
def test_a_secret_does_not_travel(travel: Callable[[object], object], made: object) -> None:
    with pytest.raises(TypeError, match="a secret does not travel"):
        travel(made)


API = "https://api.krosai.com/v1"


@pytest.mark.parametrize(
    ("variables", "url", "proxy"),
    [
        pytest.param({}, API, None, id="no variable"),
        pytest.param({"HTTPS_PROXY": "http://p:1"}, API, "http://p:1", id="for the scheme"),
        pytest.param({"https_proxy": "http://p:1"}, API, "http://p:1", id="in small letters"),
        pytest.param({"HTTP_PROXY": "http://p:1"}, API, None, id="for another scheme"),
        pytest.param({"ALL_PROXY": "http://p:1"}, API, "http://p:1", id="for all"),
        pytest.param({"ALL_PROXY": "http://p:1", "https_proxy": "http://p:2"}, API, "http://p:2", id="for both"),
        pytest.param({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "krosai.com"}, API, None, id="not for a domain"),
        pytest.param({"HTTPS_PROXY": "http://p:1", "no_proxy": "*"}, API, None, id="not for anybody"),
        pytest.param({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "x.test"}, API, "http://p:1", id="not for another"),
        pytest.param(
            {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "h.test:8443"},
            "https://h.test:8443/v1",
            None,
            id="host and port",
        ),
        pytest.param({"ALL_PROXY": "http://p:1"}, "http://localhost:8080/v1", None, id="localhost"),
        pytest.param({"ALL_PROXY": "http://p:1"}, "http://127.0.0.1:8080/v1", None, id="loopback"),
        pytest.param({"ALL_PROXY": "http://p:1"}, "http://127.9.9.9/v1", None, id="all of loopback"),
        pytest.param({"ALL_PROXY": "http://p:1"}, "http://[::1]/v1", None, id="IPv6 loopback"),
        pytest.param({"ALL_PROXY": "http://p:1"}, "http://10.0.0.1/v1", "http://p:1", id="another private host"),
        pytest.param({"ALL_PROXY": "http://p:1"}, "https://127.example.com/v1", "http://p:1", id="a name like it"),
    ],
)
def test_a_proxy_is_what_the_environment_says(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], url: str, proxy: str | None
) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "request_method"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert environment_proxy(URL(url)) == proxy
