"""The processes of ``archive.py``: ``archive_parts.py serve OPTIONS`` and ``archive_parts.py NAME URL KEY DIR``.

Those that archive print as JSON what it took, without imports: seconds, CPU, and memory over the import.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from download_clients import Stopwatch

AT_ONCE = 16
PAGE_SIZE = 100


# --- The service -------------------------------------------------------------------------------------------


def serve(options: dict[str, Any]) -> None:
    """Run a sandbox; each line that comes in is answered with what it was asked since the last one."""
    from krosai_calls.sandbox import Sandbox
    from krosai_calls.sandbox.audio import Recorder, join_ready_made

    with Sandbox(recorder=Recorder(join_ready_made), now=datetime.now(UTC), **options) as sandbox:
        print(json.dumps({"url": sandbox.base_url, "key": sandbox.api_key}), flush=True)
        for line in sys.stdin:
            api, storage = sandbox.api_requests, sandbox.storage_requests
            told = {
                "requests": len(api),
                "refusals": sum(request.status == 429 for request in api),
                "recordings": len(storage),
            }
            if line.strip() == "reset":
                sandbox.reset()
            print(json.dumps(told), flush=True)


# --- Those that archive ------------------------------------------------------------------------------------


def ours(url: str, key: str, folder: Path, watch: Stopwatch) -> int:
    """The client's archive, as it is."""
    from krosai_calls import AsyncCallsClient

    async def archived() -> int:
        async with AsyncCallsClient(key, base_url=url, max_concurrency=AT_ONCE) as client:
            with watch:
                report = await client.archive(folder)
        assert not report.failures, report.failures[0]
        return report.recordings_saved + report.recordings_present

    return asyncio.run(archived())


def by_the_documents(url: str, key: str, folder: Path, watch: Stopwatch) -> int:
    """What one writes first: requests, one after another, and for each recording a link from its endpoint."""
    return sequential(url, key, folder, watch, asks_for_links=True)


def sequential(url: str, key: str, folder: Path, watch: Stopwatch, *, asks_for_links: bool = False) -> int:
    """Requests, one after another, by the links in the list's rows; a file that is there is not fetched again."""
    import requests

    files = 0
    with requests.Session() as session, watch:

        def get(address: str, **options: Any) -> requests.Response:
            while (answer := session.get(address, **options)).status_code == 429:
                time.sleep(float(answer.headers.get("Retry-After", "1")))
            answer.raise_for_status()
            return answer

        def ask(what: str) -> Any:
            return get(f"{url}/calls{what}", headers={"x-api-key": key}).json()

        for call in _calls_of(lambda offset: ask(f"?limit={PAGE_SIZE}&offset={offset}")):
            target = _target(folder, call)
            if call["transcript"]:
                target.with_suffix(".txt").write_text(call["transcript"])
            if call["recording_url"]:
                files += 1
                if not target.exists():
                    link = (
                        ask(f"/{call['id']}/recording")["recording_url"]
                        if asks_for_links
                        else call["recording_url"]
                    )
                    with get(link, stream=True) as answer, target.open("wb") as file:
                        for chunk in answer.iter_content(2**16):
                            file.write(chunk)
    return files


def curl_and_aria2(url: str, key: str, folder: Path, watch: Stopwatch) -> int:
    """A script: curl for the pages, one after another, and aria2c for the recordings, sixteen at once."""
    if shutil.which("aria2c") is None or shutil.which("curl") is None:
        sys.exit("curl and aria2c are needed: apt install curl aria2")
    wanted, files = [], 0
    folder.mkdir(parents=True, exist_ok=True)
    with watch:

        def get_page(offset: int) -> Any:
            page = f"{url}/calls?limit={PAGE_SIZE}&offset={offset}"
            return json.loads(
                subprocess.check_output(["curl", "-sS", "--fail", "--retry", "9", "-H", f"x-api-key: {key}", page])
            )

        for call in _calls_of(get_page):
            target = _target(folder, call)
            if call["transcript"]:
                target.with_suffix(".txt").write_text(call["transcript"])
            if call["recording_url"]:
                files += 1
                if not target.exists():
                    wanted.append(f"{call['recording_url']}\n  dir={target.parent}\n  out={target.name}")
        if wanted:
            listed = folder / "wanted"
            listed.write_text("\n".join(wanted))
            quiet = ["-q", "-j", str(AT_ONCE), "--file-allocation=none", "--allow-overwrite=true"]
            subprocess.run(["aria2c", *quiet, "-i", str(listed)], check=True, stdout=subprocess.DEVNULL)
    return files


