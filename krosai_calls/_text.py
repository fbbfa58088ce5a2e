"""What of a server's text may be shown and stored: no key, no signature, nothing that could drive a terminal.

Pure functions over text. Whatever goes into an error's message, a log line, a terminal or a file passes through
here.
"""

from __future__ import annotations

import re
from typing import Any

SNIPPET_CHARS = 200
_LOOKED_AT = 16 * SNIPPET_CHARS

# Words of a text, as far as a link can reach; JSON may write its slashes and its question mark escaped.
_WORD = re.compile(r"[^\s\"<>]+")
_LINK = re.compile(r"\\?/\\?/")
_LINK_END = re.compile(r"[?#]|\\u003[fF]|\\u0023")
_PARAMETER = re.compile(r"\b(signature|sig|token|x-amz-[a-z-]+)=[^&\s\"<>]+", re.IGNORECASE)
_KEY = re.compile(r"kros_(live|test)_[\w-]+", re.ASCII)
# C0 and C1 controls, bidirectional marks, overrides and isolates, zero-width and line separators, lone surrogates.
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]")


def without_query(url: str) -> str:
    """An address as it may be shown: neither query, nor fragment, nor user info."""
    address = _LINK_END.split(url, maxsplit=1)[0]
    scheme, separator, rest = address.partition("://") if "://" in address else ("", "", address)
    authority, slash, path = rest.partition("/")
    return f"{scheme}{separator}{authority.rpartition('@')[2]}{slash}{path}"


def redacted(text: str, secret: str = "") -> str:
    """The text with keys, the queries of links and the users in them replaced.

    Args:
        text: Anything that a server said.
        secret: The key in use, replaced wherever it stands.
    """
    if secret:
        text = text.replace(secret, "***")
    text = _PARAMETER.sub(r"\1=***", _WORD.sub(_redacted_word, text))
    return _KEY.sub(r"kros_\1_***", text)


def redacted_json(value: Any, secret: str = "") -> Any:
    """A JSON value with all its texts redacted."""
    match value:
        case str():
            return redacted(value, secret)
        case list():
            return [redacted_json(item, secret) for item in value]
        case dict():
            return {redacted(name, secret): redacted_json(item, secret) for name, item in value.items()}
        case _:
            return value


def _redacted_word(found: re.Match[str]) -> str:
    word = found.group()
    link = _LINK.search(word)
    if link is None:
        return word
    rest = _LINK_END.split(word[link.end() :], maxsplit=1)
    user, at, host = rest[0].rpartition("@")
    shown = host if at and "/" not in user else rest[0]
    return word[: link.end()] + shown + ("?***" if len(rest) > 1 else "")


def visible(text: str) -> str:
    """The text with its control characters and direction marks written out, so that they act on nothing."""
    return _UNSAFE.sub(lambda found: found.group().encode("unicode_escape").decode("ascii"), text)


def snippet(body: bytes, secret: str = "") -> str:
    """The beginning of a body as an error may show it: short, redacted, on one line."""
    beginning = redacted(body[:_LOOKED_AT].decode("utf-8", "replace"), secret)
    if len(body) > _LOOKED_AT:
        # What the cut went through may be half a key, and stand near once a long link before it is gone.
        beginning = beginning[: -max(len(secret), 1)]
    return visible(beginning[:SNIPPET_CHARS])


def storable(text: str) -> str:
    """The text as any file or database can hold it: lone surrogates, which UTF-8 has no bytes for, become U+FFFD.

    Two that belong together, as a careless producer may escape them apart, become the character they mean.
    """
    if text.isascii():  # as nearly every text is that is an id or a time
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


class Secret:
    """A text that shows itself to nobody who does not ask for it by name."""

    __slots__ = ("_value",)

    def __init__(self, value: str = "") -> None:
        self._value = value

    @classmethod
    def of(cls, value: Any) -> Any:
        """The value as a secret; one that is a secret already, and nothing at all, as it is."""
        return cls(value) if isinstance(value, str) else value

    def reveal(self) -> str:
        """The text."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(***)"

    def __reduce__(self) -> str | tuple[Any, ...]:
        raise TypeError("a secret does not travel")
