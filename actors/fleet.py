"""The fleet: which languages can run where, here and at other workers.

The pools of this process tell how they stand. With a broker that is shared, a process
that has pools makes that known to all gateways, at intervals and soon after a change;
and a process that reads the event stream hears it of all others.

What a process says on the stream comes back to it, behind all that was said before. So
it can tell whether it has heard everything (`AwaitEcho`), which nobody can who merely
has a connection: a connection can be dead for a while before it is known to be.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from actors.actor import Actor, Context
from actors.messages import (
    FleetStatus,
    LanguageStatus,
    PublishReport,
    ReportState,
    WorkerReport,
)

if TYPE_CHECKING:
    from actors.messages import (
        AwaitEcho,
        Boot,
        DescribeFleet,
        PoolStatus,
        WorkerReported,
    )

REPORT_S = 5.0
SOON_S = 0.2
"""After a change: pools change in bursts, and one report tells them all."""
COUNTS_S = 20.0
"""A worker that has not been heard of for so long counts no more."""
FRESH_S = 2 * REPORT_S
"""A report counts for so long at least, however old it says that it is."""
CLOCKS_S = 40.0
"""By how much the clocks of two hosts may differ."""
WORKERS_MAX = 10_000
TICK_S = 1e-6
"""What we say is told apart by its time, so no two have the same."""
ECHO_S = 0.1
"""Between two calls for an echo: who asks meanwhile shares the next."""
ECHOES_MAX = 10_000
PACE = 0.5
"""A worker's reports come live if as much time passes between them here as there, or at
least so much of it: what is read of the past comes all at once."""
ECHO_AWAITED_S = 10.0
"""Whoever waits for an echo has given up after so long."""


@dataclass(frozen=True, slots=True)
class Heard:
    """A worker's last report and since when it counts, by a clock that nobody sets."""

    report: WorkerReport
    since: float


@dataclass(frozen=True, slots=True)
class Asked:
    """Somebody who awaits an echo."""

    said_at: float
    """The time of the report that will answer it."""
    since: float
    reply: Callable[[], None]


