"""What a look from inside a sandbox (look.py) says of each of its protections."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from images.finding import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

LOOK_FILE = "look.py"
OWN_CAPABILITIES = 1 << 5 | 1 << 6 | 1 << 7
"""KILL, SETGID and SETUID: the runner's, and out of a program's reach."""
_MB = 1 << 20
_TMPFS_MB_MAX = 64
_PIDS_MAX = 4096
_FILES_MAX = 4096
_STACK_MB_MAX = 1024
"""These two are the highest that the settings allow."""
_UNLIMITED = 1 << 60
_IMAGES = ".venv/bin/python run.py images build"
_MEND_ENGINE = "sudo apt-get install --only-upgrade docker.io runc containerd"
_MEND_CGROUPS = (
    "boot with cgroup_enable=memory swapaccount=1, or a distribution with cgroups 2"
)


def judge(facts: Mapping[str, Any]) -> Iterator[Finding]:
    """Yield one finding for each protection."""
    yield _own_user(facts)
    yield _rights(facts["status"])
    yield _calls(facts)
    yield Finding(
        "read-only root",
        not facts["writable"],
        "writable: " + ", ".join(facts["writable"])
        if facts["writable"]
        else "all of /",
        _MEND_ENGINE,
    )
    yield Finding(
        "no network",
        set(facts["interfaces"]) <= {"lo"},
        "interfaces: " + ", ".join(facts["interfaces"]),
        _MEND_ENGINE,
    )
    yield Finding(
        "closed runner",
        not facts["runner"],
        "open: " + ", ".join(facts["runner"])
        if facts["runner"]
        else "memory, descriptors and root of PID 1 are refused",
        _IMAGES,
    )
    yield from _bounds(facts)


def _own_user(facts: Mapping[str, Any]) -> Finding:
    ok = facts["uid"] >= 1000 and not facts["groups"]  # noqa: PLR2004 - system users end
    evidence = f"uid {facts['uid']}, groups {facts['groups']}"
    return Finding("own user", ok, evidence, _IMAGES)


def _rights(status: Mapping[str, str]) -> Finding:
    held = int(status.get("CapEff", "0"), 16)
    reachable = int(status.get("CapBnd", "0"), 16)
    # A runtime with a kernel of its own may not show it, and refuses all the same.
    locked = status.get("NoNewPrivs", "1") == "1"
    ok = not held and not reachable & ~OWN_CAPABILITIES and locked
    evidence = f"capabilities {held:#x}, at most {reachable:#x}; no new privileges"
    return Finding("no privileges", ok, evidence if locked else "can be gained")


def _calls(facts: Mapping[str, Any]) -> Finding:
    through = [*facts["calls"], *facts["families"]]
    mode = facts["status"].get("Seccomp", "not shown")
    evidence = f"seccomp mode {mode}, kernel {facts['kernel']}: " + (
        "let through: " + ", ".join(through)
        if through
        else "all that was tried refused"
    )
    mend = (
        "docker info must list seccomp; with gVisor its runtimeArgs need --oci-seccomp"
    )
    return Finding("system calls", not through, evidence, mend)


def _bounds(facts: Mapping[str, Any]) -> Iterator[Finding]:
    memory, swap = _number(facts["memory"]), _number(facts["swap"])
    yield Finding(
        "bounded memory",
        memory is None or memory < _UNLIMITED,
        "not shown by this runtime" if memory is None else f"{memory // _MB} MB",
        _MEND_CGROUPS,
    )
    yield Finding(
        "no swap",
        memory is None or swap is None or swap in {0, memory},
        f"memory and swap: {facts['swap'] or 'not shown by this runtime'}",
        _MEND_CGROUPS,
    )
    pids = _number(facts["pids"])
    processes = facts["processes"]
    yield Finding(
        "bounded processes",
        0 < processes <= _PIDS_MAX and (pids is None or pids <= _PIDS_MAX),
        f"{processes} for a job, {facts['pids'] or 'a number not shown'} altogether",
        _MEND_CGROUPS,
    )
    stack = facts["stack"]
    yield Finding(
        "bounded stack",
        0 < stack <= _STACK_MB_MAX * _MB,
        f"{stack // 1024} KB, also for who would raise it" if stack > 0 else "no bound",
        _IMAGES,
    )
    yield Finding(
        "bounded files",
        facts["core"] == 0
        and 0 < facts["files"] <= _FILES_MAX
        and 0 < facts["file_size"] <= _TMPFS_MB_MAX * _MB
        and all(
            0 < size <= _TMPFS_MB_MAX * _MB for size, _ in facts["places"].values()
        ),
        f"{facts['files']} open, {facts['file_size'] // 1024} KB each, no core; "
        + ", ".join(
            f"{path} {size // _MB} MB and {count} names"
            for path, (size, count) in facts["places"].items()
        ),
        _MEND_ENGINE,
    )


def _number(text: str) -> int | None:
    """Return a control group's figure; None where it isn't shown."""
    if text == "max":
        return 1 << 62
    return int(text) if text.isdigit() else None
