"""Jobs, languages and settings, each with defaults that a test may change."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from actors.messages import Job, JobEvent, Lease, Limits, RunJob, SourceFile
from actors.sandbox import LanguageDefaults, SandboxConfig
from images.catalog import (
    CompilerLimits,
    Language,
    LanguageLimits,
    LeastLimits,
    Sample,
    Step,
    Warm,
)

LIMITS = Limits(
    wall_time_s=5, cpu_time_s=4, memory_mb=256, output_kb=1024, processes=64
)
OWN_LIMITS = LanguageLimits(256, 64, 5, 4, 1024, 65_536, 1024, 8192)
SAMPLE = Sample(Path("hello"), "hello")

PYTHON = Language(
    name="python",
    title="Python",
    aliases=("py",),
    main="main.py",
    version_argv=("python3", "--version"),
    compile=None,
    run=Step(("python3", "{main}", "{args}")),
    warm=Warm("fork", ("python3", "main.py")),
    heap=None,
    env=(("LANG", "C.UTF-8"),),
    least=LeastLimits(),
    limits=OWN_LIMITS,
    hello=SAMPLE,
    echo=SAMPLE,
    fail=SAMPLE,
    folder=Path("images/python"),
)
C = replace(
    PYTHON,
    name="c",
    aliases=("gcc",),
    main="main.c",
    compile=Step(("gcc", "{sources:.c}")),
    limits=replace(OWN_LIMITS, compile=CompilerLimits(30, 10, 256, 1024, 64)),
    run=Step(("./a.out", "{args}")),
    warm=None,
)
CONFIG = SandboxConfig(
    service="here:8000",
    runtime="runc",
    runtimes={},
    seccomp='{"defaultAction": "SCMP_ACT_ERRNO"}',
    reuse="always",
    jobs_max=1000,
    age_s_max=3600,
    scrub_s=5,
    grace_s=3,
    cpus=1.5,
    uid_first=100_000,
    uids=1024,
    starts_max=8,
    processes_max=256,
    open_files_max=1024,
    stack_kb_max=262_144,
    cpu_s_max=30,
)


def make_defaults(language: Language = PYTHON) -> LanguageDefaults:
    return LanguageDefaults(language, f"warmbox/{language.name}:latest", 64, 256)


def make_job(job_id: str = "j1", **changes: Any) -> Job:
    job = Job(
        id=job_id,
        language="python",
        client="ann",
        files=(SourceFile("main.py", b"print()"),),
        stdin=b"",
        stdin_open=False,
        args=(),
        env=(),
        limits=LIMITS,
        created_at=1_700_000_000.0,
    )
    return replace(job, **changes)


def make_lease(job: Job | None = None, **changes: Any) -> Lease:
    lease = Lease(tag=1, generation=1, job=job or make_job(), attempt=1)
    return replace(lease, **changes)


def make_run(job: Job | None = None, attempt: int = 1) -> RunJob:
    return RunJob(make_lease(job, attempt=attempt), attempt, queued_s=0.5)


def evidence(**changes: Any) -> dict[str, Any]:
    """Return what a runner says in DONE of a program that went well."""
    return {
        "phase": "run",
        "exit_code": 0,
        "signal": None,
        "stopped": None,
        "wall_ms": 20.0,
        "compile": None,
        "truncated": False,
        "oom": 0,
        "cpu_ms": 10.0,
        "memory_kb": 9000,
        **changes,
    }


def bodies(events: list[JobEvent]) -> list[object]:
    return [event.body for event in events]
