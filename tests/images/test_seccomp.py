"""The list of system calls: what it says, and what the kernel makes of it."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Any

import pytest
from runner_harness import IMAGES, Boxes

from images import seccomp

FORBIDDEN = Path(__file__).with_name("forbidden_calls.c")
KILLED = {"int 0x80": "SIGSYS", "x32": "SIGSYS"}
"""Other doors to the same kernel: no errno, the thread ends."""
ABSENT = {"clone3", "io_uring_setup", "io_uring_enter", "io_uring_register"}
"""Said not to be there, so that the C library and the runtimes take another way."""


def allowed() -> dict[str, list[Any]]:
    """Return the calls that may succeed, with what their arguments must be."""
    found: dict[str, list[Any]] = {}
    for rule in seccomp.profile()["syscalls"]:
        if rule["action"] == seccomp.ALLOW:
            for name in rule["names"]:
                found.setdefault(name, []).append(rule.get("args"))
    return found


def test_the_file_is_what_its_source_says() -> None:
    assert (IMAGES / "seccomp.json").read_text() == seccomp.text()


def test_what_is_not_named_is_refused_on_both_architectures() -> None:
    profile = seccomp.profile()
    assert profile["defaultAction"] == "SCMP_ACT_ERRNO"
    assert profile["archMap"] == [
        {"architecture": "SCMP_ARCH_X86_64", "subArchitectures": []},
        {"architecture": "SCMP_ARCH_AARCH64", "subArchitectures": []},
    ]


def test_no_call_stands_in_two_groups() -> None:
    whole = [
        name
        for rule in seccomp.profile()["syscalls"]
        if not rule.get("args")
        for name in rule["names"]
    ]
    assert len(whole) == len(set(whole))
    narrow = {name for name, rules in allowed().items() if rules != [None]}
    assert narrow == {"clone", "personality", "setsockopt", "socket", "socketpair"}


def test_every_group_has_its_reason() -> None:
    assert all(len(rule["comment"]) > 10 for rule in seccomp.profile()["syscalls"])


@pytest.mark.docker
@pytest.mark.skipif(platform.machine() != "x86_64", reason="tries its own doors too")
def test_what_is_refused_inside_a_container() -> None:
    with Boxes() as boxes:
        report = boxes.get("c").run(FORBIDDEN.read_text())
    assert report.outcome == "success", report
    ended = dict(line.rsplit(" ", 1) for line in report.stdout.decode().splitlines())
    assert len(ended) > 75
    expected = dict.fromkeys(ended, "EPERM") | dict.fromkeys(ABSENT, "ENOSYS") | KILLED
    expected["a call of a kernel to come"] = "ENOSYS"
    assert ended == expected
    assert report.clean


@pytest.mark.docker
def test_the_lists_own_refusals_show_without_it() -> None:
    """The engine's own list lets some of it through: so the test above tests ours."""
    with Boxes() as boxes:
        report = boxes.start("c", seccomp=None).run(FORBIDDEN.read_text())
    assert b"WORKED" in report.stdout
