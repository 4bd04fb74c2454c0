"""The doctor says what protects here; `require` makes the service refuse with less."""

from __future__ import annotations

import subprocess
import sys

import pytest
from ports import free_port
from service_process import ROOT

pytestmark = pytest.mark.docker


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "run.py", *arguments, "--port", str(free_port())],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        env={"COLUMNS": "200", "PATH": "/usr/bin:/bin"},
        check=False,
    )


def test_the_doctor_tells_each_protection_with_its_evidence() -> None:
    told = run("doctor").stdout
    for subject in (
        "own user",
        "no privileges",
        "system calls",
        "read-only root",
        "no network",
        "closed runner",
        "bounded memory",
        "no swap",
        "bounded processes",
        "bounded stack",
        "bounded files",
    ):
        (line,) = (line for line in told.splitlines() if subject in line)
        assert " ok " in line, line


def test_a_service_does_not_start_without_what_is_required() -> None:
    ended = run(
        "serve",
        "--set",
        "require=no network,unheard of,runtime",
        "--set",
        "runtime=none",
    )
    assert ended.returncode == 1
    assert "warmbox: runtime: none, of" in ended.stderr
    assert "unheard of: there is no such check" in ended.stderr
    assert "warmbox: not started" in ended.stderr
    assert "Traceback" not in ended.stderr
