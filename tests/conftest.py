"""The tests run as the service does: patched before anything else is imported."""

from gevent import monkey

monkey.patch_all()

import pytest

pytest.register_assert_rewrite(
    "attacking", "history", "http_api", "probing", "scene", "service_process", "stage"
)

from actor_world import no_actor_is_left, world
from rabbitmq_server import rabbitmq

__all__ = ["no_actor_is_left", "rabbitmq", "world"]
