"""What is remembered of jobs whose logs are gone: so that none is run a second time."""

from __future__ import annotations

from dataclasses import dataclass

from actors.holdings import Holdings

TOMBSTONES_MAX = 100_000
"""Over all clients; past this, whoever has most is the one who is forgotten of."""


@dataclass(frozen=True, slots=True)
class Tombstone:
    """Whose the job was, and which request its key was for."""

    client: str
    fingerprint: str


class Tombstones:
    """Tombstones by job, bounded in number."""

    def __init__(self, count_max: int = TOMBSTONES_MAX) -> None:
        self._count_max = count_max
        self._stones: dict[str, Tombstone] = {}
        self._holdings = Holdings()

    def __contains__(self, job_id: str) -> bool:
        return job_id in self._stones

    def get(self, job_id: str) -> Tombstone | None:
        """Return the job's, if it has one."""
        return self._stones.get(job_id)

    def add(self, job_id: str, client: str, fingerprint: str) -> list[str]:
        """Remember the job, which is not yet; return those that are forgotten for it.

        The client's own, unless others have more.
        """
        self._stones[job_id] = Tombstone(client, fingerprint)
        self._holdings.grow(client, 1)
        self._holdings.loosen(client, job_id)
        forgotten = []
        while len(self._stones) > self._count_max:
            first = self._holdings.first_to_go()
            assert first is not None  # noqa: S101 - all of them can go
            self.discard(first)
            forgotten.append(first)
        return forgotten

    def discard(self, job_id: str) -> None:
        """Forget the job, if it is remembered."""
        stone = self._stones.pop(job_id, None)
        if stone is not None:
            self._holdings.drop(stone.client, job_id, 1)
