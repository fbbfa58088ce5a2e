"""What of a server's text may be shown and stored: no key, no signature, nothing that could drive a terminal.

Pure functions over text. Whatever goes into an error's message, a log line, a terminal or a file passes through
here.
"""

from __future__ import annotations

import re

SNIPPET_CHARS = 200

# A link's query is where a presigned link carries its signature.
_QUERY = re.compile(r"(https?:\\?/\\?/[^\s\"'<>?]*)\?[^\s\"'<>]*", re.IGNORECASE)
_KEY = re.compile(r"kros_(live|test)_[\w-]+", re.ASCII)
# C0 and C1 controls, bidirectional overrides and isolates, zero-width and line separators, lone surrogates.
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")


def without_query(url: str) -> str:
    """An address as it may be shown: neither query, nor fragment, nor user info."""
    address = url.partition("#")[0].partition("?")[0]
    scheme, separator, rest = address.partition("://")
    authority, slash, path = rest.partition("/")
    return f"{scheme}{separator}{authority.rpartition('@')[2]}{slash}{path}"


def redacted(text: str, secret: str = "") -> str:
    """The text with keys and the queries of links replaced.

    Args:
        text: Anything that a server said.
        secret: The key in use, replaced wherever it stands.
    """
    if secret:
        text = text.replace(secret, "***")
    return _KEY.sub(r"kros_\1_***", _QUERY.sub(r"\1?***", text))


def visible(text: str) -> str:
    """The text with its control characters and direction marks written out, so that they act on nothing."""
    return _UNSAFE.sub(lambda found: found.group().encode("unicode_escape").decode("ascii"), text)


def snippet(body: bytes, secret: str = "") -> str:
    """The beginning of a body as an error may show it: short, redacted, on one line."""
    beginning = body[: 16 * SNIPPET_CHARS].decode("utf-8", "replace")
    return visible(redacted(beginning, secret)[:SNIPPET_CHARS])


def storable(text: str) -> str:
    """The text as any file or database can hold it: lone surrogates, which UTF-8 has no bytes for, become U+FFFD.

    Two that belong together, as a careless producer may escape them apart, become the character they mean.
    """
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
