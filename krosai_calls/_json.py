"""JSON text in bytes to values and back, without the surprises of the standard library.

Where orjson is installed it reads whatever it surely reads alike; the careful way decides about all the rest, so
that values and errors do not depend on what is installed.
"""

from __future__ import annotations

import codecs
import contextlib
import json
import math
import sys
from collections.abc import Callable
from typing import Any, Final

_swift_loads: Callable[[bytes], Any] | None = None
with contextlib.suppress(ImportError):  # it comes with the extra "speed"
    from orjson import loads as _swift_loads

# Python 3.12 and 3.13 bound the nesting that their JSON parser follows by a number that a thread with a small
# stack (on macOS any but the main one) does not survive. 3.11 counts it as calls, and 3.14 looks at the stack.
_PARSER_TRUSTS_THE_STACK: Final = (3, 12) <= sys.version_info < (3, 14)
MOST_NESTING: Final = 500
# Nesting that every way of reading follows, also where a part of a value was proven alone.
_SURELY_FOLLOWED: Final = 100
# A float below it, either side of zero, was no integer of more than 64 bits.
NO_INTEGER: Final = 2.0**63
_ALL_BUT_BRACKETS: Final = bytes(set(range(256)) - set(b"[]{}"))


class UnfitError(Exception):
    """What is wrong with a text, before it is known whose text it was; it holds nothing of the text.

    Attributes:
        reason: One of the reasons that ``DecodeError`` documents.
        path: Where in the text, such as ``$.id``.
    """

    def __init__(self, reason: str, words: str, path: str = "$") -> None:
        super().__init__(words)
        self.reason = reason
        self.path = path


def load_json(body: bytes) -> Any:
    """The value of a JSON text in UTF-8; whatever its label says, the bytes decide.

    Args:
        body: The bytes; a byte-order mark is passed over.

    Raises:
        UnfitError: The bytes are no JSON.
    """
    value = load_json_swiftly(body)
    return value if value is not None and is_surely_exact(value) else load_json_carefully(body)


def load_json_swiftly(body: bytes) -> Any:
    """What orjson makes of a text, to be proven; None where it makes nothing of it, or is not there.

    What it refuses may be JSON all the same, such as a lone surrogate; and our errors are not its errors.

    Args:
        body: The bytes.
    """
    if _swift_loads is not None:
        with contextlib.suppress(ValueError):
            return _swift_loads(body)
    return None


def is_surely_exact(value: Any) -> bool:
    """Whether what orjson has read, or a part of it, is what the careful way gives.

    It makes a float of an integer beyond 64 bits, and follows deeper nesting.

    Args:
        value: What it has read.
    """
    boxes: list[Any] = [[value]]
    for _ in range(_SURELY_FOLLOWED):
        inner = []
        for box in boxes:
            for item in box.values() if type(box) is dict else box:
                kind = type(item)
                if kind is str or kind is int:
                    continue
                if kind is dict or kind is list:
                    inner.append(item)
                elif kind is float and not -NO_INTEGER < item < NO_INTEGER:
                    return False
        if not inner:
            return True
        boxes = inner
    return False


def load_json_carefully(body: bytes) -> Any:
    """The same by the standard library alone.

    Args:
        body: The bytes; a byte-order mark is passed over.

    Raises:
        UnfitError: The bytes are no JSON.
    """
    if not body.strip():
        raise UnfitError("empty", "an empty body")
    if _PARSER_TRUSTS_THE_STACK and is_nested_too_deep(body):
        raise UnfitError("depth", "more nesting than can be read")
    text = ""
    try:
        text = body.removeprefix(codecs.BOM_UTF8).decode("utf-8")
        return json.loads(text, parse_constant=_no_number, parse_float=_finite)
    except UnicodeDecodeError as fault:
        unfit = UnfitError("utf8", f"no UTF-8 at byte {fault.start}")
    except RecursionError:
        unfit = UnfitError("depth", "more nesting than can be read")
    except json.JSONDecodeError as fault:
        unfit = UnfitError("json", f"no JSON at line {fault.lineno}, column {fault.colno}")
        if text.lstrip().startswith("<"):
            unfit = UnfitError("html", "HTML or XML where JSON is due")
    except ValueError:  # an integer of more digits than Python reads
        unfit = UnfitError("number", "a number too long to read")
    raise unfit  # out here: the faults above hold the whole body


def is_nested_too_deep(body: bytes) -> bool:
    """Whether a JSON text nests deeper than any answer does.

    Args:
        body: The text; where it is no JSON, the parser will say so.
    """
    if len(body.translate(None, _ALL_BUT_BRACKETS)) <= MOST_NESTING:
        return False
    # With escaped quotes out of the way, every other piece between quotes lies outside of strings.
    unescaped = body.replace(b"\\\\", b"").replace(b'\\"', b"")
    depth = 0
    for bracket in b"".join(unescaped.split(b'"')[::2]).translate(None, _ALL_BUT_BRACKETS):
        depth += 1 if bracket in b"[{" else -1
        if depth > MOST_NESTING:
            return True
    return False


def _no_number(name: str) -> float:
    raise UnfitError("number", f"{name}, which is no JSON number")


def _finite(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise UnfitError("number", "a number too large to hold")
    return number


def encode_json(value: Any) -> str:
    """A value as compact JSON text; plain ASCII, so that lone surrogates survive every file and database."""
    return json.dumps(value, ensure_ascii=True, separators=(",", ":"))
