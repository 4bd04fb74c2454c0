"""Writes the table of `docs/reliability.md` from what a whole run has shown."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from play import Result

FILE = Path(__file__).resolve().parents[2] / "docs" / "reliability.md"
BEGIN, END = "<!-- made by `make faults` -->", "<!-- end of what is made -->"
HEAD = (
    "| fault | promise | jobs | lost | doubled | wrong | restarted | whole | of | |",
    "|---|---|--:|--:|--:|--:|--:|--:|--:|---|",
)


def write(results: Sequence[Result]) -> None:
    """Put the table in its place and leave the rest of the document as it is."""
    text = FILE.read_text()
    head, _, rest = text.partition(BEGIN)
    _, _, tail = rest.partition(END)
    FILE.write_text(head + "\n".join([BEGIN, *table(results), END]) + tail)


def table(results: Sequence[Result]) -> Iterable[str]:
    failed = sum(bool(one.faults) for one in results)
    yield f"{len(results)} scenarios, {failed} failed, {datetime.now(UTC):%Y-%m-%d}."
    yield ""
    yield from HEAD
    yield from map(row, results)


def row(result: Result) -> str:
    scenario, verdict, left = result.scenario, result.verdict, result.leaks
    counted = left.containers + left.descriptors + left.greenlets
    leaked = str(left) if counted or left.memory_mb > scenario.memory_mb else "0"
    cells = (
        scenario.name + (" (**failed**)" if result.faults else ""),
        scenario.promise,
        f"{verdict.accepted}",
        f"{len(verdict.lost)}",
        f"{len(verdict.doubled)}",
        f"{len(verdict.wrong) + len(verdict.denied)}",
        f"{verdict.restarted}",
        f"{result.whole_s:.1f} s",
        f"{scenario.whole_s:g} s",
        leaked,
    )
    return f"| {' | '.join(cells)} |"
