"""A web application that imports an event for each request: `uvicorn --app-dir examples web_app:app`.

The sink opens when the application starts, with ASYNCIMPORT_BASE_URL and ASYNCIMPORT_TOKEN, and is left when the server
has answered its last request: what was answered 202 is then delivered, or in `SPOOL` for the next start where one is named.
FastAPI takes the same `lifespan`.
"""

import contextlib
import os
import sys
from collections.abc import AsyncIterator
from typing import TypedDict

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from asyncimport import EVENTS, AsyncImportError, EventImportConfig, ImportClient, RunOptions, Sink, ValidationError


class State(TypedDict):
    """What every request may use."""

    sink: Sink


@contextlib.asynccontextmanager
async def lifespan(_app: Starlette) -> AsyncIterator[State]:
    """Open the sink before the first request, and leave it after the last."""
    spool = os.environ.get("SPOOL")
    async with ImportClient() as client:
        kept = RunOptions(journal=spool, spool=True) if spool else RunOptions()
        sink = client.open_sink(EVENTS, EventImportConfig(), **kept)
        try:
            async with sink:
                yield {"sink": sink}
            print(sink.report, file=sys.stderr)
        finally:  # also when the platform has ended it, by an error that leaving raises
            for lost in sink.undelivered:  # none with a spool; without, write them where they can be sent from later
                print(f"not delivered ({lost.state}): event {lost.record and lost.record['uuid']}", file=sys.stderr)


async def track(request: Request) -> JSONResponse:
    """Take in one event. 202 means that it is the sink's now; a browser need not wait for the platform."""
    sink: Sink = request.state.sink
    try:
        event = await request.json()
    except (ValueError, RecursionError):  # also bytes that are no UTF-8, and numbers without end
        return JSONResponse({"error": "the body is no JSON"}, status_code=400)
    try:
        await sink.put(event)
    except ValidationError as error:
        return JSONResponse({"problems": [str(problem) for problem in error.problems]}, status_code=422)
    except AsyncImportError as error:  # the sink closes, or the platform refuses the token: ask again later
        return JSONResponse({"error": str(error)}, status_code=503, headers={"Retry-After": "5"})
    return JSONResponse({}, status_code=202)


async def health(request: Request) -> JSONResponse:
    """What a probe wants to know."""
    now = request.state.sink.statistics()
    return JSONResponse({"put": now.put, "waiting": now.waiting, "accepted": now.accepted, "rejected": now.rejected})


app = Starlette(
    routes=[Route("/track", track, methods=["POST"]), Route("/health", health)],
    lifespan=lifespan,
)
