"""What was said to jobs that are not here: they may be on their way.

With several workers everybody hears what is said to any job, since nobody knows where
a waiting job will go, or where a running one will have to start again.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field

from actors.messages import JobControl, SendStdin

JOBS_MAX = 10_000
BYTES_MAX = 64 << 20
"""A gateway sends no more to jobs that have not ended (`http.stdins_mb_max`)."""
KEPT_S = 6 * 3600.0
"""A job that waits longer than this forgets what was said to it first."""
CONTROL_BYTES = 200
"""What a control costs beside its data, roughly."""


@dataclass(slots=True)
class _Kept:
    since: float
    controls: list[JobControl] = field(default_factory=list)
    size: int = 0


class EarlyControls:
    """Controls by job; when there are too many, those of the oldest jobs go."""

    def __init__(self) -> None:
        self._jobs: OrderedDict[str, _Kept] = OrderedDict()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._jobs)

    def keep(self, control: JobControl, now: float) -> None:
        """Keep it for its job."""
        size = CONTROL_BYTES
        if isinstance(control, SendStdin):
            size += len(control.data)
        kept = self._jobs.setdefault(control.job_id, _Kept(now))
        kept.controls.append(control)
        kept.size += size
        self._bytes += size
        self._expire(now)

    def take(self, job_id: str, now: float) -> list[JobControl]:
        """Return what was said to the job, in order, and keep it no longer."""
        self._expire(now)
        kept = self._jobs.pop(job_id, None)
        if kept is None:
            return []
        self._bytes -= kept.size
        return kept.controls

    def _expire(self, now: float) -> None:
        while self._jobs:
            oldest = next(iter(self._jobs.values()))
            fits = len(self._jobs) <= JOBS_MAX and self._bytes <= BYTES_MAX
            if fits and oldest.since > now - KEPT_S:
                return
            self._jobs.popitem(last=False)
            self._bytes -= oldest.size
