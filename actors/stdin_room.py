"""How much stdin may be sent to running jobs: for each, for each client, and in all.

It is kept until its job ends, in case that the job has to start again. The relay of
each gateway counts what comes by its gateway.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from actors.shares import Shares
from metrics.fill import Fill

if TYPE_CHECKING:
    from actors.job_log import JobLog

Reserved = Literal["reserved", "done", "closed", "too_large", "full", "client_full"]


class StdinRoom:
    """job_bytes_max: of one job. bytes_max: of all jobs. share: see `Shares`."""

    def __init__(self, job_bytes_max: int, bytes_max: int, share: float) -> None:
        self._job_bytes_max = job_bytes_max
        self._shares = Shares(bytes_max, share)

    def reserve(self, log: JobLog, size: int, *, end: bool) -> Reserved:
        """Make room for so many bytes more, or say why there is none."""
        if log.state == "done":
            return "done"
        if log.stdin_closed:
            return "closed" if size or not end else "reserved"  # said once more
        if log.stdin_bytes + size > self._job_bytes_max:
            return "too_large"
        client = log.accepted.client
        refusal = self._shares.refusal(client, size)
        if refusal is not None:
            return refusal
        self._shares.take(client, size)
        log.stdin_bytes += size
        self._show()
        return "reserved"

    def release(self, log: JobLog) -> None:
        """The job has ended: nothing of it is kept any more."""
        if log.stdin_bytes:
            self._shares.give_back(log.accepted.client, log.stdin_bytes)
            log.stdin_bytes = 0
            self._show()

    def _show(self) -> None:
        _FILL.show(self._shares.fill)


_FILL = Fill("http.stdins_mb_max")
