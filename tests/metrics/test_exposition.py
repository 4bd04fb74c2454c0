"""What Prometheus reads: fresh, made once for all who wait, with turns for others."""

from __future__ import annotations

import gevent
import pytest
from prometheus_client import CollectorRegistry, Counter, generate_latest

from metrics import exposition
from metrics.exposition import Exposition


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> CollectorRegistry:
    registry = CollectorRegistry()
    monkeypatch.setattr(exposition, "shown", lambda: registry)
    return registry


def test_the_figures_are_those_of_the_registry(registry: CollectorRegistry) -> None:
    for name in ("first", "second"):
        Counter(name, "Things.", ["kind"], registry=registry).labels("a").inc()
    assert Exposition(list).text() == generate_latest(registry)


def test_the_figures_are_of_after_the_question(registry: CollectorRegistry) -> None:
    things = Counter("things", "Things.", registry=registry)
    figures = Exposition(list)
    for number in range(1, 4):
        things.inc()
        assert f"things_total {number}.0".encode() in figures.text()


def test_all_who_wait_get_the_same_figures(
    registry: CollectorRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[int] = []

    def shown() -> CollectorRegistry:
        made.append(1)
        return registry

    monkeypatch.setattr(exposition, "shown", shown)
    figures = Exposition(list)
    readers = [gevent.spawn(figures.text) for _ in range(20)]
    gevent.joinall(readers, raise_error=True)
    assert made == [1]


def test_others_have_their_turn_between_families(
    registry: CollectorRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exposition, "STEP_S", 0)
    turns: list[int] = []
    for name in ("first", "second", "third"):
        Counter(name, "Things.", registry=registry)
    Exposition(lambda: turns.append(1)).text()
    assert turns == [1, 1, 1]
