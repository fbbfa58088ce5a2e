"""Bytes to JSON values and back."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from krosai_calls._json import UnfitError, encode_json, is_nested_too_deep, load_json, load_json_carefully

Load = Callable[[bytes], Any]

both_ways = pytest.mark.parametrize(
    "load", [pytest.param(load_json, id="with orjson"), pytest.param(load_json_carefully, id="without orjson")]
)
any_text = st.text(st.characters(categories=None, exclude_categories=()))
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | any_text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(any_text, inner, max_size=4),
    max_leaves=12,
)


@both_ways
@pytest.mark.parametrize(
    ("body", "value"),
    [
        pytest.param(b'{"id": "call_1", "n": [1, 2.5, true, null]}', {"id": "call_1", "n": [1, 2.5, True, None]}),
        pytest.param(b"\xef\xbb\xbf[1]", [1], id="byte-order mark"),
        pytest.param(b" \r\n\t[] \n", [], id="white space around it"),
        pytest.param('"Grüße"'.encode(), "Grüße", id="UTF-8"),
        pytest.param(b'"\\ud800"', "\ud800", id="an escaped lone surrogate"),
        pytest.param(b'{"a": 1, "a": 2}', {"a": 2}, id="a doubled name"),
        pytest.param(b"9223372036854775808", 2**63, id="more than 64 bits"),
        pytest.param(b"1e308", 1e308, id="nearly too large"),
        pytest.param(b"1e-999", 0.0, id="too small to tell from nothing"),
    ],
)
def test_json_is_its_value(load: Load, body: bytes, value: Any) -> None:
    assert load(body) == value


@both_ways
@pytest.mark.parametrize(
    ("body", "reason"),
    [
        pytest.param(b"", "empty", id="empty"),
        pytest.param(b" \r\n", "empty", id="blank"),
        pytest.param(b"<html><body>502</body></html>", "html", id="HTML"),
        pytest.param(b"\n  <?xml version='1.0'?>", "html", id="XML after white space"),
        pytest.param(b"upstream connect error", "json", id="words"),
        pytest.param(b'{"id": "call_1"', "json", id="cut"),
        pytest.param(b"{'id': 1}", "json", id="single quotes"),
        pytest.param(b"[1][2]", "json", id="two values"),
        pytest.param(b"[1,]", "json", id="a trailing comma"),
        pytest.param(b'"a\nb"', "json", id="a raw line end in a text"),
        pytest.param(b'{"a": "\xff"}', "utf8", id="no UTF-8"),
        pytest.param("[1]".encode("utf-16"), "utf8", id="UTF-16"),
        pytest.param(b"[NaN]", "number", id="NaN"),
        pytest.param(b"[-Infinity]", "number", id="-Infinity"),
        pytest.param(b"[1e999]", "number", id="a float that is too large"),
        pytest.param(b"[" + b"9" * 10_000 + b"]", "number", id="an integer of ten thousand digits"),
        pytest.param(b"[" * 100_000, "depth", id="a hundred thousand brackets"),
    ],
)
def test_what_is_no_json_is_told_by_its_reason(load: Load, body: bytes, reason: str) -> None:
    with pytest.raises(UnfitError) as caught:
        load(body)
    assert caught.value.reason == reason
    assert caught.value.path == "$"


@both_ways
@pytest.mark.parametrize(
    ("body", "words"),
    [
        pytest.param(b'{"id":\n x}', "no JSON at line 2, column 2", id="no JSON"),
        pytest.param(b'["a\xff"]', "no UTF-8 at byte 3", id="no UTF-8"),
        pytest.param(b"[NaN]", "NaN, which is no JSON number", id="NaN"),
    ],
)
def test_the_error_says_what_is_wrong_and_where(load: Load, body: bytes, words: str) -> None:
    with pytest.raises(UnfitError) as caught:
        load(body)
    assert str(caught.value) == words


@both_ways
@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b'{"a": "CANARY"', id="no JSON"),
        pytest.param(b'["CANARY\xff"]', id="no UTF-8"),
        pytest.param(b"<CANARY>", id="HTML"),
        pytest.param(b'["CANARY", NaN]', id="NaN"),
        pytest.param(b'["CANARY", ' + b"9" * 10_000 + b"]", id="a long number"),
    ],
)
def test_the_error_holds_nothing_of_the_text(load: Load, body: bytes) -> None:
    with pytest.raises(UnfitError) as caught:
        load(body)
    assert "CANARY" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=60) | st.text('[]{}",:0123456789eE+-.truefalsn \\u', max_size=60).map(str.encode))
def test_any_bytes_are_a_value_or_unfit(body: bytes) -> None:
    try:
        value = load_json(body)
    except UnfitError as unfit:
        reason = unfit.reason
    else:
        # What counts as JSON here is JSON for the standard library, too.
        assert value == json.loads(body.decode("utf-8-sig"))
        return
    assert reason in ("empty", "html", "json", "utf8", "number", "depth")


@settings(max_examples=100, deadline=None)
@given(values)
def test_a_value_comes_back_from_its_text_which_is_plain_ascii_on_one_line(value: Any) -> None:
    text = encode_json(value)
    assert text.isascii()
    assert "\n" not in text
    assert load_json(text.encode()) == value


def test_the_text_is_compact_and_keeps_its_order() -> None:
    assert encode_json({"b": [1, None], "a": "ä\ud800"}) == '{"b":[1,null],"a":"\\u00e4\\ud800"}'


@pytest.mark.parametrize(
    ("body", "too_deep"),
    [
        pytest.param(b"[" * 500 + b"]" * 500, False, id="as deep as allowed"),
        pytest.param(b"[" * 501 + b"]" * 501, True, id="one too many"),
        pytest.param(b'{"a":' * 501 + b"1" + b"}" * 501, True, id="objects"),
        pytest.param(b"[" * 200_000, True, id="never closed"),
        pytest.param(b"[" + b"[]," * 5000 + b"1]", False, id="wide"),
        pytest.param(b'["' + b"[" * 5000 + b'"]', False, id="in a string"),
        pytest.param(b'["\\\\","' + b"[" * 5000 + b'"]', False, id="after a string that ends in a backslash"),
        pytest.param(b'["\\"' + b"[" * 5000 + b'"]', False, id="after an escaped quote"),
        pytest.param(b'["]]]",' * 501, True, id="hidden by brackets in strings"),
    ],
)
def test_nesting_is_counted_outside_of_strings(body: bytes, too_deep: bool) -> None:
    assert is_nested_too_deep(body) is too_deep
