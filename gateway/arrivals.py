"""The jobs that are being accepted just now, and what gives way to them.

All requests are work of one thread. When a thousand clients post at once, each hears
sooner that its job is taken if what nobody is in a hurry for comes afterwards.
"""

from __future__ import annotations

from gevent.event import Event

FEW = 4
MANY = 32
GIVE_WAY_S = 1.0
"""A crowd that never ends, or a broker that is away, holds nothing up for longer."""


class Arrivals:
    """Counts those inside its `with`: nothing there may wait for a client."""

    def __init__(self) -> None:
        self._count = 0
        self._not_many = Event()
        self._not_many.set()

    def __enter__(self) -> None:
        self._count += 1
        if self._count > MANY:
            self._not_many.clear()

    def __exit__(self, *_: object) -> None:
        self._count -= 1
        if self._count == MANY:
            self._not_many.set()

    def are_few(self) -> bool:
        """Tell whether none of them would notice a moment spent on something else."""
        return self._count <= FEW

    def give_way(self) -> None:
        """Wait while there are many, for `GIVE_WAY_S` at most."""
        self._not_many.wait(GIVE_WAY_S)
