"""A socket of another process's: taken where it is that one, and nothing else is."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import gevent
import pytest
from actor_world import LEAVE_S, Probe, settle
from engine_twin import AttachedTwin
from gevent.queue import Queue

from actors.direct_socket import take_over
from actors.engine import Attached
from actors.messages import FramesReceived, StreamEnded
from actors.runner_link import RunnerLink, offered_socket
from images import wire

if TYPE_CHECKING:
    from collections.abc import Iterator

KERNEL = tuple(map(int, os.uname().release.split(".")[:2]))
RUNNER = """
import json, os, socket, sys
ours, theirs = socket.socketpair()
print(json.dumps([theirs.fileno(), os.fstat(theirs.fileno()).st_ino]), flush=True)
sys.stdin.read(1)
theirs.close()
while data := ours.recv(100):
    try:
        if data == b"!":
            socket.send_fds(ours, [b"SENT"], [0])
        else:
            ours.sendall(data.upper())
    except PermissionError:
        ours.sendall(b"REFUSED")
print("end", flush=True)
"""


def open_files() -> dict[str, str]:
    """Return what this process has open, by descriptor."""
    settle()  # gevent closes at the next turn of its loop
    links = {}
    for entry in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # the folder itself
            links[entry.name] = str(entry.readlink())
    return links


class OtherProcess:
    """Offers a socket, and answers by it what it is told."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", RUNNER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        self._stdout = self._process.stdout
        self.pid = self._process.pid
        self.fd, self.inode = json.loads(self._stdout.readline())

    def go_on(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write("+")
        self._process.stdin.flush()

    def last_word(self) -> str:
        return self._stdout.readline()

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()


@pytest.fixture
def other() -> Iterator[OtherProcess]:
    process = OtherProcess()
    yield process
    process.close()


def test_a_socket_is_shared_with_its_process(other: OtherProcess) -> None:
    ours = take_over(other.pid, other.fd, other.inode)
    assert ours is not None
    assert not ours.get_inheritable()
    other.go_on()
    ours.sendall(b"hello")
    assert ours.recv(100) == b"HELLO"
    # And it is the only one who has it: its end is the stream's.
    ours.close()
    assert other.last_word() == "end\n"


def test_nothing_but_the_very_socket_is_taken(other: OtherProcess) -> None:
    before = open_files()
    assert take_over(other.pid, other.fd, other.inode + 1) is None
    assert take_over(other.pid, 1, other.inode) is None
    assert take_over(other.pid, 10_000, other.inode) is None
    assert open_files() == before


@pytest.mark.skipif(KERNEL < (6, 16), reason="it knows no SO_PASSRIGHTS")
def test_no_descriptor_comes_by_it(other: OtherProcess) -> None:
    ours = take_over(other.pid, other.fd, other.inode)
    assert ours is not None
    other.go_on()
    ours.sendall(b"!")
    assert ours.recv(100) == b"REFUSED"


def test_a_process_that_is_gone_has_no_socket(other: OtherProcess) -> None:
    other.close()
    assert take_over(other.pid, other.fd, other.inode) is None


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"\xff",
        b"[]",
        b"{}",
        b'{"socket": 1}',
        b'{"socket": [1]}',
        b'{"socket": [1, "2"]}',
        b'{"socket": [true, 2]}',
        b'{"socket": [-1, 2]}',
        b'{"socket": [123456789123456789123456789, 2]}',
        b"[" * 100_000,
    ],
)
def test_what_is_no_offer_is_none(said: bytes) -> None:
    assert offered_socket(said) is None


class Direct(AttachedTwin):
    """A runner whose socket can be had; `direct` is what comes by it."""

    def __init__(self) -> None:
        super().__init__(1, lambda *_: None)
        self.direct: Queue[bytes] = Queue()

    def go_direct(self, fd: int, inode: int) -> bool:
        assert (fd, inode) == (7, 8)
        return True

    def receive_direct(self) -> bytes:
        return self.direct.get()

    def end_direct(self) -> None:
        self.direct.put(b"")


OFFER = {"scrub_ms": 0.0, "socket": [7, 8]}


def linked() -> tuple[Probe, Direct]:
    """Return who is told, and the runner of a link that has gone direct."""
    owner, runner = Probe(), Direct()
    gevent.spawn(RunnerLink(runner, owner.ref, "one").read)
    runner.say(wire.READY, OFFER)
    assert [message.frames[0][0] for message in owner.take()] == [wire.READY]
    return owner, runner


def test_all_that_came_by_the_socket_comes_before_the_end() -> None:
    owner, runner = linked()
    # Given frames in the socket that nobody has read when the container dies
    done = wire.encode(wire.DONE, b"{}")
    runner.direct.put(wire.encode(wire.STDOUT, b"one") + done[:2])
    runner.direct.put(done[2:])
    runner.die()
    # Then the owner hears of them first
    assert owner.take() == [
        FramesReceived(((wire.STDOUT, b"one"),)),
        FramesReceived(((wire.DONE, b"{}"),)),
        StreamEnded("stream ended", runner.id),
    ]


def test_the_end_of_the_attach_stream_leaves_what_is_in_the_socket() -> None:
    ours, runner = socket.socketpair()
    attached = AttachedTwin(1, lambda *_: None)
    attached._direct = ours  # noqa: SLF001 - as after go_direct
    reader = gevent.spawn(lambda: [attached.receive_direct() for _ in range(2)])
    settle()
    # Given a reader that waits, when the last frame and the end come together
    runner.sendall(b"last")
    Attached.end_direct(attached)
    assert reader.get(timeout=LEAVE_S) == [b"last", b""]
    # And the runner is still there
    assert runner.fileno() > 0
    runner.close()
    ours.close()


def test_bytes_by_the_socket_that_are_no_frames_are_told_at_once() -> None:
    owner, runner = linked()
    runner.direct.put(b"\xff" * 8)
    (told,) = owner.take()
    assert told.reason.startswith("protocol")
