"""JSON is read alike with orjson and without it: same values, same errors."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from krosai_calls import _json
from krosai_calls._json import UnfitError, load_json, load_json_carefully

PAGE = json.dumps({"calls": [{"id": "call_1", "cost_cents": 1.5, "metadata": {"n": [1]}}], "total": 1}).encode()

WHERE = ["%s", "[%s]", '{"calls": [{"id": "a", "new": {"deep": [[], {"n": [1, %s]}]}}]}', '[{"%s": "1"}]', '"%s"']
NUMBERS = [
    "0", "-0", "0.0", "-0.0", "0e0", "-0e5", "1e400", "-1e400", "1E+2", "1e-999", "5e-324", "2e-324", "1e23",
    "1.7976931348623157e308", "1.7976931348623159e308", "9007199254740993", "9007199254740993.0",
    "9223372036854775807", "9223372036854775808", "-9223372036854775808", "-9223372036854775809",
    "18446744073709551615", "18446744073709551616", "99999999999999999999", "9" * 400, "9" * 4300, "9" * 4301,
    "9" * 300 + ".5", "9" * 400 + ".5", "0." + "3" * 5000, "1" * 19 + "e0",
    "NaN", "nan", "Infinity", "-Infinity", "+1", "01", "-01", "1.", ".5", "1e", "-", "--1", "1_0", "0x10",
]  # fmt: skip
TEXTS = [
    b"\\ud800", b"\\udc00\\ud800", b"\\ud83d\\ude00", b"\\ud83dx", b"\\ud83d\\u0041", b"\\u0000", b"\\u12", b"\\x",
    b"\\/", b"\\", b"\x00", b"\x1f", b"\n", b"\x7f", b"\xc2\x80", b"\xc0\x80", b"\xed\xa0\x80", b"\xff", b"\xc3",
    b"\xe2\x80\xa8", b"\xf0\x9f\x98\x80", b"\xf4\x90\x80\x80", b"\xef\xbb\xbf", b"\xef\xbf\xbe",
]  # fmt: skip
WHOLE = [
    b"", b" ", b"\xef\xbb\xbf", b"\xef\xbb\xbf[1]", b" \xef\xbb\xbf1", b"\xef\xbb\xbf\xef\xbb\xbf1",
    b"\x0c1", b"1\x0b", b"1\x00", b"\x001", b"\xc2\xa01", "\u20281".encode(), "[1]".encode("utf-16"), b"1 2",
    b"1,", b"[1][2]", b"[1,]", b'{"a":1,}', b'{"a"}', b"{1:2}", b'{"a":1}x', b"[", b'{"a":', b'"a', b"'a'",
    b"True", b" \t\r\n[ ]\n", b"<p>", b"//\n1", b"/**/1",
    b")]}'[1]", b'{"b":1,"a":2,"b":3}', b'{"":0,"":{"":[]}}', b'{"__proto__":{"":1}}',
]  # fmt: skip


def tokens(value: Any) -> list[str]:
    """What a value consists of, exactly and in order; deep ones, too."""
    told, left = [], [value]
    while left:
        item = left.pop()
        if type(item) is dict:
            told.append(f"object {list(item)}")
            left += item.values()
        elif type(item) is list:
            told.append(f"list of {len(item)}")
            left += item
        else:
            told.append(f"{type(item)} {item!r}")
    return told


def outcome(load: Callable[[bytes], Any], body: bytes) -> list[str]:
    try:
        return tokens(load(body))
    except UnfitError as unfit:
        return [unfit.reason, str(unfit), unfit.path]


def assert_alike(body: bytes) -> None:
    assert outcome(load_json, body) == outcome(load_json_carefully, body)


@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize("number", NUMBERS, ids=lambda number: number[:25])
def test_a_number_is_read_alike(number: str, where: str) -> None:
    assert_alike((where % number).encode())


@pytest.mark.parametrize("where", [b'"%s"', b'[{"%s": 1}]', b'{"a": ["x%sx"]}', b"[%s]"])
@pytest.mark.parametrize("text", TEXTS)
def test_a_text_is_read_alike(text: bytes, where: bytes) -> None:
    assert_alike(where % text)


@pytest.mark.parametrize("body", WHOLE)
def test_what_stands_around_values_is_read_alike(body: bytes) -> None:
    assert_alike(body)


@pytest.mark.parametrize("times", [200, 250, 251, 400, 499, 500, 501, 502, 600, 1024, 1025, 2000, 100_000])
@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"a":', b"}"), (b'[0,{"a":', b"},1]")])
def test_nesting_is_read_alike(times: int, opening: bytes, closing: bytes) -> None:
    assert_alike(opening * times + b"1" + closing * times)
    assert_alike(opening * times)


number_texts = st.from_regex(r"-?(0|[1-9][0-9]{0,40})(\.[0-9]{1,40})?([eE][+-]?[0-9]{1,3})?", fullmatch=True)


@settings(max_examples=300, deadline=None)
@given(st.lists(number_texts | st.integers().map(str) | st.floats().map(repr), max_size=5))
def test_any_numbers_are_read_alike(numbers: list[str]) -> None:
    assert_alike(f'{{"a": [{", ".join(numbers)}], "b": {{"c": {numbers[0] if numbers else 0}}}}}'.encode())


any_text = st.text(st.characters(categories=None, exclude_categories=()))
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | any_text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(any_text, inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=200, deadline=None)
@given(values, st.booleans(), st.sampled_from([None, 1, "\t"]))
def test_any_value_is_read_alike(value: Any, ascii_only: bool, indent: int | str | None) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only, indent=indent)
    assert_alike(text.encode("utf-8", "surrogatepass"))


@settings(max_examples=300, deadline=None)
@given(
    st.binary(max_size=60) | st.text('[]{}",:0123456789eE+-.truefalsnN \\u', max_size=60).map(str.encode),
    st.integers(0, len(PAGE)),
    st.integers(0, 8),
)
@example(b"9" * 20, PAGE.index(b"1.5"), 3)
def test_a_page_with_any_bytes_in_it_is_read_alike(bytes_in_it: bytes, place: int, dropped: int) -> None:
    assert_alike(bytes_in_it)
    assert_alike(PAGE[:place] + bytes_in_it + PAGE[place + dropped :])


def test_an_ordinary_page_needs_no_careful_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = load_json_carefully(PAGE)
    monkeypatch.setattr(_json, "load_json_carefully", lambda _: pytest.fail("read twice"))
    assert load_json(PAGE) == expected


@pytest.mark.parametrize("depth", [500, 1000, 1024, 100_000])
def test_depth_is_survived_on_a_small_stack(depth: int) -> None:
    told: list[list[str]] = []
    body = b'{"a":' * depth + b"1" + b"}" * depth

    def in_a_thread() -> None:
        told.append(outcome(load_json, body))

    before = threading.stack_size(256 * 1024)
    try:
        thread = threading.Thread(target=in_a_thread)
        thread.start()
        thread.join()
    finally:
        threading.stack_size(before)
    assert len(told) == 1


WITHOUT_ORJSON = """
import sys

class NotInstalled:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "orjson":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, NotInstalled())
from krosai_calls import AsyncCallsClient
from krosai_calls._codec import decode_page
from krosai_calls._wire import Answer

answer = Answer("GET", "https://api/calls", 200, body=sys.stdin.buffer.read())
page, _ = decode_page(answer, limit=50, offset=0)
print([call.to_dict() for call in page.calls], "orjson" in sys.modules)
"""


def test_the_package_works_where_orjson_is_not_installed() -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_ORJSON], input=PAGE, capture_output=True, timeout=25, check=True
    )
    assert done.stdout.decode().strip() == f"{json.loads(PAGE)['calls']} False"
