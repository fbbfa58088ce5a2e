"""What storage's answer means for a recording: every story is a row of the table in ``_resume``."""

from __future__ import annotations

import pytest

from krosai_calls._resume import Held, Judgement, Verdict, digest_of, judge, validator_of

TAG, OTHER_TAG, WEAK_TAG = '"v1"', '"v2"', 'W/"v1"'
OLD, NOW = "Sat, 01 Nov 2025 10:00:00 GMT", "Sat, 01 Nov 2025 12:00:00 GMT"
NOTHING = Held()
PART = Held(300, TAG, 1000)
DATED_PART = Held(300, OLD, 1000)


def whole(length: int | None = 1000, **headers: str) -> dict[str, str]:
    given = {} if length is None else {"content-length": str(length)}
    return {**given, "etag": TAG, **{name.replace("_", "-"): value for name, value in headers.items()}}


def part(place: str = "bytes 300-999/1000", length: int | None = 700, **headers: str) -> dict[str, str]:
    return {**whole(length, **headers), "content-range": place}


def without(headers: dict[str, str], name: str) -> dict[str, str]:
    return {key: value for key, value in headers.items() if key != name}


TAKE = Judgement(Verdict.TAKE, 0, 1000, 1000, TAG)
APPEND = Judgement(Verdict.APPEND, 300, 1000, 1000, TAG)

STORIES = {
    # name: (what is there, status, headers, what to do)
    "nothing is there, and all of it comes": (NOTHING, 200, whole(), TAKE),
    "f1: ranges are ignored, or the version is another": (PART, 200, whole(), TAKE),
    "the rest comes": (PART, 206, part(), APPEND),
    "f4: the rest comes, and the total is known already": (PART, 206, part("bytes 300-999/*"), APPEND),
    "f5: some of the rest comes": (
        PART,
        206,
        part("bytes 300-499/1000", 200),
        Judgement(Verdict.APPEND, 300, 500, 1000, TAG),
    ),
    "the rest comes without a length": (PART, 206, part(length=None), APPEND),
    "the rest of a version that a date tells": (
        DATED_PART,
        206,
        without(part(last_modified=OLD), "etag"),
        Judgement(Verdict.APPEND, 300, 1000, 1000, OLD),
    ),
    "f6: nothing was missing": (
        Held(1000, TAG, 1000),
        416,
        {"content-range": "bytes */1000"},
        Judgement(Verdict.WHOLE),
    ),
    "f7: it is shorter now": (PART, 416, {"content-range": "bytes */200"}, Judgement(Verdict.START_OVER)),
    "f7: the range is refused without a reason": (PART, 416, {}, Judgement(Verdict.START_OVER)),
    "f7: it is as long as the part, which was to be longer": (
        PART,
        416,
        {"content-range": "bytes */300"},
        Judgement(Verdict.START_OVER),
    ),
}


@pytest.mark.parametrize(("held", "status", "headers", "judgement"), STORIES.values(), ids=STORIES)
def test_an_answer_means(held: Held, status: int, headers: dict[str, str], judgement: Judgement) -> None:
    assert judge(held, status, headers) == judgement


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param(part("bytes 299-999/1000", 701), id="it begins too early"),
        pytest.param(part("bytes 301-999/1000", 699), id="it begins too late"),
        pytest.param(part("bytes 0-999/1000", 1000), id="it begins at the beginning"),
        pytest.param(part("bytes 300-1000/1000", 701), id="it ends behind the end"),
        pytest.param(part("bytes 300-299/1000", 0), id="it ends before it begins"),
        pytest.param(part("bytes 300-1099/1100", 800), id="the whole is another length"),
        pytest.param(part(length=699), id="its length is not that of its place"),
        pytest.param(part("bytes 300-999"), id="no total"),
        pytest.param(part("lines 300-999/1000"), id="another unit"),
        pytest.param(part("bytes 300-999/1000, bytes 0-1/1000"), id="two places"),
        pytest.param(part("bytes ³00-999/1000"), id="digits that are none"),
        pytest.param(part("bytes 300-" + "9" * 30 + "/" + "9" * 30), id="numbers beyond belief"),
        pytest.param(without(part(), "content-range"), id="no place at all"),
        pytest.param(part(content_type="multipart/byteranges") | {"content-range": ""}, id="in several parts"),
        pytest.param(part(etag=OTHER_TAG), id="f8: another version"),
        pytest.param(part(etag=WEAK_TAG), id="f9: a weak tag"),
        pytest.param(without(part(), "etag"), id="f8: the tag is dropped"),
        pytest.param(part(etag="", last_modified=OLD), id="a date instead of the tag"),
    ],
)
def test_f2_a_part_that_is_not_the_one_asked_for_is_not_written(headers: dict[str, str]) -> None:
    assert judge(PART, 206, headers).verdict is Verdict.START_OVER


