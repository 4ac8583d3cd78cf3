"""A source that gives each record once: a queue on loopback, which knows what it has handed out."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import orjson
from attrs import define

from tests.crash.events import END, event


def own_uuid(number: int) -> str:
    return f"once-{number}"


@define
class Queue:
    """Hands out events with uuids of their own, in order, to one reader after the other."""

    count: int
    _door: socket.socket
    handed: int = 0

    @property
    def port(self) -> int:
        return int(self._door.getsockname()[1])

    def serve(self) -> None:
        """Until the door is closed."""
        while True:
            try:
                reader, _ = self._door.accept()
            except OSError:
                return
            with reader:
                self._serve(reader)

    def _serve(self, reader: socket.socket) -> None:
        try:
            while reader.recv(1):
                if self.handed == self.count:
                    reader.sendall(END)
                    return
                self.handed += 1
                wire = event(self.handed - 1) | {"uuid": own_uuid(self.handed - 1)}
                reader.sendall(orjson.dumps(wire, option=orjson.OPT_APPEND_NEWLINE))
        except ConnectionError:
            return  # the reader was killed

    def handed_to_the_dead(self) -> int:
        """What was handed out, once all readers that were killed have been noticed: whoever comes later is served later."""
        with socket.create_connection(("127.0.0.1", self.port)) as probe:
            probe.shutdown(socket.SHUT_WR)
            assert probe.recv(1) == b""
        return self.handed


@contextmanager
def once(count: int) -> Iterator[Queue]:
    with socket.create_server(("127.0.0.1", 0)) as door:
        queue = Queue(count, door)
        thread = threading.Thread(target=queue.serve, name="queue", daemon=True)
        thread.start()
        try:
            yield queue
        finally:
            door.shutdown(socket.SHUT_RDWR)
            thread.join(10)
