"""The storage host is honest HTTP: curl, which nobody here wrote, gets what RFC 9110 promises it."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from sandbox_caller import NOW

from krosai_calls.sandbox import Sandbox
from krosai_calls.sandbox.audio import Recorder, join_ready_made

CURL = shutil.which("curl")
pytestmark = pytest.mark.skipif(CURL is None, reason="curl is NOT INSTALLED: it did not check the sandbox's HTTP")

RECORDER = Recorder(join_ready_made)
# Ten minutes after the recording of the call below was ready, and ten before.
LATER, EARLIER = "Fri, 14 Mar 2025 09:10:00 GMT", "Fri, 14 Mar 2025 08:50:00 GMT"
READY = "Fri, 14 Mar 2025 09:00:00 GMT"


@dataclass
class Fetched:
    """What curl got."""

    code: int
    status: int
    headers: dict[str, str]
    body: bytes


@dataclass
class Fetcher:
    """curl, and a link to a recording."""

    url: str
    folder: Path

    def curl(self, *options: str, output: str = "body") -> Fetched:
        for name in ("head", "body"):
            (self.folder / name).unlink(missing_ok=True)
        where = ("--dump-header", "head", "--output", output)
        command = [CURL or "curl", "--silent", *where, *options, self.url]
        done = subprocess.run(command, cwd=self.folder, timeout=20, check=False)
        first, *lines = (self.folder / "head").read_text("latin-1").strip().splitlines()
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        body = self.folder / output
        return Fetched(
            done.returncode, int(first.split()[1]), headers, body.read_bytes() if body.exists() else b""
        )


@pytest.fixture
def fetcher(tmp_path: Path) -> Iterator[Fetcher]:
    with Sandbox(calls=5, now=NOW, recorder=RECORDER) as sandbox:
        call = sandbox.add_call(status="completed", duration=5)
        assert call["completed_at"] == "2025-03-14T09:00:00.000Z"
        yield Fetcher(call["recording_url"], tmp_path)


@pytest.fixture
def whole(fetcher: Fetcher) -> Fetched:
    return fetcher.curl()


def test_the_whole_recording_comes_with_all_that_a_cache_wants_to_know(whole: Fetched) -> None:
    assert (whole.code, whole.status, len(whole.body)) == (0, 200, 208 * 288)
    assert whole.headers["content-length"] == str(len(whole.body))
    assert whole.headers["accept-ranges"] == "bytes"
    assert whole.headers["last-modified"] == READY
    assert whole.headers["etag"].startswith('"')
    assert "date" in whole.headers


@pytest.mark.parametrize(
    ("wanted", "told", "part"),
    [
        ("0-99", "0-99", slice(0, 100)),
        ("100-", "100-59903", slice(100, None)),
        ("-100", "59804-59903", slice(-100, None)),
        ("59900-70000", "59900-59903", slice(59900, None)),
    ],
)
def test_a_range_is_206_and_says_what_it_is(
    fetcher: Fetcher, whole: Fetched, wanted: str, told: str, part: slice
) -> None:
    got = fetcher.curl("--range", wanted)
    assert (got.status, got.headers["content-range"]) == (206, f"bytes {told}/59904")
    assert got.body == whole.body[part]
    assert got.headers["content-length"] == str(len(got.body))
    assert got.headers["etag"] == whole.headers["etag"]


def test_a_range_beyond_the_end_is_416_and_says_how_long_the_recording_is(fetcher: Fetcher) -> None:
    got = fetcher.curl("--range", "59904-")
    assert (got.status, got.headers["content-range"]) == (416, "bytes */59904")


def test_a_download_that_was_broken_off_is_gone_on_with(fetcher: Fetcher, whole: Fetched) -> None:
    begun = fetcher.folder / "begun.mp3"
    begun.write_bytes(whole.body[:20_000])
    got = fetcher.curl("--continue-at", "-", output="begun.mp3")
    assert (got.code, got.status) == (0, 206)
    assert begun.read_bytes() == whole.body


@pytest.mark.parametrize(
    ("if_range", "status"),
    [("{etag}", 206), ("W/{etag}", 200), ('"another"', 200), (READY, 206), (LATER, 200), (EARLIER, 200)],
)
def test_a_part_comes_only_of_the_version_that_is_meant(
    fetcher: Fetcher, whole: Fetched, if_range: str, status: int
) -> None:
    meant = if_range.format(etag=whole.headers["etag"])
    got = fetcher.curl("--range", "1000-", "--header", f"If-Range: {meant}")
    assert got.status == status
    assert got.body == (whole.body[1000:] if status == 206 else whole.body)


CONDITIONS = [
    ("If-None-Match: {etag}", 304),
    ("If-None-Match: W/{etag}", 304),
    ('If-None-Match: "another", {etag}', 304),
    ("If-None-Match: *", 304),
    ('If-None-Match: "another"', 200),
    (f"If-Modified-Since: {READY}", 304),
    (f"If-Modified-Since: {EARLIER}", 200),
    ("If-Match: {etag}", 200),
    ("If-Match: *", 200),
    ('If-Match: "another", {etag}', 200),
    ("If-Match: W/{etag}", 412),
    ('If-Match: "another"', 412),
    (f"If-Unmodified-Since: {READY}", 200),
    (f"If-Unmodified-Since: {EARLIER}", 412),
    ("If-Unmodified-Since: some day", 200),
]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(("condition", "status"), CONDITIONS)
def test_a_condition_decides_whether_the_recording_comes(
    fetcher: Fetcher, whole: Fetched, condition: str, status: int, method: str
) -> None:
    options = ["--header", condition.format(etag=whole.headers["etag"]), *(["--head"] if method == "HEAD" else [])]
    got = fetcher.curl(*options)
    assert (got.code, got.status) == (0, status)
    assert got.headers["etag"] == whole.headers["etag"]
    if method == "GET" and status == 200:
        assert got.body == whole.body
    if status == 304:
        assert got.body in (b"", (fetcher.folder / "head").read_bytes())


@pytest.mark.parametrize(
    ("first", "second", "status"),
    [
        ('If-Match: "another"', "If-None-Match: {etag}", 412),
        ("If-Match: {etag}", "If-None-Match: {etag}", 304),
        ("If-Match: {etag}", f"If-Unmodified-Since: {EARLIER}", 200),
        ('If-None-Match: "another"', f"If-Modified-Since: {LATER}", 200),
        ("If-None-Match: {etag}", "Range: bytes=5-9", 304),
        ('If-Match: "another"', "Range: bytes=5-9", 412),
    ],
)
def test_of_two_conditions_the_one_that_comes_first_in_the_rfc_decides(
    fetcher: Fetcher, whole: Fetched, first: str, second: str, status: int
) -> None:
    headers = [line.format(etag=whole.headers["etag"]) for line in (first, second)]
    assert fetcher.curl("--header", headers[0], "--header", headers[1]).status == status


def test_curl_asks_for_what_it_has_only_if_it_has_changed(fetcher: Fetcher, whole: Fetched) -> None:
    fetcher.curl("--etag-save", "tag")
    assert fetcher.curl("--etag-compare", "tag").status == 304
    assert fetcher.curl("--time-cond", READY).status == 304


def test_a_head_is_a_get_without_the_body(fetcher: Fetcher, whole: Fetched) -> None:
    head = fetcher.curl("--head", "--range", "5-9")
    assert head.status == 200  # a HEAD has no part
    for headers in (head.headers, whole.headers):
        headers.pop("date")
    assert head.headers == whole.headers


def test_another_method_is_refused_and_told_which_would_do(fetcher: Fetcher) -> None:
    got = fetcher.curl("--request", "DELETE")
    assert got.status == 405
    assert {name.strip() for name in got.headers["allow"].split(",")} == {"GET", "HEAD"}


def test_the_api_answers_curl_as_its_page_in_the_documentation_has_it(tmp_path: Path) -> None:
    with Sandbox(calls=5, now=NOW) as sandbox:
        fetcher = Fetcher(f"{sandbox.base_url}/calls", tmp_path)
        assert fetcher.curl().status == 401
        key = ("--header", f"x-api-key: {sandbox.api_key}")
        got, head = fetcher.curl(*key), fetcher.curl("--head", *key)
        assert got.status == head.status == 200
        assert got.headers["content-type"] == head.headers["content-type"] == "application/json; charset=utf-8"
        assert head.headers["content-length"] == got.headers["content-length"] == str(len(got.body))
