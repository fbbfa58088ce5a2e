"""What storage's answer means for a recording."""

from __future__ import annotations

import pytest

from krosai_calls._resume import Length, Verdict, judge, promised_length


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        pytest.param(200, Verdict.TAKE, id="the recording"),
        pytest.param(401, Verdict.RENEW_LINK, id="expired, 401"),
        pytest.param(403, Verdict.RENEW_LINK, id="expired, 403"),
        pytest.param(410, Verdict.RENEW_LINK, id="expired, 410"),
        pytest.param(404, Verdict.GONE, id="nothing there"),
        *(
            pytest.param(status, Verdict.BUSY, id=f"{status}, not now")
            for status in (408, 425, 429, 500, 502, 503, 504)
        ),
        *(
            pytest.param(status, Verdict.WRONG, id=f"{status}, nothing of storage's")
            for status in (204, 206, 301, 302, 304, 307, 308, 400, 402, 405, 416, 418, 501, 999)
        ),
    ],
)
def test_a_status_says_what_to_do(status: int, verdict: Verdict) -> None:
    assert judge(status) is verdict


@pytest.mark.parametrize(
    ("headers", "told", "length"),
    [
        pytest.param({"content-length": "2160000"}, None, 2160000, id="storage says"),
        pytest.param({}, 2160000, 2160000, id="the API says"),
        pytest.param({"content-length": "5"}, 5, 5, id="both say the same"),
        pytest.param({"content-length": "5", "content-encoding": ""}, None, 5, id="an empty encoding"),
        pytest.param({"content-length": "5", "content-encoding": " Identity "}, None, 5, id="identity"),
        pytest.param({"content-length": "5"}, -1, 5, id="an odd word of the API counts for nothing"),
        pytest.param({"content-length": "5, 5"}, 7, 7, id="an odd header counts for nothing"),
        pytest.param({"content-length": "٣"}, 7, 7, id="so does a digit beyond ASCII"),
        pytest.param({"content-length": "-5"}, 7, 7, id="and a negative one"),
    ],
)
def test_a_length_is_taken_from_whoever_says_it(
    headers: dict[str, str], told: int | None, length: int | None
) -> None:
    assert promised_length(headers, told).size_bytes == length


@pytest.mark.parametrize(
    ("headers", "told", "problem"),
    [
        pytest.param({}, None, "nobody says", id="nobody says"),
        pytest.param({"content-length": "x"}, None, "nobody says", id="nobody says anything of use"),
        pytest.param({}, -5, "nobody says", id="a negative size"),
        pytest.param({"content-length": "0"}, None, "empty", id="storage says it is empty"),
        pytest.param({}, 0, "empty", id="the API says it is empty"),
        pytest.param({"content-length": "0"}, 0, "empty", id="both say it is empty"),
        pytest.param({"content-length": "5"}, 6, "5 bytes where the API says 6", id="they disagree"),
        pytest.param({"content-length": "5"}, 0, "5 bytes where the API says 0", id="they disagree about nothing"),
        pytest.param({"content-length": "5", "content-encoding": "gzip"}, 5, "compressed", id="compressed"),
    ],
)
def test_a_length_that_cannot_be_believed_is_none_and_says_why(
    headers: dict[str, str], told: int | None, problem: str
) -> None:
    length = promised_length(headers, told)
    assert length.size_bytes is None
    assert problem in length.problem


def test_a_length_of_five_thousand_digits_is_not_believed() -> None:
    assert promised_length({"content-length": "9" * 5000}, 7).size_bytes in (7, None)


def test_a_length_that_is_believed_has_no_problem() -> None:
    assert promised_length({"content-length": "5"}, None) == Length(5, "")
