"""What each step of a job may use: a program its job's limits, a compiler its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from actors.messages import Limits
    from images.catalog import Language

Phase = Literal["compile", "run"]
MIB = 1 << 20

COMPILE_RLIMITS = {"FSIZE": 64 * MIB, "NOFILE": 1024, "STACK": 64 * MIB}
"""What a compile step has, in bytes and descriptors, whatever its job asks for.

A linker with few descriptors fails, the smallest program of Go is a file of 1.5 MB, and
gcc raises its own stack to just this, if it may, to read what is deeply nested.
"""


class Bounds(NamedTuple):
    """The bounds of one step, each in its limit's own unit."""

    phase: Phase
    wall_time_s: float
    cpu_time_s: float
    memory_mb: int
    output_kb: int
    processes: int
    file_size_kb: int


def bounds_of(phase: Phase, limits: Limits, language: Language) -> Bounds:
    """Return what bounds this step of a job that has these limits."""
    own = language.limits.compile
    if phase == "run" or own is None:
        return Bounds(
            phase,
            limits.wall_time_s,
            limits.cpu_time_s,
            limits.memory_mb,
            limits.output_kb,
            limits.processes,
            limits.file_size_kb,
        )
    asked = limits.compile or own
    return Bounds(
        phase,
        asked.wall_time_s,
        asked.cpu_time_s,
        asked.memory_mb,
        own.output_kb,
        own.processes,
        COMPILE_RLIMITS["FSIZE"] // 1024,
    )


def memory_mb_of(limits: Limits, language: Language) -> int:
    """Return the memory that the first step of a job may use."""
    own = language.limits.compile
    if language.compile is None or own is None:
        return limits.memory_mb
    return (limits.compile or own).memory_mb


def most_memory_mb_of(limits: Limits, language: Language) -> int:
    """Return the most memory that any step of a job may use."""
    return max(memory_mb_of(limits, language), limits.memory_mb)


def memory_changes(limits: Limits, language: Language) -> bool:
    """Tell whether a job's program has another bound on memory than its compiler."""
    return memory_mb_of(limits, language) != limits.memory_mb
