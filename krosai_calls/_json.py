"""JSON text in bytes to values and back, without the surprises of the standard library."""

from __future__ import annotations

import codecs
import json
import math
from typing import Any


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
    if not body.strip():
        raise UnfitError("empty", "an empty body")
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
