"""Three nodes: any one may die, and jobs go on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from rabbitmq_server import RabbitCluster, running
from stage import Node, stage, wait_until

from actors.broker.topology import EVENTS

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.docker, pytest.mark.rabbitmq]

GO_ON_S = 15
"""The promise: so long after a node's death jobs run again."""
JOB = {"language": "python", "source": "print('hello')"}


@pytest.fixture(scope="module")
def cluster() -> Iterator[RabbitCluster]:
    with running(RabbitCluster) as one:
        yield one


def runs(gateway: Node) -> bool:
    """Tell whether a job is taken and ends right."""
    headers: dict[str, Any] = {"Prefer": "wait=2"}
    answer = gateway.call("POST", "/v1/jobs", document=JOB, headers=headers)
    if answer.status == 503:
        return False
    document = answer.document()
    return bool(document.get("stdout") == "hello\n")


def test_one_node_after_the_other_may_die(cluster: RabbitCluster) -> None:
    with stage(cluster.url, gateways=2, workers=2) as one:
        one.wait_ready()
        assert all(runs(gateway) for gateway in one.gateways)
        for node in cluster.nodes:
            node.kill()
            for gateway in one.gateways:
                wait_until(lambda g=gateway: runs(g), GO_ON_S, "jobs go on")  # type: ignore[misc]
            node.start()
            cluster.await_whole(EVENTS)
            one.wait_ready()
