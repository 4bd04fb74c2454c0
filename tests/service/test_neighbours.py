"""What one client does must not keep another's jobs from beginning."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest
from http_api import Api
from service_process import ServiceProcess

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.docker

SLEEPER = "import time\nprint('up', flush=True)\ntime.sleep(25)"
LONG = {"wall_time_s": 30}


@pytest.fixture(scope="module")
def shared() -> Iterator[ServiceProcess]:
    small = {"pool__warm": 2, "pool__max": 2, "running_max": 2}
    with ServiceProcess(languages="python", **small) as one:
        yield one
        assert one.terminate() == 0
        assert one.containers() == []


def test_programs_that_sleep_keep_no_other_client_waiting(
    shared: ServiceProcess,
) -> None:
    one, other = Api(shared.port, "127.0.0.2"), shared.api
    # Given one client whose programs hold all slots and all containers of a pool
    sleepers = [one.submit("python", SLEEPER, limits=LONG) for _ in range(4)]
    with ExitStack() as stack:
        for job_id in sleepers[:2]:
            stack.enter_context(one.follow(job_id)).until("stdout", "up")
        # Then another's jobs run meanwhile
        for _ in range(3):
            assert other.run("python", "print('hello')").text == "hello\n"
        states = [one.look(job_id)["state"] for job_id in sleepers]
    for job_id in sleepers:
        one.cancel(job_id)
    assert states == ["running", "running", "queued", "queued"]


def test_another_clients_job_costs_one_container_of_the_first() -> None:
    small = {"pool__warm": 3, "pool__max": 3, "reuse": "tenant", "guests_max": 0}
    with ServiceProcess(languages="python", running_max=3, **small) as service:
        one, other = Api(service.port, "127.0.0.2"), service.api
        # Given as many containers of one client as there are
        jobs = [one.submit("python", SLEEPER, limits=LONG) for _ in range(3)]
        with ExitStack() as stack:
            for job_id in jobs:
                stack.enter_context(one.follow(job_id)).until("stdout", "up")
        for job_id in jobs:
            one.cancel(job_id)
        service.wait_settled("python", 3)
        assert other.run("python", "print('hello')").text == "hello\n"
        name = "warmbox_container_retirements_total"
        assert service.api.metric(name, language="python", reason="tenant") == 1
