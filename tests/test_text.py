"""What of a server's text may be shown and stored."""

from __future__ import annotations

import string
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from krosai_calls._text import redacted, snippet, storable, visible, without_query

SIGNATURE = "CANARY-SIGNATURE"
KEY = "kros_live_CANARYKEY"
# Every character that a terminal or an editor lets change the direction of what follows (Unicode, Bidi_Control).
BIDI_CONTROLS = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"

any_text = st.text(st.characters(categories=None, exclude_categories=()))
tokens = st.text(string.ascii_letters + string.digits + "-_", min_size=8, max_size=40)
# What may stand around a secret: neither part of a link nor of a key.
around = st.text(string.whitespace + '"<>{}[],:äß中', max_size=30)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        pytest.param("https://h/a.mp3?signature=1", "https://h/a.mp3", id="a query"),
        pytest.param("https://h/a.mp3#signature=1", "https://h/a.mp3", id="a fragment"),
        pytest.param("https://h/a#b?c", "https://h/a", id="a question mark inside the fragment"),
        pytest.param("https://h/a?b#c", "https://h/a", id="a query and a fragment"),
        pytest.param("https://user:pass@h:8443/a", "https://h:8443/a", id="user and password"),
        pytest.param("https://a@b@h/x", "https://h/x", id="two at signs"),
        pytest.param("https://h/of/some@body", "https://h/of/some@body", id="an at sign in the path stays"),
        pytest.param("https://h", "https://h", id="a bare host"),
        pytest.param("", "", id="nothing"),
        pytest.param("user:pass@h:3128", "h:3128", id="user and password without a scheme"),
    ],
)
def test_an_address_is_shown_without_what_could_open_it(url: str, shown: str) -> None:
    assert without_query(url) == shown


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        pytest.param(f"see https://h/a.mp3?signature={SIGNATURE} now", "see https://h/a.mp3?*** now", id="a link"),
        pytest.param(f"HTTPS://H/a?s={SIGNATURE}", "HTTPS://H/a?***", id="in capitals"),
        pytest.param(f"http://h/?a=1&s={SIGNATURE}#x", "http://h/?***", id="several parameters, a fragment"),
        pytest.param(f"https://h/?a=b?s={SIGNATURE}", "https://h/?***", id="a second question mark"),
        pytest.param(f'"https:\\/\\/h\\/a?s={SIGNATURE}"', '"https:\\/\\/h\\/a?***"', id="JSON-escaped slashes"),
        pytest.param(f'"https://h/a?s=1\\u0026t={SIGNATURE}"', '"https://h/a?***"', id="a JSON-escaped ampersand"),
        pytest.param(f"<https://h/a?s={SIGNATURE}>", "<https://h/a?***>", id="in angle brackets"),
        pytest.param(
            f"https://h/a?s={SIGNATURE} https://h/b?s={SIGNATURE}", "https://h/a?*** https://h/b?***", id="two"
        ),
        pytest.param("https://h/a is gone", "https://h/a is gone", id="a link without a query stays"),
        pytest.param("really? yes", "really? yes", id="a question stays"),
        pytest.param(f"https://h/o'brien.mp3?s={SIGNATURE}", "https://h/o'brien.mp3?***", id="a quoted path"),
        pytest.param(f"key {KEY}.", "key kros_live_***.", id="a live key"),
        pytest.param("kros_test_a-b_c9 kros_live_1", "kros_test_*** kros_live_***", id="two keys"),
        pytest.param("kros_live_ is a prefix", "kros_live_ is a prefix", id="the prefix alone stays"),
    ],
)
def test_links_lose_their_query_and_keys_their_rest(said: str, shown: str) -> None:
    assert redacted(said) == shown


def test_the_key_in_use_is_replaced_whatever_it_looks_like_and_wherever_it_stands() -> None:
    assert redacted("x=my.own/key; y=my.own/keymy.own/key", "my.own/key") == "x=***; y=******"


