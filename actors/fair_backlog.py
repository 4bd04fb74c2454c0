"""A backlog that is fair between clients: round robin, first come first in each."""

from __future__ import annotations

from collections import Counter, OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

EXACT_CLIENTS_MAX = 100


class FairBacklog:
    """Job ids waiting, each in its client's turn. All but `position` is O(1).

    exact_clients_max: how many clients `position` looks at one by one.
    """

    def __init__(self, exact_clients_max: int = EXACT_CLIENTS_MAX) -> None:
        self._exact_clients_max = exact_clients_max
        self._clients: OrderedDict[str, OrderedDict[str, None]] = OrderedDict()
        self._lengths: Counter[int] = Counter()
        """How many clients have how many jobs."""
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def push(self, client: str, job_id: str, *, front: bool = False) -> None:
        """Add the job as its client's last, or as the very next with `front`."""
        jobs = self._clients.setdefault(client, OrderedDict())
        jobs[job_id] = None
        self._resized(len(jobs) - 1, len(jobs))
        if front:
            jobs.move_to_end(job_id, last=False)
            self._clients.move_to_end(client, last=False)

    def first(self) -> str | None:
        """Return the next job, which stays; None when there is none."""
        jobs = next(iter(self._clients.values()), None)
        return None if jobs is None else next(iter(jobs))

    def take(self, client: str) -> str | None:
        """Take the client's next job, if it has one; others have their turn then."""
        jobs = self._clients.get(client)
        if jobs is None:
            return None
        job_id, _ = jobs.popitem(last=False)
        self._resized(len(jobs) + 1, len(jobs))
        if jobs:
            self._clients.move_to_end(client)
        else:
            del self._clients[client]
        return job_id

    def counts(self) -> Iterator[tuple[str, int]]:
        """Yield who waits and with how many jobs, in the order of their turns."""
        return ((client, len(jobs)) for client, jobs in self._clients.items())

    def remove(self, client: str, job_id: str) -> bool:
        """Take a job out; False when it does not wait here."""
        jobs = self._clients.get(client)
        if jobs is None or job_id not in jobs:
            return False
        del jobs[job_id]
        self._resized(len(jobs) + 1, len(jobs))
        if not jobs:
            del self._clients[client]
        return True

    def _resized(self, old: int, new: int) -> None:
        """Count a client that has now `new` jobs instead of `old`."""
        self._count += new - old
        self._lengths[new] += 1
        self._lengths[old] -= 1
        if self._lengths[old] <= 0:
            del self._lengths[old]
        del self._lengths[0]

    def position(self, client: str, job_id: str) -> int | None:
        """Return the job's turn, counting from 1, if no other job comes or goes.

        With `k` jobs of its own client before it, every other client has its turn
        `k` times first, and once more when it stands earlier in the round. Of very many
        clients all are taken to stand earlier: when a thousand come at once, to look at
        each for each job would keep all of them waiting.
        """
        own = self._clients.get(client)
        if own is None or job_id not in own:
            return None
        last = next(reversed(own))
        before = len(own) - 1
        if job_id != last:
            before = next(i for i, known in enumerate(own) if known == job_id)
        if len(self._clients) > self._exact_clients_max:
            turns = (n * min(jobs, before + 1) for jobs, n in self._lengths.items())
            return sum(turns)  # its own `before + 1` among them
        turn, earlier = before + 1, True
        for name, jobs in self._clients.items():
            if name == client:
                earlier = False
            else:
                turn += min(len(jobs), before + earlier)
        return turn
