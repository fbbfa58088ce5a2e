"""What a fault does to an answer on its way out. Which fault befalls which request is decided elsewhere."""

from __future__ import annotations

import socket
import struct

from aiohttp import web
from aiohttp.typedefs import Handler

from krosai_calls.sandbox.faults import Cut, Fault, HtmlPage, Stall
from krosai_calls.sandbox.pauses import Pauses

# Closing at once, with what is unsent thrown away: the other side sees a reset.
_LINGER_NOT = struct.pack("ii", 1, 0)
_PAGE = """<!DOCTYPE html>
<html><head><title>One moment, please</title></head>
<body><h1>One moment, please</h1><p>This page came in between.</p></body></html>
"""


async def answer_with(
    fault: Fault | None, request: web.Request, handler: Handler, pauses: Pauses
) -> web.StreamResponse | None:
    """Answer a request, with what the fault makes of it.

    What concerns refusals and recordings alone is not done here: their makers find the fault in ``request``.

    Returns:
        What was or is to be sent, or None where nothing is.
    """
    match fault:
        case HtmlPage(status):
            return web.Response(status=status, text=_PAGE, content_type="text/html")
        case Stall(seconds, 0):
            await pauses.wait(seconds)
        case Cut(0, by_reset):
            end_connection(request, by_reset=by_reset)
            return None
    response = await handler(request)
    if isinstance(fault, Cut | Stall) and fault.after_bytes and isinstance(response, web.Response):
        return await _in_two_parts(fault, request, response, pauses)
    return response


async def _in_two_parts(
    fault: Cut | Stall, request: web.Request, whole: web.Response, pauses: Pauses
) -> web.StreamResponse:
    body = whole.body if isinstance(whole.body, bytes) else b""
    sent = web.StreamResponse(status=whole.status, headers=whole.headers)
    sent.content_length = len(body)
    await sent.prepare(request)
    await sent.write(body[: fault.after_bytes])
    if isinstance(fault, Cut):
        end_connection(request, by_reset=fault.by_reset)
    else:
        await pauses.wait(fault.seconds)
        await sent.write(body[fault.after_bytes :])
    return sent


def end_connection(request: web.Request, *, by_reset: bool) -> None:
    """Close the connection of a request: when what was written has left, or at once and by a reset."""
    transport = request.transport
    if transport is None:
        return  # the other side was quicker
    if not by_reset:
        transport.close()
        return
    connection = transport.get_extra_info("socket")
    if connection is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
    transport.abort()
