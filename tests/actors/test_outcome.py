"""From the runner's evidence to the outcome: the whole table."""

from __future__ import annotations

import signal
from typing import Any

import pytest
from samples import evidence

from actors.bounds import Bounds
from actors.messages import CompileResult, CompileUsage, JobResult, Outcome, Usage
from actors.outcome import job_result, scrub_seconds

KILLED = {"exit_code": None, "signal": signal.SIGKILL}
STEP = {
    "exit_code": 0,
    "signal": None,
    "stopped": None,
    "wall_ms": 5.0,
    "cpu_ms": 4.0,
    "memory_kb": 3000,
}
RUN = Bounds("run", 5, 4.5, 256, 1024, 64, 65_536)
COMPILE = Bounds("compile", 30, 10, 512, 1024, 64, 65_536)

TABLE: list[tuple[str, dict[str, Any], Outcome]] = [
    ("exit 0", {}, Outcome.SUCCESS),
    ("exit 3", {"exit_code": 3}, Outcome.FAILURE),
    ("exit 137 by itself", {"exit_code": 137}, Outcome.FAILURE),
    ("SIGSEGV", {"exit_code": None, "signal": signal.SIGSEGV}, Outcome.SIGNALLED),
    ("SIGKILL that nobody explains", KILLED, Outcome.SIGNALLED),
    ("SIGKILL and the cgroup counts", KILLED | {"oom": 1}, Outcome.OUT_OF_MEMORY),
    ("exit 1 after a child's OOM", {"exit_code": 1, "oom": 2}, Outcome.OUT_OF_MEMORY),
    ("exit 0 in spite of an OOM", {"oom": 1}, Outcome.SUCCESS),
    ("SIGXCPU", {"exit_code": None, "signal": signal.SIGXCPU}, Outcome.SIGNALLED),
    ("wall time", KILLED | {"stopped": "wall"}, Outcome.TIMED_OUT),
    ("CPU time", KILLED | {"stopped": "cpu"}, Outcome.TIMED_OUT),
    ("output", KILLED | {"stopped": "output"}, Outcome.OUTPUT_EXCEEDED),
    ("cancelled", KILLED | {"stopped": "cancelled"}, Outcome.CANCELLED),
    ("stopped, and an OOM too", {"stopped": "wall", "oom": 1}, Outcome.TIMED_OUT),
    ("stopped as it ended well", {"stopped": "wall"}, Outcome.TIMED_OUT),
]

AT_COMPILE: list[tuple[str, dict[str, Any], Outcome, Outcome]] = [
    ("an error", {"exit_code": 1}, Outcome.COMPILE_FAILED, Outcome.FAILURE),
    (
        "the compiler crashes",
        {"exit_code": None, "signal": signal.SIGSEGV},
        Outcome.COMPILE_FAILED,
        Outcome.SIGNALLED,
    ),
    (
        "it takes too long",
        KILLED | {"stopped": "wall"},
        Outcome.TIMED_OUT,
        Outcome.TIMED_OUT,
    ),
    (
        "it is killed for memory",
        KILLED | {"oom": 1},
        Outcome.OUT_OF_MEMORY,
        Outcome.OUT_OF_MEMORY,
    ),
    (
        "it says too much",
        KILLED | {"stopped": "output"},
        Outcome.OUTPUT_EXCEEDED,
        Outcome.OUTPUT_EXCEEDED,
    ),
    (
        "it is cancelled",
        KILLED | {"stopped": "cancelled"},
        Outcome.CANCELLED,
        Outcome.CANCELLED,
    ),
]


@pytest.mark.parametrize(
    ("changes", "outcome"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE]
)
def test_the_outcome_is_what_the_evidence_says(
    changes: dict[str, Any], outcome: Outcome
) -> None:
    done = evidence(**changes)
    result = job_result(done, 0, RUN)
    assert result.outcome is outcome
    assert (result.exit_code, result.signal) == (done["exit_code"], done["signal"])


@pytest.mark.parametrize(
    ("changes", "outcome", "compiled"),
    [row[1:] for row in AT_COMPILE],
    ids=[row[0] for row in AT_COMPILE],
)
def test_a_job_that_ends_at_compile_has_run_nothing(
    changes: dict[str, Any], outcome: Outcome, compiled: Outcome
) -> None:
    step = {**STEP, **{key: value for key, value in changes.items() if key != "oom"}}
    done = evidence(phase="compile", **changes, compile=step)
    result = job_result(done, 0, COMPILE)
    assert result.outcome is outcome
    assert result.compile is not None
    assert result.compile.outcome is compiled
    assert (result.exit_code, result.signal, result.usage.wall_ms) == (None, None, None)
    assert (result.usage.cpu_ms, result.usage.memory_kb) == (None, None)
    assert result.usage.compile_ms == 5
    assert result.compile.usage == CompileUsage(5.0, 4.0, 3000)


