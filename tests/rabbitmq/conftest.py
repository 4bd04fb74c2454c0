"""A virtual host for each test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from scene import Scene, open_scene

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rabbitmq_server import RabbitServer


@pytest.fixture
def scene(rabbitmq: RabbitServer) -> Iterator[Scene]:
    with open_scene(rabbitmq) as one:
        yield one
