"""Writes the table of `docs/reliability.md` from what a whole run has shown."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from scenario import SCENARIOS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from play import Result
    from scenario import Scenario

FILE = Path(__file__).resolve().parents[2] / "docs" / "reliability.md"
BEGIN, END = "<!-- made by `make faults` -->", "<!-- end of what is made -->"
FAILED = " (**failed**)"
HEAD = (
    "| fault | promise | jobs | lost | doubled | wrong | restarted | whole | of | |",
    "|---|---|--:|--:|--:|--:|--:|--:|--:|---|",
)


def write(results: Sequence[Result], unjudged: Sequence[Scenario] = ()) -> None:
    """Put what is known now in the table; leave the rest of the document as it is.

    unjudged: those that came to no verdict. Rows of scenarios that were not played this
    time stay as they are.
    """
    text = FILE.read_text()
    head, _, rest = text.partition(BEGIN)
    old, _, tail = rest.partition(END)
    rows = kept_rows(old) | {one.scenario.name: row(one) for one in results}
    rows |= {one.name: unjudged_row(one) for one in unjudged}
    lines = table([rows[one.name] for one in SCENARIOS if one.name in rows])
    FILE.write_text(head + "\n".join([BEGIN, *lines, END]) + tail)


def kept_rows(text: str) -> dict[str, str]:
    """Return the rows of an earlier run by their scenarios' names."""
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    named = {line.split(" | ")[0][2:].removesuffix(FAILED): line for line in rows}
    return {name: line for name, line in named.items() if line not in HEAD}


def table(rows: Sequence[str]) -> Iterable[str]:
    failed = sum(FAILED in one for one in rows)
    yield f"{len(rows)} scenarios, {failed} failed, {datetime.now(UTC):%Y-%m-%d}."
    yield ""
    yield from HEAD
    yield from rows


def unjudged_row(scenario: Scenario) -> str:
    """Return the row of one that has failed without any figure."""
    unknown = ["-"] * 6
    cells = (scenario.name + FAILED, scenario.promise, *unknown)
    return f"| {' | '.join(cells)} | {scenario.whole_s:g} s | - |"


def row(result: Result) -> str:
    scenario, verdict, left = result.scenario, result.verdict, result.leaks
    counted = left.containers + left.descriptors + left.greenlets
    leaked = str(left) if counted or left.memory_mb > scenario.memory_mb else "0"
    cells = (
        scenario.name + (FAILED if result.faults else ""),
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
