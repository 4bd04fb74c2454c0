"""Children of a supervisor under test: what they do is written down in one log."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gevent.event import Event

from actors.actor import Actor, Context

if TYPE_CHECKING:
    from actors.directory import AnyRef
    from actors.messages import Boot, ReportState


@dataclass
class Log:
    """What all children have done, and what they shall do.

    blocking: who does not come to an end of its next message or its clean-up before
    `gate` is set. failing: whose set-up fails.
    """

    lines: list[str] = field(default_factory=list)
    blocking: set[str] = field(default_factory=set)
    failing: set[str] = field(default_factory=set)
    gate: Event = field(default_factory=Event)

    def start(self, context: Context) -> AnyRef:
        return Child.start(context, self)

    def write(self, verb: str, name: str) -> None:
        self.lines.append(f"{verb} {name.rsplit('/', 1)[-1]}")

    def take(self) -> list[str]:
        lines, self.lines = self.lines, []
        return lines


class Child(Actor):
    """A child that does what the log says."""

    def __init__(self, context: Context, log: Log) -> None:
        super().__init__(context)
        self._log = log

    def boot(self, _: Boot) -> None:
        if self.name.rsplit("/", 1)[-1] in self._log.failing:
            raise ValueError("no")
        self._log.write("start", self.name)

    def report_state(self, _: ReportState) -> None:
        """Block, if it shall."""
        self._wait()

    def clean_up(self, *, crashed: bool) -> None:
        self._wait()
        self._log.write("crash" if crashed else "stop", self.name)

    def _wait(self) -> None:
        if self.name.rsplit("/", 1)[-1] in self._log.blocking:
            self._log.gate.wait()
