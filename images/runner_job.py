"""What the host says of a job, and what the kernel is told of its limits."""

from __future__ import annotations

from images import runner_json, wire
from images.runner_step import Stdin

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

CPU_SLACK_S = 2
Files = list[tuple[str, bytes, int]]
"""Names, bytes and modes."""


def open_job(payload: bytes) -> tuple[dict[str, Any], Files | None, Stdin]:
    """Split a JOB payload into the job, its files and its stdin."""
    header, blobs = wire.unpack_job(payload)
    job = runner_json.loads(header.decode())
    files: Files = []
    at = 0
    listed = job["files"]
    executable = job.get("executable", ())  # a host of before does not say it
    for name, length in listed:
        mode = 0o755 if name in executable else 0o644
        files.append((name, blobs[at : at + length], mode))
        at += length
    return job, files, Stdin(blobs[at:], ended=not job["stdin_open"])


def rlimits(
    processes_max: int, cpu_s: float, others: Mapping[str, int]
) -> dict[str, tuple[int, int]]:
    """Return soft and hard limits of a step.

    Those of time are a backstop behind our own watch, all `others` the host's: a soft
    limit that is also the hard one can't be raised.
    """
    cpu = int(cpu_s) + CPU_SLACK_S
    fixed = {"NPROC": processes_max, "CORE": 0, **others}
    pairs = {name: (value, value) for name, value in fixed.items()}
    return {"CPU": (cpu, cpu + 1), **pairs}
