"""The runner: PID 1 of every container, which runs one job after the other.

Theory of operation. The runner speaks frames (wire.py) on descriptors 0 and 1, which
nothing else holds. It never starts a program itself, because it has seen every
user's bytes: the launcher (launcher.py), forked before the first job and ignorant of
all of them, makes the children. For each job the runner holds a set of children
prepared in advance, already dropped to the job's uid and blocked: one for each step
(compile, run), and the language's starter where it has one. Each has fresh pipes.

A job: its spec goes to the first child, which writes the files and executes the
step; output goes to the host as it comes; the step ends when its process has been
reaped and its pipes are at their end, or at a limit. Then DONE goes to the host with
the evidence, and the scrub begins: a janitor kills all that the job's uid runs and
removes all that it left; then the kernel is asked whether it is so (processes, mounts,
bytes and inodes, IPC, memory). READY says that the container is proven clean. In any
other case DIRTY says why, and the host destroys the container.

The uid changes with each job, so that what a past job left can't touch the next one.
When descriptor 0 ends, so does the runner, and the container with it.
"""

from __future__ import annotations

import json
import marshal
import os
import select
import signal
import socket
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import wire  # noqa: E402

LAUNCHER = str(Path(__file__).parent / "launcher.py")
BOX, WORK = "/box", "/box/work"
TMPFS = (BOX, "/tmp", "/dev/shm")  # noqa: S108 - the writable places
READ_BYTES = 65536
TICK_S = 0.05
MEMORY_SLACK_BYTES = 16 << 20
START_S = 20
STDIN_BYTES_MAX = 8 << 20

BASE_ENV = {
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "HOME": "/box/home",
    "TMPDIR": "/tmp",  # noqa: S108 - the container's own
    "LANG": "C.UTF-8",
    "USER": "box",
    "LOGNAME": "box",
    "PWD": WORK,
}


class Dirty(Exception):  # noqa: N818 - a verdict, not an error
    """The container can't be proven clean; the argument says why."""


# ------------------------------------------------------- what the kernel shows


def read_number(path: str, key: str | None = None) -> int | None:
    """Return a cgroup file's number, or that behind `key`; None if not there."""
    try:
        with open(path, encoding="ascii") as file:
            text = file.read()
    except OSError:
        return None
    if key is None:
        return int(text)
    for line in text.splitlines():
        name, _, value = line.partition(" ")
        if name == key:
            return int(value)
    return None


def cpu_ms() -> float | None:
    """CPU time of the whole container so far (cgroup v2, then v1)."""
    used = read_number("/sys/fs/cgroup/cpu.stat", "usage_usec")
    if used is not None:
        return used / 1e3
    used = read_number("/sys/fs/cgroup/cpuacct/cpuacct.usage")
    return None if used is None else used / 1e6


def oom_kills() -> int | None:
    """How many processes of the container the kernel has killed for memory."""
    kills = read_number("/sys/fs/cgroup/memory.events", "oom_kill")
    if kills is not None:
        return kills
    return read_number("/sys/fs/cgroup/memory/memory.oom_control", "oom_kill")


def memory_bytes() -> int | None:
    """Anonymous and shared memory of the container, without the file cache."""
    for path, keys in (
        ("/sys/fs/cgroup/memory.stat", ("anon", "shmem")),
        ("/sys/fs/cgroup/memory/memory.stat", ("total_rss", "total_shmem")),
    ):
        numbers = [read_number(path, key) for key in keys]
        if numbers[0] is not None:
            return sum(number or 0 for number in numbers)
    return None


def filled(path: str) -> tuple[int, int]:
    """Return the used blocks and inodes of the mount at `path`."""
    fs = os.statvfs(path)
    return fs.f_blocks - fs.f_bfree, fs.f_files - fs.f_ffree


def processes() -> set[int]:
    """Return every process that the kernel shows."""
    return {int(name) for name in os.listdir("/proc") if name.isdigit()}


def ipc_objects() -> list[str]:
    """Return the System V and POSIX IPC objects that exist."""
    found = []
    for kind in ("shm", "sem", "msg"):
        with open("/proc/sysvipc/" + kind, encoding="ascii") as file:
            found += [kind] * (len(file.readlines()) - 1)
    if os.path.isdir("/dev/mqueue"):
        found += os.listdir("/dev/mqueue")
    return found


