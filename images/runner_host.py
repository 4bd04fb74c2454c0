"""The runner's way to the host: frames on descriptors 0 and 1.

These two are Docker's attach stream. The first READY tells of a socket that the host,
where it can, takes from us and then uses instead: Docker's own way there is long. It
takes the place of 0 and 1.

When descriptor 0 ends, the host has gone and the container ends with it, whatever the
runner is at: every wait of the runner listens to it.
"""

from __future__ import annotations

import _socket
import posix
import select
import time

from images import runner_json, wire

READ_BYTES = 65536
HOLD_S = 0.008
HELD_BYTES_MAX = 4096
_STDIN, _STDOUT = 0, 1


class Dirty(Exception):  # noqa: N818 - a verdict, not an error
    """The container can't be proven clean; the argument says why."""


class Host:
    """The frames that have come, and those that go."""

    def __init__(self) -> None:
        self._decoder = wire.Decoder(wire.HOST_KINDS, wire.FRAME_BYTES_MAX)
        self.frames: list[tuple[int, bytes]] = []
        """Received, and not yet looked at."""
        self._held = bytearray()
        self._held_until = 0.0
        self._ours, self._theirs = _socket.socketpair()
        self._attach: list[int] = []

    def offer(self) -> list[int]:
        """Return by what the host knows the socket that is for it."""
        fd = self._theirs.fileno()
        return [fd, posix.fstat(fd).st_ino]

    def _switch(self) -> None:
        """Go on by the socket, of which the host has its end now."""
        # Were these closed, Docker would take the stream to be at its end.
        self._attach = [posix.dup(_STDIN), posix.dup(_STDOUT)]
        for fd in (_STDIN, _STDOUT):
            posix.dup2(self._ours.fileno(), fd)
        self._ours.close()
        self._theirs.close()

    def receive(self) -> None:
        """Take in what has come, waiting if nothing has."""
        try:
            data = posix.read(_STDIN, READ_BYTES)
        except ConnectionResetError:
            data = b""  # it has gone without reading all that we said
        if not data:
            posix._exit(0)
        try:
            self.frames += self._decoder.feed(data)
        except wire.ProtocolError as error:
            raise Dirty(f"protocol: {error}") from None

    def next_job(self) -> bytes:
        """Wait for a job; what came before it belongs to one that is over."""
        while True:
            while self.frames:
                kind, payload = self.frames.pop(0)
                if kind == wire.JOB:
                    return payload
                if kind == wire.SWITCH and not self._attach:
                    self._switch()
            self.receive()

    def ask_to_go_on(self, evidence: object, deadline: float) -> None:
        """Say that a step is over, and wait until the host has seen to the next.

        What comes meanwhile is for that one.
        """
        self.send_json(wire.NEXT, evidence)
        while (go := (wire.GO, b"")) not in self.frames:
            if not wait_for_more(deadline):
                raise Dirty("the host does not answer")
            self.receive()
        self.frames.remove(go)

    def send(self, kind: int, payload: bytes) -> None:
        """Write one frame, behind those that are held back."""
        self._held += wire.encode(kind, payload)
        self.flush()

    def hold(self, kind: int, payload: bytes, seconds: float = HOLD_S) -> None:
        """Have the frame written soon: along with the next, or at the next `let_go`.

        Each write wakes the host, and by Docker's way two more processes; a short
        program writes, ends and is done in one.
        """
        until = time.monotonic() + seconds
        self._held_until = min(self._held_until, until) if self._held else until
        self._held += wire.encode(kind, payload)
        if len(self._held) > HELD_BYTES_MAX:
            self.flush()

    def let_go(self) -> float | None:
        """Write what has been held long enough; return seconds until the rest is."""
        if not self._held:
            return None
        left = self._held_until - time.monotonic()
        if left > 0:
            return left
        self.flush()
        return None

    def flush(self) -> None:
        """Write all that is held."""
        held, self._held = self._held, bytearray()
        data = memoryview(held)
        while data:
            data = data[posix.write(_STDOUT, data) :]

    def send_json(self, kind: int, message: object) -> None:
        """Write one frame with a JSON payload."""
        self.send(kind, runner_json.dumps(message))


def wait_for_more(deadline: float) -> bool:
    """Wait until the host has said something more; False when time is up."""
    poller = select.poll()
    poller.register(_STDIN, select.POLLIN)
    return bool(poller.poll(max(0, deadline - time.monotonic()) * 1000))


def wait_readable(*fds: int, deadline: float) -> bool:
    """Wait until one of these can be read; False when time is up."""
    poller = select.poll()
    for fd in fds:
        poller.register(fd, select.POLLIN)
    poller.register(_STDIN, 0)  # that is: tell only of its end
    left = deadline - time.monotonic()
    ready = dict(poller.poll(max(0, left * 1000)))
    if ready.pop(_STDIN, 0):
        posix._exit(0)
    return bool(ready)