class Fleet(Actor):
    """Sums up what all workers can run.

    worker_id: this process among all workers.
    versions: of each language with a pool here, as its image tells it; none at a
    gateway, which has nothing to report.
    pools: the prefix of the pools' names.
    broker: the connection that reports are published on; None where nobody else is.
    clock: seconds since the epoch, as other hosts read them.
    """

    def __init__(
        self,
        context: Context,
        worker_id: str,
        versions: Mapping[str, str],
        pools: str,
        broker: str | None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(context)
        self._worker_id = worker_id
        self._versions = versions
        self._pools = pools
        self._broker = broker
        self._clock = clock
        self._own: dict[str, PoolStatus] = {}
        self._others: dict[str, Heard] = {}
        self._said_at = 0.0
        self._last: dict[str, tuple[float, float]] = {}
        """When each worker's newest report was said, and when it was heard."""
        self._echoes: list[Asked] = []

    def boot(self, message: Boot) -> None:
        """Ask the pools, in case they have told a predecessor."""
        for name in self.directory.names(self._pools):
            if name.endswith("/pool"):
                self.tell(name, ReportState())
        if self._reports():
            self.set_timer("report", REPORT_S)

    def _reports(self) -> bool:
        return self._broker is not None and bool(self._versions)

    def clean_up(self, *, crashed: bool) -> None:
        """Tell all gateways at once that nothing runs here any more."""
        if self._reports() and not crashed:
            self._publish(())

    # ------------------------------------------------------------------ workers

    def pool_status(self, message: PoolStatus) -> None:
        """Note how a pool of ours stands, and tell others soon."""
        self._own[message.language] = message
        if self._reports() and not self.has_timer("soon"):
            self.set_timer("soon", SOON_S)

    def worker_reported(self, message: WorkerReported) -> None:
        """Note what a worker says of itself, unless it is old news."""
        report = message.report
        if report.worker_id == self._worker_id:
            self._hear_echo(report.at)
            return
        known = self._others.get(report.worker_id)
        if known is not None and report.at <= known.report.at:
            return
        # the stream begins with what was said before we started
        age_s = max(self._clock() - report.at, 0.0)
        is_live = self._comes_live(report)
        if age_s > COUNTS_S + CLOCKS_S and not is_live:
            return
        if len(self._others) < WORKERS_MAX or known is not None:
            # whoever still lives says so again before this counts no more
            since = self.now() - min(age_s, COUNTS_S - FRESH_S)
            self._others[report.worker_id] = Heard(report, since)

    def _comes_live(self, report: WorkerReport) -> bool:
        """Tell whether it comes as long after the last as it was said after that.

        Then it is none of the past, whatever either clock has been set to.
        """
        last = self._last.get(report.worker_id)
        if len(self._last) < WORKERS_MAX or last is not None:
            self._last[report.worker_id] = report.at, self.now()
        if last is None:
            return False
        said_at, heard_at = last
        passed_s = self.now() - heard_at
        return passed_s >= max(PACE * (report.at - said_at), SOON_S)

    def time_out(self, name: str) -> None:
        """Report, either because something has changed or because it is time."""
        if name == "echo":
            self._call_for_echo()
            return
        self.cancel_timer("soon")
        self._publish(self._statuses_here())
        self.set_timer("report", REPORT_S)

    def _publish(self, languages: Iterable[LanguageStatus]) -> None:
        assert self._broker is not None  # noqa: S101 - else there is no timer
        self._said_at = max(self._clock(), self._said_at + TICK_S)
        report = WorkerReport(self._worker_id, self._said_at, tuple(languages))
        self.tell(self._broker, PublishReport(report))

    # -------------------------------------------------------------------- echoes

    def await_echo(self, message: AwaitEcho) -> None:
        """Say something, and answer when it is heard."""
        if self._broker is None:
            message.reply()  # here nothing is under way for longer than a moment
        elif len(self._echoes) < ECHOES_MAX:
            self._echoes.append(Asked(math.inf, self.now(), message.reply))
            if not self.has_timer("echo"):
                self._call_for_echo()

    def _call_for_echo(self) -> None:
        """Say something that is after all who wait; then let some time pass."""
        limit = self.now() - ECHO_AWAITED_S
        self._echoes = [one for one in self._echoes if one.since > limit]
        if any(one.said_at == math.inf for one in self._echoes):
            self._publish(self._statuses_here())
            self._echoes = [
                replace(one, said_at=min(one.said_at, self._said_at))
                for one in self._echoes
            ]
            self.set_timer("echo", ECHO_S)

    def _hear_echo(self, at: float) -> None:
        answered = [one.reply for one in self._echoes if one.said_at <= at]
        self._echoes = [one for one in self._echoes if one.said_at > at]
        for reply in answered:
            reply()

    # ----------------------------------------------------------------- questions

    def describe_fleet(self, message: DescribeFleet) -> FleetStatus:
        """Answer what can run, over all workers that count."""
        self._forget_silent()
        heard = (one.report.languages for one in self._others.values())
        reports = [languages for languages in heard if languages]
        here = self._statuses_here()
        if here:
            reports.append(here)
        return FleetStatus(len(reports), sum_up(reports))

    def _forget_silent(self) -> None:
        limit = self.now() - COUNTS_S
        silent = [one for one, heard in self._others.items() if heard.since <= limit]
        for worker_id in silent:
            del self._others[worker_id]
        if len(self._last) >= WORKERS_MAX:
            self._last = {one: at for one, at in self._last.items() if at[1] > limit}

    def _statuses_here(self) -> tuple[LanguageStatus, ...]:
        return tuple(
            LanguageStatus(
                one.language,
                self._versions.get(one.language, ""),
                one.ready,
                one.starting,
                one.paused,
            )
            for one in self._own.values()
        )


def sum_up(
    reports: Iterable[tuple[LanguageStatus, ...]],
) -> tuple[LanguageStatus, ...]:
    """Return each language once: paused only where all are that have it."""
    total: dict[str, LanguageStatus] = {}
    for report in reports:
        for one in report:
            total[one.name] = _add(total.get(one.name), one)
    return tuple(total.values())


def _add(sum_: LanguageStatus | None, one: LanguageStatus) -> LanguageStatus:
    if sum_ is None:
        return one
    return LanguageStatus(
        one.name,
        sum_.version or one.version,
        sum_.ready + one.ready,
        sum_.starting + one.starting,
        sum_.paused and one.paused,
    )
