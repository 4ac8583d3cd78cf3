"""The control door: ledger and faults of an emulator that runs in another process. For tests alone.

On a port of its own, so that the faults do not strike it and the ledger does not count it:

    GET  /__control__/ledger          the counts; with ?keys=1 every key's count, every request, the violations' texts
    POST /__control__/faults          replace all faults by the body, a fault file (`faultfile.py`)
    GET  /__control__/credentials     the newest token, the app id and its secret, as the emulator made them up
"""

from collections.abc import Callable
from typing import Any

import orjson
from aiohttp import web
from attrs import define, field

from asyncimport.emulator.faultfile import FaultFileError, parse_faults
from asyncimport.emulator.injector import Faults
from asyncimport.emulator.ledger import Ledger
from asyncimport.emulator.listener import Listener
from asyncimport.emulator.wire import Wire

PATH = "/__control__"
_KEEPALIVE_S = 75.0


@define(kw_only=True, eq=False)
class Control:
    """The door's own server. `open()`, then `close()`; each once.

    Attributes:
        credentials: gives what a client needs to come in.
        url: where the door is, once it is open.
    """

    ledger: Ledger
    faults: Faults
    credentials: Callable[[], dict[str, str]]
    url: str = field(init=False, default="")
    _listener: Listener = field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self._listener = Listener(handler=self._serve, connected=lambda: None, keepalive_s=_KEEPALIVE_S)

    async def open(self, host: str) -> None:
        """Listen on a free port.

        Cancellation: nothing listens.
        """
        port = await self._listener.start(host, 0)
        self.url = f"http://{f'[{host}]' if ':' in host else host}:{port}{PATH}"

    async def close(self) -> None:
        """Stop listening and end what is left.

        Cancellation: the rest is left to the event loop's own end.
        """
        await self._listener.stop()

    async def _serve(self, request: web.BaseRequest, _wire: Wire) -> web.StreamResponse:
        match request.method, request.path.removeprefix(PATH):
            case "GET", "/ledger":
                return _json(self.ledger.to_dict(keys=request.query.get("keys") == "1"))
            case "GET", "/credentials":
                return _json(self.credentials())
            case "POST", "/faults":
                return self._set_faults(await request.content.read())
        return _json({"error": "no such door"}, status=404)

    def _set_faults(self, body: bytes) -> web.Response:
        try:
            plan = parse_faults(body)
        except FaultFileError as error:
            return _json({"error": str(error)}, status=400)
        plan.install(self.faults)
        return _json({})


def _json(value: dict[str, Any], *, status: int = 200) -> web.Response:
    return web.Response(status=status, body=orjson.dumps(value), content_type="application/json")
