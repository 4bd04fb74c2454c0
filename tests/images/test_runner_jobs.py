"""The runner's ordinary life: job after job, each end told by its evidence."""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import gevent
import pytest
from docker.errors import APIError
from runner_harness import Box, Boxes

from images import wire

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runner_harness import Report

pytestmark = pytest.mark.docker

HELLO = {
    "python": "print('hello')",
    "javascript": "console.log('hello')",
    "bash": "echo hello",
    "c": '#include <stdio.h>\nint main(){puts("hello");}',
}
SPIN = "while True: pass"
READ = "import sys; print(sys.stdin.read())"


@pytest.fixture(scope="module")
def boxes() -> Iterator[Boxes]:
    with Boxes() as found:
        yield found


def assert_hello(box: Box) -> None:
    report = box.run(HELLO[box.language.name])
    assert (report.outcome, report.stdout, report.stderr) == (
        "success",
        b"hello\n",
        b"",
    )
    assert report.clean, report.dirty


def descriptors(box: Box) -> str:
    return box.exec("sh", "-c", "ls /proc/1/fd | wc -l")


def anonymous_mb(box: Box) -> int:
    status = Path(f"/proc/{box.attached.pid}/status").read_text()
    return int(status.partition("RssAnon:")[2].split()[0]) >> 10


# ------------------------------------------------------------------- both the ways


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may take it")
@pytest.mark.parametrize("language", ["python", "javascript", "bash"])
def test_the_runner_serves_by_its_own_socket(boxes: Boxes, language: str) -> None:
    box = boxes.get(language)
    assert box.is_direct
    assert_hello(box)
    for fd in (0, 1):
        link = Path(f"/proc/{box.attached.pid}/fd/{fd}")
        assert str(link.readlink()).startswith("socket:")


@pytest.mark.parametrize("language", ["python", "javascript", "bash"])
def test_the_runner_serves_by_docker_alone(boxes: Boxes, language: str) -> None:
    with Box(boxes.engine, language, direct=False) as box:
        for _ in range(3):
            assert_hello(box)
        box.start(SPIN if language == "python" else HELLO[language])
        box.send(wire.CANCEL)
        assert box.report().clean


# ---------------------------------------------------------------------- many jobs


@pytest.mark.parametrize(
    ("language", "jobs"),
    [("python", 200), ("bash", 100), ("c", 30), ("javascript", 20)],
)
def test_no_job_is_lost_and_nothing_grows(
    boxes: Boxes, language: str, jobs: int
) -> None:
    with boxes.start(language) as box:
        assert_hello(box)
        before, memory = descriptors(box), anonymous_mb(box)
        for _ in range(jobs):
            assert_hello(box)
        assert descriptors(box) == before
        assert anonymous_mb(box) <= memory + 1


# ------------------------------------------------------------ while others wait


def come_together(box: Box) -> bool:
    """Tell whether the last job's end and READY came in one."""
    return {wire.DONE, wire.READY} <= set(box.reads[-1])


@pytest.mark.parametrize("language", ["python", "javascript", "bash", "c"])
def test_where_others_wait_the_end_is_told_with_ready(
    boxes: Boxes, language: str
) -> None:
    box = boxes.get(language)
    together = {True: 0, False: 0}
    for number in range(40):
        others_wait = bool(number % 2)
        report = box.run(HELLO[language], others_wait=others_wait)
        assert (report.outcome, report.stdout) == ("success", b"hello\n")
        assert report.clean, report.dirty
        assert report.scrub_ms
        together[others_wait] += come_together(box)
    assert together[True] > together[False]


def test_an_end_that_was_held_is_told_before_the_container_is_given_up(
    boxes: Boxes,
) -> None:
    box = boxes.start("python")
    report = box.run("bytearray(1 << 30)\nx = b'1' * (1 << 31)", others_wait=True)
    assert report.outcome == "out_of_memory"
    assert report.clean, report.dirty


