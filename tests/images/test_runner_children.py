"""What the runner takes from its children, and does while it waits for them."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from images import runner as runner_file
from images import runner_host, wire
from images.runner import Runner
from images.runner_children import Child
from images.runner_host import Dirty, Host
from images.runner_step import Stdin

if TYPE_CHECKING:
    from collections.abc import Iterator

WAIT_S = 5.0
HELD_S = 0.001


class Wires:
    """Pipes in place of descriptors 0 and 1, and one by which nothing comes."""

    def __init__(self) -> None:
        self._pipes = [os.pipe() for _ in range(3)]
        self.stdin, self.told, self.silent = (pipe[0] for pipe in self._pipes)
        self.stdout = self._pipes[1][1]

    def kinds(self) -> list[int]:
        """Return what frames the runner has written since the last call."""
        if not select.select([self.told], [], [], 0)[0]:
            return []
        decoder = wire.Decoder(wire.RUNNER_KINDS, wire.REPLY_BYTES_MAX)
        return [kind for kind, _ in decoder.feed(os.read(self.told, 4096))]

    def close(self) -> None:
        for pipe in self._pipes:
            for fd in pipe:
                os.close(fd)


@pytest.fixture
def wires(monkeypatch: pytest.MonkeyPatch) -> Iterator[Wires]:
    wires = Wires()
    monkeypatch.setattr(runner_host, "_STDIN", wires.stdin)
    monkeypatch.setattr(runner_host, "_STDOUT", wires.stdout)
    yield wires
    wires.close()


@pytest.fixture
def runner(wires: Wires) -> Runner:
    """A runner without a container, which holds the end of a job back."""
    one = object.__new__(Runner)
    one.host = Host()
    one.host.hold(wire.DONE, b"{}", HELD_S)
    one.wake = wires.silent
    one.starter = None
    return one


def ended(said: bytes) -> Child:
    """A child that has ended after these words."""
    ours, theirs = socket.socketpair()
    theirs.sendall(said)
    theirs.close()
    return Child(1, ours, ())


@pytest.mark.parametrize("said", [b"", b"!no memory", b"+!no program", b"x"])
def test_what_ended_before_its_program_is_no_programs_end(
    runner: Runner, said: bytes
) -> None:
    with pytest.raises(Dirty, match="a child failed"):
        runner.require_begun(ended(said))


def test_a_child_that_says_nothing_is_not_waited_for(runner: Runner) -> None:
    ours, theirs = socket.socketpair()
    with theirs, pytest.raises(Dirty, match="does not answer"):
        runner.require_begun(Child(1, ours, ()))


def test_a_child_that_has_begun_may_end_as_it_likes(runner: Runner) -> None:
    runner.require_begun(ended(b"+"))


def test_a_starter_that_fails_is_no_programs_end(runner: Runner) -> None:
    runner.starter = ended(b"!no memory")
    with pytest.raises(Dirty, match="no memory"):
        runner.require_begun(runner.starter)


def test_a_starter_says_nothing_of_its_beginning(runner: Runner) -> None:
    runner.starter = ended(b"")
    runner.require_begun(runner.starter)
    ours, theirs = socket.socketpair()
    with theirs:  # whatever has inherited it
        runner.starter = Child(1, ours, ())
        runner.require_begun(runner.starter)


def run_step(
    runner: Runner, monkeypatch: pytest.MonkeyPatch, child: Child, stopped: str | None
) -> None:
    """Have a step watched whose child has ended, or was stopped and killed."""
    step = SimpleNamespace(
        stopped=stopped, watch=lambda *_: stopped is None, finish=lambda: None
    )
    spec = {"phase": "run", "wall_s": 1, "cpu_s": 1, "output_bytes": 1}
    for name in ("reap", "ask_for_next", "kill", "is_undisturbed"):
        monkeypatch.setattr(runner, name, lambda: None)
    monkeypatch.setattr(runner_file, "Step", lambda *_: step)
    monkeypatch.setattr(runner, "begin", lambda *_: child)
    launcher = SimpleNamespace(take_waiting=lambda: None)
    monkeypatch.setattr(runner, "launcher", launcher, raising=False)
    monkeypatch.setattr(runner, "cpu", None, raising=False)
    runner.run_step({"steps": [spec]}, spec, None, Stdin(b"", ended=True))


def test_a_step_is_over_only_when_its_program_has_begun(
    runner: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_step(runner, monkeypatch, ended(b"+"), None)
    with pytest.raises(Dirty):
        run_step(runner, monkeypatch, ended(b""), None)


@pytest.mark.parametrize("stopped", ["wall", "cancelled"])
def test_a_step_may_be_stopped_before_its_program_begins(
    runner: Runner, monkeypatch: pytest.MonkeyPatch, stopped: str
) -> None:
    run_step(runner, monkeypatch, ended(b""), stopped)


def test_who_has_not_dropped_to_the_jobs_uid_is_killed_too(
    runner: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A killer can't reach it: it got no processor since it was made."""
    made = [subprocess.Popen(["sleep", "infinity"]) for _ in range(2)]
    ours, next_one = (process.pid for process in made)
    runner.children = [Child(ours, socket.socketpair()[0], ())]
    launcher = SimpleNamespace(pid=1, await_exits=lambda *_: None)
    for name, value in {
        "config": {"scrub_s": WAIT_S},
        "making": SimpleNamespace(pids=[next_one]),
        "launcher": launcher,
        "await_a_death": lambda: made[0].wait(WAIT_S),
    }.items():
        monkeypatch.setattr(runner, name, value, raising=False)
    alive = {1, ours, next_one}
    monkeypatch.setattr(
        runner_file, "processes", lambda: {p for p in alive if made[0].poll() is None}
    )
    try:
        runner.kill()
        assert made[0].wait(WAIT_S) == -signal.SIGKILL
        assert made[1].poll() is None  # the next job's is spared
    finally:
        for process in made:
            process.kill()
            process.wait()


def test_an_end_is_told_while_the_launcher_is_slow(
    runner: Runner, wires: Wires, monkeypatch: pytest.MonkeyPatch
) -> None:
    making = SimpleNamespace(pids=[])
    told: list[int] = []

    def receive(deadline: float) -> None:
        assert deadline > time.monotonic()
        told.extend(wires.kinds())
        making.pids.append(1)

    slow = SimpleNamespace(
        socket=SimpleNamespace(fileno=lambda: wires.silent), receive=receive
    )
    monkeypatch.setattr(runner, "making", making, raising=False)
    monkeypatch.setattr(runner, "launcher", slow, raising=False)
    runner.settle(time.monotonic() + WAIT_S)
    assert told == [wire.DONE]


def test_an_end_is_told_while_a_process_dies(
    runner: Runner, wires: Wires, monkeypatch: pytest.MonkeyPatch
) -> None:
    def differences() -> list[str]:
        return [] if wires.kinds() == [wire.DONE] else ["processes"]

    monkeypatch.setattr(runner, "differences", differences)
    runner.verify(time.monotonic() + WAIT_S)


def test_what_stays_different_is_left_behind(
    runner: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "differences", lambda: ["mounts"])
    with pytest.raises(Dirty, match="left behind: mounts"):
        runner.verify(time.monotonic() + WAIT_S)
