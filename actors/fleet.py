"""The fleet: which languages can run where, here and at other workers.

The pools of this process tell how they stand. With a broker that is shared, a process
that has pools makes that known to all gateways, at intervals and soon after a change;
and a process that reads the event stream hears it of all others.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
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
    from actors.messages import Boot, DescribeFleet, PoolStatus, WorkerReported

REPORT_S = 5.0
SOON_S = 0.2
"""After a change: pools change in bursts, and one report tells them all."""
COUNTS_S = 20.0
"""A worker that has not been heard of for so long counts no more."""
CLOCKS_S = 40.0
"""By how much the clocks of two hosts may differ."""
WORKERS_MAX = 10_000


@dataclass(frozen=True, slots=True)
class Heard:
    """A worker's last report and when it came, by our own clock."""

    report: WorkerReport
    since: float


class Fleet(Actor):
    """Sums up what all workers can run.

    worker_id: this process among all workers.
    versions: of each language with a pool here, as its image tells it.
    pools: the prefix of the pools' names.
    broker: the connection that reports are published on; None keeps them here.
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
        known = self._others.get(report.worker_id)
        if known is not None and report.at <= known.report.at:
            return
        # the stream begins with what was said before we started
        if report.at < self._clock() - COUNTS_S - CLOCKS_S:
            return
        if len(self._others) < WORKERS_MAX or known is not None:
            self._others[report.worker_id] = Heard(report, self.now())

    def time_out(self, name: str) -> None:
        """Report, either because something has changed or because it is time."""
        self.cancel_timer("soon")
        self._publish(self._statuses_here())
        self.set_timer("report", REPORT_S)

    def _publish(self, languages: Iterable[LanguageStatus]) -> None:
        assert self._broker is not None  # noqa: S101 - there is a timer only with one
        report = WorkerReport(self._worker_id, self._clock(), tuple(languages))
        self.tell(self._broker, PublishReport(report))

    # ----------------------------------------------------------------- questions

    def describe_fleet(self, message: DescribeFleet) -> FleetStatus:
        """Answer what can run, over all workers that count."""
        self._forget_silent()
        # what we say of ourselves comes back to us, but later than we know it
        reports = [
            heard.report.languages
            for worker_id, heard in self._others.items()
            if worker_id != self._worker_id and heard.report.languages
        ]
        here = self._statuses_here()
        if here:
            reports.append(here)
        return FleetStatus(len(reports), sum_up(reports))

    def _forget_silent(self) -> None:
        limit = self.now() - COUNTS_S
        silent = [one for one, heard in self._others.items() if heard.since <= limit]
        for worker_id in silent:
            del self._others[worker_id]

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
