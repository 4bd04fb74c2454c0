"""Every attack is contained, and nothing of it is there for the next job to find."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest
from attacking import CATALOG, Attack, Looks, Report, carry_out, read_attacks
from runtime import RUNTIME

if TYPE_CHECKING:
    from service_process import ServiceProcess

ATTACKS = read_attacks()
MANY = 80


def test_there_are_many_attacks_in_every_language() -> None:
    count = Counter(attack.language for attack in ATTACKS)
    assert len(ATTACKS) >= MANY
    assert set(count) == set(CATALOG.languages)
    assert min(count.values()) >= 9
    assert len({(attack.language, attack.name) for attack in ATTACKS}) == len(ATTACKS)


@pytest.mark.docker
@pytest.mark.parametrize(
    "attack", [pytest.param(one, id=f"{one.language}: {one.name}") for one in ATTACKS]
)
def test_attack(
    alone: ServiceProcess,
    looks: Looks,
    reports: list[Report],
    attack: Attack,
) -> None:
    report = carry_out(alone, attack, looks)
    reports.append(report)
    assert report.verdict in ("contained", "shown"), "\n".join(report.reasons)
    if attack.recycled is not None and RUNTIME == "runc":
        assert report.recycled == attack.recycled, "the container was not expected to"