def mounts() -> str:
    """Return the mount table."""
    with open("/proc/self/mountinfo", encoding="utf-8") as file:
        return file.read()


# -------------------------------------------------------------------- children


class Child:
    """A prepared process and our ends of its pipes."""

    def __init__(self, pid: int, control: socket.socket, ends: list[int]) -> None:
        self.pid = pid
        self.control = control
        self.stdin, self.stdout, self.stderr = ends

    def close(self) -> None:
        """Close all that is still open."""
        self.control.close()
        for name in ("stdin", "stdout", "stderr"):
            self.close_end(name)

    def close_end(self, name: str) -> None:
        """Close one pipe, once."""
        fd = getattr(self, name)
        if fd >= 0:
            os.close(fd)
            setattr(self, name, -1)


class Launcher:
    """The runner's end of the launcher: fork requests out, exit notices in."""

    def __init__(self, argv: list[str], *, in_site: bool) -> None:
        self.exits: dict[int, tuple[int, float, int]] = {}
        """pid to wait status, CPU seconds and peak memory in kB."""
        self.maxrss_kb = 0
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        stdio = [os.pipe() for _ in range(3)]
        fds = [stdio[0][0], stdio[1][1], stdio[2][1]]
        self.socket = ours
        if in_site:
            os.mkdir(WORK, 0o700)  # so that the main file's path is resolved there
        self.pid = os.fork()
        if self.pid == 0:
            self._execute(argv, theirs, fds, in_site=in_site)
        theirs.close()
        for fd in fds:
            os.close(fd)
        os.close(stdio[0][1])
        self._said = [stdio[1][0], stdio[2][0]]

    @staticmethod
    def _execute(
        argv: list[str], theirs: socket.socket, fds: list[int], *, in_site: bool
    ) -> None:
        if in_site:
            os.chdir(WORK)
        for target, fd in enumerate(fds):
            os.dup2(fd, target)
        theirs.set_inheritable(True)
        env = {**BASE_ENV, "WARMBOX_LAUNCHER": str(theirs.fileno())}
        os.execvpe(argv[0], argv, env)

    def fork(self, role: str, uid: int, options: object, fds: list[int]) -> None:
        """Ask for a child; its pid comes as a message."""
        request = marshal.dumps((role, uid, options))
        socket.send_fds(self.socket, [request], fds)

    def forked(self, deadline: float) -> int:
        """Wait for the next child's pid, keeping exit notices for later."""
        while True:
            pid = self.receive(deadline)
            if pid:
                return pid

    def receive(self, deadline: float) -> int:
        """Take one message in: return a forked pid, or 0 for an exit notice."""
        self.socket.settimeout(max(deadline - time.monotonic(), 0.001))
        try:
            data = self.socket.recv(4096)
        except TimeoutError:
            raise Dirty("the launcher does not answer") from None
        if not data:
            raise Dirty("the launcher has died: " + self._last_words())
        message = marshal.loads(data)  # noqa: S302 - our own process
        if message[0] == "forked":
            return int(message[1])
        self.exits[message[1]] = message[2:]
        self.maxrss_kb = max(self.maxrss_kb, message[4])
        return 0

    def _last_words(self) -> str:
        os.set_blocking(self._said[1], False)
        try:
            return os.read(self._said[1], 4096).decode("utf-8", "replace")[-500:]
        except BlockingIOError:
            return ""


# ------------------------------------------------------------------------ host


class Host:
    """The frames from and to the host, on descriptors 0 and 1."""

    def __init__(self) -> None:
        self._decoder = wire.Decoder(wire.HOST_KINDS, wire.FRAME_BYTES_MAX)

    def receive(self) -> list[tuple[int, bytes]]:
        """Return the frames that have come; ends the container when none can."""
        data = os.read(0, READ_BYTES)
        if not data:
            os._exit(0)
        return self._decoder.feed(data)

    def send(self, kind: int, payload: bytes) -> None:
        """Write one frame."""
        frame = memoryview(wire.encode(kind, payload))
        while frame:
            frame = frame[os.write(1, frame) :]

    def send_json(self, kind: int, message: object) -> None:
        """Write one frame with a JSON payload."""
        self.send(kind, json.dumps(message).encode())


# ------------------------------------------------------------------------ a job


