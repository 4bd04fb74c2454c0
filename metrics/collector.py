"""Mailbox depths, read from outside when somebody wants to see them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pykka
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


@dataclass(frozen=True, slots=True)
class Mailbox:
    """One actor's mailbox, looked at from outside; `kind` is the actor's class."""

    kind: str
    depth: int


def mailboxes(refs: Mapping[str, pykka.ActorRef[Any]]) -> dict[str, Mailbox]:
    """Return the mailbox of each of these actors, without asking one."""
    return {
        name: Mailbox(ref.actor_class.__name__, _depth(ref))
        for name, ref in refs.items()
    }


def _depth(ref: pykka.ActorRef[Any]) -> int:
    return int(ref.actor_inbox.qsize())  # type: ignore[attr-defined]


class MailboxCollector(Collector):
    """The depth of each kind of actor's mailboxes; the kind is the actor's class."""

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """Yield the family. No actor is asked: a full mailbox must not matter."""
        depths: Counter[str] = Counter()
        for ref in pykka.ActorRegistry.get_all():
            depths[ref.actor_class.__name__] += _depth(ref)
        family = GaugeMetricFamily(
            "warmbox_mailbox_depth", "Messages waiting in mailboxes.", labels=["actor"]
        )
        for actor, depth in sorted(depths.items()):
            family.add_metric([actor], depth)
        yield family
