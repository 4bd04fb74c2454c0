"""How many event streams are open, of each client and of each job."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.problems import Problem

if TYPE_CHECKING:
    from gateway.config import GatewayConfig

RETRY_AFTER_S = 5


class Streams:
    """Owns the counts; each stream enters and, however it ends, leaves."""

    def __init__(self, config: GatewayConfig) -> None:
        self._per_client_max = config.streams_per_client_max
        self._per_job_max = config.streams_per_job_max
        self._of_client: dict[str, int] = {}
        self._of_job: dict[str, int] = {}

    def enter(self, client: str, job_id: str) -> None:
        """Count one more, or raise the Problem."""
        clients = self._of_client.get(client, 0)
        if clients >= self._per_client_max:
            raise _too_many("too_many_streams", f"{self._per_client_max} of yours")
        jobs = self._of_job.get(job_id, 0)
        if jobs >= self._per_job_max:
            raise _too_many("too_many_watchers", f"{self._per_job_max} of this job's")
        self._of_client[client] = clients + 1
        self._of_job[job_id] = jobs + 1

    def leave(self, client: str, job_id: str) -> None:
        """Count one less."""
        for counter, name in ((self._of_client, client), (self._of_job, job_id)):
            counter[name] -= 1
            if not counter[name]:
                del counter[name]


def _too_many(code: str, how_many: str) -> Problem:
    detail = f"{how_many} event streams are open. Close one, or come back later."
    return Problem.later(code, detail, RETRY_AFTER_S)
