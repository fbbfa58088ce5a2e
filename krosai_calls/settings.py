"""What a client is set to, from its arguments and the environment, checked before anything is sent."""

from __future__ import annotations

import math
import os
import re
import ssl
import urllib.request
from collections.abc import Mapping
from typing import Any, Final

from attrs import field, frozen
from yarl import URL

from krosai_calls._hosts import is_loopback, is_private
from krosai_calls._retry import RetryPolicy
from krosai_calls._text import Secret, without_query
from krosai_calls.errors import SettingsError

DEFAULT_BASE_URL: Final = "https://api.krosai.com/v1"
KEY_VARIABLE: Final = "KROSAI_API_KEY"
BASE_URL_VARIABLE: Final = "KROSAI_BASE_URL"
AUTH_SCHEMES: Final = ("x-api-key", "bearer")

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", re.ASCII)
_HEADER_VALUE = re.compile(r"[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?", re.ASCII)


@frozen(kw_only=True)
class ClientSettings:
    """A client's settings, complete and checked; ``AsyncCallsClient`` documents each."""

    api_key: Secret
    base_url: URL
    auth_scheme: str = "x-api-key"
    organization_id: str | None = None
    timeout_seconds: float = 30.0
    connect_timeout_seconds: float = 10.0
    read_timeout_seconds: float = 30.0
    retry: RetryPolicy = field(factory=RetryPolicy)
    max_concurrency: int = 16
    requests_per_second: float | None = None
    max_requests: int | None = None
    max_response_bytes: int = 16 * 2**20
    allow_insecure_http: bool = False
    default_headers: Mapping[str, str] = field(factory=dict, repr=False)
    default_query: Mapping[str, str] = field(factory=dict, repr=False)
    proxy: str | None = field(default=None, repr=lambda url: repr(url and without_query(url)))
    ssl_context: ssl.SSLContext | None = None

    def __attrs_post_init__(self) -> None:
        """Refuse what cannot work."""
        if self.auth_scheme not in AUTH_SCHEMES:
            raise SettingsError(f"auth_scheme is {self.auth_scheme!r}: it is one of {', '.join(AUTH_SCHEMES)}")
        for name in ("timeout_seconds", "connect_timeout_seconds", "read_timeout_seconds"):
            _check_number(name, getattr(self, name), unit="seconds")
        if self.requests_per_second is not None:
            _check_number("requests_per_second", self.requests_per_second, unit="requests")
        _check_count("max_concurrency", self.max_concurrency, least=1)
        _check_count("max_response_bytes", self.max_response_bytes, least=1)
        if self.max_requests is not None:
            _check_count("max_requests", self.max_requests, least=0)
        if not isinstance(self.retry, RetryPolicy):
            raise SettingsError("retry is a RetryPolicy; RetryPolicy(max_attempts=1) never repeats a request")
        headers = dict(self.default_headers)
        if self.organization_id is not None:
            headers["x-organization-id"] = self.organization_id
        _check_headers(headers)
        _check_query(self.default_query)
        _check_proxy(self.proxy)
        if self.base_url.scheme != "https" and not self.allow_insecure_http:
            _check_private(self.base_url)

    @classmethod
    def resolve(
        cls,
        api_key: str | Secret | None = None,
        *,
        base_url: str | None = None,
        environment: Mapping[str, str] | None = None,
        **others: Any,
    ) -> ClientSettings:
        """Settings from arguments first, the environment next, and the defaults last.

        Args:
            api_key: Else ``KROSAI_API_KEY``.
            base_url: Else ``KROSAI_BASE_URL``, else the service's own.
            environment: Variables to look into; the process's own where None.
            **others: Every other setting by its name; None means its default.

        Raises:
            SettingsError: A setting is missing or cannot work. The key itself is never part of the message.
        """
        # No frame that may raise holds the key in the clear, or the environment, which has it too.
        key = _secret(_variable(environment, KEY_VARIABLE) if api_key is None else api_key)
        del api_key
        address = base_url or _variable(environment, BASE_URL_VARIABLE) or DEFAULT_BASE_URL
        given = {name: value for name, value in others.items() if value is not None}
        return cls(api_key=_checked_key(key), base_url=_checked_base_url(address), **given)


