"""The script that runs a gateway and two workers: what it starts, says and stops."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import gevent
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

SCRIPT = Path(__file__).parents[2] / "supervisors/several.sh"
PLAYED = """#!/bin/bash
if [ "$1" = -c ]; then echo a-secret; exit; fi
trap 'echo draining; sleep 0.3; echo gone; exit 0' TERM
echo "pid $$ $* $WARMBOX_BROKER $WARMBOX_SECRET"
while :; do sleep 0.05; done
"""
PATIENCE_S = 10


class Several:
    """The script, with a program in the place of Python."""

    def __init__(self, folder: Path) -> None:
        program = folder / "python"
        program.write_text(PLAYED)
        program.chmod(0o755)
        self._said = folder / "said"
        environ = {"PATH": os.environ["PATH"], "PYTHON": str(program), "PORT": "9000"}
        with self._said.open("wb") as said:
            self.process = subprocess.Popen(
                ["bash", SCRIPT, "--set", "a=b"],
                stdout=said,
                stderr=said,
                env={**environ, "WARMBOX_BROKER": "amqp://q"},
            )

    def said(self) -> str:
        return self._said.read_text()

    def wait_for(self, words: str) -> re.Match[str]:
        with gevent.Timeout(PATIENCE_S):
            while not (found := re.search(words, self.said())):
                gevent.sleep(0.02)
        return found

    def pid_of(self, name: str) -> int:
        return int(self.wait_for(rf"{name} *\| pid (\d+)")[1])


@pytest.fixture
def several(tmp_path: Path) -> Iterator[Several]:
    one = Several(tmp_path)
    yield one
    if one.process.poll() is None:
        one.process.terminate()
        one.process.wait(PATIENCE_S)


def test_each_process_has_its_role_port_uids_and_name(several: Several) -> None:
    gateway = several.wait_for(r"gateway  \| pid .*")[0]
    first = several.wait_for(r"worker 1 \| pid .*")[0]
    second = several.wait_for(r"worker 2 \| pid .*")[0]
    assert "--role gateway --port 9000" in gateway
    assert "--role worker --port 9001 --set uid_first=100000000" in first
    assert "--role worker --port 9002 --set uid_first=200000000" in second
    for line in (gateway, first, second):
        assert line.endswith("--set a=b amqp://q a-secret")


def test_who_dies_is_named_and_the_others_go_on(several: Several) -> None:
    several.pid_of("gateway")
    several.pid_of("worker 2")
    os.kill(several.pid_of("worker 1"), signal.SIGKILL)
    several.wait_for("warmbox: worker 1 has ended with exit code 137")
    assert several.process.poll() is None
    assert "draining" not in several.said()


def test_the_gateway_is_stopped_after_the_workers(several: Several) -> None:
    for name in ("gateway", "worker 1", "worker 2"):
        several.pid_of(name)
    several.process.terminate()
    assert several.process.wait(PATIENCE_S) == 0
    names = re.findall(r"^(\w+).*\| gone$", several.said(), re.MULTILINE)
    assert names == ["worker", "worker", "gateway"]


def test_when_none_is_left_it_ends(several: Several) -> None:
    for name in ("gateway", "worker 1", "worker 2"):
        os.kill(several.pid_of(name), signal.SIGKILL)
    assert several.process.wait(PATIENCE_S) == 1
    several.wait_for("warmbox: none is left")
