"""What is seen of the builds while they run: a line a language, live or plain."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol, Self

from rich.console import Console, Group
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from rich.console import RenderableType


class BuildState(StrEnum):
    """Where a build is."""

    WAITING = "waiting"
    BUILDING = "building"
    CURRENT = "current"
    BUILT = "built"
    FAILED = "failed"


class Progress(Protocol):
    """Who wants to know. Called from several threads at once."""

    def state(self, name: str, state: BuildState) -> None:
        """Show that `name` came into this state."""

    def step(self, name: str, step: str) -> None:
        """Show that `name` began this step."""

    def output(self, name: str, line: str) -> None:
        """Show a line that the step under way printed."""


_STYLES = {
    BuildState.WAITING: "dim",
    BuildState.BUILDING: "cyan",
    BuildState.CURRENT: "green",
    BuildState.BUILT: "green",
    BuildState.FAILED: "bold red",
}
_ENDED = (BuildState.CURRENT, BuildState.BUILT, BuildState.FAILED)


@dataclass(slots=True)
class _Row:
    state: BuildState = BuildState.WAITING
    step: str = ""
    line: str = ""
    since: float | None = None
    until: float | None = None
    spinner: Spinner = field(default_factory=lambda: Spinner("dots", style="cyan"))

    def seconds(self, now: float) -> str:
        if self.since is None:
            return ""
        return f"{(self.until or now) - self.since:.0f} s"


class Board:
    """Progress on a console: redrawn on a terminal, a line for each step elsewhere."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console()
        self._rows: dict[str, _Row] = {}
        self._live: Live | None = None

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live = Live(
                get_renderable=self._render,
                console=self._console,
                refresh_per_second=8,
            )
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live:
            self._live.stop()

    def state(self, name: str, state: BuildState) -> None:
        """Show that `name` came into this state."""
        row = self._rows.setdefault(name, _Row())
        row.state = state
        if state is BuildState.BUILDING:
            row.since = time.monotonic()
        if state in _ENDED:
            row.until = time.monotonic()
            row.step = row.line = ""
        if state is not BuildState.WAITING:
            self._say(name, state)

    def step(self, name: str, step: str) -> None:
        """Show what `name` is doing now."""
        row = self._rows[name]
        row.step, row.line = step, ""
        self._say(name, step)

    def output(self, name: str, line: str) -> None:
        """Show what the step printed last, on a terminal only."""
        self._rows[name].line = line

    def failure(self, name: str, error: str, log: Sequence[str]) -> None:
        """Print why `name` failed, below the board."""
        self._console.print(Text(f"\n{name} failed: {error}", style="bold red"))
        for line in log:
            self._console.print(Text(f"  {line}"), soft_wrap=True)

    def _say(self, name: str, text: str) -> None:
        if self._live is None:
            seconds = self._rows[name].seconds(time.monotonic())
            line = f"{name:<12} {seconds:>6}  {text}"
            self._console.print(line, markup=False, highlight=False, soft_wrap=True)

    def _render(self) -> RenderableType:
        now = time.monotonic()
        table = Table.grid(padding=(0, 2), expand=True)
        table.add_column(width=1)
        table.add_column(no_wrap=True)
        table.add_column(no_wrap=True)
        table.add_column(justify="right", no_wrap=True)
        table.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
        for name, row in list(self._rows.items()):
            # What is printed says more than the command, once there is something.
            doing = f"{row.step.partition(' : ')[0]}: {row.line}"
            building = row.state is BuildState.BUILDING
            table.add_row(
                row.spinner if building else "",
                Text(name, style="bold"),
                Text(row.state, style=_STYLES[row.state]),
                row.seconds(now),
                Text(doing if row.line else row.step, style="dim"),
            )
        return Group(table)
