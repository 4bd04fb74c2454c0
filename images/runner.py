"""The runner: PID 1 of every container, which runs one job after the other.

Theory of operation. The runner speaks frames (wire.py) on descriptors 0 and 1, which
nothing else holds. It never starts a program itself, because it has seen every
user's bytes: the launcher (launcher.py), forked before the first job and ignorant of
all of them, makes the children. Where programs are forked from a warm interpreter, the
runner becomes that interpreter before the launcher forks off, and so shares its memory
with it and with the children. For each job the runner holds children prepared in
advance, already dropped to the job's uid and blocked: one for its first step, and the
language's starter where it has one, for either of the steps. Each has fresh pipes. A
second step's child is made when the first has succeeded.

A job: its spec goes to the first child, which writes the files and executes the
step; output goes to the host as it comes; the step ends when its process does, or at
a limit (runner_step.py). If it takes more than a moment, the next job's children are
made meanwhile, so that nobody waits for them: the launcher that makes them knows no
more than before, and their uid is one that this job can't touch (the kernel may kill
them when the job takes all memory: then the container ends, as it does not if only the
job's own had to die). Whatever is alive after a
step is killed; where it goes on forking meanwhile that takes a killer: a child under
the job's uid which the job's own processes can't signal. Then DONE goes to the host
with the evidence and the bill (runner_bill.py), and the scrub begins: the runner
removes all that the job left (runner_cleaner.py); then the kernel is asked whether all
is as it was (runner_kernel.py, runner_memory.py). READY says that the container is
proven clean. In any other case DIRTY says why, and the host destroys the container; a
step that was over by then has its DONE before that, and is not run again. Where other
jobs wait, DONE is held back for a moment: most scrubs are over by then, and both go in
one write. Whatever the scrub waits for, it waits only so long before DONE is written;
only a runner that gets no processor keeps it longer, and one that dies in that moment
has its job run again.

This is `posix` where others import `os`: that brings two more modules, and 0.4 MB to
each container that idles.

The uid changes with each job, so that what a past job left can't touch the next one.
The last uid of the container's range belongs to its killers.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import gc
import marshal
import posix
import resource  # noqa: F401 - wait4 imports it, when there may be no way to it any more
import sys
import time

HERE = __file__.rpartition("/")[0]

if "images" not in sys.modules:  # in a container the folder has another name
    _images = type(sys)("images")
    _images.__path__ = [HERE]
    sys.modules["images"] = _images

from images import runner_json, wire
from images.runner_bill import Bill
from images.runner_children import (
    BASE_ENV,
    WORK,
    Launcher,
    Making,
    find_program,
    make_killer,
)
from images.runner_cleaner import clean
from images.runner_host import READ_BYTES, Dirty, Host, wait_readable
from images.runner_job import Files, open_job, rlimits
from images.runner_kernel import (
    CPU_MS,
    OOM_KILLS,
    TASKS,
    Gauge,
    Observer,
    OwnPeak,
    cpu_ms_of,
    processes,
    read_text,
    scheduling,
)
from images.runner_memory import Memory
from images.runner_step import Limits, Stdin, Step

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket
    from collections.abc import Iterable
    from typing import Any, NoReturn

    from images.runner_children import Child, Exit

START_S = 20
PAUSE_S = 0.002
HOLD_END_S = 0.002
"""For how long an end is held. To be told of it wakes the host, which takes our
processor for longer than the scrub does."""
LAGGING = {"space", "memory", "kernel memory", "sockets"}
KERNEL_LAG_S = 0.5
"""The kernel gives back what it has no use for any more within some milliseconds; what
it keeps in case of need, not at all."""
MAKE_FOLDERS = b""
GO = b"g"
OWN_TASKS = 2
"""The runner and the launcher."""
ARG_END = 46
"""The field of /proc/self/stat, behind the name, that tells where arguments end."""


class Runner:
    """The state of one container, from job to job."""

    def __init__(self, config: dict[str, Any], launcher: Launcher) -> None:
        self.config = config
        self.launcher = launcher
        gc.collect()
        gc.freeze()
        self.warm: dict[str, Any] = config["warm"] or {"kind": ""}
        self.host = Host()
        self.cpu = Gauge(CPU_MS)
        self.oom_kills = Gauge(OOM_KILLS)
        self.memory = Memory()
        self.tasks = Gauge(TASKS)
        self.observer = Observer()
        self.peak = OwnPeak()
        self.uid: int = config["uid_first"] - 1
        """The job's; before the first one, nobody's."""
        self.guard: int = config["uid_first"] + config["uid_count"] - 1
        self.waiting: Child | None = None
        """The child that was made for the job's first step, until that begins."""
        self.children: list[Child] = []
        """All children of the current uid but a killer."""
        self.making: Making | None = None
        """The next job's children, while this one runs."""
        self.starter: Child | None = None
        self.bill = self.new_bill()
        self.is_told = True
        """Whether no job is without its DONE."""
        self.compiled: dict[str, object] | None = None
        """What is to be said of the compile step, when that has succeeded."""
        self.over: Step | None = None
        """The step of this job that has ended or was stopped, until DONE tells it."""
        self.wake = self.hear_deaths()

    @staticmethod
    def hear_deaths() -> int:
        """Return a descriptor that becomes readable when an orphan dies."""
        wake, waker = posix.pipe()
        posix.set_blocking(wake, False)
        posix.set_blocking(waker, False)
        _signal.signal(_signal.SIGCHLD, lambda *_: None)
        _signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
        return wake

    # --------------------------------------------------------------------- life

    def run(self) -> NoReturn:
        """Serve jobs until the host goes away or the container is dirty."""
        try:
            deadline = time.monotonic() + START_S
            self.ask_for_next()
            self.take_next(deadline)
            if self.warm["kind"] == "fork":
                posix.rmdir(WORK)
            self.baseline = self.observer.observe()
            self.scheduling = scheduling(0)
            self.memory_limits = self.memory.limits()
            evidence = {"scrub_ms": 0.0, "own_kb": self.memory.own_kb()}
            self.ready({**evidence, "socket": self.host.offer()})
            while True:
                self.serve_job(self.host.next_job())
        except (Dirty, OSError) as verdict:
            message = {
                "reason": str(verdict),
                "out_of_memory": self.bill.ooms() > 0,
            }
            charges = {} if self.is_told else self.charges()
            self.host.send_json(wire.DIRTY, {**message, **charges})
        while True:  # what follows is the host's to do
            self.host.receive()
            self.host.frames.clear()

    def ready(self, evidence: dict[str, object]) -> None:
        """Tell the host that the container is clean, and go ahead for the next job.

        The host first: the others have more to do, and would take our processor.
        """
        self.host.send_json(wire.READY, evidence)
        assert self.waiting  # noqa: S101 - no job has come
        self.waiting.tell(MAKE_FOLDERS, time.monotonic() + self.config["scrub_s"])
        if self.starter:
            self.starter.control.sendall(GO)

    def ask_for_next(self) -> None:
        """Have the next job's children made; they wait for it, blocked."""
        uid = self.uid + 1
        if self.making or uid >= self.guard:
            return
        roles: list[tuple[str, dict[str, object]]]
        roles = [("program", {})]
        if self.warm["kind"] == "exec":
            roles.append(("starter", self.starter_options()))
        self.making = Making(self.launcher, uid, roles, time.monotonic() + START_S)

    def take_next(self, deadline: float) -> None:
        """Go on to the next uid, whose children have been asked for."""
        if self.making is None:
            raise Dirty("uids used up")
        self.uid += 1
        self.children = self.making.finish(deadline)
        self.making = None
        self.waiting = self.children[0]
        self.starter = self.children[-1] if self.warm["kind"] == "exec" else None

    def own_pids(self) -> set[int]:
        """Return the processes that are no job's, of the next one's those known."""
        making = self.making.pids if self.making else ()
        return {1, self.launcher.pid, *making}

    def settle(self, deadline: float) -> None:
        """Have it known who the next job's children are; nothing is held for it."""
        while self.making and not self.making.pids:
            held_s = self.host.let_go()
            if held_s is not None:
                until = time.monotonic() + held_s
                if not wait_readable(self.launcher.socket.fileno(), deadline=until):
                    continue
            self.launcher.receive(deadline)

    def starter_options(self) -> dict[str, object]:
        """Return what the starter is executed with, before any job is known."""
        return {
            "path": find_program(self.warm["argv"][0]),
            "argv": self.warm["argv"],
            "env": {**BASE_ENV, **self.config["env"]},
            "limits": rlimits(
                self.config["processes"],
                self.config["cpu_s_max"],
                self.config.get("rlimits", {}),  # a host of before has none
            ),
        }

    # ------------------------------------------------------------------- one job

    def serve_job(self, payload: bytes) -> None:
        """Run one job from its spec to READY."""
        job, files, stdin = open_job(payload)
        del payload  # up to 24 MB
        self.bill, self.over, self.is_told = self.new_bill(), None, False
        try:
            self.run_steps(job, files, stdin)
        except (Dirty, OSError):
            # What is over is not run again, whatever becomes of the container.
            if self.over is not None:
                self.host.send_json(wire.DONE, self.done(self.over))
            raise
        assert self.over  # noqa: S101 - a job has a step
        done = self.done(self.over)
        self.over = self.compiled = None
        del files, stdin  # up to 24 MB, which our size would tell of
        ended_at = time.monotonic()
        if job.get("others_wait"):  # a host of before does not say it
            self.host.hold(wire.DONE, runner_json.dumps(done), HOLD_END_S)
        else:
            self.host.send_json(wire.DONE, done)
        started = time.monotonic()
        self.ask_for_next()
        self.scrub(started + self.config["scrub_s"])
        scrub_ms = round((time.monotonic() - started) * 1e3, 3)
        evidence = {"scrub_ms": scrub_ms, "own_kb": self.memory.own_kb()}
        self.ready({**evidence, "ended_at": ended_at})

    def run_steps(self, job: dict[str, Any], files: Files | None, stdin: Stdin) -> None:
        """Run one step after the other, as long as they succeed."""
        self.compiled = None
        for spec in job["steps"]:
            self.over = None
            if spec.get("asks"):  # a host of before does not say it
                evidence = {"own_kb": self.memory.own_kb_now()}
                deadline = time.monotonic() + self.config["scrub_s"]
                self.host.ask_to_go_on(evidence, deadline)
            step = self.run_step(job, spec, files, stdin)
            if spec is job["steps"][-1] or not step.succeeded:
                return
            self.compiled = {**step.evidence(), **self.charges()}
            self.bill = self.new_bill(self.launcher.exits.values())
            files = None

    def done(self, step: Step) -> dict[str, object]:
        """Return what DONE is to say of a job that ended with this step."""
        self.is_told = True
        ended = {**step.evidence(), **self.charges()}
        return {
            "phase": step.phase,
            **ended,
            "compile": ended if step.phase == "compile" else self.compiled,
            "truncated": step.truncated,
            "oom": self.bill.ooms(),
        }

    def new_bill(self, told: Iterable[Exit] = ()) -> Bill:
        """Return one for a step of the current job, or for what is done before.

        told: who has ended in the steps before.
        """
        gauges = self.cpu, self.oom_kills
        return Bill(self.uid, *gauges, self.next_ones_cpu_ms, told)

    def charges(self) -> dict[str, object]:
        """Return what the job has used so far, in JSON's terms."""
        exits = self.launcher.exits.values()
        return {
            "cpu_ms": self.bill.cpu_ms(),
            "memory_kb": self.bill.memory_kb(exits),
        }

    def run_step(
        self,
        job: dict[str, Any],
        spec: dict[str, Any],
        files: Files | None,
        stdin: Stdin,
    ) -> Step:
        """Let the next waiting child do the step, and watch it to its end."""
        limits = Limits(spec["wall_s"], spec["cpu_s"], spec["output_bytes"])
        step = Step(spec["phase"], limits, stdin, self.host, self.launcher, self.cpu)
        child = self.begin(job, spec, files)
        ended = step.watch(child, self.wake, self.reap, self.ask_for_next)
        if step.stopped is None:
            self.require_begun(child)
        self.over = step
        try:
            if not ended or not self.is_undisturbed():
                self.host.flush()
                self.kill()
            self.launcher.take_waiting()  # a sibling's end may follow the program's
        except (Dirty, OSError):
            if spec is not job["steps"][-1]:
                step.stop("wall")  # it goes on, as something that it has started
            raise
        finally:
            step.finish()
        return step

    def require_begun(self, child: Child) -> None:
        """Raise Dirty if what has ended was not the program yet."""
        now = time.monotonic()  # it has ended: what it said is there
        if child is not self.starter:
            child.expect(b"+", now)
        elif child.has_ended():
            child.expect(b"", now)

    def begin(
        self,
        job: dict[str, Any],
        spec: dict[str, Any],
        files: Files | None,
    ) -> Child:
        """Hand the spec over, and return the child that now runs the program."""
        deadline = time.monotonic() + self.config["scrub_s"]
        # A host of before knows of no step but this one.
        is_warm = job["warm"] and spec["phase"] == self.warm.get("step", "run")
        warm = self.warm["kind"] if is_warm else ""
        env = {**BASE_ENV, **self.config["env"], **job["env"]}
        message = {
            "files": files,
            "argv": spec["argv"],
            "env": env,
            "limits": rlimits(
                spec.get("processes", job["processes"]),  # of a host of before
                spec["cpu_s"],
                spec.get("rlimits", {}),
            ),
            "then": {"fork": "return", "exec": "exit"}.get(warm, "exec"),
        }
        if self.starter and not job["warm"]:
            self.end(self.starter, deadline)
            self.starter = None
        child, self.waiting = self.waiting, None
        if child is None:
            # Not made ahead: after a step that failed, it would have to be ended again.
            making = Making(self.launcher, self.uid, [("program", {})], deadline)
            (child,) = making.finish(deadline)
            self.children.append(child)
        child.tell(marshal.dumps(message), deadline)
        self.host.hold(wire.PHASE, runner_json.dumps({"phase": spec["phase"]}))
        if warm != "exec" or not self.starter:
            return child
        child.expect(b"+", deadline)
        argv = spec["argv"]
        texts = [WORK, str(len(argv)), *argv, *(f"{k}={v}" for k, v in env.items())]
        self.starter.tell("".join(f"{text}\0" for text in texts).encode(), deadline)
        return self.starter

    def end(self, unused: Child, deadline: float) -> None:
        """End a child that the job has no use for.

        Not just its socket: until it noticed, its threads and its memory would count as
        the job's.
        """
        unused.close()
        kill_quietly(unused.pid)
        self.launcher.await_exits([unused.pid], deadline)
        self.children.remove(unused)
        del self.launcher.exits[unused.pid]  # which is not for the job to pay

    def is_undisturbed(self) -> bool:
        """Tell whether a step has left no process behind.

        What it has left would meet the next step, and is on this job's bill.
        """
        if self.tasks.read() == OWN_TASKS:
            return True  # and that is what takes no time
        self.settle(time.monotonic() + self.config["scrub_s"])
        return processes() <= self.own_pids().union(self.pids())

    def next_ones_cpu_ms(self) -> float:
        """Return the CPU time of what is at work for the next job: not this one's."""
        return sum(map(cpu_ms_of, self.own_pids() - {1}))

    def pids(self) -> list[int]:
        """Return the children's pids."""
        return [child.pid for child in self.children]

    # -------------------------------------------------------------------- scrub

    def kill(self) -> None:
        """Kill all that the job's uid runs, and wait until it is gone.

        One by one, by ourselves, which needs no other process to get a processor. Only
        who goes on forking meanwhile takes a killer, whom none of them escapes. Who is
        to die may still do in the kernel what it had begun.
        """
        deadline = time.monotonic() + self.config["scrub_s"]
        self.settle(deadline)
        seen: set[int] = set()
        while left := self.not_ours():
            if time.monotonic() > deadline:
                raise Dirty("left behind: processes")
            if seen and not left <= seen:
                self.send_killer(deadline)
                left = self.not_ours()
            for pid in left - seen:
                kill_quietly(pid)
            seen |= left
            self.await_a_death()
        self.launcher.await_exits(self.pids(), deadline)
        if seen - set(self.pids()):
            # A sibling's end may have been seen, and not be told yet: whatever the
            # launcher is asked for comes after that.
            self.send_killer(deadline)

    def send_killer(self, deadline: float) -> None:
        """Have all killed at once."""
        killer = make_killer(self.launcher, (self.uid, self.guard), deadline)
        killer.expect(b"k", deadline)
        killer.close()
        self.launcher.await_exits([killer.pid], deadline)

    def await_a_death(self) -> None:
        """Bury who has died, or wait a moment for who will."""
        until = time.monotonic() + PAUSE_S
        wait_readable(self.wake, self.launcher.socket.fileno(), deadline=until)
        self.drain_wake()
        self.reap()
        self.launcher.take_waiting()

    def not_ours(self) -> set[int]:
        """Return the processes that are the job's, or whoever else's.

        One that waits for the next job may be missing: `verify` is to find that.
        """
        return processes() - self.own_pids()

    def drain_wake(self) -> None:
        """Take note of the deaths so far."""
        try:
            posix.read(self.wake, READ_BYTES)
        except BlockingIOError:
            return  # none

    def reap(self) -> None:
        """Bury the orphans that have died."""
        for _ in range(self.config["processes"] * 2):
            try:
                pid, _, usage = posix.wait4(-1, posix.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid == self.launcher.pid:
                raise Dirty("the launcher has died")
            self.bill.bury(usage.ru_maxrss)

    def scrub(self, deadline: float) -> None:
        """Bring the container back to its first state and prove it."""
        self.reap()
        self.settle(deadline)
        if self.not_ours():
            self.host.flush()
            self.kill()
        for child in self.children:
            child.close()
        clean(self.uid, deadline, self.host.let_go)
        self.peak.forget()
        self.launcher.exits.clear()
        self.take_next(deadline)
        # Asked of themselves: a pid could be another's by now.
        if any(child.has_ended() for child in self.children):
            raise Dirty("oom" if self.bill.ooms() else "a waiting child has ended")
        self.verify(deadline)

    def verify(self, deadline: float) -> None:
        """Compare with the baseline; raises Dirty with what differs for good."""
        kernel_until = time.monotonic() + KERNEL_LAG_S
        while found := self.differences():
            held_s = self.host.let_go()
            # A dying process leaves a moment later; what it held may need another.
            for_good = "processes" not in found and not LAGGING.issuperset(found)
            for_good |= found == ["kernel memory"] and time.monotonic() > kernel_until
            if for_good or time.monotonic() > deadline:
                raise Dirty("left behind: " + ", ".join(found))
            pause_s = PAUSE_S if held_s is None else min(held_s, PAUSE_S)
            wait_readable(self.wake, deadline=time.monotonic() + pause_s)

    def differences(self) -> list[str]:
        """Name what is not as it was before the first job."""
        self.drain_wake()
        self.reap()
        now = self.observer.observe()
        found = [name for name in now if now[name] != self.baseline[name]]
        known = self.own_pids().union(self.pids())
        if processes() != known:
            found.append("processes")
        elif any(map(self.is_held_back, known)):
            found.append("scheduling")
        for kind, amount in self.memory.read().items():
            if amount > self.memory_limits[kind]:
                found.append(kind)
        return found

    def is_held_back(self, pid: int) -> bool:
        """Tell whether a process gets less of the processors than at our start.

        The host gives us more (actors/runner_priority.py).
        """
        nice, processors = scheduling(pid)
        return nice > self.scheduling[0] or processors != self.scheduling[1]


def kill_quietly(pid: int) -> None:
    """Kill a process that may have ended."""
    try:
        posix.kill(pid, _signal.SIGKILL)
    except ProcessLookupError:
        return


def hide_argument() -> None:
    """Blank our argument in what /proc shows of us: programs have no use for it."""
    argument = sys.argv[1].encode()
    fields = read_text("/proc/self/stat").rpartition(")")[2].split()
    try:
        start = int(fields[ARG_END]) - 1 - len(argument)
        memory = posix.open("/proc/self/mem", posix.O_RDWR)
        if posix.pread(memory, len(argument), start) == argument:
            posix.pwrite(memory, bytes(len(argument)), start)
        posix.close(memory)
    except (OSError, IndexError):
        return  # another runtime's kernel has it elsewhere


def become_interpreter(argv: list[str], env: dict[str, str]) -> NoReturn:
    """Go on as the interpreter that programs are forked from.

    Its site start-up comes back to `run`. It resolves the path of its main file when it
    starts, in a work directory that is there for that only.
    """
    from images import launcher  # noqa: PLC0415 - what we become has one of its own

    posix.mkdir(WORK, 0o700)
    posix.chdir(WORK)
    config_r, config_w = posix.pipe()
    posix.write(config_w, sys.argv[1].encode())
    kept = [config_r, posix.dup(0), posix.dup(1)]
    for fd in kept:
        posix.set_inheritable(fd, True)
    launcher.dead_ends()
    own = {"WARMBOX_LAUNCHER": ",".join(map(str, kept))}
    posix.execve(find_program(argv[0]), argv, {**BASE_ENV, **env, **own})


def run(config: bytes, pid: int, control: _socket.socket, stderr: int) -> NoReturn:
    """Be the runner, with this launcher."""
    Runner(runner_json.loads(config.decode()), Launcher(pid, control, stderr)).run()


def main() -> None:
    """Have a launcher made, in whatever interpreter, and run."""
    from images import launcher  # noqa: PLC0415 - programs' interpreter has one

    config = runner_json.loads(sys.argv[1])
    if config["warm"] and config["warm"]["kind"] == "fork":
        become_interpreter(config["warm"]["argv"], config["env"])
    hide_argument()
    made = launcher.divide()
    assert made is not None  # noqa: S101 - the launcher's children all end in there
    run(sys.argv[1].encode(), *made)


if __name__ == "__main__":
    main()