class Step:
    """One step of a job: the limits that watch over it and how it ended."""

    def __init__(self, spec: dict, child: Child) -> None:  # type: ignore[type-arg]
        self.phase: str = spec["phase"]
        self.argv: list[str] = spec["argv"]
        self.child = child
        self.output_left = int(spec["output_bytes"])
        self.cpu_limit_ms = spec["cpu_s"] * 1e3
        self.wall_s: float = spec["wall_s"]
        self.stopped: str | None = None
        self.truncated = False
        self.status: int | None = None
        self.wall_ms = 0.0

    def evidence(self) -> dict[str, object]:
        """Return how the step ended, in JSON's terms."""
        status = self.status
        exited = status is not None and os.WIFEXITED(status)
        signalled = status is not None and os.WIFSIGNALED(status)
        return {
            "exit_code": os.WEXITSTATUS(status) if exited else None,
            "signal": os.WTERMSIG(status) if signalled else None,
            "stopped": self.stopped,
            "wall_ms": round(self.wall_ms, 3),
        }


class Runner:
    """The state machine of one container."""

    def __init__(self, config: dict) -> None:  # type: ignore[type-arg]
        self.config = config
        self.host = Host()
        self.uid: int = config["uid_first"]
        self.uid_last = config["uid_first"] + config["uid_count"] - 1
        self.prepared: list[Child] = []
        self.starter: Child | None = None
        self.janitor: Child | None = None
        self.ooms = 0
        self.stdin = bytearray()
        self.stdin_end = True
        self.inbox: list[tuple[int, bytes]] = []
        self.wake_r, wake_w = os.pipe()
        os.set_blocking(wake_w, False)
        os.set_blocking(self.wake_r, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(wake_w, warn_on_full_buffer=False)
        fork = config["warm"] and config["warm"]["kind"] == "fork"
        argv = ["python3", "-I", "-S", "-B", LAUNCHER]
        self.launcher = Launcher(
            config["warm"]["argv"] if fork else argv, in_site=bool(fork)
        )
        self.baseline: tuple[object, ...] = ()
        self.memory = 0

    # --------------------------------------------------------------- preparing

    def prepare(self) -> None:
        """Have the next job's children made; they wait for it, blocked."""
        deadline = time.monotonic() + START_S
        roles = ["program"] * self.config["steps"]
        warm = self.config["warm"]
        if warm and warm["kind"] == "exec":
            roles.append("starter")
        self.prepared = [self.make(role, deadline) for role in roles]
        self.starter = self.prepared.pop() if roles[-1] == "starter" else None

    def make(self, role: str, deadline: float) -> Child:
        """Make one child with fresh pipes."""
        ours, theirs = socket.socketpair()
        pipes = [os.pipe() for _ in range(3)]
        given = [theirs.fileno(), pipes[0][0], pipes[1][1], pipes[2][1]]
        options = self.starter_options() if role == "starter" else None
        self.launcher.fork(role, self.uid, options, given)
        theirs.close()
        for fd in given[1:]:
            os.close(fd)
        ends = [pipes[0][1], pipes[1][0], pipes[2][0]]
        for fd in ends:
            os.set_blocking(fd, False)
        return Child(self.launcher.forked(deadline), ours, ends)

    def starter_options(self) -> dict[str, object]:
        """Return what the starter is executed with, before any job is known."""
        argv = self.config["warm"]["argv"]
        path = next(
            found
            for folder in BASE_ENV["PATH"].split(":")
            if os.path.exists(found := os.path.join(folder, argv[0]))
        )
        env = {**BASE_ENV, **self.config["env"]}
        limits = self.kernel_limits(self.config["processes"], self.config["cpu_s_max"])
        return {"path": path, "argv": argv, "env": env, "limits": limits}

    def kernel_limits(self, processes_max: int, cpu_s: float) -> dict[str, int]:
        """Return the rlimits of a step: backstops behind our own watch."""
        return {"NPROC": processes_max, "CPU": int(cpu_s) + 2, "CORE": 0}

    # --------------------------------------------------------------------- life

    def run(self) -> None:
        """Serve jobs until the host goes away or the container is dirty."""
        try:
            self.prepare()
            if self.config["warm"] and self.config["warm"]["kind"] == "fork":
                os.rmdir(WORK)
            self.baseline = self.observe()
            self.memory = memory_bytes() or 0
            self.ready(0.0)
            while True:
                self.serve_job(self.next_job())
        except Dirty as verdict:
            killed = (oom_kills() or 0) > self.ooms
            message = {"reason": str(verdict), "out_of_memory": killed}
            self.host.send_json(wire.DIRTY, message)
        while True:  # what follows is the host's to do
            self.host.receive()

    def ready(self, scrub_ms: float) -> None:
        """Tell the host that the container is clean."""
        self.host.send_json(wire.READY, {"scrub_ms": round(scrub_ms, 3)})

    def next_job(self) -> bytes:
        """Block until the next job; what belongs to none is stale and dropped."""
        while True:
            while self.inbox:
                kind, payload = self.inbox.pop(0)
                if kind == wire.JOB:
                    return payload
            self.inbox += self.host.receive()

    def serve_job(self, payload: bytes) -> None:
        """Run one job from its spec to READY."""
        job, files = self.open_job(payload)
        self.ooms, cpu = oom_kills() or 0, cpu_ms()
        self.launcher.maxrss_kb = 0
        compiled: dict[str, object] | None = None
        first = True
        for spec, child in zip(job["steps"], list(self.prepared), strict=False):
            step = self.run_step(job, spec, child, files if first else None)
            first = False
            evidence = step.evidence()
            if step.phase == "compile":
                compiled = evidence
            if step.phase == "run" or step.status != 0 or step.stopped:
                break
        if not step.stopped and self.launcher.exits.get(step.child.pid) is None:
            raise Dirty("the step's process was lost")
        used = cpu_ms()
        oom = (oom_kills() or 0) - self.ooms
        self.host.send_json(
            wire.DONE,
            {
                "phase": step.phase,
                **evidence,
                "compile": compiled,
                "truncated": step.truncated,
                "oom": oom,
                "cpu_ms": None if used is None or cpu is None else round(used - cpu, 3),
                "memory_kb": self.launcher.maxrss_kb,
            },
        )
        started = time.monotonic()
        self.scrub(oom=oom)
        self.ready((time.monotonic() - started) * 1e3)

    def open_job(self, payload: bytes):  # type: ignore[no-untyped-def] # noqa: ANN201
        """Split the payload into the job and its files, and take its stdin."""
        header, blobs = wire.unpack_job(payload)
        job = json.loads(header)
        files = []
        at = 0
        for name, length in job["files"]:
            files.append((name, blobs[at : at + length]))
            at += length
        self.stdin = bytearray(blobs[at:])
        self.stdin_end = not job["stdin_open"]
        return job, files

    # --------------------------------------------------------------------- step

    def run_step(self, job, spec, child, files) -> Step:  # type: ignore[no-untyped-def] # noqa: ANN001
        """Let the child do the step, and watch it to its end."""
        warm = spec["phase"] == "run" and job["warm"] and self.config["warm"]
        env = {**BASE_ENV, **self.config["env"], **job["env"]}
        then = "exec"
        if warm:
            then = "return" if warm["kind"] == "fork" else "exit"
        message = {
            "files": files,
            "argv": spec["argv"],
            "env": env,
            "limits": self.kernel_limits(job["processes"], spec["cpu_s"]),
            "then": then,
        }
        started, cpu = time.monotonic(), cpu_ms()
        self.host.send_json(wire.PHASE, {"phase": spec["phase"]})
        self.hand_over(child, marshal.dumps(message))
        if then == "exit":
            child = self.start_starter(spec["argv"], env)
        step = Step(spec, child)
        if step.phase == "compile":
            child.close_end("stdin")
        self.watch(step, started, cpu)
        return step

    def hand_over(self, child: Child, message: bytes) -> None:
        """Give the spec to a child and wait until it has written the files."""
        child.control.settimeout(self.config["scrub_s"])
        try:
            child.control.sendall(len(message).to_bytes(4, "big") + message)
            answer = child.control.recv(1000)
        except OSError as error:
            raise Dirty("a child took no spec: %s" % error) from None
        if answer != b"+":
            raise Dirty("a child failed: " + answer.decode("utf-8", "replace"))

    def start_starter(self, argv: list[str], env: dict[str, str]) -> Child:
        """Let the waiting interpreter run the program."""
        assert self.starter  # noqa: S101 - prepared with the others
        message = json.dumps({"argv": argv, "env": env, "cwd": WORK}).encode()
        try:
            self.starter.control.sendall(len(message).to_bytes(4, "big") + message)
        except OSError as error:
            raise Dirty("the starter took no spec: %s" % error) from None
        return self.starter

    def watch(self, step: Step, started: float, cpu: float | None) -> None:
        """Move bytes until the step has ended by itself or at a limit."""
        deadline = started + step.wall_s
        child = step.child
        poller = self.poller(child)
        feeding = False
        while step.stopped is None:
            if child.pid in self.launcher.exits:
                if step.status is None:
                    step.status = self.launcher.exits[child.pid][0]
                    step.wall_ms = (time.monotonic() - started) * 1e3
                if child.stdout < 0 and child.stderr < 0:
                    return
                if not self.pump(step, poller, 0):
                    break  # something else holds the pipes, and it shall not
                continue
            feeding = self.feed_stdin(step, poller, feeding)
            now = time.monotonic()
            self.pump(step, poller, min(deadline - now, TICK_S))
            self.check_limits(step, deadline, cpu)
        self.stop_all()
        self.drain(step)
        if not step.wall_ms:
            step.wall_ms = (time.monotonic() - started) * 1e3
        if step.status is None and child.pid in self.launcher.exits:
            step.status = self.launcher.exits[child.pid][0]

    def poller(self, child: Child) -> select.poll:
        """Return a poll object over all that a step can hear of."""
        poller = select.poll()
        for fd in (0, self.wake_r, self.launcher.socket.fileno()):
            poller.register(fd, select.POLLIN)
        for fd in (child.stdout, child.stderr):
            poller.register(fd, select.POLLIN)
        return poller

    def pump(self, step: Step, poller: select.poll, timeout_s: float) -> bool:
        """Handle what is ready now; False when nothing was."""
        events = poller.poll(max(0, int(timeout_s * 1000 + 0.999)))
        for fd, _ in events:
            if fd == self.launcher.socket.fileno():
                self.launcher.receive(time.monotonic() + 1)
            elif fd == 0:
                self.hear(step)
            elif fd == self.wake_r:
                os.read(self.wake_r, 4096)
                self.reap()
            elif fd in (step.child.stdout, step.child.stderr):
                self.relay(step, fd, poller)
            elif fd == step.child.stdin:
                poller.unregister(fd)
        return bool(events)

    def hear(self, step: Step) -> None:
        """Take the host's frames during a job."""
        for kind, payload in self.host.receive():
            if kind == wire.CANCEL:
                step.stopped = step.stopped or "cancelled"
            elif kind == wire.STDIN and len(self.stdin) < STDIN_BYTES_MAX:
                self.stdin += payload
            elif kind == wire.STDIN_END:
                self.stdin_end = True

    def feed_stdin(self, step: Step, poller: select.poll, feeding: bool) -> bool:  # noqa: FBT001
        """Write what stdin takes; returns whether we wait for it to take more."""
        child = step.child
        if child.stdin < 0:
            return False
        try:
            if self.stdin:
                del self.stdin[: os.write(child.stdin, self.stdin[:READ_BYTES])]
        except BlockingIOError:
            poller.register(child.stdin, select.POLLOUT)
            return True
        except BrokenPipeError:
            self.stdin.clear()
            self.stdin_end = True
        if self.stdin:
            poller.register(child.stdin, select.POLLOUT)
            return True
        if self.stdin_end:
            if feeding:
                self.forget(poller, child.stdin)
            child.close_end("stdin")
        elif feeding:
            self.forget(poller, child.stdin)
        return False

    @staticmethod
    def forget(poller: select.poll, fd: int) -> None:
        """Unregister, if registered."""
        try:
            poller.unregister(fd)
        except KeyError:
            return

    def relay(self, step: Step, fd: int, poller: select.poll | None) -> None:
        """Send one read's worth of output to the host, within the limit."""
        name = "stdout" if fd == step.child.stdout else "stderr"
        try:
            data = os.read(fd, READ_BYTES)
        except BlockingIOError:
            return
        if not data:
            if poller is not None:
                poller.unregister(fd)
            step.child.close_end(name)
            return
        if len(data) > step.output_left:
            data = data[: step.output_left]
            step.truncated = True
            step.stopped = step.stopped or "output"
        step.output_left -= len(data)
        if data:
            self.host.send(wire.STDOUT if name == "stdout" else wire.STDERR, data)

    def check_limits(self, step: Step, deadline: float, cpu: float | None) -> None:
        """Stop the step when its time is over."""
        if time.monotonic() >= deadline:
            step.stopped = step.stopped or "wall"
        elif cpu is not None:
            used = cpu_ms()
            if used is not None and used - cpu >= step.cpu_limit_ms:
                step.stopped = step.stopped or "cpu"

    def drain(self, step: Step) -> None:
        """Send what the dead left in the pipes, up to the limit."""
        for name in ("stdout", "stderr"):
            while (fd := getattr(step.child, name)) >= 0:
                if step.truncated:
                    step.child.close_end(name)
                else:
                    self.relay(step, fd, None)

    # -------------------------------------------------------------------- scrub

    def reap(self) -> None:
        """Bury every orphan that has died."""
        while True:
            try:
                pid, _, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid == self.launcher.pid:
                raise Dirty("the launcher has died")
            self.launcher.maxrss_kb = max(self.launcher.maxrss_kb, usage.ru_maxrss)

    def stop_all(self) -> None:
        """Have a janitor kill all that the job's uid runs."""
        deadline = time.monotonic() + self.config["scrub_s"]
        for _ in range(3):
            ours, theirs = socket.socketpair()
            self.launcher.fork("janitor", self.uid, None, [theirs.fileno()])
            theirs.close()
            pid = self.launcher.forked(deadline)
            self.janitor = Child(pid, ours, [-1, -1, -1])
            if self.answer(self.janitor, deadline) == b"k":
                break
            self.janitor.close()  # killed in the instant before it killed
        else:
            raise Dirty("no janitor lived")
        children = [c.pid for c in (*self.prepared, self.starter) if c]
        while any(pid not in self.launcher.exits for pid in children):
            self.launcher.receive(deadline)
        self.reap()

    def answer(self, child: Child, deadline: float) -> bytes:
        """Return what the child says, or nothing if it has died."""
        child.control.settimeout(max(deadline - time.monotonic(), 0.001))
        try:
            return child.control.recv(1000)
        except TimeoutError:
            raise Dirty("the janitor does not answer") from None
        except OSError:
            return b""

    def scrub(self, oom: int) -> None:
        """Bring the container back to its first state and prove it."""
        deadline = time.monotonic() + self.config["scrub_s"]
        if oom:
            raise Dirty("oom")
        if self.janitor is None:
            self.stop_all()
        janitor, self.janitor = self.janitor, None
        assert janitor  # noqa: S101 - stop_all made it
        self.retire_children()
        janitor.control.sendall(b"c")
        self.advance_uid()
        self.prepare()
        problem = self.answer(janitor, deadline)
        janitor.close()
        while janitor.pid not in self.launcher.exits:
            self.launcher.receive(deadline)
        if problem or self.launcher.exits[janitor.pid][0] != 0:
            raise Dirty("clean-up failed: " + problem.decode("utf-8", "replace"))
        self.launcher.exits.clear()
        self.verify(deadline)

    def retire_children(self) -> None:
        """Let go of the last job's processes and bytes."""
        for child in (*self.prepared, self.starter):
            if child:
                child.close()
        self.prepared = []
        self.starter = None
        self.stdin.clear()

    def advance_uid(self) -> None:
        """Take the next uid; a container that has used up its range is done."""
        self.uid += 1
        if self.uid > self.uid_last:
            raise Dirty("uids used up")

    def observe(self) -> tuple[object, ...]:
        """Return what must be the same between any two jobs."""
        return (
            [filled(path) for path in TMPFS],
            [os.listdir(path) for path in TMPFS],
            mounts(),
            ipc_objects(),
        )

    def verify(self, deadline: float) -> None:
        """Compare with the baseline; raises Dirty with the first difference."""
        names = ("tmpfs", "files", "mounts", "ipc")
        while True:
            self.reap()
            children = (*self.prepared, self.starter)
            known = {1, self.launcher.pid, *(c.pid for c in children if c)}
            now = self.observe()
            found = [
                name
                for name, a, b in zip(names, self.baseline, now, strict=True)
                if a != b
            ]
            if processes() != known:
                found.append("processes")
            if (memory_bytes() or 0) > self.memory + MEMORY_SLACK_BYTES:
                found.append("memory")
            if not found:
                return
            if time.monotonic() > deadline:
                raise Dirty("left behind: " + ", ".join(found))
            time.sleep(0.002)  # an exiting process leaves the table a moment later


if __name__ == "__main__":
    Runner(json.loads(sys.argv[1])).run()