@pytest.mark.parametrize("held", [NOTHING, Held(300, None, 1000), Held(300, TAG, None)])
def test_f3_a_part_that_nobody_asked_for_is_in_doubt(held: Held) -> None:
    assert held.headers() == {}
    assert judge(held, 206, part()).verdict is Verdict.DOUBT


DOUBTS = {
    "e7: compressed": (whole(content_encoding="gzip"), None, "compressed"),
    "e9: empty": (whole(0), None, "empty"),
    "e3: of a length that nobody tells": (whole(None), None, "nobody says how long"),
    "e10: of another length than the API says": (whole(1000), 1001, "1000 bytes where the API says 1001"),
    "of a length beyond belief": (whole(None, content_length="9" * 30), None, "nobody says how long"),
    "of a length that is no number": (whole(None, content_length="+5"), None, "nobody says how long"),
}


@pytest.mark.parametrize(("headers", "told", "problem"), DOUBTS.values(), ids=DOUBTS)
def test_a_whole_is_in_doubt_where_it_is(headers: dict[str, str], told: int | None, problem: str) -> None:
    judgement = judge(NOTHING, 200, headers, size_in_link=told)
    assert judgement.verdict is Verdict.DOUBT
    assert problem in judgement.problem


def test_f16_a_part_that_is_compressed_is_in_doubt() -> None:
    assert judge(PART, 206, part(content_encoding="br")).verdict is Verdict.DOUBT


@pytest.mark.parametrize(
    ("headers", "told"),
    [
        pytest.param(whole(None), 1000, id="e3: only the API tells the length"),
        pytest.param(whole(1000), 1000, id="both tell it"),
        pytest.param(whole(1000), -1, id="an odd word of the API counts for nothing"),
        pytest.param(whole(1000, content_encoding="Identity "), None, id="identity is no compression"),
    ],
)
def test_a_length_that_one_of_the_two_tells_is_enough(headers: dict[str, str], told: int | None) -> None:
    assert judge(NOTHING, 200, headers, size_in_link=told) == TAKE


@pytest.mark.parametrize("held", [NOTHING, PART])
@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        *((status, Verdict.RENEW_LINK) for status in (401, 403, 410)),
        (404, Verdict.MISSING),
        *((status, Verdict.WAIT) for status in (408, 425, 429, 500, 502, 503, 504)),
        *((status, Verdict.FAIL) for status in (204, 300, 301, 304, 400, 402, 405, 418, 501, 999)),
    ],
)
def test_a_status_says_what_to_do_whatever_is_there(held: Held, status: int, verdict: Verdict) -> None:
    assert judge(held, status, {}).verdict is verdict


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_e15_a_redirect_is_followed_where_it_says_where_to(status: int) -> None:
    assert judge(NOTHING, status, {"location": "/elsewhere"}).verdict is Verdict.FOLLOW


def test_416_where_nothing_was_asked_for_is_no_answer() -> None:
    assert judge(NOTHING, 416, {"content-range": "bytes */0"}).verdict is Verdict.FAIL


