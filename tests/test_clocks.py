"""Time that passes is told by the clock that nobody sets (`time.monotonic`)."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).parents[1]
PARTS = ("actors", "gateway", "images", "metrics", "supervisors")
SETTABLE = {"time", "time_ns", "gmtime", "localtime", "now", "utcnow", "today"}

REASONS = {
    "actors/broker/stream.py": "how long ago another host says that it sent a message",
    "actors/broker/wire.py": "what a message says of when it was sent",
    "actors/engine.py": "Docker asks for a span of its events by the host's clock",
    "actors/fleet.py": "what a worker's report says, compared with a margin",
    "actors/inside.py": "what clients are shown of a job of our own",
    "gateway/submission.py": "what clients are shown of when a job was accepted",
    "gateway/system.py": "what people are shown",
    "metrics/live.py": "what people are shown of when something happened",
}
"""Where the clock that can be set is read, and why."""


def test_the_clock_that_can_be_set_is_read_for_a_reason_only() -> None:
    assert {path for path in files() if reads_settable(ROOT / path)} == set(REASONS)


def files() -> list[str]:
    folders = [path for part in PARTS for path in (ROOT / part).rglob("*.py")]
    return [path.relative_to(ROOT).as_posix() for path in (*folders, ROOT / "run.py")]


def reads_settable(path: Path) -> bool:
    """Tell whether it names a clock that can be set, of `time` or `datetime`."""
    return any(
        isinstance(node, ast.Attribute)
        and node.attr in SETTABLE
        and isinstance(node.value, ast.Name)
        and node.value.id in {"time", "datetime", "date"}
        for node in ast.walk(ast.parse(path.read_text()))
    )
