"""One step of a job, watched: bytes moved, limits kept, its end put on record.

A step ends when its process has ended, whoever else may still hold its pipes, or
when the runner stops it. In both cases what the pipes hold by then is still sent.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import fcntl
import posix
import select
import time

from images import wire
from images.runner_host import READ_BYTES, Dirty

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from images.runner_children import Child, Launcher
    from images.runner_host import Host
    from images.runner_kernel import Gauge

TICK_S = 0.05
PROCESSORS = posix.cpu_count() or 1
MEANWHILE_S = 0.003
"""Who runs for less is not disturbed: what has just begun wants all processors."""
STDIN_BYTES_MAX = 32 << 20
"""What a job may have yet to read: the job's own (`http.stdin_kb_max`), and what a
worker keeps of what is sent to it (8 MiB)."""
FIONREAD = 0x541B
"""The kernel's number (asm-generic/ioctls.h): a library to load, for that alone."""
_KINDS = {"stdout": wire.STDOUT, "stderr": wire.STDERR}


class Limits:
    """What a step may use."""

    def __init__(self, wall_s: float, cpu_s: float, output_bytes: int) -> None:
        self.wall_s = wall_s
        self.cpu_s = cpu_s
        self.output_bytes = output_bytes


class Stdin:
    """What the program has yet to read."""

    def __init__(self, data: bytes, *, ended: bool) -> None:
        self.data = bytearray(data)
        self.ended = ended

    def add(self, data: bytes) -> None:
        """Take more in: what lies behind it may be a CANCEL, so none of it can wait."""
        if len(self.data) + len(data) > STDIN_BYTES_MAX:
            raise Dirty("protocol: more stdin than any job is sent")
        self.data += data

    def write(self, fd: int) -> bool:
        """Write what the pipe takes now; False when nothing more will follow."""
        try:
            while self.data:
                del self.data[: posix.write(fd, self.data[:READ_BYTES])]
        except BlockingIOError:
            return True
        except BrokenPipeError:
            self.data.clear()
            return False
        return not self.ended


