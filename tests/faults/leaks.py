"""What there is of everything that can leak, before and after."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import gevent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from faulty_node import FaultyNode

SETTLE_S = 40
"""For what is being let go: a connection is noticed to be dead after 15 s."""
POLL_S = 0.25
SPARE_GREENLETS = 2
"""Ones that just do something, as the look itself."""
SPARE_DESCRIPTORS = 2
PAGE_KB = 4


@dataclass(frozen=True, slots=True)
class Look:
    """One process at one moment; the memory is what it holds of the machine's."""

    pid: int
    containers: int
    descriptors: int
    greenlets: int
    memory_mb: float


@dataclass(frozen=True, slots=True)
class Leaks:
    """How much more there is than before, over all processes."""

    containers: int = 0
    descriptors: int = 0
    greenlets: int = 0
    memory_mb: float = 0.0

    def __str__(self) -> str:
        return (
            f"{self.containers} containers, {self.descriptors} descriptors, "
            f"{self.greenlets} greenlets, {self.memory_mb:+.1f} MB"
        )

    def is_any(self, memory_mb: float) -> bool:
        counted = self.containers or self.descriptors or self.greenlets
        return bool(counted) or self.memory_mb > memory_mb


def look(node: FaultyNode) -> Look:
    counts = node.order("counts")
    descriptors = len(list(Path(f"/proc/{node.pid}/fd").iterdir()))
    return Look(
        node.pid,
        len(node.containers()),
        descriptors - counts["kept connections"],
        counts["greenlets"],
        memory_mb(node.pid),
    )


def memory_mb(pid: int) -> float:
    resident = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return resident * PAGE_KB / 1024


def leaks(before: Sequence[Look], nodes: Sequence[FaultyNode]) -> Leaks:
    """Wait until nothing is left over; return what is, after a patient while."""
    deadline = time.monotonic() + SETTLE_S
    while True:
        found = compare(before, [look(node) for node in nodes])
        counted = found.containers or found.descriptors or found.greenlets
        if not counted or time.monotonic() > deadline:
            return found
        gevent.sleep(POLL_S)


def compare(before: Sequence[Look], after: Sequence[Look]) -> Leaks:
    """Compare process by process. Of one that is new, only containers can be too many.

    Fewer descriptors in one do not make up for more in another.
    """
    pairs = list(zip(before, after, strict=True))
    same = [(old, new) for old, new in pairs if old.pid == new.pid]
    return Leaks(
        sum(abs(new.containers - old.containers) for old, new in pairs),
        sum(
            over(new.descriptors, old.descriptors, SPARE_DESCRIPTORS)
            for old, new in same
        ),
        sum(over(new.greenlets, old.greenlets, SPARE_GREENLETS) for old, new in same),
        max((new.memory_mb - old.memory_mb for old, new in same), default=0.0),
    )


def over(new: int, old: int, spare: int) -> int:
    return max(0, new - old - spare)