@settings(max_examples=100, deadline=None)
@given(around, tokens, tokens, tokens, around)
def test_no_signature_and_no_key_survives(before: str, signature: str, key: str, secret: str, after: str) -> None:
    signature, key, secret = f"sig~{signature}", f"kros_live_{key}", f"own~{secret}"
    said = f"{before}https://h/a.mp3?x=1&signature={signature}{after} {key} {secret} {before}{key}"
    for shown in (redacted(said, secret), snippet(said.encode(), secret)):
        assert signature not in shown
        assert key not in shown
        assert secret not in shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        pytest.param("\x1b[31mred\x07", "\\x1b[31mred\\x07", id="escape sequence and bell"),
        pytest.param("a\r\nb\tc\0", "a\\r\\nb\\tc\\x00", id="line ends, tab, NUL"),
        pytest.param("\x7f\x9b31m", "\\x7f\\x9b31m", id="DEL and the one-byte escape"),
        pytest.param("\u202egpj.exe", "\\u202egpj.exe", id="right-to-left override"),
        pytest.param("a\u200bb\ufeffc", "a\\u200bb\\ufeffc", id="zero-width characters"),
        pytest.param("a\u2028b\u2029c", "a\\u2028b\\u2029c", id="line and paragraph separators"),
        pytest.param("\ud800x\udfff", "\\ud800x\\udfff", id="lone surrogates"),
        pytest.param("Grüße, 中文, 🎧 \\x1b", "Grüße, 中文, 🎧 \\x1b", id="ordinary text stays"),
    ],
)
def test_what_could_act_is_written_out(text: str, shown: str) -> None:
    assert visible(text) == shown


@pytest.mark.parametrize("mark", BIDI_CONTROLS, ids=unicodedata.name)
def test_no_direction_mark_stays_as_it_is(mark: str) -> None:
    assert visible(f"a{mark}b") == f"a\\u{ord(mark):04x}b"


@settings(max_examples=200, deadline=None)
@given(any_text)
def test_visible_text_has_no_control_characters_and_can_be_printed(text: str) -> None:
    shown = visible(text)
    assert not any(unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") for character in shown)
    shown.encode("utf-8")


@settings(max_examples=100, deadline=None)
@given(st.text(st.characters(categories=["L", "N", "P", "S", "Zs"])))
def test_visible_leaves_letters_digits_and_signs_alone(text: str) -> None:
    assert visible(text) == text


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        pytest.param(b"<html>\r\n<title>502", "<html>\\r\\n<title>502", id="on one line"),
        pytest.param(b"\xff\xfeoops", "\ufffd\ufffdoops", id="no UTF-8"),
        pytest.param(b"", "", id="nothing"),
        pytest.param(b"x" * 10_000, "x" * 200, id="cut"),
        pytest.param(f"k={KEY}".encode(), "k=kros_live_***", id="a key"),
        pytest.param(f'{{"u":"https:\\/\\/h?s={SIGNATURE}"}}'.encode(), '{"u":"https:\\/\\/h?***"}', id="a link"),
    ],
)
def test_a_snippet_is_the_beginning_of_a_body(body: bytes, shown: str) -> None:
    assert snippet(body) == shown


@pytest.mark.parametrize("before", [150, 190, 199], ids=lambda count: f"{count} characters before it")
def test_a_snippet_never_shows_a_secret_that_its_end_cuts_in_two(before: int) -> None:
    own = "0123456789abcdef" * 4
    shown = snippet(b"." * before + own.encode(), own)
    assert own[:8] not in shown


def test_a_long_link_before_it_brings_no_half_of_the_key_into_a_snippet() -> None:
    own = "0123456789abcdef" * 4
    shown = snippet(f"https://h/?{'s' * 3150} {own}".encode(), own)
    assert own[:16] not in shown


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        pytest.param("a\ud800b", "a\ufffdb", id="a lone high surrogate"),
        pytest.param("a\udc00b", "a\ufffdb", id="a lone low surrogate"),
        pytest.param("a\ud83d", "a\ufffd", id="a high surrogate at the end"),
        pytest.param("\udc00\ud83d", "\ufffd\ufffd", id="a pair the wrong way round"),
        pytest.param("\ud83c\udfa7", "🎧", id="a pair that belongs together"),
        pytest.param("\ufeffa", "\ufeffa", id="a byte-order mark stays"),
        pytest.param("\x1b[0m\0", "\x1b[0m\0", id="control characters stay"),
    ],
)
def test_stored_text_is_the_same_but_for_lone_surrogates(text: str, stored: str) -> None:
    assert storable(text) == stored


@settings(max_examples=200, deadline=None)
@given(any_text)
def test_any_text_can_be_stored_in_utf_8(text: str) -> None:
    assert storable(text).encode("utf-8").decode("utf-8") == storable(text)


@settings(max_examples=100, deadline=None)
@given(st.text())
def test_ordinary_text_is_stored_unchanged(text: str) -> None:
    assert storable(text) == text
