"""What the kernel shows of the container: its use of resources, and what is left.

Read by the runner, as PID 1. Absent files are no error: another runtime or another
version of cgroups shows less, and the runner then compares or measures less.
"""

from __future__ import annotations

import posix
import select
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

CGROUP = "/sys/fs/cgroup"
TMPFS = ("/box", "/tmp", "/dev/shm")  # noqa: S108 - the writable places
MQUEUE = "/dev/mqueue"
_IPC = ("sysvipc/shm", "sysvipc/sem", "sysvipc/msg")
_LABELS = "net/ip6_flowlabel"
"""Of IPv6 flows: they outlive who made them, and hold bytes of its choice."""
_SOCKETS = ("net/sockstat", "net/sockstat6")
Count = tuple[str, str, int]
"""Of sockets: the protocol, what is counted, how many."""
_PIECE_BYTES = 1 << 16
PEAK_BYTES = 160 << 20
"""More than the largest job makes us grow by, in addresses."""
_CPU_CLOCK = 2
"""The clock of a process that counts the time which the scheduler gave it."""


class Place:
    """Where a figure is to be found: a file, the keys to add up, the unit."""

    def __init__(self, file: str, keys: tuple[str, ...] = (), unit: float = 1) -> None:
        self.file = file
        self.keys = keys
        self.unit = unit


CPU_MS = (
    Place("cpu.stat", ("usage_usec",), 1e-3),
    Place("cpuacct/cpuacct.usage", (), 1e-6),
)
"""CPU time of the whole container so far, in cgroup v2 and v1."""

OOM_KILLS = (
    Place("memory.events", ("oom_kill",)),
    Place("memory/memory.oom_control", ("oom_kill",)),
)
"""How many processes of the container the kernel has killed for memory."""

TASKS = (Place("pids.current"), Place("pids/pids.current"))
"""Processes and threads of the container, without those that are buried."""


def parse_figure(text: str, keys: tuple[str, ...]) -> int | None:
    """Return a file's only number, or the sum of those behind `keys` in its lines."""
    if not keys:
        return int(text)
    pairs = (line.partition(" ") for line in text.splitlines())
    found = [int(value) for key, _, value in pairs if key in keys]
    return sum(found) if found else None


class Gauge:
    """A figure of the control group, from the first of its places that has it."""

    def __init__(self, places: tuple[Place, ...], root: str = CGROUP) -> None:
        for place in places:
            self._place = place
            self._fd = _open(root + "/" + place.file)
            if self.read() is not None:
                return
        self._fd = -1

    def read(self) -> float | None:
        """Return the figure as it is now; None where the kernel doesn't show it."""
        if self._fd < 0:
            return None
        text = posix.pread(self._fd, 1 << 16, 0).decode("ascii")
        figure = parse_figure(text, self._place.keys)
        return None if figure is None else figure * self._place.unit

    def since(self, before: float | None) -> float | None:
        """Return what has been added since it was read as `before`."""
        now = self.read()
        return None if before is None or now is None else round(now - before, 3)


def _open(path: str, flags: int = posix.O_RDONLY) -> int:
    try:
        return posix.open(path, flags)
    except OSError:
        return -1


def read_text(path: str) -> str:
    """Return a file's text, or nothing if there is no such file."""
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return file.read()
    except OSError:
        return ""


def processes() -> set[int]:
    """Return every process that the kernel shows."""
    return {int(name) for name in posix.listdir("/proc") if name.isdigit()}


def parse_sockets(text: str) -> tuple[list[Count], list[Count]]:
    """Return the counts of a sockstat file: of what is there, of what was closed.

    Only the container's own: others are the whole host's.
    """
    present: list[Count] = []
    closed: list[Count] = []
    for line in text.splitlines():
        protocol, *words = line.split()
        for key, value in zip(words[::2], words[1::2], strict=False):
            if key in {"used", "inuse"}:
                present.append((protocol, key, int(value)))
            elif key == "tw":
                closed.append((protocol, key, int(value)))
    return present, closed


