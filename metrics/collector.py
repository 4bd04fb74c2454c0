"""Mailbox depths, read from pykka's registry when Prometheus asks."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pykka
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from collections.abc import Iterable


class MailboxCollector(Collector):
    """The depth of each kind of actor's mailboxes; the kind is the actor's class."""

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """Yield the family. No actor is asked: a full mailbox must not matter."""
        depths: Counter[str] = Counter()
        for ref in pykka.ActorRegistry.get_all():
            depths[ref.actor_class.__name__] += ref.actor_inbox.qsize()  # type: ignore[attr-defined]
        family = GaugeMetricFamily(
            "warmbox_mailbox_depth", "Messages waiting in mailboxes.", labels=["actor"]
        )
        for actor, depth in sorted(depths.items()):
            family.add_metric([actor], depth)
        yield family
