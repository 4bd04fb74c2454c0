"""The kernel is told to let a scrub go before programs, and for how long."""

from __future__ import annotations

from pathlib import Path

import pytest
from service_process import ServiceProcess, wait_until

from actors.control_group import CGROUPS
from actors.cpu_weight import PLACES, PREFERRED

pytestmark = pytest.mark.docker

# Several times as long to remove as a scrub is preferred.
MANY_FILES = "for n in range(15_000): open(f'/tmp/{n}', 'x').close()"
POLL_S = 0.0005


def weight_file(container_id: str) -> Path:
    places = [CGROUPS / place.format(container_id) for place in PLACES]
    (file,) = filter(Path.exists, places)
    return file


def test_a_scrub_goes_first_but_not_for_as_long_as_it_likes() -> None:
    with ServiceProcess(languages="python", pool__warm=1, pool__max=1) as service:
        (container,) = service.containers("python")
        file = weight_file(container)
        usual = int(file.read_text())

        def is_preferred() -> bool:
            return int(file.read_text()) == usual * PREFERRED

        job_id = service.api.submit("python", MANY_FILES)
        wait_until(is_preferred, 10, "its scrub begins", POLL_S)
        wait_until(lambda: not is_preferred(), 10, "its time is over", POLL_S)
        assert service.api.metric("warmbox_containers", state="scrubbing") == 1
        assert int(file.read_text()) == usual
        assert service.api.result(job_id).outcome == "success"
        assert service.api.run("python", "pass").outcome == "success"
        assert service.containers("python") == [container]
