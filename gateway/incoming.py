"""What a client sends: bytes by a time, and a body that has an end.

pywsgi lets a client take as long as it likes over a body, and the whole process too: it
reads chunks byte by byte, never gives way while there are some, and bounds neither
what stands beside the data nor how much of that there is. What it forgives in a chunk's
line (a bare LF, NUL), another may take for the line's end.
"""

from __future__ import annotations

import io
import re
import socket
import time
from typing import TYPE_CHECKING, Any, NoReturn

from gateway.head import is_field

if TYPE_CHECKING:
    from collections.abc import Callable

    from _typeshed import WriteableBuffer

_TURN_S = 0.001
"""For how long a client that sends without a pause has the process for itself."""
_DISCARD_BYTES_MAX = 16 * 2**20
_DISCARD_S = 2.0
_PIECE_BYTES = 65536
_BESIDE_BYTES_MAX = 16384
"""Of extensions and trailers in a body, all together."""
_SIZE = re.compile(rb"([0-9A-Fa-f]{1,16})((?:[\t ]*;[\t -~\x80-\xff]*)?)\r\n")
"""The line before a chunk (RFC 9112, section 7.1)."""
_END = b"\r\n"


class Incoming(io.RawIOBase):
    """The bytes as they come: they may let us wait, but not beyond a time.

    A timer is set only where there is a wait: mostly all has come already.
    give_way: lets others go before this client.
    """

    __slots__ = ("_deadline", "_give_way", "_sock", "_turn_began", "client", "reads")

    def __init__(self, sock: Any, give_way: Callable[[str], object]) -> None:
        super().__init__()
        self._give_way = give_way
        self.client = ""
        """Who sends, as far as it is known."""
        self._sock = sock
        self._deadline = 0.0
        self._turn_began = 0.0
        self.reads = 0
        """How often the client's bytes were asked for."""

    def end_within(self, seconds: float) -> None:
        """Have what is read from now on raise TimeoutError after this time."""
        self._deadline = time.monotonic() + seconds

    def give_way(self) -> None:
        """Let others have their turn when this client's is over."""
        if time.monotonic() - self._turn_began > _TURN_S:
            self._give_way(self.client)
            self._turn_began = time.monotonic()

    def has_more(self) -> bool:
        """Tell whether something has come that is not read yet."""
        self._sock.settimeout(0)
        try:
            return bool(self._sock.recv(1, socket.MSG_PEEK))
        except OSError:
            return False
        finally:
            self._sock.settimeout(None)

    def readable(self) -> bool:
        """Tell the reader above that this is for reading."""
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        """Read what there is, or wait for something."""
        now = time.monotonic()
        if now >= self._deadline:
            raise TimeoutError("what was to be sent has not come in time")
        if not self.reads:
            self._turn_began = now  # until then it was others that went first
        self.reads += 1
        self._sock.settimeout(0)
        try:
            size = int(self._sock.recv_into(buffer))
        except BlockingIOError:
            self._sock.settimeout(self._deadline - now)
            size = int(self._sock.recv_into(buffer))
            self._turn_began = time.monotonic()
        else:
            self.give_way()
        finally:
            self._sock.settimeout(None)  # TCP bounds what is sent
        return size


class Body:
    """A request's body, as far as it goes, whatever it comes in.

    length: in bytes; None where it comes in chunks.
    give_leave: tells a client that waits for it to send the body.
    abandoned: whether there is a rest still: the connection can't be used again.
    """

    __slots__ = (
        "_beside_left",
        "_file",
        "_give_leave",
        "_incoming",
        "_is_broken",
        "_is_chunked",
        "_is_in_chunk",
        "_left",
        "abandoned",
        "end_within",
    )

    def __init__(
        self,
        incoming: Incoming,
        file: io.BufferedIOBase,
        length: int | None,
        give_leave: Callable[[], None] | None = None,
    ) -> None:
        self._incoming = incoming
        self.end_within = incoming.end_within
        self.abandoned = False
        self._file = file
        self._give_leave = give_leave
        self._left = length or 0
        """Of the body, or of the chunk that is being read."""
        self._is_chunked = length is None
        self._is_in_chunk = False
        self._is_broken = False
        self._beside_left = _BESIDE_BYTES_MAX

    def read(self, size: int) -> bytes:
        """Return so many bytes, fewer only at the end.

        Raises OSError for a body that breaks the protocol or off, and TimeoutError.
        """
        pieces = []
        try:
            while size and (self._left or self._next_chunk()):
                piece = self._read_piece(size)
                size -= len(piece)
                pieces.append(piece)
        except OSError:
            self.abandoned = True  # nobody can tell where in it we are
            raise
        return b"".join(pieces)

    def _read_piece(self, size: int) -> bytes:
        self._leave()
        piece = self._file.read(min(size, self._left))
        if not piece:
            raise OSError("the body is cut off")
        self._left -= len(piece)
        return piece

    def _leave(self) -> None:
        give_leave, self._give_leave = self._give_leave, None
        if give_leave is not None:
            give_leave()

    def _next_chunk(self) -> bool:
        """Go on to the next chunk; False when the body is at its end."""
        if self._is_broken:
            raise OSError("the body is broken")
        if not self._is_chunked:
            return False
        self._leave()
        if self._is_in_chunk and self._file.read(len(_END)) != _END:
            self._break("a chunk that has another size")
        line = self._file.readline(_BESIDE_BYTES_MAX)
        found = _SIZE.fullmatch(line)
        if found is None:
            self._break("a chunk without a size")
        self._count(len(found[2]))
        self._left = int(found[1], 16)
        self._is_in_chunk = True
        if not self._left:
            self._skip_trailers()
            self._is_chunked = False
        return self._is_chunked

    def _skip_trailers(self) -> None:
        while (line := self._file.readline(_BESIDE_BYTES_MAX)) != _END:
            if not (line.endswith(_END) and is_field(line)):
                self._break("a trailer that is none")
            self._count(len(line))

    def _count(self, beside: int) -> None:
        self._beside_left -= beside
        if self._beside_left < 0:
            self._break("too much beside the data")

    def _break(self, reason: str) -> NoReturn:
        """Have nothing more taken for chunks."""
        self._is_broken = True
        raise OSError(reason)

    def discard(self) -> None:
        """Throw the unread rest away, within bounds."""
        self._give_leave = None  # who waits for it does not get it here
        try:
            self.abandoned |= not discard(self._incoming, self.read)
        except OSError:
            self.abandoned = True

    _discard = discard
    """pywsgi's name for it."""


def discard(incoming: Incoming, read: Callable[[int], bytes]) -> bool:
    """Read to the end, within bounds; tell whether it was reached."""
    incoming.end_within(_DISCARD_S)
    pieces = range(_DISCARD_BYTES_MAX // _PIECE_BYTES)
    return not all(read(_PIECE_BYTES) for _ in pieces)
