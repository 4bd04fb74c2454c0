"""What all broker connections of one process share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from actors.broker.topology import Topology
from actors.broker.wire import Wire
from metrics import instruments


class BrokerHealth:
    """Which connections of this process are open; they all are, or we are not up."""

    def __init__(self) -> None:
        self._open: dict[str, bool] = {}

    def report(self, name: str, *, is_open: bool) -> None:
        """Take note of how this connection stands."""
        self._open[name] = is_open
        instruments.broker_up.set(self.is_up)

    @property
    def is_up(self) -> bool:
        """Tell whether every connection that has been reported is open."""
        return bool(self._open) and all(self._open.values())


@dataclass(frozen=True, slots=True)
class Link:
    """Where the broker is, what it shall hold, and how to come back to it."""

    urls: tuple[str, ...]
    """The nodes of a cluster, tried in turn."""
    topology: Topology
    backoff: Callable[[int], float]
    """Failures in a row (from 1) to seconds, with jitter."""
    health: BrokerHealth
    dial: Callable[[str, str, int, Callable[[object], object]], Wire] = Wire
    """Begins to connect: URL, name, generation, and who is told."""
