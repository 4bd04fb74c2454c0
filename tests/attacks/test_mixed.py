"""Attacks and innocents side by side: the innocent notice nothing, and nothing grows.

WARMBOX_TEST_MIXED says how many jobs; few by default, 2000 for the figure.
"""

from __future__ import annotations

import os
import random
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from attacking import CATALOG, hello_of, reached, read_attacks, run
from figures import scrub_times
from gevent.pool import Pool
from runtime import RUNTIME
from service_process import ServiceProcess, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from http_api import Result

pytestmark = pytest.mark.docker

JOBS = int(os.environ.get("WARMBOX_TEST_MIXED", "48"))
SEED = int(os.environ.get("WARMBOX_TEST_SEED", "1"))
AT_ONCE = 8
WARM = 2
MEMORY_MB_SLACK = 48
DESCRIPTORS_SLACK = 16
"""Connections to Docker that are kept for the next time."""
RETURN_S = 90
PATIENT = {"wall_time_s": 30, "cpu_time_s": 30}
"""Beside attacks on few cores an innocent may take longer than usual."""


class Held(NamedTuple):
    """What the service holds of its machine."""

    memory_mb: int
    descriptors: int
    containers: int
    children: int


def held_by(service: ServiceProcess) -> Held:
    root = Path(f"/proc/{service.process.pid}")
    pages = int((root / "statm").read_text().split()[1])
    children = (root / f"task/{service.process.pid}/children").read_text().split()
    return Held(
        pages * os.sysconf("SC_PAGE_SIZE") >> 20,
        len(list((root / "fd").iterdir())),
        len(service.containers()),
        len(children),
    )


def innocents() -> list[dict[str, Any]]:
    """Return harmless jobs of all languages, some with arguments and stdin."""
    found = [hello_of(name) for name in CATALOG.languages]
    for name, language in CATALOG.languages.items():
        echo = language.echo
        fields = {"source": echo.source, "args": list(echo.args), "stdin": echo.stdin}
        found.append({"language": name, **fields})
    return [{**one, "limits": PATIENT} for one in found]


def shown(result: Result) -> tuple[str, int | None, bytes, bytes]:
    return result.outcome, result.exit_code, result.stdout, result.stderr


@pytest.fixture(scope="module")
def mixed() -> Iterator[ServiceProcess]:
    with ServiceProcess(
        pool__warm=WARM, pool__max=WARM, result_ttl_s=2, runtime=RUNTIME
    ) as one:
        yield one


def test_the_innocent_have_the_output_that_they_have_alone(
    mixed: ServiceProcess, figures: list[str]
) -> None:
    harmless, attacks = innocents(), read_attacks()
    alone = [shown(run(mixed.api, job)) for job in harmless]
    assert {outcome for outcome, *_ in alone} == {"success"}
    before = settled(mixed)
    chance = random.Random(SEED)  # noqa: S311 - not for secrets
    harmed: list[object] = []
    leaked: list[object] = []

    def one(_: int) -> bool:
        if chance.random() < 1 / 2:
            attack = chance.choice(attacks)
            leaked.extend(reached(run(mixed.api, attack.request)))
            return True
        number = chance.randrange(len(harmless))
        result = run(mixed.api, harmless[number])
        if shown(result) != alone[number]:
            end = {**result.document, "stdout": "", "source": ""}
            harmed.append((harmless[number]["language"], shown(result), end))
        return False

    were_attacks = Pool(AT_ONCE).map(one, range(JOBS))
    after = settled(mixed, before)
    retired = mixed.api.metric("warmbox_container_retirements_total")
    figures.append(
        f"{JOBS} mixed jobs, {sum(were_attacks)} of them attacks: innocents harmed "
        f"{len(harmed)}, reached {len(leaked)}; containers recycled {retired:.0f} "
        f"({retired / JOBS:.1%}); {scrub_times(mixed.api)}; held {before} -> {after}"
    )
    assert not harmed, "\n".join(map(str, harmed))
    assert not leaked, "\n".join(map(str, leaked))
    assert mixed.api.metric("warmbox_restarts_total") == 0


def settled(service: ServiceProcess, before: Held | None = None) -> Held:
    """Return what is held when all is quiet: no more than before, if that is given."""
    for language in CATALOG.languages:
        service.wait_settled(language, WARM)

    def back() -> bool:
        now = held_by(service)
        if before is None:
            return now.containers == WARM * len(CATALOG.languages)
        return (
            now.containers == before.containers
            and now.children <= before.children
            and now.descriptors <= before.descriptors + DESCRIPTORS_SLACK
            and now.memory_mb <= before.memory_mb + MEMORY_MB_SLACK
        )

    wait_until(back, RETURN_S, f"back at {before}: {held_by(service)}", 0.5)
    return held_by(service)
