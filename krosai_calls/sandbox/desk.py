"""Where every request arrives and every answer leaves, of both servers: noted, and told to a watcher."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from krosai_calls.sandbox.damage import answer_with
from krosai_calls.sandbox.faults import Fault, Faults
from krosai_calls.sandbox.journal import Journal, RecordedRequest
from krosai_calls.sandbox.pauses import Pauses

# Where the makers of answers find the fault that is theirs to act.
FAULT = web.RequestKey("fault", Fault | None)  # type: ignore[arg-type]  # a union is no class


class Desk:
    """What both servers do first and last.

    Args:
        journal: Where requests are noted.
        faults: What is to go wrong.
        pauses: Where is waited.
        on_request: Told of each request as it arrives, before it is answered.

    Attributes:
        on_request: The same; it may be changed at any time.
        on_answer: Told of each request once it is answered, with the status; with none where it was cut off.
        failure: What ``on_request`` raised first.
    """

    def __init__(
        self,
        journal: Journal,
        faults: Faults,
        pauses: Pauses,
        on_request: Callable[[RecordedRequest], object] | None,
    ) -> None:
        self._journal = journal
        self._pauses = pauses
        self._faults = faults
        self.on_request = on_request
        self.on_answer: Callable[[RecordedRequest], object] | None = None
        self.failure: BaseException | None = None

    def middleware(self, server: str) -> Middleware:
        """Make the outermost layer of a server, ``api`` or ``storage``."""

        @web.middleware
        async def layer(request: web.Request, handler: Handler) -> web.StreamResponse:
            ticket, noted = self._journal.arrived(
                server,
                request.method,
                request.path,
                request.query,
                request.headers,
                endpoint=request.match_info.route.name,
            )
            if not self._told(noted):
                response: web.StreamResponse | None = _failed()
            else:
                # After it was told: what on_request plans may befall this very request.
                request[FAULT] = fault = self._faults.take(noted)
                response = await answer_with(fault, request, handler, self._pauses)
            if response is not None:
                self._journal.answered(ticket, response.status)
            if self.on_answer is not None:
                self.on_answer(replace(noted, status=None if response is None else response.status))
            return web.Response() if response is None else response  # in the first case to nobody

        return layer

    def _told(self, noted: RecordedRequest) -> bool:
        if self.on_request is None:
            return True
        try:
            self.on_request(noted)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as failure:  # noqa: BLE001 - kept for the test; what pytest.fail raises is no Exception
            self.failure = self.failure or failure
            return False
        return True


def _failed() -> web.Response:
    text = "The sandbox's on_request raised an error; it is raised again when the sandbox is left.\n"
    return web.Response(status=500, text=text)
