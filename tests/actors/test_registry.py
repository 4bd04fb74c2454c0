"""pykka's registry, kept as a set."""

from __future__ import annotations

import pykka
from actor_world import Probe, settle

from actors.registry import Refs


def test_pykka_finds_all_actors_in_the_order_of_their_starts() -> None:
    first, second = Probe(), Probe()
    assert isinstance(pykka.ActorRegistry._actor_refs, Refs)  # noqa: SLF001
    assert pykka.ActorRegistry.get_all() == [first.ref, second.ref]
    assert pykka.ActorRegistry.get_by_urn(second.ref.actor_urn) is second.ref
    first.stop()
    settle()
    assert pykka.ActorRegistry.get_all() == [second.ref]
    pykka.ActorRegistry.stop_all()
    assert pykka.ActorRegistry.get_all() == []


def test_an_actor_is_taken_out_without_a_look_at_the_others() -> None:
    refs = Refs()
    probes = [Probe() for _ in range(3)]
    for probe in probes:
        refs.append(probe.ref)
    refs.remove(probes[1].ref)
    assert list(refs) == refs[:] == [probes[0].ref, probes[2].ref]
    assert probes[1].ref not in refs
    assert len(refs) == 2
