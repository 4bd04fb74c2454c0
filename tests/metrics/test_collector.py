"""Mailbox depths as Prometheus sees them."""

from __future__ import annotations

import gevent
import pykka
from actor_world import Probe
from prometheus_client import CollectorRegistry, generate_latest

from metrics.collector import Mailbox, MailboxCollector, mailboxes
from metrics.instruments import REGISTRY


class Sluggish(pykka.ThreadingActor):
    """Gets to nothing before it is let go on."""

    use_daemon_thread = True

    def on_receive(self, message: gevent.event.Event) -> None:
        message.wait()


def depths() -> dict[str, float]:
    (family,) = MailboxCollector().collect()
    return {sample.labels["actor"]: sample.value for sample in family.samples}


def test_without_actors_there_is_nothing_to_show() -> None:
    assert depths() == {}


def test_an_idle_actor_has_an_empty_mailbox() -> None:
    probe = Probe()
    probe.take()
    assert depths() == {"Recorder": 0}


def test_mailboxes_of_a_kind_are_counted_together_and_nobody_is_asked() -> None:
    # Given two actors that are busy, with messages waiting
    gate = gevent.event.Event()
    first, second = Sluggish.start(), Sluggish.start()
    for ref, count in ((first, 3), (second, 2)):
        ref.tell(gate)
        gevent.idle()
        for _ in range(count):
            ref.tell(gate)
    # Then their depths are known though neither can answer
    assert mailboxes({"a": first, "b": second}) == {
        "a": Mailbox("Sluggish", 3),
        "b": Mailbox("Sluggish", 2),
    }
    assert depths() == {"Sluggish": 5}
    gate.set()


def test_the_dead_are_not_counted() -> None:
    probe = Probe()
    probe.stop()
    assert depths() == {}


def test_the_family_is_readable_for_prometheus() -> None:
    probe = Probe()
    probe.take()
    registry = CollectorRegistry()
    registry.register(MailboxCollector())
    text = generate_latest(registry).decode()
    assert 'warmbox_mailbox_depth{actor="Recorder"} 0.0' in text


def test_labels_are_bounded() -> None:
    allowed = {"language", "state", "outcome", "phase", "child", "reason", "code"}
    allowed |= {"le", "actor", "bound", "kind"}
    for family in REGISTRY.collect():
        for sample in family.samples:
            assert set(sample.labels) <= allowed, sample
