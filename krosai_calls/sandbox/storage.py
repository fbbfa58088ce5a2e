"""The storage host: recordings behind presigned links, on an origin of its own.

It knows no API key and asks for none. What it answers with follows RFC 9110, and its errors are XML, as those of
object stores are.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from concurrent.futures import Executor
from xml.sax.saxutils import escape

from aiohttp import web
from aiohttp.typedefs import Handler

from krosai_calls.sandbox.audio import Recorder, Recording
from krosai_calls.sandbox.desk import FAULT, Desk
from krosai_calls.sandbox.faults import IgnoreRange, Refuse, ReplaceRecording, WrongRange
from krosai_calls.sandbox.links import LinkState, Signer
from krosai_calls.sandbox.ranges import Portion, Version, decide, http_date, misplaced
from krosai_calls.sandbox.timeline import Call
from krosai_calls.sandbox.world import World


class Studio:
    """Makes recordings without holding up the loop.

    Args:
        recorder: What makes them.
        executor: Where the work is done.
    """

    def __init__(self, recorder: Recorder, executor: Executor) -> None:
        self._recorder = recorder
        self._executor = executor
        self._replaced: Counter[str] = Counter()

    async def recording(self, call: Call) -> Recording:
        """Give a call's recording as it is now."""
        times = self._replaced[call.id]
        name = f"{call.id}/{times}" if times else call.id
        remembered = self._recorder.remembered(name, call.duration)
        if remembered is not None:
            return remembered
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._executor, self._recorder.make, name, call.duration)

    def replace(self, call: Call) -> None:
        """Put another recording into the place of a call's: as long, and with other sounds."""
        self._replaced[call.id] += 1

    def reset(self) -> None:
        """Put every first recording back."""
        self._replaced.clear()


class Storage:
    """The storage host's requests and answers.

    Args:
        world: The calls whose recordings it keeps.
        signer: Checks the links.
        studio: Makes the recordings.
        expired_link_status: How a link that has expired is refused.
    """

    def __init__(self, world: World, signer: Signer, studio: Studio, expired_link_status: int) -> None:
        self._world = world
        self._signer = signer
        self._studio = studio
        self._expired_link_status = expired_link_status

    def application(self, desk: Desk) -> web.Application:
        """Make the web application that a server runs."""
        application = web.Application(middlewares=[desk.middleware("storage"), _refuse])
        application.router.add_get("/recordings/{call_id}.mp3", self._serve, name="recording")
        return application

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        fault = request.get(FAULT)
        if isinstance(fault, Refuse):
            return _refusal(fault.status, "InternalError", "This sandbox was told to refuse.", fault.headers)
        call_id = request.match_info["call_id"]
        call = self._world.find(call_id)
        expires, signature = request.query.get("expires", ""), request.query.get("signature", "")
        state = self._signer.check(call_id, expires, signature)
        if state is LinkState.FORGED:
            return _refusal(403, "SignatureDoesNotMatch", "The signature does not fit the request.")
        if state is LinkState.EXPIRED:
            return _refusal(self._expired_link_status, "AccessDenied", "Request has expired")
        if call is None or call.recorded_at is None or not call.retained:
            return _refusal(404, "NoSuchKey", "The specified key does not exist.")
        if isinstance(fault, ReplaceRecording):
            self._studio.replace(call)
        recording = await self._studio.recording(call)
        version = Version(recording.etag, call.recorded_at.replace(microsecond=0), len(recording.data))
        portion = decide(request.method, request.headers, version)
        if isinstance(fault, IgnoreRange) and portion.status in (206, 416):
            portion = Portion(200, 0, version.size)
        if isinstance(fault, WrongRange):
            portion = misplaced(portion)
        return _answer(portion, version, recording.data)


@web.middleware
async def _refuse(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except web.HTTPException as refusal:
        return _refusal(refusal.status, "NotFound", "There is no such path here.", dict(refusal.headers))


def _answer(portion: Portion, version: Version, data: bytes) -> web.Response:
    headers = {
        "ETag": version.etag,
        "Last-Modified": http_date(version.modified),
        "Accept-Ranges": "bytes",
    }
    if portion.status == 304:
        return web.Response(status=304, headers=headers)
    if portion.status == 412:
        return _refusal(412, "PreconditionFailed", "At least one of the preconditions did not hold", headers)
    if portion.status == 416:
        headers["Content-Range"] = f"bytes */{version.size}"
        return _refusal(416, "InvalidRange", "The requested range is not satisfiable", headers)
    if portion.status == 206:
        headers["Content-Range"] = f"bytes {portion.start}-{portion.stop - 1}/{version.size}"
    body = data[portion.start : portion.stop]
    return web.Response(status=portion.status, body=body, headers=headers, content_type="audio/mpeg")


def _refusal(status: int, code: str, message: str, headers: dict[str, str] | None = None) -> web.Response:
    kept = {name: value for name, value in (headers or {}).items() if name.lower() not in _OF_THE_BODY}
    body = (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f"<Error><Code>{escape(code)}</Code><Message>{escape(message)}</Message></Error>"
    )
    return web.Response(status=status, text=body, headers=kept, content_type="application/xml")


_OF_THE_BODY = frozenset({"content-type", "content-length"})