MANY_FILES = "for i in range(4000): open(f'/tmp/{i}', 'w').close()"


def test_a_long_scrub_keeps_nobody_waiting_for_the_end(boxes: Boxes) -> None:
    box = boxes.get("python")
    apart = 0
    for _ in range(5):
        report = box.run(MANY_FILES, others_wait=True)
        assert report.outcome == "success", report.stderr
        assert report.clean, report.dirty
        apart += not come_together(box)
    assert apart


def test_a_container_ends_with_its_uids(boxes: Boxes) -> None:
    with boxes.start("bash", uids=4) as box:
        reports = [box.run("id -u") for _ in range(3)]
        first = box.attached.uid_first
    assert [int(report.stdout) - first for report in reports] == [0, 1, 2]
    assert [report.clean for report in reports] == [True, True, False]
    assert reports[-1].dirty == {"reason": "uids used up", "out_of_memory": False}


def test_large_jobs_leave_no_memory_behind(boxes: Boxes) -> None:
    box = boxes.get("python")
    source = {"main.py": READ + "#" + "x" * 900_000, "other": "y" * 5_000_000}
    for _ in range(3):
        report = box.run(source, stdin=b"z" * 2_000_000, output_kb=8192)
        assert len(report.stdout) == 2_000_001
        assert report.clean, report.dirty


@pytest.mark.parametrize("language", ["python", "javascript"])
def test_a_job_that_the_waiting_interpreter_does_not_fit_starts_cold(
    boxes: Boxes, language: str
) -> None:
    source = {
        "python": "import os; print(os.environ['X'], os.environ['WARMBOX_MAIN'])",
        "javascript": "console.log(process.env.X, process.env.WARMBOX_MAIN)",
    }[language]
    box = boxes.get(language)
    report = box.run(source, env=(("X", "1"), ("WARMBOX_MAIN", "2")), processes=40)
    assert (report.outcome, report.stdout) == ("success", b"1 2\n"), report
    assert_hello(box)


# ----------------------------------------------------------------------- evidence

ENDS = {
    "exit 137": ("exit 137", "failure", 137, None),
    "SIGKILL": ("kill -9 $$", "signalled", None, 9),
    "SIGTERM": ("kill $$", "signalled", None, 15),
    "SIGSEGV": ("kill -SEGV $$", "signalled", None, 11),
    "not found": ("nonesuch", "failure", 127, None),
    "closed pipes": ("exec >&- 2>&- <&-; exit 4", "failure", 4, None),
    "sleeps": ("sleep 60", "timed_out", None, 9),
    "is stopped": ("kill -STOP $$", "timed_out", None, 9),
    "background": ("sleep 60 &", "success", 0, None),
    "too large a file": ("head -c 70000000 /dev/zero > /tmp/x", "failure", 153, None),
}


@pytest.mark.parametrize(
    ("source", "outcome", "code", "number"), ENDS.values(), ids=ENDS
)
def test_ends(
    boxes: Boxes, source: str, outcome: str, code: int | None, number: int | None
) -> None:
    box = boxes.get("bash")
    report = box.run(source, wall_s=0.5)
    assert report.outcome == outcome
    assert report.done is not None
    assert (report.done["exit_code"], report.done["signal"]) == (code, number)
    assert_hello(box)


def test_cpu_time_is_that_of_all_processes(boxes: Boxes) -> None:
    source = "for _ in 1 2 3; do (while :; do :; done) & done; wait"
    report = boxes.get("bash").run(source, cpu_s=0.3, wall_s=20)
    assert report.done is not None
    assert report.done["stopped"] == "cpu"
    assert 300 <= report.done["cpu_ms"] < 3000