@pytest.mark.parametrize(
    ("headers", "validator"),
    [
        pytest.param({"etag": TAG}, TAG, id="a strong tag"),
        pytest.param({"etag": TAG, "last-modified": OLD, "date": NOW}, TAG, id="a tag comes before a date"),
        pytest.param({"etag": '""'}, '""', id="an empty tag is one"),
        pytest.param({"etag": WEAK_TAG, "last-modified": OLD, "date": NOW}, OLD, id="f9: a weak tag, and a date"),
        pytest.param({"etag": WEAK_TAG}, None, id="f9: a weak tag alone"),
        pytest.param({"last-modified": OLD, "date": NOW}, OLD, id="f9: a date long past"),
        pytest.param({"last-modified": OLD, "date": OLD}, None, id="f9: a date of this minute"),
        pytest.param({"last-modified": OLD}, None, id="f9: a date, and no present to hold against it"),
        pytest.param({"last-modified": "yesterday", "date": NOW}, None, id="no date"),
        pytest.param({"etag": "v1"}, None, id="f10: a tag without quotes"),
        pytest.param({"etag": '"v1'}, None, id="f10: half a tag"),
        pytest.param({"etag": '"a"b"'}, None, id="f10: a quote within"),
        pytest.param({"etag": '"v\udce9"'}, None, id="f10: bytes that are no ASCII"),
        pytest.param({"etag": '"v\r\nX: y"'}, None, id="f10: a line end within"),
        pytest.param({"etag": '"' + "v" * 10_000 + '"'}, None, id="f10: a tag of ten thousand characters"),
        pytest.param({"etag": "*"}, None, id="any version"),
        pytest.param({}, None, id="nothing"),
    ],
)
def test_what_tells_versions_apart(headers: dict[str, str], validator: str | None) -> None:
    assert validator_of(headers) == validator


def test_what_is_missing_is_asked_for_on_condition_that_the_version_is_the_same() -> None:
    assert PART.headers() == {"Range": "bytes=300-", "If-Range": TAG}
    assert DATED_PART.headers() == {"Range": "bytes=300-", "If-Range": OLD}


@pytest.mark.parametrize(
    ("held", "is_whole"),
    [(NOTHING, False), (PART, False), (Held(1000, TAG, 1000), True), (Held(1000, None, 1000), True)],
)
def test_a_recording_is_whole_where_all_of_its_bytes_are_there(held: Held, is_whole: bool) -> None:
    assert held.is_whole is is_whole


# The digests of no bytes at all, as RFC 6234 and RFC 1321 give them.
SHA256_HEX = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
SHA256, MD5 = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=", "1B2M2Y8AsgTpgAmY7PhCfg=="
IN_SHA256, IN_MD5 = ("sha256", SHA256_HEX), ("md5", "d41d8cd98f00b204e9800998ecf8427e")


@pytest.mark.parametrize(
    ("headers", "of_the_whole", "of_a_part"),
    [
        pytest.param({"repr-digest": f"sha-256=:{SHA256}:"}, IN_SHA256, IN_SHA256, id="e18: of the whole"),
        pytest.param({"content-digest": f"sha-256=:{SHA256}:"}, IN_SHA256, None, id="e18: of what is sent"),
        pytest.param({"content-md5": MD5}, IN_MD5, None, id="e18: of what is sent, as of old"),
        pytest.param({"digest": f"md5={MD5}, sha-256={SHA256}"}, IN_SHA256, IN_SHA256, id="e18: the best of two"),
        pytest.param({"x-amz-checksum-sha256": SHA256}, IN_SHA256, IN_SHA256, id="e18: S3's"),
        pytest.param({"x-amz-checksum-sha256": f"{SHA256}-2"}, None, None, id="e18: of S3's parts' digests"),
        pytest.param({"digest": f"not-md5={MD5}"}, None, None, id="e18: another kind"),
        pytest.param({"digest": "md5=é"}, None, None, id="e18: no base64"),
        pytest.param({"content-md5": SHA256}, None, None, id="e18: of another length"),
        pytest.param({"etag": TAG}, None, None, id="e18: none"),
    ],
)
def test_a_digest_of_the_whole_is_told(
    headers: dict[str, str], of_the_whole: tuple[str, str] | None, of_a_part: tuple[str, str] | None
) -> None:
    assert (digest_of(200, headers), digest_of(206, headers)) == (of_the_whole, of_a_part)