def environment_proxy(url: URL) -> str | None:
    """The proxy that the environment names for an address, or None; this machine itself is never asked by proxy.

    The variables are read as the standard library reads them. aiohttp's own reading would send the credentials
    of a netrc along, to storage as well.

    Raises:
        SettingsError: The environment names something that is no HTTP proxy.
    """
    if is_loopback(url.host or "") or urllib.request.proxy_bypass(url.authority):
        return None
    proxies = urllib.request.getproxies()
    proxy = proxies.get(url.scheme) or proxies.get("all")
    if not proxy:
        return None
    proxy = proxy if "://" in proxy else f"http://{proxy}"
    if not _is_http_proxy(proxy):
        raise SettingsError(
            f"the environment names {without_query(proxy)} as the proxy for {url.host}: only http and https"
            " proxies can be used. Set NO_PROXY, or pass proxy="
        )
    return proxy


def _variable(environment: Mapping[str, str] | None, name: str) -> str | None:
    return (os.environ if environment is None else environment).get(name)


def _secret(key: object) -> Secret:
    if isinstance(key, Secret):
        return key
    if key is not None and not isinstance(key, str):
        raise SettingsError("the API key is not a text")
    return Secret(key or "")


def _checked_key(key: Secret) -> Secret:
    problem = _key_problem(key.reveal())
    if problem:
        raise SettingsError(problem)
    return key


def _key_problem(key: str) -> str:
    if not key:
        return (
            f"no API key: set {KEY_VARIABLE}, or pass api_key= in Python."
            " To look around without one:  krosai-calls --sandbox list"
        )
    if any(character.isspace() for character in key):
        return "the API key holds white space: was it read from a file with its line end?"
    if len(key) > 512 or not _HEADER_VALUE.fullmatch(key):
        return "the API key holds characters that no key has, or is far too long"
    return ""


def _checked_base_url(address: object) -> URL:
    advice = f"a base URL looks like {DEFAULT_BASE_URL}"
    # The raw text is checked first: the parser would drop tabs and line ends in silence.
    if not isinstance(address, str) or not address.isascii() or not _HEADER_VALUE.fullmatch(address):
        raise SettingsError(f"the base URL is no address in plain letters; {advice}")
    if " " in address or "\\" in address:
        raise SettingsError(f"the base URL holds a blank or a backslash; {advice}")
    try:
        url = URL(address)
        port = url.port
    except ValueError:
        raise SettingsError(f"the base URL cannot be read; {advice}") from None
    if url.scheme not in ("http", "https") or not url.host or port == 0:
        raise SettingsError(f"the base URL names no http(s) host; {advice}")
    if url.user is not None or url.password is not None:
        raise SettingsError("the base URL holds a user or password: the key is the only credential")
    if "?" in address or "#" in address:
        raise SettingsError("the base URL holds a query or fragment: parameters go into default_query")
    # Byte for byte, but for the host's capitals and the last slash.
    path = address.split("://", 1)[1].partition("/")[2].rstrip("/")
    return URL(f"{url.origin()}/{path}" if path else str(url.origin()), encoded=True)


def _check_private(url: URL) -> None:
    if not is_private(url.host or ""):
        raise SettingsError(
            f"plain http to {url.host} would show the API key on the way: use https, or say"
            " allow_insecure_http=True if the way is safe"
        )


def _check_headers(headers: Mapping[str, str]) -> None:
    for name, value in headers.items():
        if not isinstance(name, str) or not _HEADER_NAME.fullmatch(name):
            raise SettingsError(f"{name!r} is no header name")
        if not isinstance(value, str) or not _HEADER_VALUE.fullmatch(value):
            raise SettingsError(f"the header {name} has a value that cannot be sent")


def _check_query(query: Mapping[str, str]) -> None:
    for name, value in query.items():
        if not isinstance(name, str) or not isinstance(value, str):
            raise SettingsError(f"default_query has {name!r} with something else than a text")


def _check_proxy(proxy: str | None) -> None:
    if proxy is not None and not _is_http_proxy(proxy):
        raise SettingsError("the proxy is no address such as http://proxy.example:3128")


def _is_http_proxy(proxy: str) -> bool:
    if not proxy.isascii() or not _HEADER_VALUE.fullmatch(proxy) or " " in proxy:
        return False
    try:
        url = URL(proxy)
        return url.scheme in ("http", "https") and bool(url.host) and url.port is not None
    except ValueError:
        return False


def _check_number(name: str, value: object, *, unit: str) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
        raise SettingsError(f"{name} is {value!r}: it is a positive number of {unit}")


def _check_count(name: str, value: object, *, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise SettingsError(f"{name} is {value!r}: it is a whole number from {least} on")
