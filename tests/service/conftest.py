"""One real service for all tests here that don't need one of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from service_process import ADMIN_KEY, ServiceProcess

if TYPE_CHECKING:
    from collections.abc import Iterator

    from http_api import Api


@pytest.fixture(scope="session")
def service() -> Iterator[ServiceProcess]:
    settings = {"pool__max": 5, "running_max": 10, "admin_key": ADMIN_KEY}
    # A container for guests is one that a client alone can't reach with its probes.
    with ServiceProcess(**settings, guests_max=0) as one:
        yield one
        code = one.terminate()
        print(one.log())  # noqa: T201 - pytest shows it if what follows fails
        assert code == 0
        assert one.containers() == []


@pytest.fixture
def api(service: ServiceProcess) -> Api:
    return service.api
