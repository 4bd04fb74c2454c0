"""Gateways and workers under load, while things break: nothing accepted is lost.

What is said of a job with a 202 holds for all of them: it ends exactly once, with the
right output, whichever gateway is asked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import gevent
import pytest
from history import History
from silent_proxy import silent_proxy
from stage import Stage, stage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from history import Verdict
    from scene import Scene

pytestmark = [pytest.mark.docker, pytest.mark.rabbitmq]

JOBS = 2000
FEWER = 500
LATER, LATER_S = 150, 6
RUN_S = 0.1
"""So that at each moment some jobs run, some wait here and most wait in the broker."""


@pytest.fixture
def ready(scene: Scene) -> Iterator[Stage]:
    with stage(scene.url) as one:
        one.wait_ready()
        yield one
        scene.wait_no_jobs()


def judged(history: History, what: str) -> Verdict:
    verdict = history.judge()
    print(f"\n{what}: {verdict}")  # noqa: T201 - the figures are what this is for
    if history.breaks():
        print(f"  streams broke: {history.breaks()}")  # noqa: T201
    return verdict


def under_load(gateways: Stage, what: str, break_it: Callable[[], None]) -> None:
    """Break something while hundreds of jobs are under way, and judge the history."""
    history = History(gateways.gateways, RUN_S)
    history.post(FEWER - LATER)
    # Given jobs of which many have been accepted, some run, and few have ended
    history.wait_for(lambda: history.accepted > FEWER / 3 and history.finished > 20)
    # When something breaks, while clients go on to post
    breaking = gevent.spawn(break_it)
    for _ in range(LATER):
        history.post(1)
        gevent.sleep(LATER_S / LATER)
    breaking.get()
    judged(history, what).assert_perfect(FEWER)


# --------------------------------------------------------------------- all is well


def test_thousands_of_jobs_are_followed_on_the_other_gateway(ready: Stage) -> None:
    history = History(ready.gateways)
    history.post(JOBS)
    verdict = judged(history, "2 gateways, 2 workers")
    verdict.assert_perfect(JOBS)
    assert (verdict.restarted, verdict.refused) == (0, 0)
    shares = [node.metric("warmbox_jobs_total") for node in ready.workers]
    print(f"  by worker: {shares}")  # noqa: T201
    assert sum(shares) == JOBS
    assert min(shares) > JOBS / 5, shares


# -------------------------------------------------------------------------- faults


def test_a_worker_is_killed(ready: Stage) -> None:
    under_load(ready, "kill -9 a worker", ready.workers[0].kill)


def test_a_worker_is_stopped_in_order(ready: Stage) -> None:
    history = History(ready.gateways, RUN_S)
    history.post(FEWER)
    history.wait_for(lambda: history.finished > 20)
    ready.workers[0].send_stop()
    assert ready.workers[0].wait() == 0
    verdict = judged(history, "SIGTERM to a worker")
    verdict.assert_perfect(FEWER)
    assert verdict.restarted == 0


def test_everything_is_restarted_one_by_one(ready: Stage) -> None:
    def restart() -> None:
        for node in ready.nodes:
            node.send_stop()
            assert node.wait() == 0
            node.start()
            ready.wait_ready()

    history = History(ready.gateways, RUN_S)
    history.post(FEWER - LATER)
    restarting = gevent.spawn(restart)
    for _ in range(LATER):
        history.post(1)
        gevent.sleep(2 * LATER_S / LATER)
    restarting.get()
    verdict = judged(history, "rolling restart")
    verdict.assert_perfect(FEWER)
    assert verdict.restarted == 0


def test_a_gateway_is_killed_and_started_again(ready: Stage) -> None:
    def break_it() -> None:
        ready.gateways[0].kill()
        ready.gateways[0].start()

    under_load(ready, "kill -9 a gateway", break_it)


def test_rabbitmq_is_stopped_and_started(scene: Scene, ready: Stage) -> None:
    def break_it() -> None:
        scene.server.stop()
        gevent.sleep(2)  # while nobody is there to come back to
        scene.server.start()

    under_load(ready, "stop and start RabbitMQ", break_it)


def test_rabbitmq_is_killed_and_started(scene: Scene, ready: Stage) -> None:
    def break_it() -> None:
        scene.server.kill()
        scene.server.start()

    under_load(ready, "kill -9 RabbitMQ", break_it)


def test_every_connection_is_closed(scene: Scene, ready: Stage) -> None:
    under_load(ready, "close all connections", scene.close_connections)


def test_every_connection_is_closed_again_and_again(scene: Scene, ready: Stage) -> None:
    def break_it() -> None:
        for _ in range(5):
            scene.close_connections()
            gevent.sleep(1)

    under_load(ready, "close all connections, five times", break_it)


def test_connections_fall_silent(scene: Scene) -> None:
    with (
        silent_proxy(scene.server.port) as proxy,
        stage(scene.url_through(proxy.port)) as one,
    ):
        one.wait_ready()
        under_load(one, "connections fall silent", proxy.cut)
        # Then each process has connected anew, with both its connections.
        assert proxy.connections >= 2 * len(one.nodes)
        scene.wait_no_jobs()