class Step:
    """The watch over one child."""

    def __init__(
        self,
        phase: str,
        limits: Limits,
        stdin: Stdin,
        host: Host,
        launcher: Launcher,
        cpu: Gauge,
    ) -> None:
        self.phase = phase
        self.stopped: str | None = None
        """Why the runner ended it, if it did."""
        self.truncated = False
        self._limits = limits
        self._output_left = limits.output_bytes
        self._stdin = stdin
        self._host = host
        self._launcher = launcher
        self._cpu = cpu
        self._cpu_started = cpu.read()
        self._started = time.monotonic()
        self._wall_s: float | None = None
        self._child: Child | None = None
        self._meanwhile: Callable[[], None] | None = None
        self._meanwhile_at = 0.0

    # ----------------------------------------------------------------- the watch

    def watch(
        self,
        child: Child,
        wake: int,
        reap: Callable[[], None],
        meanwhile: Callable[[], None],
    ) -> bool:
        """Stay with the child to its end; False when it has to be killed.

        wake: becomes readable when an orphan has died, which `reap` then buries.
        meanwhile: done once, unless the child ends before that.
        """
        self._child = child
        self._meanwhile = meanwhile
        self._meanwhile_at = time.monotonic() + MEANWHILE_S
        while not self._over():
            self._keep_limits()
            if self._meanwhile is not None and self._meanwhile_in() <= 0:
                self._meanwhile = None
                meanwhile()
            ready = self._wait(wake)
            if wake in ready:
                posix.read(wake, READ_BYTES)
                reap()
            if self._launcher.socket.fileno() in ready:
                self._launcher.receive(time.monotonic() + 1)
            if 0 in ready:
                self._host.receive()
            for name in ("stdout", "stderr"):
                if child.ends.get(name) in ready:
                    self._relay(name)
        self._clock()
        return self.stopped is None and all(
            _hung_up(fd) for name, fd in child.ends.items() if name != "stdin"
        )

    def _over(self) -> bool:
        child = self._child
        return self.stopped is not None or (
            child is not None and child.pid in self._launcher.exits
        )

    def _wait(self, wake: int) -> set[int]:
        """Wait for whatever comes first; stdin is written on the way."""
        assert self._child  # noqa: S101 - it is what we wait for
        self._hear()
        self._feed(self._child)
        poller = select.poll()
        for fd in (wake, self._launcher.socket.fileno()):
            poller.register(fd, select.POLLIN)
        poller.register(0, select.POLLIN)
        for name, fd in self._child.ends.items():
            if name != "stdin":
                poller.register(fd, select.POLLIN)
            elif self._stdin.data:
                poller.register(fd, select.POLLOUT)
        left = self._started + self._limits.wall_s - time.monotonic()
        held_s = self._host.let_go()
        if held_s is not None:
            left = min(left, held_s)
        if self._meanwhile is not None:
            left = min(left, self._meanwhile_in())
        timeout_s = 0 if self._over() else max(0, min(left, TICK_S))
        return {fd for fd, _ in poller.poll(timeout_s * 1000)}

    def _meanwhile_in(self) -> float:
        return self._meanwhile_at - time.monotonic()

    def _hear(self) -> None:
        """Take the host's frames in, as long as they are for this job."""
        frames = self._host.frames
        while frames:
            kind, payload = frames.pop(0)
            if kind == wire.CANCEL:
                self.stopped = self.stopped or "cancelled"
            elif kind == wire.STDIN and not self._stdin.ended:
                self._stdin.add(payload)
            elif kind == wire.STDIN_END:
                self._stdin.ended = True
            elif kind == wire.JOB:
                raise Dirty("protocol: a job during a job")

    def _feed(self, child: Child) -> None:
        fd = child.ends.get("stdin")
        if self.phase == "compile":
            child.close_end("stdin")
        elif fd is None:
            self._stdin.data.clear()
        elif not self._stdin.write(fd):
            child.close_end("stdin")

    def _relay(self, name: str) -> int:
        """Send one read's worth of output, within the limit; returns its length."""
        assert self._child  # noqa: S101 - it is whose output we read
        try:
            data = posix.read(self._child.ends[name], READ_BYTES)
        except BlockingIOError:
            return 0
        if not data:
            self._child.close_end(name)
        elif len(data) > self._output_left:
            self.truncated = True
            self.stopped = self.stopped or "output"
        if kept := data[: self._output_left]:
            self._output_left -= len(kept)
            self._host.hold(_KINDS[name], kept)
        return len(data)

    def _keep_limits(self) -> None:
        """Stop the step when its time is over."""
        elapsed_s = time.monotonic() - self._started
        if elapsed_s >= self._limits.wall_s:
            self.stopped = self.stopped or "wall"
        elif elapsed_s * PROCESSORS < self._limits.cpu_s:
            return  # so much can't have been used yet
        elif (self._cpu.since(self._cpu_started) or 0) >= self._limits.cpu_s * 1e3:
            self.stopped = self.stopped or "cpu"

    # ------------------------------------------------------------------- the end

    def finish(self) -> None:
        """Send what the pipes still hold, and no more: others may go on writing.

        Whoever was to be killed and was not, in the time that there is for it, leaves
        the step without a status of its own: see `evidence`.
        """
        assert self._child  # noqa: S101 - it has been watched
        self._clock()
        for name in ("stdout", "stderr"):
            left = _waiting(self._child.ends.get(name))
            while left > 0 and not self.truncated and (got := self._relay(name)):
                left -= got
        exited = self._launcher.exits.get(self._child.pid)
        at_limit = exited and exited.cpu_s >= self._limits.cpu_s
        if at_limit and self._signal() == _signal.SIGXCPU:
            self.stopped = self.stopped or "cpu"  # the kernel was quicker than we

    def stop(self, reason: str) -> None:
        """Have it count as ended by us, unless it does already."""
        self.stopped = self.stopped or reason

    def _clock(self) -> None:
        if self._wall_s is None:
            self._wall_s = time.monotonic() - self._started

    @property
    def succeeded(self) -> bool:
        """Whether the job may go on with its next step."""
        return self.stopped is None and self._status() == 0

    def evidence(self) -> dict[str, object]:
        """Return how the step ended, in JSON's terms."""
        status = self._status()
        return {
            "exit_code": posix.WEXITSTATUS(status) if posix.WIFEXITED(status) else None,
            "signal": self._signal(),
            "stopped": self.stopped,
            "wall_ms": round((self._wall_s or 0) * 1e3, 3),
        }

    def _status(self) -> int:
        assert self._child  # noqa: S101 - it has been watched
        exited = self._launcher.exits.get(self._child.pid)
        if exited is not None:
            return exited.status
        if self.stopped is None:
            raise Dirty("the step's process was lost")
        return int(_signal.SIGKILL)  # that is what it has been sent, and will end by

    def _signal(self) -> int | None:
        status = self._status()
        return posix.WTERMSIG(status) if posix.WIFSIGNALED(status) else None


def _hung_up(fd: int) -> bool:
    """Tell whether nobody can write to this pipe any more."""
    poller = select.poll()
    poller.register(fd, 0)
    return bool(poller.poll(0))


def _waiting(fd: int | None) -> int:
    """Return how many bytes the pipe holds."""
    if fd is None:
        return 0
    return int.from_bytes(fcntl.ioctl(fd, FIONREAD, bytes(4)), "little")
