"""A runner and its launcher go before programs, where we may say so."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from actors.runner_priority import NICE, prefer_runner

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def parent() -> Iterator[subprocess.Popen[bytes]]:
    """A process with one child, which says when it is there."""
    script = "sleep infinity & echo; wait"
    with subprocess.Popen(["bash", "-c", script], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process
        subprocess.run(["kill", "-9", *children(process.pid)], check=True)
        process.kill()


def children(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give it")
def test_the_runner_and_its_launcher_are_preferred(
    parent: subprocess.Popen[bytes],
) -> None:
    prefer_runner(parent.pid)
    pids = [parent.pid, *map(int, children(parent.pid))]
    assert [os.getpriority(os.PRIO_PROCESS, pid) for pid in pids] == [NICE, NICE]


def test_who_is_not_there_is_left_alone(tmp_path: Path) -> None:
    before = os.getpriority(os.PRIO_PROCESS, 0)
    prefer_runner(os.getpid(), tmp_path)
    assert os.getpriority(os.PRIO_PROCESS, 0) == before
