"""What a job leaves changes nothing of the next one: not its end, not its bill.

WARMBOX_TEST_PAIRS says how many rounds of each pair; few by default, 100 for the
figure.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from pairs import PAIRS
from runner_harness import Boxes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pairs import Pair
    from runner_harness import Box, Report

pytestmark = pytest.mark.docker

ROUNDS = int(os.environ.get("WARMBOX_TEST_PAIRS", "2"))
FRESH = 3
"""Containers in which the second job is the only one, to compare with."""
CPU_NOISE_MS = 40
PATIENCE = {"wall_s": 30, "cpu_s": 30}
"""On a machine that has much else to do."""
MEMORY_NOISE_KB = 6 << 10


@dataclass(frozen=True)
class Seen:
    """What a client is told of a job."""

    outcome: str
    output: bytes
    cpu_ms: float
    memory_kb: int

    @classmethod
    def of(cls, report: Report) -> Seen:
        done = report.done
        assert done is not None, report
        output = report.stdout + report.stderr
        return cls(report.outcome, output, done["cpu_ms"], done["memory_kb"])


def start(boxes: Boxes, pair: Pair) -> Box:
    box = boxes.start(pair.language)
    if pair.memory_mb is not None:
        box.engine.set_memory(box.attached, pair.memory_mb)
    return box


def second(box: Box, pair: Pair) -> Seen:
    return Seen.of(box.run(pair.after, **{**PATIENCE, **pair.second_options}))


def after_the_first(boxes: Boxes, pair: Pair) -> Seen | None:
    """Return what the second is told, or None if it came to a container of its own."""
    with start(boxes, pair) as box:
        first = box.run(pair.first, **{**PATIENCE, **pair.options})
        assert first.done is not None, first
        assert first.done["memory_kb"] >= pair.first_kb
        return second(box, pair) if first.clean else None


def in_fresh_ones(boxes: Boxes, pair: Pair) -> list[Seen]:
    """Return what it is told where the first has run just before, but elsewhere.

    What that did to the machine is not its container's fault: after 300 MB of names are
    freed, the kernel gives out pages that a virtual machine may not have had for long,
    and to touch such a one costs several times as much.
    """
    seen = []
    for _ in range(FRESH):
        with start(boxes, pair) as other:
            other.run(pair.first, **{**PATIENCE, **pair.options})
        with start(boxes, pair) as box:
            seen.append(second(box, pair))
    return seen


def differences(seen: Seen, fresh: list[Seen]) -> list[str]:
    found = []
    if (seen.outcome, seen.output) != (fresh[0].outcome, fresh[0].output):
        found.append(f"{seen.outcome} {seen.output[:200]!r}")
    cpus = [other.cpu_ms for other in fresh]
    if seen.cpu_ms > 2 * max(cpus) + CPU_NOISE_MS:
        found.append(f"{seen.cpu_ms} ms of CPU time, not {cpus}")
    memories = [other.memory_kb for other in fresh]
    most, least = max(memories) + MEMORY_NOISE_KB, min(memories) - MEMORY_NOISE_KB
    if not least <= seen.memory_kb <= most:
        found.append(f"{seen.memory_kb} kB, not {memories}")
    return found


@pytest.fixture(scope="module")
def boxes() -> Iterator[Boxes]:
    with Boxes() as found:
        yield found


@pytest.mark.parametrize("pair", PAIRS, ids=[pair.name for pair in PAIRS])
def test_the_second_job_is_as_in_a_fresh_container(boxes: Boxes, pair: Pair) -> None:
    fresh = in_fresh_ones(boxes, pair)
    rounds = [after_the_first(boxes, pair) for _ in range(ROUNDS)]
    shared = [seen for seen in rounds if seen is not None]
    found = [line for seen in shared for line in differences(seen, fresh)]
    print(f"{pair.name}: {len(shared)} of {ROUNDS} in one container; {fresh} {shared}")  # noqa: T201 - pytest shows it with a failure
    assert not found