def _calls_of(get_page: Callable[[int], Any]) -> Iterator[Any]:
    offset = 0
    while True:
        page = get_page(offset)
        yield from page["calls"]
        offset += len(page["calls"])
        if offset >= page["total"] or not page["calls"]:
            return


def _target(folder: Path, call: Any) -> Path:
    day = folder / call["created_at"][:10]
    day.mkdir(parents=True, exist_ok=True)
    return day / f"{call['id']}.mp3"


ARCHIVISTS: dict[str, Callable[[str, str, Path, Stopwatch], int]] = {
    "krosai": ours,
    "requests": by_the_documents,
    "requests, rows": sequential,
    "curl + aria2": curl_and_aria2,
}


# --- The catalogue alone -----------------------------------------------------------------------------------


def catalogue(rows: int, folder: Path) -> dict[str, Any]:
    """Fill a catalogue with so many calls that come from nowhere, and run again with nothing new."""
    from listing_server import History

    from krosai_calls._codec import decode_page
    from krosai_calls._seams import ListedPage
    from krosai_calls._tally import ArchiveOrder, CallSource
    from krosai_calls._wire import Answer
    from krosai_calls.archive import archive_calls

    history = History(rows)
    asked = 0

    async def pages(bounds: Any) -> Any:
        nonlocal asked
        end = rows
        if "from_date" in bounds:
            latest = datetime(2025, 1, 10, 12, tzinfo=UTC)
            end = min(rows, (latest - bounds["from_date"]) // timedelta(seconds=7) + 1)
        for offset in range(0, end, PAGE_SIZE):
            asked += 1
            limit = min(PAGE_SIZE, end - offset)
            body = b"".join(history.page(end, limit, offset))
            answer = Answer("GET", "http://nowhere", 200, {}, body)
            page, _ = decode_page(answer, limit=limit, offset=offset)
            yield ListedPage(page.calls, end)
            await asyncio.sleep(0)

    async def never(*_: Any) -> Any:
        raise AssertionError("nobody asks for this here")

    source = CallSource({}, pages, never, never, never, never, lambda: asked)
    order = ArchiveOrder(folder, recordings=False, transcripts=False)
    told: dict[str, Any] = {}
    for name in ("first", "again"):
        watch, before = Stopwatch(), asked
        with watch:
            report = asyncio.run(archive_calls(source, order))
        told[name] = {
            "wall": watch.wall,
            "memory": watch.memory,
            "rows": report.calls_seen,
            "requests": asked - before,
        }
    told["bytes"] = (folder / "catalog.sqlite").stat().st_size
    return told


def main() -> None:
    """Be one of them."""
    name = sys.argv[1]
    if name == "serve":
        serve(json.loads(sys.argv[2]))
    elif name == "catalogue":
        print(json.dumps(catalogue(int(sys.argv[2]), Path(sys.argv[3]))))
    else:
        watch = Stopwatch()
        files = ARCHIVISTS[name](sys.argv[2], sys.argv[3], Path(sys.argv[4]), watch)
        print(json.dumps({"wall": watch.wall, "cpu": watch.cpu, "memory": watch.memory, "files": files}))


if __name__ == "__main__":
    main()
