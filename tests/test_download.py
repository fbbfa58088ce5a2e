"""Recordings and transcripts to files: whole under their name, or not there."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import threaded_client
from audio import recording
from raw_server import Answer, RawServer, answer

from krosai_calls import (
    AsyncCallsClient,
    Call,
    DownloadError,
    IntegrityError,
    InvalidArgumentError,
    LocalFileError,
    NotFoundError,
    RecordingGoneError,
    RecordingNotReadyError,
    RetryPolicy,
    ServerError,
    StreamInterruptedError,
    TranscriptUnavailableError,
)

MP3 = recording()
# A blocking call has no task that could be cancelled.
awaiting_only = pytest.mark.parametrize("both_clients", ["awaiting"], indirect=True)
LINK_PATH = "/recordings/call_1.mp3"
FRESH = "/v1/calls/call_1/recording"


class Service:
    """An API and a storage on one scripted server, and a client of it."""

    def __init__(self, server: RawServer, client: AsyncCallsClient) -> None:
        self.server = server
        self.client = client
        self.link = f"{server.url}{LINK_PATH}?signature=%2Fa%2fb%7E~%41"
        self.call = Call("call_1", recording_url=self.link)

    def storage(self, *answers: Answer) -> None:
        self.server.script(*answers, path=LINK_PATH)

    def fresh_link(self, **more: Any) -> None:
        body = {"recording_url": self.link + "&fresh=1", **more}
        self.server.script(answer(200, json.dumps(body).encode()), path=FRESH)

    def asked(self, path: str) -> int:
        return sum(request.path == path for request in self.server.requests)


@pytest.fixture
async def service(both_clients: None) -> AsyncIterator[Service]:
    retry = RetryPolicy(max_attempts=3, base_delay_seconds=0.0)
    async with RawServer() as server:
        made = AsyncCallsClient("kros_test_x", base_url=f"{server.url}/v1", retry=retry)
        async with threaded_client.either(made) as client:
            yield Service(server, client)


def mp3(**more: Any) -> Answer:
    return answer(200, MP3, content_type="audio/mpeg", **more)


async def test_a_recording_is_saved_byte_for_byte(service: Service, tmp_path: Path) -> None:
    service.storage(mp3())
    target = tmp_path / "new" / "folder" / "call.mp3"
    download = await service.client.download_recording(service.call, target)
    assert target.read_bytes() == MP3
    assert (download.path, download.size_bytes, download.resumed_bytes) == (target, len(MP3), 0)
    assert (download.sha256, download.suspect) == (hashlib.sha256(MP3).hexdigest(), None)
    assert [path.name for path in target.parent.iterdir()] == ["call.mp3"]


async def test_a_call_that_carries_its_link_costs_no_api_request(service: Service, tmp_path: Path) -> None:
    service.storage(mp3())
    await service.client.download_recording(service.call, tmp_path / "call.mp3")
    assert [request.path for request in service.server.requests] == [LINK_PATH]


async def test_the_signed_target_goes_out_byte_for_byte_and_nothing_of_the_api_with_it(
    service: Service, tmp_path: Path
) -> None:
    service.storage(mp3())
    await service.client.download_recording(service.call, tmp_path / "call.mp3")
    request = service.server.requests[0]
    assert request.target == f"{LINK_PATH}?signature=%2Fa%2fb%7E~%41"
    assert request.values("accept-encoding") == ["identity"]
    assert not request.values("x-api-key") + request.values("authorization") + request.values("cookie")


async def test_an_id_is_enough(service: Service, tmp_path: Path) -> None:
    service.fresh_link(size_bytes=len(MP3))
    service.storage(mp3())
    await service.client.download_recording("call_1", tmp_path / "call.mp3")
    assert (tmp_path / "call.mp3").read_bytes() == MP3
    assert service.asked(FRESH) == 1


@pytest.mark.parametrize("status", [401, 403, 410])
async def test_an_expired_link_is_replaced_by_a_fresh_one(service: Service, tmp_path: Path, status: int) -> None:
    service.fresh_link()
    service.storage(answer(status), mp3())
    await service.client.download_recording(service.call, tmp_path / "call.mp3")
    assert (tmp_path / "call.mp3").read_bytes() == MP3
    assert service.asked(FRESH) == 1


async def test_a_storage_that_refuses_every_link_is_an_error_after_three_fresh_ones(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("krosai_calls._links.RENEWAL_PAUSES", (0.0, 0.0, 0.0))
    service.fresh_link()
    service.storage(answer(403))
    with pytest.raises(DownloadError, match="refuses every link"):
        await service.client.download_recording(service.call, tmp_path / "call.mp3")
    assert service.asked(FRESH) == 3


@pytest.mark.parametrize("fault", [mp3(cut=0), mp3(cut=5000), Answer(then="reset"), answer(503), answer(500)])
async def test_a_passing_fault_is_got_over(service: Service, tmp_path: Path, fault: Answer) -> None:
    service.storage(fault, fault, mp3())
    await service.client.download_recording(service.call, tmp_path / "call.mp3")
    assert (tmp_path / "call.mp3").read_bytes() == MP3


BROKEN = {
    "cut off": (mp3(cut=5000), StreamInterruptedError),
    "never ready": (answer(503), ServerError),
    "gone": (answer(404), RecordingGoneError),
    "an error page": (answer(200, b"<html>sorry</html>", content_type="text/html"), IntegrityError),
    "an error page called audio": (answer(200, b"<Error/>", content_type="audio/mpeg"), IntegrityError),
    "JSON": (answer(200, b'{"error": "no"}'), IntegrityError),
    "empty": (answer(200, b"", content_type="audio/mpeg"), IntegrityError),
    "of unknown length": (answer(200, MP3, framing="none"), IntegrityError),
    "compressed": (mp3(headers=[("Content-Encoding", "gzip")]), IntegrityError),
    "elsewhere": (answer(302, headers=[("Location", "file:///etc/passwd")]), DownloadError),
}


@pytest.mark.parametrize(("fault", "error"), BROKEN.values(), ids=BROKEN)
async def test_what_is_not_whole_never_gets_its_name(
    service: Service, tmp_path: Path, fault: Answer, error: type[Exception]
) -> None:
    service.storage(fault)
    with pytest.raises(error):
        await service.client.download_recording(service.call, tmp_path / "call.mp3")
    assert os.listdir(tmp_path) == []


async def test_a_broken_attempt_leaves_the_file_of_an_earlier_one_alone(service: Service, tmp_path: Path) -> None:
    (tmp_path / "call.mp3").write_bytes(b"the canary")
    service.storage(mp3(cut=5000))
    with pytest.raises(StreamInterruptedError):
        await service.client.download_recording(service.call, tmp_path / "call.mp3")
    assert (tmp_path / "call.mp3").read_bytes() == b"the canary"


async def test_a_length_that_the_api_and_storage_disagree_on_is_not_believed(
    service: Service, tmp_path: Path
) -> None:
    service.fresh_link(size_bytes=len(MP3) + 1)
    service.storage(mp3())
    with pytest.raises(IntegrityError, match="where the API says"):
        await service.client.download_recording("call_1", tmp_path / "call.mp3")


async def test_a_length_that_only_the_api_knows_is_enough(service: Service, tmp_path: Path) -> None:
    service.fresh_link(size_bytes=len(MP3))
    service.storage(answer(200, MP3, framing="none"))
    await service.client.download_recording("call_1", tmp_path / "call.mp3")
    assert (tmp_path / "call.mp3").read_bytes() == MP3


async def test_a_link_that_leads_nowhere_good_is_not_followed(service: Service, tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match="refused"):
        await service.client.download_recording(Call("call_1", recording_url="file:///etc/passwd"), tmp_path / "x")
    assert service.server.requests == []


PROSPECTS = {
    "still going on": ({"status": "in_progress"}, RecordingNotReadyError),
    "just ended": ({"status": "completed"}, RecordingNotReadyError),
    "long ago": ({"status": "completed", "completed_at": "2020-01-01T00:00:00Z"}, RecordingGoneError),
    "never connected": ({"status": "no_answer"}, RecordingGoneError),
}


@pytest.mark.parametrize(("fields", "error"), PROSPECTS.values(), ids=PROSPECTS)
async def test_a_call_without_a_recording_tells_whether_one_may_come(
    service: Service, tmp_path: Path, fields: dict[str, Any], error: type[Exception]
) -> None:
    service.server.script(answer(404), path=FRESH)
    service.server.script(answer(200, json.dumps({"id": "call_1", **fields}).encode()), path="/v1/calls/call_1")
    with pytest.raises(error):
        await service.client.download_recording("call_1", tmp_path / "call.mp3")


async def test_a_call_that_does_not_exist_is_not_found(service: Service, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        await service.client.download_recording("call_1", tmp_path / "call.mp3")


async def test_something_in_the_way_is_told_at_once(service: Service, tmp_path: Path) -> None:
    service.storage(mp3())
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(LocalFileError) as raised:
        await service.client.download_recording(service.call, tmp_path / "file" / "call.mp3")
    assert raised.value.call_id == "call_1"
    assert service.server.requests == []


@awaiting_only
async def test_cancelling_leaves_no_broken_file(service: Service, tmp_path: Path) -> None:
    service.storage(Answer(mp3(cut=5000).wire, then="hang"))
    some = asyncio.Event()
    saving = asyncio.ensure_future(
        service.client.download_recording(
            service.call, tmp_path / "call.mp3", progress=lambda received, total: some.set()
        )
    )
    await some.wait()
    saving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await saving
    assert not (tmp_path / "call.mp3").exists()


async def test_progress_rises_to_the_total_and_cannot_break_the_download(
    service: Service, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    service.storage(mp3())
    seen: list[tuple[int, int | None]] = []

    def show(received: int, total: int | None) -> None:
        seen.append((received, total))
        raise ValueError("a mistake of the caller's")

    await service.client.download_recording(service.call, tmp_path / "call.mp3", progress=show)
    assert seen == sorted(seen)
    assert seen[-1] == (len(MP3), len(MP3))
    assert "a callback failed" in caplog.text


async def test_a_stream_gives_the_bytes_and_says_what_they_are(service: Service) -> None:
    service.storage(mp3())
    async with service.client.stream_recording(service.call) as stream:
        assert (stream.size_bytes, stream.content_type) == (len(MP3), "audio/mpeg")
        assert b"".join([piece async for piece in stream]) == MP3


async def test_a_stream_that_ends_short_says_so(service: Service) -> None:
    service.fresh_link(size_bytes=len(MP3))
    service.storage(answer(200, MP3[:5000], framing="none"))
    pieces: list[bytes] = []

    async def listen() -> None:
        async with service.client.stream_recording("call_1") as stream:
            async for piece in stream:
                pieces.append(piece)  # noqa: PERF401 - what came before the end is the point

    with pytest.raises(StreamInterruptedError) as raised:
        await listen()
    assert (b"".join(pieces), raised.value.received, raised.value.expected) == (MP3[:5000], 5000, len(MP3))


async def test_leaving_a_stream_lets_go_of_the_connection(service: Service) -> None:
    service.storage(Answer(mp3(cut=5000).wire, then="hang"))
    async with service.client.stream_recording(service.call) as stream:
        async for _ in stream:
            break
    await service.server.disconnected()
    assert len(service.server.requests) == 1


async def test_a_transcript_is_saved_as_it_came(service: Service, tmp_path: Path) -> None:
    text = "[Agent]: Good morning — naïve ₦?\r\n[Caller]: Hi."
    path = await service.client.download_transcript(Call("call_1", transcript=text), tmp_path / "a" / "call.txt")
    assert path.read_bytes() == text.encode("utf-8")
    assert service.server.requests == []


async def test_d8_a_lone_surrogate_becomes_a_replacement_character(service: Service, tmp_path: Path) -> None:
    path = await service.client.download_transcript(Call("call_1", transcript="a\ud83d b"), tmp_path / "call.txt")
    assert path.read_text(encoding="utf-8") == "a\ufffd b"


async def test_a_call_without_a_transcript_is_looked_at_once(service: Service, tmp_path: Path) -> None:
    service.server.script(answer(200, b'{"id": "call_1", "status": "in_progress"}'))
    with pytest.raises(TranscriptUnavailableError, match="still going on"):
        await service.client.download_transcript("call_1", tmp_path / "call.txt")
    assert len(service.server.requests) == 1


@pytest.mark.parametrize("call_id", ["..", "a/b", "", "x?y"])
async def test_an_id_that_would_ask_for_another_path_is_refused(
    service: Service, tmp_path: Path, call_id: str
) -> None:
    with pytest.raises(InvalidArgumentError):
        await service.client.download_recording(call_id, tmp_path / "x")
    with pytest.raises(InvalidArgumentError):
        service.client.stream_recording(call_id)
    with pytest.raises(InvalidArgumentError):
        await service.client.download_transcript(call_id, tmp_path / "x")
    assert service.server.requests == []
