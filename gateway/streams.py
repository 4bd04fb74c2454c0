"""How many event streams are open, of each client and of each job."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.problems import Problem

if TYPE_CHECKING:
    from gateway.config import GatewayConfig

RETRY_AFTER_S = 5


class Audience:
    """How many follow one job."""

    __slots__ = ("count",)

    def __init__(self) -> None:
        self.count = 0


class Streams:
    """Owns the counts; each stream enters and, however it ends, leaves."""

    def __init__(self, config: GatewayConfig) -> None:
        self._per_client_max = config.streams_per_client_max
        self._per_job_max = config.streams_per_job_max
        self._of_client: dict[str, int] = {}
        self._of_job: dict[str, Audience] = {}

    def enter(self, client: str, job_id: str) -> Audience:
        """Count one more, and return the job's; or raise the Problem."""
        clients = self._of_client.get(client, 0)
        if clients >= self._per_client_max:
            raise _too_many("too_many_streams", f"{self._per_client_max} of yours")
        audience = self._of_job.get(job_id) or Audience()
        if audience.count >= self._per_job_max:
            raise _too_many("too_many_watchers", f"{self._per_job_max} of this job's")
        self._of_client[client] = clients + 1
        self._of_job[job_id] = audience
        audience.count += 1
        return audience

    def leave(self, client: str, job_id: str) -> None:
        """Count one less."""
        self._of_client[client] -= 1
        if not self._of_client[client]:
            del self._of_client[client]
        audience = self._of_job[job_id]
        audience.count -= 1
        if not audience.count:
            del self._of_job[job_id]


def _too_many(code: str, how_many: str) -> Problem:
    detail = f"{how_many} event streams are open. Close one, or come back later."
    return Problem.later(code, detail, RETRY_AFTER_S)
