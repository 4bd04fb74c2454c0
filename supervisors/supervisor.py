"""The supervisor: keeps its children alive by the rules of its specs.

Theory of operation. A supervisor starts its children in the order of their specs,
each under the name `<own name>/<spec name>`. When a child has ended, its death notice
(`ChildExited`) arrives as a message like any other. The notice carries the child's
urn: one of a child that has been replaced is stale.

A restart has two phases, and the supervisor's mailbox stays open in both. First the
siblings that the strategy takes along are told to stop, last started first, and their
death notices awaited: `_leaving` holds who is still to go, and one that does not go in
its `shutdown_s` is abandoned and counted, because nothing can kill a greenlet in its
handler without harm to all. Then, with `_leaving` empty, the supervisor mails itself
`RestartChildren`, and every spec without a living child is started, in order. A child
that dies meanwhile simply adds itself to what is to be done.

Each restart is one event (`note_restart`), also that of a sibling that was taken along;
who is down, and why, is in the live tree until then. Restarts are counted. More than
the intensity allows within its period is not a child's failure any more: the supervisor
itself crashes, which is its supervisor's business. The root's crash ends the process.

When a supervisor ends, in whatever way, it first ends its children, last started
first, and waits for each.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from actors.actor import Actor, Context
from actors.directory import send
from actors.messages import ChildExited, RestartChildren
from metrics.live import LIVE, DownFact
from supervisors.child_spec import Child, ChildSpec, Intensity, Restart, Strategy
from supervisors.events import note_abandoned, note_restart

if TYPE_CHECKING:
    from collections.abc import Sequence

    from actors.messages import Boot


class IntensityExceededError(Exception):
    """Children fail faster than restarting can help."""


def start_child(parent: Actor, spec: ChildSpec, name: str) -> Child:
    """Start a child under this name."""
    context = parent.context.of_child(name, parent.actor_ref)
    return Child(spec.start(context), context.gone)


def stop_child(child: Child, spec: ChildSpec, name: str) -> None:
    """Have a child end and wait for it, at most its shutdown time."""
    child.ref.stop(block=False)
    if not child.gone.wait(spec.shutdown_s):
        note_abandoned(name, spec.shutdown_s)


@dataclass(frozen=True, slots=True)
class Down:
    """A child that is to be started again, and for the how manieth time."""

    reason: str
    attempt: int
    since: float


class Supervisor(Actor):
    """Children that are known from the start."""

    def __init__(
        self,
        context: Context,
        specs: Sequence[ChildSpec],
        strategy: Strategy = Strategy.ONE_FOR_ONE,
        intensity: Intensity | None = None,
    ) -> None:
        super().__init__(context)
        self._specs = {spec.name: spec for spec in specs}
        self._strategy = strategy
        self._intensity = intensity or Intensity()
        self._children: dict[str, Child] = {}
        self._leaving: dict[str, Child] = {}
        self._finished: set[str] = set()
        self._down: dict[str, Down] = {}
        self._restarts: list[float] = []
        self._restarts_of: dict[str, list[float]] = {}

    def boot(self, message: Boot) -> None:
        """Start all children, in order."""
        for spec in self._specs.values():
            self._start(spec)

    def _start(self, spec: ChildSpec) -> None:
        name = f"{self.name}/{spec.name}"
        self._children[spec.name] = start_child(self, spec, name)
        down = self._down.pop(spec.name, None)
        if down is not None:
            note_restart(name, down.reason, down.attempt, self.now() - down.since)

    # ------------------------------------------------------------------ restarts

    def child_exited(self, message: ChildExited) -> None:
        """Restart by the child's spec, or take note that one is out of the way."""
        spec_name = message.name.rsplit("/", 1)[-1]
        leaving = self._leaving.get(spec_name)
        if leaving is not None and leaving.ref.actor_urn == message.urn:
            self._left(spec_name)
            return
        child = self._children.get(spec_name)
        if child is None or child.ref.actor_urn != message.urn:
            return  # a predecessor's, or one that was abandoned
        del self._children[spec_name]
        if self._shall_restart(self._specs[spec_name], message):
            self._note_down(spec_name, message.reason)
            self._count_restart(message)
            self._take_down_siblings(spec_name)
            self._settle()
        else:
            self._finished.add(spec_name)

    def _shall_restart(self, spec: ChildSpec, message: ChildExited) -> bool:
        if spec.restart is Restart.TRANSIENT:
            return message.crashed
        return spec.restart is Restart.PERMANENT

    def _note_down(self, spec_name: str, reason: str) -> None:
        now = self.now()
        times, _ = self._intensity.add(self._restarts_of.get(spec_name, []), now)
        self._restarts_of[spec_name] = times
        self._down[spec_name] = Down(reason, len(times), now)
        LIVE.down[f"{self.name}/{spec_name}"] = DownFact(reason, now)

    def _count_restart(self, message: ChildExited) -> None:
        self._restarts, exceeded = self._intensity.add(self._restarts, self.now())
        if exceeded:
            raise IntensityExceededError(
                f"{self.name}: more than {self._intensity.restarts_max} restarts"
                f" in {self._intensity.period_s} s, the last of {message.name}"
                f" ({message.reason})"
            )

    def _take_down_siblings(self, spec_name: str) -> None:
        names = list(self._specs)
        if self._strategy is Strategy.ONE_FOR_ONE:
            return
        first = 0
        if self._strategy is Strategy.REST_FOR_ONE:
            first = names.index(spec_name) + 1
        for name in reversed(names[first:]):
            child = self._children.pop(name, None)
            if child is not None:
                self._leaving[name] = child
                if self._specs[name].restart is Restart.TEMPORARY:
                    self._finished.add(name)
                else:
                    self._note_down(name, f"goes with {self.name}/{spec_name}")
                child.ref.stop(block=False)
                self.set_timer(f"stop {name}", self._specs[name].shutdown_s)

    def time_out(self, name: str) -> None:
        """Abandon a sibling that does not stop."""
        spec_name = name.removeprefix("stop ")
        name = f"{self.name}/{spec_name}"
        note_abandoned(name, self._specs[spec_name].shutdown_s)
        self._left(spec_name)

    def _left(self, spec_name: str) -> None:
        del self._leaving[spec_name]
        self.cancel_timer(f"stop {spec_name}")
        self._settle()

    def _settle(self) -> None:
        """Once all who must go have gone, mail oneself the restart."""
        if not self._leaving:
            send(self.actor_ref, RestartChildren())

    def restart_children(self, message: RestartChildren) -> None:
        """Start what has no living child, in order."""
        if self._leaving:
            return  # another death came in between: its turn comes
        for name, spec in self._specs.items():
            if name not in self._children and name not in self._finished:
                self._start(spec)

    # ----------------------------------------------------------------------- end

    def clean_up(self, *, crashed: bool) -> None:
        """Stop the children, last started first, and wait for each."""
        children = self._children | self._leaving
        for name in reversed(self._specs):
            if name in children:
                stop_child(children[name], self._specs[name], f"{self.name}/{name}")
        LIVE.forget_below(self.name)