class Text:
    """A file of the kernel's that is read again and again, and so stays open."""

    def __init__(self, path: str) -> None:
        self._fd = _open(path)

    def read(self) -> str:
        """Return the text as it is now; nothing if there is no such file."""
        if self._fd < 0:
            return ""
        data = b""
        while piece := posix.pread(self._fd, _PIECE_BYTES, len(data)):
            data += piece
        return data.decode("utf-8", "surrogateescape")


class Mounts(Text):
    """What is mounted: read anew only when the kernel says that it has changed.

    To write these lines out takes the kernel longer than all else that is observed.
    On Linux the file polls as readable, and as exceptional when there was a change
    since one asked last (proc_pid_mounts(5)). On a kernel that doesn't know this it
    polls as any file does, as writable too: then it is read each time.
    """

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self._poller = select.poll()
        if self._fd >= 0:
            wanted = select.POLLIN | select.POLLOUT | select.POLLPRI
            self._poller.register(self._fd, wanted)
        self._text = super().read()

    def read(self) -> str:
        """Return the text as it is now."""
        if self._poller.poll(0) != [(self._fd, select.POLLIN)]:
            self._text = super().read()
        return self._text


class Observer:
    """Sees all that must be the same between any two jobs."""

    def __init__(self, proc: str = "/proc", places: Sequence[str] = TMPFS) -> None:
        self._places = places
        self._mounts = Mounts(f"{proc}/self/mountinfo")
        self._ipc = [Text(f"{proc}/{file}") for file in _IPC]
        self._labels = Text(f"{proc}/{_LABELS}")
        self._sockets = [Text(f"{proc}/{file}") for file in _SOCKETS]

    def observe(self) -> dict[str, object]:
        """Return it as it is now; two of these can be compared."""
        sockets = [parse_sockets(text.read()) for text in self._sockets]
        return {
            "mounts": self._mounts.read(),
            "ipc": [text.read() for text in self._ipc],
            "labels": self._labels.read(),
            "sockets": [own for own, _ in sockets],
            # One that has been closed stays for a minute, and keeps its port.
            "connections": [closed for _, closed in sockets],
            "space": [_filled(path) for path in self._places],
            "files": [_names(path) for path in (*self._places, MQUEUE)],
        }


class OwnPeak:
    """What the kernel shows of our own largest size, which would tell of sources."""

    def __init__(self) -> None:
        self._fd = _open("/proc/self/clear_refs", posix.O_WRONLY)
        try:
            bytes(PEAK_BYTES)  # never touched: it takes addresses, and no memory
        except MemoryError:
            return  # the host promises no more addresses than it has memory

    def forget(self) -> None:
        """Have the largest resident size be that of now (proc_pid_clear_refs(5))."""
        if self._fd >= 0:
            posix.write(self._fd, b"5")


def cpu_ms_of(pid: int) -> float:
    """Return a process's CPU time; 0 where the kernel keeps that for itself."""
    try:
        # The clock of another process, by its number (clock_getcpuclockid(3)).
        return time.clock_gettime(~pid << 3 | _CPU_CLOCK) * 1e3
    except OSError:
        return 0.0


def scheduling(pid: int) -> tuple[int, set[int]]:
    """Return a process's nice value and processors. gVisor lets anybody set them."""
    return posix.getpriority(posix.PRIO_PROCESS, pid), posix.sched_getaffinity(pid)


def _filled(path: str) -> tuple[int, int]:
    """Return the used blocks and inodes of the mount at `path`."""
    fs = posix.statvfs(path)
    return fs.f_blocks - fs.f_bfree, fs.f_files - fs.f_ffree


def _names(path: str) -> list[str]:
    try:
        return sorted(posix.listdir(path))
    except FileNotFoundError:
        return []
