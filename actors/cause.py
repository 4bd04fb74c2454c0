"""Why a job has ended as it did, in a sentence: which limit it was, and how much."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

from actors.messages import Outcome

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from actors.bounds import Bounds

CANCELLED = "Cancelled while it ran."
CANCELLED_WAITING = "Cancelled before it began."


def wall_time(bounds: Bounds) -> str:
    """Return the limit on wall time."""
    return _limit(f"{bounds.wall_time_s:g} s of wall time", bounds)


def memory(bounds: Bounds) -> str:
    """Return the limit on memory."""
    return _limit(f"{bounds.memory_mb} MB of memory", bounds)


def cause_of(outcome: Outcome, step: Mapping[str, Any], bounds: Bounds) -> str:
    """Return what a step's end was due to; nothing where the outcome says it all.

    step: its evidence. bounds: those that were in force.
    """
    text = ""
    match outcome, step["stopped"]:
        case Outcome.TIMED_OUT, "cpu":
            text = _limit(f"{bounds.cpu_time_s:g} s of CPU time", bounds)
        case Outcome.TIMED_OUT, _:
            text = wall_time(bounds)
        case Outcome.OUT_OF_MEMORY, _:
            text = memory(bounds)
        case Outcome.OUTPUT_EXCEEDED, _:
            text = _limit(f"{bounds.output_kb} KB of output", bounds)
        case Outcome.CANCELLED, _:
            text = CANCELLED
        case _, _ if step["signal"] == signal.SIGXFSZ:
            text = _limit(f"{bounds.file_size_kb} KB a file", bounds)
    return text


def _limit(much: str, bounds: Bounds) -> str:
    when = " while compiling" if bounds.phase == "compile" else ""
    return f"Ended at the limit of {much}{when}."
