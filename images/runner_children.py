"""The runner's end of the launcher, and of the children that it makes."""

from __future__ import annotations

import _socket
import marshal
import posix
import select
import sys
import time

from images.runner_host import Dirty, wait_readable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Role = tuple[str, Mapping[str, object]]
    """What a child is to be, and the options of that."""
    Wanted = tuple[str, Mapping[str, object], int]
    """A role, and how many descriptors the child gets."""

WORK, HOME = "/box/work", "/box/home"
BOX_GID = 990
"""The group that may make and remove these two."""
BASE_ENV = {
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "HOME": HOME,
    "TMPDIR": "/tmp",  # noqa: S108 - the container's own
    "LANG": "C.UTF-8",
    "USER": "box",
    "LOGNAME": "box",
    "PWD": WORK,
    "TERM": "xterm",  # for what can't do without, as `clear`; nothing here is one
}
_MESSAGE_BYTES = 4096


class Exit:
    """How a child ended, and what it used."""

    def __init__(self, uid: int, status: int, cpu_s: float, memory_kb: int) -> None:
        self.uid = uid
        """Its real one: that of its job, which it can't change."""
        self.status = status
        self.cpu_s = cpu_s
        self.memory_kb = memory_kb


class Child:
    """A prepared process, our end of its control socket and of its pipes."""

    def __init__(self, pid: int, control: _socket.socket, ends: Sequence[int]) -> None:
        self.pid = pid
        self.control = control
        self.ends = dict(zip(("stdin", "stdout", "stderr"), ends, strict=False))
        """The pipes that are still open."""

    def has_ended(self) -> bool:
        """Tell whether it is not there any more; what waits for a job says nothing."""
        poller = select.poll()
        poller.register(self.control.fileno(), select.POLLIN)
        return bool(poller.poll(0))

    def close(self) -> None:
        """Close all that is still open."""
        self.control.close()
        for name in list(self.ends):
            self.close_end(name)

    def close_end(self, name: str) -> None:
        """Close one pipe; once is enough."""
        fd = self.ends.pop(name, None)
        if fd is not None:
            posix.close(fd)

    def tell(self, message: bytes, deadline: float) -> None:
        """Send a message with its length before it."""
        self.control.settimeout(_left(deadline))
        try:
            self.control.sendall(len(message).to_bytes(4, "big") + message)
        except OSError as error:
            raise Dirty(f"a child took no message: {error}") from None

    def answer(self, deadline: float) -> bytes:
        """Return what the child says; nothing if it has died."""
        if not wait_readable(self.control.fileno(), deadline=deadline):
            raise Dirty("a child does not answer")
        try:
            return self.control.recv(_MESSAGE_BYTES)
        except OSError:
            return b""

    def expect(self, word: bytes, deadline: float) -> None:
        """Take the word that says that all went well."""
        answer = self.answer(deadline)
        if answer != word:
            raise Dirty("a child failed: " + answer.decode("utf-8", "replace"))


