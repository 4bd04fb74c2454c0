"""Who runs what: the slots that are taken, within a budget.

`running_max` slots are anybody's. Beyond them are guest slots, for clients that have
nothing running: else one client's programs that sleep would keep all others waiting.
What they may cost is bounded: their number, and the memory that their jobs may have.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from metrics import instruments

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, slots=True)
class Budget:
    """How much may run at once, over all languages.

    guests_mb_max: for the memory limits of all guests together; the first guest is
    let in whatever it has asked for. job_mb_max: the most that one job may ask for.
    pool_max: how many of a language's containers those may hold who have something
    running; what a pool has beyond is for guests.
    """

    running_max: int
    guests_max: int = 0
    guests_mb_max: int = 0
    job_mb_max: int = 0
    pool_max: int = 1 << 30


class Slot(NamedTuple):
    """What a container that runs a job holds, for whom, and since when."""

    language: str
    client: str
    since: float
    tenant: str = ""
    """Whose the container was before; empty if everybody's."""
    guest_mb: int | None = None
    """The memory that a guest's job may have; None for one of the usual slots."""


class Slots:
    """The slots that are taken, by container."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._taken: dict[str, Slot] = {}
        self._by_client: dict[str, int] = {}
        self._by_language: Counter[str] = Counter()
        self._guests = self._guests_mb = 0
        instruments.guests.set(0)

    def __len__(self) -> int:
        return len(self._taken)

    def take(self, container: str, slot: Slot, memory_mb: int | None = None) -> Slot:
        """Have the container hold a slot, and return it as it was entered.

        memory_mb: what the job may have; None as long as it isn't known.
        """
        if container in self._taken:
            self.free(container)
        if self.left <= 0:
            guest_mb = self._budget.job_mb_max if memory_mb is None else memory_mb
            slot = slot._replace(guest_mb=guest_mb)
            self._count_guest(1, guest_mb)
        self._taken[container] = slot
        self._by_client[slot.client] = self.of(slot.client) + 1
        self._by_language[slot.language] += 1
        return slot

    def _count_guest(self, change: int, guest_mb: int) -> None:
        self._guests += change
        self._guests_mb += change * guest_mb
        instruments.guests.set(self._guests)

    def free(self, container: str) -> Slot | None:
        """Free the container's slot, and return it if there was one."""
        slot = self._taken.pop(container, None)
        if slot is not None:
            self._by_language[slot.language] -= 1
            left = self._by_client[slot.client] = self._by_client[slot.client] - 1
            if not left:
                del self._by_client[slot.client]
            if slot.guest_mb is not None:
                self._count_guest(-1, slot.guest_mb)
        return slot

    def measure(self, container: str, memory_mb: int) -> None:
        """Note what memory a guest's job may have."""
        slot = self._taken.get(container)
        if slot is not None and slot.guest_mb is not None:
            self._guests_mb += memory_mb - slot.guest_mb
            self._taken[container] = slot._replace(guest_mb=memory_mb)

    @property
    def left(self) -> int:
        """How many of the usual slots are free; below 0 with guests."""
        return self._budget.running_max - len(self._taken)

    @property
    def left_to_guests(self) -> int:
        """How many clients that have nothing running may begin."""
        left = self.left + self._budget.guests_max
        if self.left > 0 or not self._guests:
            return left
        left_mb = self._budget.guests_mb_max - self._guests_mb
        return min(left, left_mb // max(1, self._budget.job_mb_max))

    def of(self, client: str) -> int:
        """Return how many slots a client holds."""
        return self._by_client.get(client, 0)

    def running(self, language: str) -> int:
        """Return how many of a language's containers run a job."""
        return self._by_language[language]

    def is_full(self, language: str) -> bool:
        """Tell whether only guests may have one more container of the language."""
        return self._by_language[language] >= self._budget.pool_max

    def values(self) -> Iterator[Slot]:
        """Yield the slots that are taken."""
        yield from self._taken.values()