def test_output_up_to_the_limit_is_no_excess(boxes: Boxes) -> None:
    box = boxes.get("bash")
    fits = box.run("head -c 10240 /dev/zero", output_kb=10)
    assert (fits.outcome, len(fits.stdout)) == ("success", 10240)
    over = box.run("head -c 10241 /dev/zero", output_kb=10)
    assert (over.outcome, len(over.stdout)) == ("output_exceeded", 10240)
    flood = box.run("yes >&2", output_kb=10)
    assert (flood.outcome, len(flood.stderr)) == ("output_exceeded", 10240)
    assert flood.done is not None
    assert flood.done["truncated"]


SHARES = """
for line in open("/proc/self/smaps"):
    first, *rest = line.split()
    if "-" in first:
        rights, name = rest[0], rest[-1]
    elif first == "Anonymous:" and "/bin/python3" in name and rights == "r-xp":
        print(*rest)
"""


def test_a_fork_is_given_the_interpreters_code_mapped(boxes: Boxes) -> None:
    # One page of it is private, which is when the kernel copies the whole table. The
    # first job of a container is a fork, however long it has waited for the job.
    with boxes.start("python") as box:
        assert box.run(SHARES).stdout == b"4 kB\n"


def test_usage_is_plausible(boxes: Boxes) -> None:
    source = "import time; x = bytearray(80 << 20); time.sleep(0.2)"
    done = boxes.get("python").run(source).done
    assert done is not None
    assert 200 <= done["wall_ms"] < 2000
    assert 1 <= done["cpu_ms"] < 1000
    assert 80 << 10 <= done["memory_kb"] < 120 << 10


def test_what_was_written_before_the_end_arrives(boxes: Boxes) -> None:
    source = "import os, sys; sys.stdout.write('x' * 60000); sys.stdout.flush();"
    report = boxes.get("python").run(source + "os._exit(0) if os.fork() else 0")
    assert len(report.stdout) >= 60000
    assert report.outcome == "success"


COMPILES = {
    "an error": ("int main(){", "compile_failed"),
    "no main": ("int x;", "compile_failed"),
    "endless": ('#include "/dev/zero"', "out_of_memory"),
    "a huge file": ("char a[1 << 30] = {1}; int main(){}", "compile_failed"),
    "too slow": (
        "#if __INCLUDE_LEVEL__ < 100\n#include __FILE__\n#include __FILE__\n#endif",
        "timed_out",
    ),
}


@pytest.mark.parametrize(("source", "outcome"), COMPILES.values(), ids=COMPILES)
def test_compiling_is_running(boxes: Boxes, source: str, outcome: str) -> None:
    compile_s = 0.5 if outcome == "timed_out" else 10
    report = boxes.get("c").run(source, compile=(compile_s, compile_s, 256))
    assert report.phases == ["compile"]
    assert report.done is not None
    assert report.done["compile"] is not None
    assert report.outcome == outcome


# ----------------------------------------------------------------------- the host


def test_frames_behind_a_job_belong_to_it(boxes: Boxes) -> None:
    box = boxes.get("python")
    frames = [
        box.job(READ, stdin=b"a", stdin_open=True),
        wire.encode(wire.STDIN, b"b"),
        wire.encode(wire.STDIN_END),
        wire.encode(wire.STDIN, b"late"),
        wire.encode(wire.STDIN_END),
    ]
    box.attached.send(b"".join(frames))
    assert box.report().stdout == b"ab\n"
    box.attached.send(box.job(SPIN) + wire.encode(wire.CANCEL))
    assert box.report().outcome == "cancelled"


def test_frames_before_a_job_are_not_its_own(boxes: Boxes) -> None:
    box = boxes.get("python")
    stale = wire.encode(wire.STDIN, b"stale") + wire.encode(wire.CANCEL)
    box.attached.send(stale + box.job(READ))
    report = box.report()
    assert (report.outcome, report.stdout) == ("success", b"\n")


def test_a_job_that_reads_nothing_hears_that_it_is_cancelled(boxes: Boxes) -> None:
    box = boxes.get("python")
    box.start("import time; print('up', flush=True); time.sleep(60)", stdin_open=True)
    next(box.until(wire.STDOUT))
    for _ in range(9):
        box.send(wire.STDIN, bytes(1 << 20))
    box.send(wire.CANCEL)
    assert box.report().outcome == "cancelled"


