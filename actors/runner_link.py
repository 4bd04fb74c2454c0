"""The way to one container's runner: its readers and its writer.

The way begins as Docker's attach stream, and goes on by a socket of the runner's where
that can be had (actors/direct_socket.py).
"""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING

import gevent
from gevent.queue import Queue

from actors.directory import send
from actors.messages import FramesReceived, StreamEnded
from images import wire

if TYPE_CHECKING:
    from collections.abc import Callable

    from actors.directory import AnyRef
    from actors.engine import Attached

log = logging.getLogger("warmbox.container")


FDS_MAX = 1 << 20


def offered_socket(ready: bytes) -> tuple[int, int] | None:
    """Return the descriptor and the inode that a runner's first READY speaks of."""
    try:
        fd, inode = json.loads(ready)["socket"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return None  # a runner of before has none
    if type(fd) is not int or type(inode) is not int or not 0 <= fd < FDS_MAX:
        return None
    return fd, inode


class RunnerLink:
    """Frames to the runner, and from it: `FramesReceived`, at last `StreamEnded`.

    owner: the actor that is told; name: what it is called in the log.
    """

    def __init__(self, attached: Attached, owner: AnyRef, name: str) -> None:
        self.attached = attached
        self._owner = owner
        self._name = name
        self._is_met = False
        """Whether the runner has said its first word."""
        self._direct: gevent.Greenlet[[], None] | None = None
        """The reader of the direct way, where there is one."""
        self._is_closed = False
        self._outbox: Queue[bytes | None] = Queue()
        self._writing = False
        """Whether the writer has something to write."""
        gevent.spawn(self._write)

    def read(self) -> None:
        """Drain the stream to its end, in the caller's greenlet.

        Whatever comes is taken at once, so that Docker never waits for us.
        """
        reason = self._take(self.attached.receive)
        if self._direct is not None:
            # What it has written last is in the socket still.
            self.attached.end_direct()
            self._direct.join()
        if self.attached.stderr:
            log.warning("%s said: %r", self._name, self.attached.stderr)
        self._tell(StreamEnded(reason or "stream ended", self.attached.id))

    def _take(self, receive: Callable[[], bytes]) -> str:
        """Pass frames on to the end; returns what was wrong with them, if anything."""
        decoder = wire.Decoder(wire.RUNNER_KINDS, wire.REPLY_BYTES_MAX)
        try:
            while data := receive():
                frames = decoder.feed(data)
                if frames and not self._is_met:
                    self._meet(*frames[0])
                if frames and not self._tell(FramesReceived(tuple(frames))):
                    break
        except wire.ProtocolError as error:
            return f"protocol: {error}"
        return ""

    def _meet(self, kind: int, payload: bytes) -> None:
        """Take what the runner offers with its first word, if it can be had."""
        self._is_met = True
        offer = offered_socket(payload) if kind == wire.READY else None
        if offer and self.attached.go_direct(*offer):
            self._direct = gevent.spawn(self._read_direct)

    def _read_direct(self) -> None:
        """Read to the end, of which the attach stream's tells; or end it all."""
        reason = self._take(self.attached.receive_direct)
        if reason:
            self._tell(StreamEnded(reason, self.attached.id))

    def _tell(self, message: object) -> bool:
        return not self._is_closed and send(self._owner, message)

    def send(self, frame: bytes) -> None:
        """Write what can be written at once, and leave the rest to the writer."""
        if not self._writing:
            frame = frame[self.attached.send_now(frame) :]
        if frame:
            self._writing = True
            self._outbox.put(frame)

    def _write(self) -> None:
        # A write may wait for the runner, and a handler may not.
        try:
            while (data := self._outbox.get()) is not None:
                self.attached.send(data)
                self._writing = not self._outbox.empty()
        except OSError:
            return  # the reader sees the end of the stream

    def close(self) -> None:
        """Tell the owner nothing more, and let the writer end.

        The stream itself is the engine's to close.
        """
        self._is_closed = True
        self._outbox.put(None)
