"""The parent of several gateway processes, with processes that only end."""

from __future__ import annotations

import socket
import sys
from typing import TYPE_CHECKING

import gevent
import pytest
from gevent.event import Event

from supervisors.processes import Inherited, Processes, listen

if TYPE_CHECKING:
    from pathlib import Path

MARK = """
import os, signal, sys
def mark(): open(sys.argv[1] + str(os.getpid()), "w").close()
"""
WAIT = "mark(); signal.pause()"


def run(code: str, folder: Path, count: int = 1) -> tuple[Processes, Event]:
    command = [sys.executable, "-c", f"{MARK}{code}", f"{folder}/"]
    return Processes(command, count, "127.0.0.1", 0), Event()


def test_they_run_until_they_are_told_to_end(tmp_path: Path) -> None:
    processes, stopping = run(WAIT, tmp_path, 3)
    running = gevent.spawn(processes.run, stopping)
    with gevent.Timeout(20):
        while len(list(tmp_path.iterdir())) < 3:
            gevent.sleep(0.01)
    assert not running.dead
    stopping.set()
    assert running.get(timeout=20) is True
    assert len(list(tmp_path.iterdir())) == 3


def test_what_ends_is_started_again_until_it_is_too_often(tmp_path: Path) -> None:
    processes, stopping = run("mark(); raise SystemExit(7)", tmp_path)
    assert processes.run(stopping) is False
    assert stopping.is_set()
    assert len(list(tmp_path.iterdir())) == 5


def test_an_end_that_was_not_well_is_told(tmp_path: Path) -> None:
    code = f"signal.signal(15, lambda *_: sys.exit(4)); {WAIT}"
    processes, stopping = run(code, tmp_path)
    running = gevent.spawn(processes.run, stopping)
    with gevent.Timeout(20):
        while not list(tmp_path.iterdir()):
            gevent.sleep(0.01)
    stopping.set()
    assert running.get(timeout=20) is False


def test_what_cannot_be_started_is_an_end_like_any_other() -> None:
    processes = Processes(["/nonexistent"], 1, "127.0.0.1", 0)
    assert processes.run(Event()) is False


def test_a_taken_port_is_an_error_that_names_it() -> None:
    with listen("127.0.0.1", 0) as held:
        port = held.getsockname()[1]
        with pytest.raises(OSError, match=f"cannot listen on 127.0.0.1:{port}"):
            listen("127.0.0.1", port)


def test_what_is_inherited_can_be_closed_and_had_again() -> None:
    with listen("127.0.0.1", 0) as held:
        inherited = Inherited((held.fileno(), 0))
        inherited.listener().close()
        with inherited.listener() as again:
            address = again.getsockname()
            with socket.create_connection(address):
                assert again.accept()[1]