@pytest.mark.parametrize(
    ("language", "step_s"), [("python", 0.0004), ("c", 0.004), ("javascript", 0.008)]
)
def test_a_job_can_be_cancelled_at_any_moment(
    boxes: Boxes, language: str, step_s: float
) -> None:
    box = boxes.get(language)
    outcomes = set()
    for number in range(25):
        box.start(HELLO[language])
        gevent.sleep(number * step_s)
        box.send(wire.CANCEL)
        report = box.report()
        assert report.clean, report
        outcomes.add(report.outcome)
    assert outcomes <= {"cancelled", "success"}
    assert_hello(box)


def test_stdin_loses_nothing_and_waits_for_who_reads_late(boxes: Boxes) -> None:
    source = "import hashlib, sys, time; time.sleep(0.2)\n"
    source += "print(hashlib.sha256(sys.stdin.buffer.read()).hexdigest())"
    chunks = [bytes([number]) * (1 << 20) for number in range(20)]
    box = boxes.get("python")
    box.start(source, stdin_open=True)
    for chunk in chunks:
        box.send(wire.STDIN, chunk)
    box.send(wire.STDIN_END)
    expected = hashlib.sha256(b"".join(chunks)).hexdigest()
    assert box.report().stdout.decode().strip() == expected


@pytest.mark.parametrize("source", ["pass", "import os; os.close(0)"])
def test_stdin_that_nobody_reads_harms_nobody(boxes: Boxes, source: str) -> None:
    box = boxes.get("python")
    box.start(source, stdin_open=True)
    for _ in range(12):
        box.send(wire.STDIN, bytes(1 << 20))
    assert box.report().outcome == "success"
    assert_hello(box)


def test_a_host_that_reads_late_gets_all_there_was(boxes: Boxes) -> None:
    box = boxes.get("python")
    box.pause()
    box.start(
        "import sys\nfor n in range(300): sys.stdout.write(str(n % 10) * 10000)",
        output_kb=4096,
    )
    gevent.sleep(0.5)
    box.resume()
    report = box.report()
    assert len(report.stdout) == 3_000_000
    assert report.outcome == "success"


INVALID = {
    "junk": b"\xff" * 10,
    "a frame of the runner's": wire.encode(wire.READY),
    "a frame without end": b"\x01\xff\xff\xff\xff",
    "a job without a header": wire.encode(wire.JOB, b"abc"),
    "a job without a body": wire.encode(wire.JOB, b"\0\0\0\x02{}"),
}


@pytest.mark.parametrize("frame", INVALID.values(), ids=INVALID)
def test_what_is_no_frame_ends_the_container(boxes: Boxes, frame: bytes) -> None:
    with boxes.start("bash") as box:
        box.attached.send(frame)
        report = box.report()
        assert report.done is None
        assert report.ended or "protocol" in str(report.dirty)


def test_a_job_during_a_job_is_no_frame_either(boxes: Boxes) -> None:
    box = boxes.get("python")
    box.attached.send(box.job(SPIN) + box.job(SPIN))
    report: Report = box.report()
    assert json.dumps(report.dirty).count("a job during a job") == 1
    box.clean = False


@pytest.mark.parametrize("source", [SPIN, "while True: print('x' * 1000)"])
def test_the_container_ends_with_the_hosts_stream(boxes: Boxes, source: str) -> None:
    box = boxes.start("python")
    box.start("import os\nfor _ in range(4): os.fork()\n" + source, output_kb=100_000)
    assert box.frame() == (wire.PHASE, b'{"phase": "run"}')
    box.attached.close()
    with gevent.Timeout(20), suppress(APIError):
        while True:
            box.exec("true")
    boxes.engine.discard(box.attached)
