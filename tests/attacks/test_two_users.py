"""Two users' jobs at random over the same containers: none ever sees another's nonce.

WARMBOX_TEST_NONCES says how many jobs; few by default, 3000 for the figure.
"""

from __future__ import annotations

import os
import random
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from figures import bound, scrub_times
from gevent.pool import Pool
from http_api import Api
from runtime import RUNTIME
from service_process import ServiceProcess

if TYPE_CHECKING:
    from collections.abc import Iterator

    from http_api import Result

pytestmark = pytest.mark.docker

JOBS = int(os.environ.get("WARMBOX_TEST_NONCES", "150"))
SEED = int(os.environ.get("WARMBOX_TEST_SEED", "1"))
AT_ONCE = 8
USERS = ("127.0.0.71", "127.0.0.72")
NONCE = re.compile(r"NNC[0-9a-f]{24}")

# Each tells its nonce, looks wherever another's could be, and leaves its own behind: in
# files, in shared memory, in a socket's name and in a process that goes on.
PROGRAMS = {
    path.stem: path.read_text() for path in Path(__file__).parent.glob("nonces/*")
}
WEIGHTS = {"python": 6, "bash": 2, "c": 1, "javascript": 2}


@dataclass(frozen=True)
class Ended:
    """One job's nonce and what it printed beside it."""

    nonce: str
    result: Result

    @property
    def foreign(self) -> set[str]:
        printed = (self.result.stdout + self.result.stderr).decode(errors="replace")
        return set(NONCE.findall(printed)) - {self.nonce}


@pytest.fixture(scope="module")
def shared() -> Iterator[ServiceProcess]:
    with ServiceProcess(
        languages=",".join(PROGRAMS),
        pool__warm=2,
        pool__max=2,
        running_max=4,
        runtime=RUNTIME,
    ) as one:
        yield one


def test_no_user_sees_another_ones_nonce(
    shared: ServiceProcess, figures: list[str]
) -> None:
    chance = random.Random(SEED)  # noqa: S311 - not for secrets
    apis = {user: Api(shared.port, user) for user in USERS}
    names, weights = list(WEIGHTS), list(WEIGHTS.values())

    def one(number: int) -> Ended:
        nonce = f"NNC{chance.getrandbits(96):024x}"
        language = chance.choices(names, weights)[0]
        source = PROGRAMS[language].replace("@NONCE@", nonce)
        extra: dict[str, Any] = {"stdin": nonce * 50, "args": [nonce]}
        if number % 3 == 0:  # which takes the warm start away
            extra["env"] = {"NONCE": nonce}
        limits = {"wall_time_s": 20, "cpu_time_s": 20}
        api = apis[chance.choice(USERS)]
        return Ended(nonce, api.run(language, source, limits=limits, **extra))

    ended = Pool(AT_ONCE).map(one, range(JOBS))
    for job in ended:
        assert job.result.outcome == "success", job.result
        assert job.result.text.split()[0] == job.nonce
    foreign = set().union(*(job.foreign for job in ended))
    retired = shared.api.metric("warmbox_container_retirements_total")
    figures.append(
        f"{JOBS} jobs of two users: foreign nonces {len(foreign)}; "
        f"containers recycled {retired:.0f} ({retired / JOBS:.1%}); "
        f"{scrub_times(shared.api)}; {bound(JOBS)}"
    )
    assert not foreign
