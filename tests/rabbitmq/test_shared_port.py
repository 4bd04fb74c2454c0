"""One gateway that is several processes: they share a port, and nobody can tell."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import gevent
import pytest
from history import History
from stage import Node, stage, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scene import Scene

pytestmark = [pytest.mark.docker, pytest.mark.rabbitmq]

PROCESSES = 3
JOBS, LATER, LATER_S = 300, 60, 3
RUN_S = 0.05
END_S = 20
BAD = 24


@pytest.fixture
def gateway(scene: Scene) -> Iterator[Node]:
    with stage(scene.url, gateways=0, workers=1) as one:
        node = Node("gateway", scene.url, gateways=PROCESSES)
        one.gateways.append(node)
        node.start()
        one.wait_ready()
        wait_until(lambda: len(children(node)) == PROCESSES, END_S, "all have started")
        yield node


def children(node: Node) -> set[int]:
    try:
        text = Path(f"/proc/{node.pid}/task/{node.pid}/children").read_text()
    except FileNotFoundError:
        return set()
    return set(map(int, text.split()))


def connections(pid: int) -> int:
    """Return how many TCP connections the process has."""
    found = 0
    for fd in Path(f"/proc/{pid}/fd").iterdir():
        try:
            found += fd.readlink().name.startswith("socket:")
        except FileNotFoundError:
            continue
    return found


def test_one_dies_under_load_and_nothing_is_lost(gateway: Node) -> None:
    history = History([gateway], RUN_S)
    history.post(JOBS - LATER)
    history.wait_for(lambda: history.accepted > JOBS / 3 and history.finished > 10)
    before = children(gateway)
    sockets = {pid: connections(pid) for pid in before}
    os.kill(victim := max(before, key=connections), signal.SIGKILL)
    for _ in range(LATER):
        history.post(1)
        gevent.sleep(LATER_S / LATER)
    verdict = history.judge()
    print(f"\none of {PROCESSES} processes killed: {verdict}")  # noqa: T201
    print(f"  sockets by process: {sorted(sockets.values())}")  # noqa: T201
    verdict.assert_perfect(JOBS)
    wait_until(lambda: len(children(gateway)) == PROCESSES, END_S, "there is a new one")
    assert len(children(gateway) - before) == 1
    assert victim not in children(gateway)


def test_the_metrics_are_those_of_all(gateway: Node) -> None:
    for _ in range(BAD):
        assert gateway.call("GET", "/v1/nothing").status == 404
    for _ in range(PROCESSES * 2):
        assert gateway.metric("warmbox_rejected_total") == BAD
    # It is the least of all: one that is still starting has no connection.
    wait_until(lambda: gateway.metric("warmbox_broker_up") == 1, END_S, "all are up")


def test_a_stop_ends_all_in_order(gateway: Node) -> None:
    pids = children(gateway)
    gateway.send_stop()
    assert gateway.wait() == 0
    assert not any(map(is_alive, pids))


def test_they_do_not_outlive_their_parent(gateway: Node) -> None:
    pids = children(gateway)
    environ = Path(f"/proc/{min(pids)}/environ").read_text().split("\0")
    (folder,) = [one for one in environ if one.startswith("PROMETHEUS_MULTIPROC_DIR=")]
    assert Path(folder.partition("=")[2]).exists()
    gateway.kill()
    wait_until(lambda: not any(map(is_alive, pids)), END_S, "all have ended")
    assert not Path(folder.partition("=")[2]).exists()


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"
