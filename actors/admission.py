"""Whether one more job fits: unfinished jobs by client, in number and in bytes.

A plain object, which outlives the actors that keep it. With the embedded broker that
actor alone does. With RabbitMQ each gateway has one, which its publisher asks and its
relay keeps true: the stream of events tells of every job that any gateway has taken,
and of every end.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from typing import TYPE_CHECKING

from actors.acceptance import digest, size_of
from actors.shares import Shares
from metrics.fill import Fill

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Literal

    from actors.messages import Accepted, Job


class Admission:
    """jobs_max: of one language. bytes_max: of all jobs together.

    share: see `Shares`; it holds for the number of a language's jobs and for the bytes.
    """

    def __init__(
        self,
        jobs_max: int,
        bytes_max: int,
        share: float,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._jobs_max = jobs_max
        self._share = share
        self._bytes = Shares(bytes_max, share)
        self._numbers: dict[str, Shares] = {}
        self._jobs: OrderedDict[str, tuple[float, Accepted]] = OrderedDict()
        """With when each was added, in that order."""
        self._now = now

    def refusal(self, job: Job) -> Literal["queue_full", "client_full"] | None:
        """Tell why the job can't be taken; None when it can."""
        client = digest(job.client)
        refusal = self._of(job.language).refusal(client, 1)
        refusal = refusal or self._bytes.refusal(client, size_of(job))
        return "queue_full" if refusal == "full" else refusal

    def fill(self, job: Job) -> float:
        """Return how full the queue of the job's language is, from 0 to 1."""
        return self._of(job.language).fill

    def add(self, job_id: str, job: Accepted) -> None:
        """Count the job until it is removed, whether or not it could be refused."""
        if job_id not in self._jobs:
            self._jobs[job_id] = self._now(), job
            self._of(job.language).take(job.client, 1)
            self._bytes.take(job.client, job.size)
            self._show()

    def remove(self, job_id: str) -> None:
        """The job has ended, or was not taken."""
        _, job = self._jobs.pop(job_id, (0.0, None))
        if job is not None:
            self._of(job.language).give_back(job.client, 1)
            self._bytes.give_back(job.client, job.size)
            self._show()

    def forget(self, age_s: float) -> None:
        """Count no longer what was added so long ago, whatever has become of it.

        Its end may never be told: somebody may have emptied its queue by hand.
        """
        limit = self._now() - age_s
        while self._jobs:
            job_id, (added_at, _) = next(iter(self._jobs.items()))
            if added_at > limit:
                return
            self.remove(job_id)

    def _of(self, language: str) -> Shares:
        shares = self._numbers.get(language)
        if shares is None:
            shares = self._numbers[language] = Shares(self._jobs_max, self._share)
        return shares

    def _show(self) -> None:
        most = max([shares.used for shares in self._numbers.values()])
        _JOBS_FILL.show(most / self._jobs_max)
        _BYTES_FILL.show(self._bytes.fill)


_JOBS_FILL = Fill("queue_max")
_BYTES_FILL = Fill("queue_mb_max")
