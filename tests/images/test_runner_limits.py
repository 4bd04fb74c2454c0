"""What the kernel counts by process: a job has what it asks for, the next has not."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from runner_harness import Boxes

from images import wire

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runner_harness import Report

pytestmark = pytest.mark.docker

NAMES = ("Max file size", "Max stack size", "Max open files")
SHOW = {
    "python": "print(open('/proc/self/limits').read())",
    "javascript": "console.log(require('fs').readFileSync('/proc/self/limits') + '')",
    "bash": "cat /proc/self/limits",
    "c": '#include <stdlib.h>\nint main(){return system("cat /proc/self/limits");}',
}
DEFAULTS = [64 << 20, 8 << 20, 1024]
ASKED = {"file_size_kb": 2, "stack_kb": 1024, "open_files": 64}


@pytest.fixture(scope="module")
def boxes() -> Iterator[Boxes]:
    with Boxes() as found:
        yield found


def shown(report: Report) -> list[int]:
    """Return the limits in the order of NAMES; the soft ones are the hard ones."""
    assert report.outcome == "success", report
    assert report.clean, report.dirty
    found = []
    for line in report.stdout.decode().splitlines():
        if line.startswith(NAMES):
            soft, hard = line[26:].split()[:2]
            assert soft == hard, line
            found.append(int(soft))
    return found


@pytest.mark.parametrize("language", SHOW)
def test_a_job_has_what_it_asks_for_and_the_next_one_has_not(
    boxes: Boxes, language: str
) -> None:
    box, show = boxes.get(language), SHOW[language]
    name = box.attached.id
    assert shown(box.run(show)) == DEFAULTS
    assert shown(box.run(show, **ASKED)) == [2048, 1 << 20, 64]
    assert shown(box.run(show)) == DEFAULTS
    assert shown(box.run(show, stack_kb=262_144)) == [64 << 20, 256 << 20, 1024]
    assert shown(box.run(show)) == DEFAULTS
    assert boxes.get(language).attached.id == name


def test_the_waiting_interpreter_gets_its_files_limits_with_the_job(
    boxes: Boxes,
) -> None:
    box = boxes.get("python")
    asked = {"file_size_kb": 2, "open_files": 16}
    assert b'"warm":true' in box.job(SHOW["python"], **asked)
    assert shown(box.run(SHOW["python"], **asked)) == [2048, 8 << 20, 16]


def test_the_c_librarys_threads_have_the_stack_that_was_asked_for(
    boxes: Boxes,
) -> None:
    source = """
#include <pthread.h>
#include <stdio.h>
int main(void) {
    pthread_attr_t attr;
    size_t size;
    pthread_getattr_default_np(&attr);
    pthread_attr_getstacksize(&attr, &size);
    printf("%zu", size >> 10);
}
"""
    source = "#define _GNU_SOURCE" + source
    box = boxes.get("c")
    for asked in (1024, 65_536):
        assert box.run(source, stack_kb=asked).stdout == str(asked).encode()


def test_a_program_can_raise_none_of_them(boxes: Boxes) -> None:
    source = """
import resource
for name in ("FSIZE", "NOFILE", "STACK"):
    number = getattr(resource, "RLIMIT_" + name)
    soft, hard = resource.getrlimit(number)
    for more in (hard + 1, resource.RLIM_INFINITY):
        try:
            resource.setrlimit(number, (soft, more))
            print("raised", name)
        except ValueError:
            pass
"""
    for asked in ({}, ASKED):
        report = boxes.get("python").run(source, **asked)
        assert (report.outcome, report.stdout) == ("success", b""), report


def test_a_host_of_before_that_says_none_of_them_has_the_containers(
    boxes: Boxes,
) -> None:
    box = boxes.get("bash")
    header, blobs = wire.unpack_job(box.job("ulimit -Hf; ulimit -Hn; ulimit -Ss")[5:])
    job = json.loads(header)
    for step in job["steps"]:
        del step["rlimits"]
    box.send(wire.JOB, wire.pack_job(json.dumps(job).encode(), [blobs]))
    assert box.report().stdout.split() == [b"65536", b"1024", b"8192"]


# ------------------------------------------------------------------------ compiling


@pytest.mark.parametrize("language", ["c", "cpp", "go", "java"])
def test_what_is_compiled_may_be_given_the_least(boxes: Boxes, language: str) -> None:
    box = boxes.get(language)
    least = {"file_size_kb": 1, "open_files": 16, "stack_kb": 128}
    report = box.run(box.language.hello.source, **least)
    assert report.outcome == "success", report
    assert report.stdout.decode() == box.language.hello.stdout


def test_a_compiler_has_the_stack_for_what_is_deeply_nested(boxes: Boxes) -> None:
    depth = 20_000
    source = f"int main() {{ return {'(' * depth}0{')' * depth}; }}"
    report = boxes.get("c").run(source, stack_kb=128)
    assert report.outcome == "success", report
