"""From the runner's evidence to a job's result."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from actors.cause import cause_of
from actors.messages import CompileResult, CompileUsage, JobResult, Outcome, Usage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from actors.bounds import Bounds

STOPPED = {
    "wall": Outcome.TIMED_OUT,
    "cpu": Outcome.TIMED_OUT,
    "output": Outcome.OUTPUT_EXCEEDED,
    "cancelled": Outcome.CANCELLED,
}
"""What the runner stops a step for."""

FIGURE_MAX = 2.0**53
"""Beyond it no number of a runner's means anything, and some break who reckons."""


def step_outcome(evidence: Mapping[str, Any], oom: int) -> Outcome:
    """Return how one step ended.

    Our own reasons for stopping it come first, then the kernel's counter, then the
    way the process ended: a SIGKILL alone proves nothing.
    """
    _check(evidence)
    if evidence["stopped"] is not None:
        return STOPPED[evidence["stopped"]]
    if evidence["exit_code"] == 0:
        return Outcome.SUCCESS
    if oom > 0:
        return Outcome.OUT_OF_MEMORY
    if evidence["signal"] is not None:
        return Outcome.SIGNALLED
    return Outcome.FAILURE


def job_result(done: Mapping[str, Any], queued_s: float, bounds: Bounds) -> JobResult:
    """Return the result of a job from its DONE frame.

    bounds: those of its last step.
    Raises KeyError or TypeError when the frame is not what a runner sends: what is in
    it is reckoned with, and shown to clients.
    """
    _check_figures(done, "oom")
    if done["oom"] is None or not isinstance(done["truncated"], bool):
        raise TypeError("no counter, or no flag")
    compiled = done["compile"]
    at_compile = done["phase"] == "compile"
    outcome = step_outcome(done, done["oom"])
    message = cause_of(outcome, done, bounds)
    compile_result = None
    if compiled is not None:
        compile_result = CompileResult(
            step_outcome(compiled, done["oom"] if at_compile else 0),
            compiled["exit_code"],
            compiled["signal"],
            CompileUsage(
                compiled["wall_ms"], compiled["cpu_ms"], compiled["memory_kb"]
            ),
        )
    if at_compile and outcome in {Outcome.FAILURE, Outcome.SIGNALLED}:
        outcome = Outcome.COMPILE_FAILED
    return JobResult(
        outcome=outcome,
        exit_code=None if at_compile else done["exit_code"],
        signal=None if at_compile else done["signal"],
        compile=compile_result,
        usage=Usage(
            queue_ms=round(queued_s * 1e3, 3),
            compile_ms=None if compiled is None else compiled["wall_ms"],
            wall_ms=None if at_compile else done["wall_ms"],
            cpu_ms=None if at_compile else done["cpu_ms"],
            memory_kb=None if at_compile else done["memory_kb"],
        ),
        truncated=done["truncated"],
        message=message,
    )


def unheard_result(
    outcome: Outcome, verdict: Mapping[str, Any], usage: Usage, message: str = ""
) -> JobResult:
    """Return the result of a job that has ended without a DONE.

    verdict: of the runner, with what it has charged the job with, if it says so.
    usage: what the host knows. Raises TypeError when a figure is none.
    """
    said = {"cpu_ms": None, "memory_kb": None, **verdict}
    _check_figures(said, "cpu_ms", "memory_kb")
    charges = said["cpu_ms"], said["memory_kb"]
    if usage.compile_ms is not None:
        compilers = CompileUsage(usage.compile_ms, *charges)
        compiled = CompileResult(outcome, None, None, compilers)
        return JobResult(outcome, compile=compiled, usage=usage, message=message)
    charged = replace(usage, cpu_ms=charges[0], memory_kb=charges[1])
    return JobResult(outcome, usage=charged, message=message)


def scrub_seconds(
    ready: Mapping[str, Any], sent_at: float, end_told_at: float, now: float
) -> float:
    """Return how long a container has taken from a job's end to its READY.

    sent_at, end_told_at: when the job was sent, and when we heard of its end, by the
    monotonic clock, as `now`. The end may have come along with READY, so the runner
    says, too, when it was: by the same clock, but where the container has a kernel of
    its own; then it is most likely not between the two. Never more than the time since
    the job was sent. Raises KeyError or TypeError when READY is not what a runner
    sends.
    """
    said = {"ended_at": None, **ready}  # a runner of before does not say it
    _check_figures(said, "scrub_ms", "ended_at")
    ended_at: float | None = said["ended_at"]
    if ended_at is None or not sent_at <= ended_at <= end_told_at:
        ended_at = min(end_told_at, now - (said["scrub_ms"] or 0) / 1e3)
    return now - max(sent_at, ended_at)


def _check(evidence: Mapping[str, Any]) -> None:
    _check_figures(evidence, "exit_code", "signal", "wall_ms", "cpu_ms", "memory_kb")
    for name in ("exit_code", "signal"):
        if isinstance(evidence[name], float):
            raise TypeError(f"{name} is not whole")


def _check_figures(evidence: Mapping[str, Any], *names: str) -> None:
    """Raise for what is neither a sane number nor nothing."""
    for name in names:
        figure = evidence[name]
        is_number = isinstance(figure, int | float) and not isinstance(figure, bool)
        if figure is not None and not (is_number and 0 <= figure <= FIGURE_MAX):
            raise TypeError(f"{name} is no figure")