class Launcher:
    """Fork requests out, exit notices in."""

    def __init__(self, pid: int, control: _socket.socket, stderr: int) -> None:
        self.exits: dict[int, Exit] = {}
        """The children that have ended, of this job and those for the next.

        Those that it was never asked for are there too: a program can make itself a
        sibling (CLONE_PARENT), and may have done so as a job that is over.
        """
        self.pid = pid
        self.socket = control
        self._stderr = stderr
        self._asked: list[list[int]] = []
        """Where the pids go that have been asked for, in the order of the requests."""

    def ask(
        self, uid: int, wanted: Sequence[Wanted], fds: Sequence[int], deadline: float
    ) -> list[int]:
        """Ask for children that share out `fds` in their order.

        All in one request: each answer is a wait for a processor. What is returned is
        empty, and has their pids when the answer has come (see `await_forks`).
        """
        request: object = (uid, list(wanted))
        self.socket.settimeout(_left(deadline))
        try:
            rights = b"".join(fd.to_bytes(4, sys.byteorder) for fd in fds)
            ancillary = (_socket.SOL_SOCKET, _socket.SCM_RIGHTS, rights)
            self.socket.sendmsg([marshal.dumps(request)], [ancillary])  # type: ignore[arg-type]
        except OSError:
            raise self._death() from None
        pids: list[int] = []
        self._asked.append(pids)
        return pids

    def receive(self, deadline: float) -> None:
        """Take one message in: of children that have been made, or one that ended."""
        if not wait_readable(self.socket.fileno(), deadline=deadline):
            raise Dirty("the launcher does not answer")
        try:
            data = self.socket.recv(_MESSAGE_BYTES)
        except OSError:
            data = b""
        if not data:
            raise self._death()
        word, pid, *rest = marshal.loads(data)
        if word == "forked":
            self._asked.pop(0).extend(pid)
        else:
            self.exits[pid] = Exit(*rest)

    def take_waiting(self) -> None:
        """Take in what has come already."""
        while wait_readable(self.socket.fileno(), deadline=0):
            self.receive(0)

    def await_forks(self, pids: Sequence[int], deadline: float) -> None:
        """Wait until what `ask` returned is filled."""
        while not pids:
            self.receive(deadline)

    def await_exits(self, pids: Sequence[int], deadline: float) -> None:
        """Wait until all of these have ended."""
        while any(pid not in self.exits for pid in pids):
            self.receive(deadline)

    def _death(self) -> Dirty:
        try:
            said = posix.read(self._stderr, _MESSAGE_BYTES).decode("utf-8", "replace")
        except BlockingIOError:
            said = ""
        return Dirty("the launcher has died: " + said[-500:])


def find_program(name: str) -> str:
    """Return the path of a program that is part of the image."""
    for folder in BASE_ENV["PATH"].split(":"):
        path = f"{folder}/{name}"
        if posix.access(path, posix.X_OK):
            return path
    raise FileNotFoundError(f"no program {name} on {BASE_ENV['PATH']}")


class Making:
    """Children that the launcher has been asked for, with fresh pipes.

    Our ends of the pipes don't block.
    """

    def __init__(
        self, launcher: Launcher, uid: int, roles: Sequence[Role], deadline: float
    ) -> None:
        self._launcher = launcher
        self._kept: list[tuple[_socket.socket, list[int]]] = []
        given: list[int] = []
        for _ in roles:
            ours, theirs = _socket.socketpair()
            stdin, stdout, stderr = pipes_of(uid, 3)
            ends = [stdin[1], stdout[0], stderr[0]]
            for fd in ends:
                posix.set_blocking(fd, False)
            given += [theirs.detach(), stdin[0], stdout[1], stderr[1]]
            self._kept.append((ours, ends))
        wanted = [(role, options, len(given) // len(roles)) for role, options in roles]
        try:
            self.pids: list[int] = launcher.ask(uid, wanted, given, deadline)
        finally:
            for fd in given:
                posix.close(fd)

    def finish(self, deadline: float) -> list[Child]:
        """Return the children, in the order of their roles, when they are there."""
        self.settle(deadline)
        ends = zip(self.pids, self._kept, strict=True)
        return [Child(pid, *ours) for pid, ours in ends]

    def settle(self, deadline: float) -> None:
        """Wait until the pids are known."""
        self._launcher.await_forks(self.pids, deadline)


def pipes_of(uid: int, count: int) -> list[tuple[int, int]]:
    """Return pipes that this uid may open anew, as /dev/stdin and /proc/self/fd do.

    A pipe belongs to whom its maker acted as. Our real and saved uid stay root's, so
    nobody could signal us meanwhile.
    """
    posix.seteuid(uid)
    try:
        return [posix.pipe() for _ in range(count)]
    finally:
        posix.seteuid(0)


def make_killer(launcher: Launcher, uids: tuple[int, int], deadline: float) -> Child:
    """Make a killer: it acts as the first uid, and the second keeps it safe."""
    ours, theirs = _socket.socketpair()
    wanted = [("killer", {"guard": uids[1]}, 1)]
    try:
        pids = launcher.ask(uids[0], wanted, [theirs.fileno()], deadline)
    finally:
        theirs.close()
    launcher.await_forks(pids, deadline)
    return Child(pids[0], ours, ())


def _left(deadline: float) -> float:
    return max(deadline - time.monotonic(), 0.001)