def test_a_programs_oom_is_not_its_compilers() -> None:
    result = job_result(evidence(**KILLED, oom=1, compile=STEP), 0, RUN)
    assert result.outcome is Outcome.OUT_OF_MEMORY
    assert result.compile == CompileResult(
        Outcome.SUCCESS, 0, None, CompileUsage(5.0, 4.0, 3000)
    )


def test_the_usage_is_passed_on_in_milliseconds() -> None:
    result = job_result(evidence(compile=STEP, truncated=True), 0.0123456, RUN)
    assert result == JobResult(
        Outcome.SUCCESS,
        exit_code=0,
        compile=CompileResult(Outcome.SUCCESS, 0, None, CompileUsage(5.0, 4.0, 3000)),
        usage=Usage(12.346, 5.0, 20.0, 10.0, 9000),
        truncated=True,
    )


def test_what_was_not_measured_stays_unknown() -> None:
    usage = job_result(evidence(cpu_ms=None, memory_kb=None), 0, RUN).usage
    assert (usage.cpu_ms, usage.memory_kb, usage.compile_ms) == (None, None, None)


@pytest.mark.parametrize("key", sorted(evidence()))
def test_evidence_with_a_gap_is_refused(key: str) -> None:
    done = evidence()
    del done[key]
    with pytest.raises(KeyError):
        job_result(done, 0, RUN)


@pytest.mark.parametrize(
    "changes",
    [
        {"wall_ms": "20"},
        {"wall_ms": float("nan")},
        {"wall_ms": -1},
        {"cpu_ms": 10**400},
        {"memory_kb": []},
        {"exit_code": "0"},
        {"exit_code": True},
        {"exit_code": 0.5},
        {"signal": {}},
        {"oom": None},
        {"truncated": 1},
        {"stopped": "because"},
        {"stopped": []},
        {"compile": {**evidence(), "wall_ms": "1"}},
    ],
)
def test_what_no_runner_says_is_no_evidence(changes: dict[str, Any]) -> None:
    with pytest.raises((LookupError, TypeError)):
        job_result(evidence(**changes), 0, RUN)


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ({"scrub_ms": 0.5}, 2),
        ({"scrub_ms": 2500.0}, 2.5),
        ({"scrub_ms": None}, 2),
        ({"scrub_ms": 1e9}, 10),
        ({"scrub_ms": 2500.0, "ended_at": None}, 2.5),
        ({"scrub_ms": 2500.0, "ended_at": 106.5}, 3.5),
        # of another kernel's clock
        ({"scrub_ms": 2500.0, "ended_at": 99.0}, 2.5),
        ({"scrub_ms": 2500.0, "ended_at": 108.5}, 2.5),
        ({"scrub_ms": 2500.0, "ended_at": 5000.0}, 2.5),
    ],
)
def test_a_scrub_lasts_from_the_end_to_our_knowledge(
    said: dict[str, Any], seconds: float
) -> None:
    taken_s = scrub_seconds(said, sent_at=100.0, end_told_at=108.0, now=110.0)
    assert taken_s == pytest.approx(seconds)


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"scrub_ms": -1},
        {"scrub_ms": 10**400},
        {"scrub_ms": 1, "ended_at": float("nan")},
        {"scrub_ms": 1, "ended_at": "now"},
    ],
)
def test_what_no_runner_says_is_no_scrub(said: dict[str, Any]) -> None:
    with pytest.raises((LookupError, TypeError)):
        scrub_seconds(said, sent_at=0.0, end_told_at=1.0, now=2.0)


CAUSES: list[tuple[str, dict[str, Any], str]] = [
    ("success", {}, ""),
    ("failure", {"exit_code": 1}, ""),
    ("SIGSEGV", {"exit_code": None, "signal": signal.SIGSEGV}, ""),
    ("wall time", KILLED | {"stopped": "wall"}, "5 s of wall time"),
    ("CPU time", KILLED | {"stopped": "cpu"}, "4.5 s of CPU time"),
    ("memory", KILLED | {"oom": 1}, "256 MB of memory"),
    ("output", KILLED | {"stopped": "output"}, "1024 KB of output"),
    (
        "a long file",
        {"exit_code": None, "signal": signal.SIGXFSZ},
        "65536 KB a file",
    ),
]


@pytest.mark.parametrize(
    ("changes", "limit"), [row[1:] for row in CAUSES], ids=[row[0] for row in CAUSES]
)
def test_the_message_says_which_limit_has_ended_a_job(
    changes: dict[str, Any], limit: str
) -> None:
    said = f"Ended at the limit of {limit}." if limit else ""
    assert job_result(evidence(**changes), 0, RUN).message == said


def test_the_message_says_that_a_limit_was_the_compilers() -> None:
    step = {**STEP, **KILLED, "stopped": "cpu"}
    done = evidence(phase="compile", **KILLED, stopped="cpu", compile=step)
    said = "Ended at the limit of 10 s of CPU time while compiling."
    assert job_result(done, 0, COMPILE).message == said


def test_the_message_says_that_a_job_was_cancelled() -> None:
    done = evidence(**KILLED, stopped="cancelled")
    assert job_result(done, 0, RUN).message == "Cancelled while it ran."
