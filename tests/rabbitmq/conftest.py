"""A virtual host for each test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

pytest.register_assert_rewrite("history", "scene", "stage")

from scene import Scene, open_scene  # noqa: E402 - after the line above

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rabbitmq_server import RabbitServer


@pytest.fixture
def scene(rabbitmq: RabbitServer) -> Iterator[Scene]:
    with open_scene(rabbitmq) as one:
        yield one
