"""One TCP connection as the emulator holds it: the place where answers are cut off, withheld and reset."""

import asyncio
import socket
import struct
import sys

from attrs import define, field

from asyncimport.emulator.answer import Answer

# On, 0 seconds: close() sends RST instead of FIN (socket(7), SO_LINGER); Windows has shorts where POSIX has ints.
_LINGER_0_S = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)


@define(kw_only=True, eq=False)
class Wire:
    """A connection, by its transport.

    Attributes:
        lost: set once the connection is over, whoever ended it.
    """

    transport: asyncio.Transport = field(repr=False)
    lost: asyncio.Event = field(init=False, factory=asyncio.Event, repr=False)

    def reset(self) -> None:
        """End the connection by a TCP reset; what was written and not yet sent is dropped."""
        if self.transport.is_closing():
            # The client was faster.
            return
        sock = self.transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_0_S)
        self.transport.abort()

    def close(self) -> None:
        """End the connection in good order, by FIN, after what was written."""
        self.transport.close()

    def truncate(self, answer: Answer, *, content_length: bool) -> None:
        """Write the head and half of the body, and close.

        With a Content-Length, of the whole body, the reader can see the loss; without it he cannot.
        """
        if self.transport.is_closing():
            return
        length = f"Content-Length: {len(answer.body)}\r\n" if content_length else "Connection: close\r\n"
        head = f"HTTP/1.1 {answer.status} \r\nContent-Type: {answer.content_type}\r\n{length}\r\n"
        self.transport.write(head.encode("ascii") + answer.body[: len(answer.body) // 2])
        self.transport.close()
