"""One server for all tests here, and a virtual host for each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

pytest.register_assert_rewrite("history", "stage", "rabbitmq_server")

from rabbitmq_server import is_installed, rabbit_server  # noqa: E402 - see above
from scene import Scene  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rabbitmq_server import RabbitServer


@pytest.fixture(scope="session")
def server() -> Iterator[RabbitServer]:
    assert is_installed(), "no RabbitMQ here: `make test` sets one up"
    with rabbit_server() as one:
        yield one


@pytest.fixture
def scene(server: RabbitServer, request: pytest.FixtureRequest) -> Iterator[Scene]:
    vhost = request.node.name.partition("[")[0]
    server.add_vhost(vhost)
    yield Scene(server, vhost)
    server.delete_vhost(vhost)
