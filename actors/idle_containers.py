"""One language's idle containers, by whose they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Container, Iterable

FRESH = ""
"""Whose a container is that is good for everybody."""


class IdleContainers:
    """The containers that can take a job, and since when, in seconds.

    Where containers are used again for the same client only, each that has run a job
    has a tenant; else all are fresh. There are as many as a pool has, so looking at
    each is no matter; looking at each client that waits would be.
    """

    def __init__(self) -> None:
        self._tenants: dict[str, str] = {}
        """By container, those idle for longest first."""
        self._of: dict[str, dict[str, float]] = {}
        """By tenant."""

    def __len__(self) -> int:
        return len(self._tenants)

    def add(self, container: str, now: float, tenant: str = FRESH) -> None:
        """Note one that is idle; it may be known already."""
        if container not in self._tenants:
            self._tenants[container] = tenant
            self._of.setdefault(tenant, {})[container] = now

    def remove(self, container: str) -> str | None:
        """Forget one; returns its tenant, None if it was not known."""
        tenant = self._tenants.pop(container, None)
        if tenant is not None:
            del self._of[tenant][container]
            if not self._of[tenant]:
                del self._of[tenant]
        return tenant

    @property
    def fresh(self) -> int:
        """How many are good for everybody."""
        return len(self._of.get(FRESH, ()))

    @property
    def tenants(self) -> Iterable[str]:
        """Whose containers there are, besides fresh ones."""
        return (tenant for tenant in self._of if tenant != FRESH)

    def pick(self, client: str, leave: int, awake_since: float | None) -> str | None:
        """Return the container for the client's next job: its own, or a fresh one.

        leave: so many fresh ones are for others. Last in, first out: what was busy just
        now is warm, the rest may retire. But where something has to wake up first
        (`awake_since` is not None), one that is idle since then, and has had the time.
        """
        found = self._of.get(client) if client != FRESH else None
        if found is None and self.fresh > leave:
            found = self._of[FRESH]
        if found is None:
            return None
        if awake_since is None:
            return next(reversed(found))
        awake = (name for name in reversed(found) if found[name] <= awake_since)
        return next(awake, next(iter(found)))

    def foreign(self, waiting: Container[str]) -> str:
        """Return the one idle for longest, if possible of who does not wait for it.

        Only while there are some, and none is fresh.
        """
        names = iter(self._tenants)
        return next(
            (name for name in names if self._tenants[name] not in waiting),
            next(iter(self._tenants)),
        )

    def since(self, limit: float) -> list[str]:
        """Return those that have been idle since then, the oldest first."""
        return [
            name
            for name, tenant in self._tenants.items()
            if self._of[tenant][name] <= limit
        ]
