"""The attach stream of one container: its reader and its writer."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import gevent
from gevent.queue import Queue

from actors.directory import send
from actors.messages import FramesReceived, StreamEnded
from images import wire

if TYPE_CHECKING:
    from actors.directory import AnyRef
    from actors.engine import Attached

log = logging.getLogger("warmbox.container")


class RunnerLink:
    """Frames to the runner, and from it: `FramesReceived`, at last `StreamEnded`.

    owner: the actor that is told; name: what it is called in the log.
    """

    def __init__(self, attached: Attached, owner: AnyRef, name: str) -> None:
        self.attached = attached
        self._owner = owner
        self._name = name
        self._decoder = wire.Decoder(wire.RUNNER_KINDS, wire.REPLY_BYTES_MAX)
        self._outbox: Queue[bytes | None] = Queue()
        self._writing = False
        """Whether the writer has something to write."""
        gevent.spawn(self._write)

    def read(self) -> None:
        """Drain the stream to its end, in the caller's greenlet.

        Whatever comes is taken at once, so that Docker never waits for us.
        """
        reason = "stream ended"
        try:
            while data := self.attached.receive():
                frames = self._decoder.feed(data)
                if frames and not send(self._owner, FramesReceived(tuple(frames))):
                    return
        except wire.ProtocolError as error:
            reason = f"protocol: {error}"
        if self.attached.stderr:
            log.warning("%s said: %r", self._name, self.attached.stderr)
        send(self._owner, StreamEnded(reason))

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
        """Let the writer end; the stream itself is the engine's to close."""
        self._outbox.put(None)
