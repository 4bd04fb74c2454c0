"""`run.py submit` as people use it: pipes, a terminal, Ctrl-C."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from service_process import ROOT, ServiceProcess

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.docker

SECONDS_MAX = 60
DOUBLE = "print(int(input('n? ')) * 2)\n"
FOREVER = "import time\nprint('on', flush=True)\ntime.sleep(4)\n"


@pytest.fixture(scope="module")
def service() -> Iterator[ServiceProcess]:
    with ServiceProcess(languages="python,java", pool__warm=1) as one:
        yield one


def command(service: ServiceProcess, *words: object) -> list[str]:
    url = f"http://127.0.0.1:{service.port}"
    return [sys.executable, "run.py", "submit", "--url", url, *map(str, words)]


def submit(
    service: ServiceProcess, *words: object, stdin: bytes = b""
) -> tuple[int, str, str]:
    done = subprocess.run(
        command(service, *words),
        cwd=ROOT,
        input=stdin,
        capture_output=True,
        timeout=SECONDS_MAX,
        check=False,
    )
    return done.returncode, done.stdout.decode(), done.stderr.decode()


@pytest.fixture
def program(tmp_path: Path) -> Path:
    return tmp_path / "program.py"


def test_it_hands_its_stdin_on(service: ServiceProcess, program: Path) -> None:
    program.write_text(DOUBLE)

    assert submit(service, program, stdin=b"21\n") == (0, "n? 42\n", "")


def test_more_than_one_request_holds_is_handed_on(
    service: ServiceProcess, program: Path
) -> None:
    program.write_text("import sys\nprint(len(sys.stdin.buffer.read()))\n")
    data = bytes(3 << 20)

    assert submit(service, program, stdin=data) == (0, f"{len(data)}\n", "")


def test_arguments_files_variables_and_limits(
    service: ServiceProcess, program: Path
) -> None:
    program.write_text(
        "import os, sys, other, resource\n"
        "print(sys.argv[1:], os.environ['A'], other.VALUE,"
        " resource.getrlimit(resource.RLIMIT_NOFILE)[0])\n"
    )
    other = program.with_name("other.py")
    other.write_text("VALUE = 7\n")
    words = ("--file", other, "--env", "A=1", "--limit", "open_files=33")
    code, out, _ = submit(service, program, "a", *words, "b", "--", "-v")

    assert (code, out) == (0, "['a', 'b', '-v'] 1 7 33\n")


def test_a_file_of_java_runs_whatever_its_name(service: ServiceProcess) -> None:
    code, out, err = submit(service, "images/java/hello.java")

    assert (code, out, err) == (0, "Hello, world!\n", "")


def test_the_whole_result_as_json(service: ServiceProcess, program: Path) -> None:
    program.write_text("import sys\nprint('é')\nsys.exit(3)\n")
    code, out, err = submit(service, program, "--json")
    document = json.loads(out)

    assert (code, err) == (3, "")
    assert (document["outcome"], document["stdout"]) == ("failure", "é\n")


def test_ctrl_c_cancels_the_job_and_prints_nothing_odd(
    service: ServiceProcess, program: Path
) -> None:
    program.write_text(FOREVER)
    with subprocess.Popen(
        command(service, program, "--limit", "wall_time_s=20"),
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == b"on\n"
        running.send_signal(signal.SIGINT)
        out, err = running.communicate(timeout=SECONDS_MAX)

    assert (running.returncode, out, err) == (130, b"", b"warmbox: stopped\n")
    outcome = {"language": "python", "outcome": "cancelled"}
    assert service.api.metric("warmbox_jobs_total", **outcome) == 1


def test_a_reader_that_has_enough_ends_it_quietly(
    service: ServiceProcess, program: Path
) -> None:
    program.write_text("while True: print('x' * 100)\n")
    with subprocess.Popen(
        command(service, program, "--limit", "output_kb=4096"),
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as running:
        assert running.stdout is not None
        running.stdout.readline()
        running.stdout.close()
        assert running.stderr is not None
        err = running.stderr.read()
        running.wait(SECONDS_MAX)

    assert err == b"warmbox: stopped\n"


def test_a_terminal_lets_people_type(service: ServiceProcess, program: Path) -> None:
    program.write_text(DOUBLE)
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        command(service, program),
        cwd=ROOT,
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as running:
        os.close(theirs)
        assert running.stdout is not None
        assert running.stdout.read(3) == b"n? "
        os.write(ours, b"21\n")
        out, err = running.communicate(timeout=SECONDS_MAX)
    os.close(ours)

    assert (running.returncode, out, err) == (0, b"42\n", b"")


def test_the_end_of_what_is_typed_reaches_the_program(
    service: ServiceProcess, program: Path
) -> None:
    program.write_text("import sys\nprint(sys.stdin.read().upper())\n")
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        command(service, program),
        cwd=ROOT,
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as running:
        os.close(theirs)
        os.write(ours, b"abc\n\x04")
        out, _ = running.communicate(timeout=SECONDS_MAX)
    os.close(ours)

    assert (running.returncode, out) == (0, b"ABC\n\n")
