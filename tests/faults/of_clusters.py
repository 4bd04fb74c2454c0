"""Faults of RabbitMQ, and of gateways and workers on it."""

from __future__ import annotations

import os
import resource
import signal
from typing import TYPE_CHECKING

import gevent
from scenario import scenario

if TYPE_CHECKING:
    from faulty_node import FaultyNode
    from play import Play
    from scene import Scene

STOPPED_S = 20
LAST_S = 4
JOBS = 240
QUEUE = "root/languages/python/queue"


def scene(play: Play) -> Scene:
    assert play.here.scene is not None
    return play.here.scene


def worker(play: Play) -> FaultyNode:
    return play.here.workers[0]


def gateway(play: Play) -> FaultyNode:
    return play.here.gateways[0]


# ------------------------------------------------------------------------ the broker


@scenario("cluster", whole_s=20, jobs=JOBS)
def rabbitmq_stopped_and_started(play: Play) -> None:
    """Jobs are refused with 503 meanwhile; what runs goes on, and ends once."""
    scene(play).server.stop()
    gevent.sleep(2)
    scene(play).server.start()


@scenario("cluster", whole_s=20, jobs=JOBS)
def rabbitmq_killed_and_started(play: Play) -> None:
    """What got a 202 is on its disk."""
    scene(play).server.kill()
    scene(play).server.start()


@scenario("cluster", whole_s=12, jobs=JOBS)
def rabbitmq_closes_every_connection(play: Play) -> None:
    """All connect again; jobs that run join their next delivery."""
    scene(play).close_connections()


@scenario("cluster", whole_s=20, jobs=JOBS)
def rabbitmq_has_no_memory(play: Play) -> None:
    """Jobs are refused with 503 meanwhile, within 8 s."""
    with scene(play).alarm():
        gevent.sleep(LAST_S)


@scenario("silent cluster", whole_s=45, jobs=JOBS)
def connections_to_rabbitmq_fall_silent(play: Play) -> None:
    """Heartbeats notice, and all connect again."""
    assert play.here.silent_proxy is not None
    play.here.silent_proxy.cut()


# ----------------------------------------------------------------- connections' actors


@scenario("cluster", whole_s=12, jobs=JOBS)
def unknown_message_to_the_publisher(play: Play) -> None:
    """What it had not confirmed is published again by its successor."""
    gateway(play).order("crash", name="root/broker")


@scenario("cluster", whole_s=12, jobs=JOBS)
def unknown_message_to_a_workers_publisher(play: Play) -> None:
    """Events that were not confirmed are published again, and shown once."""
    worker(play).order("crash", name="root/broker")


@scenario("cluster", whole_s=15, jobs=JOBS)
def unknown_message_to_the_consumer(play: Play) -> None:
    """Its leases come back; jobs that run join theirs."""
    worker(play).order("crash", name="root/consumer")


@scenario("cluster", whole_s=12, jobs=JOBS)
def unknown_message_to_the_reader_of_events(play: Play) -> None:
    """Its successor reads the stream from where it was."""
    gateway(play).order("crash", name="root/events")


@scenario("cluster", whole_s=15, jobs=JOBS)
def unknown_message_to_a_workers_queue(play: Play) -> None:
    """Its pool goes down with it; its jobs run here or elsewhere."""
    worker(play).order("crash", name=QUEUE)


# ---------------------------------------------------------------- gateways, workers


@scenario("cluster", whole_s=25, jobs=JOBS)
def kill_9_of_a_worker(play: Play) -> None:
    """Its jobs run again on the other; its containers are gone before it is back."""
    worker(play).kill()


@scenario("cluster", whole_s=20, jobs=JOBS)
def kill_9_of_a_gateway(play: Play) -> None:
    """Its clients go on at the other, from where they were."""
    gateway(play).kill()


@scenario("cluster", whole_s=25, jobs=JOBS)
def SIGTERM_to_a_worker(play: Play) -> None:  # noqa: N802 - as people write it
    """It ends what it runs and gives back what waits; nothing is begun twice."""
    worker(play).send_stop()
    play.expect(worker(play).wait() == 0, "it ended with 0")


@scenario("cluster", whole_s=25, jobs=60, run_s=0.5)
def double_SIGTERM_to_a_worker(play: Play) -> None:  # noqa: N802 - likewise
    """It ends at once; what it ran runs again on the other."""
    worker(play).send_stop()
    gevent.sleep(0.2)
    worker(play).send_stop()
    play.expect(worker(play).wait() == 1, "it ended with 1")


@scenario("cluster", whole_s=25, jobs=JOBS)
def everything_restarted_in_turn(play: Play) -> None:
    """A rolling restart of two gateways and two workers: nobody loses anything."""
    for node in play.here.nodes:
        node.send_stop()
        play.expect(node.wait() == 0, "it ended with 0")
        node.start()
        play.here.wait_whole()


@scenario("cluster", whole_s=25, jobs=JOBS)
def a_worker_stopped_for_20_s(play: Play) -> None:
    """The broker gives its jobs to the other; what it says of them later is void."""
    os.kill(worker(play).pid, signal.SIGSTOP)
    gevent.sleep(STOPPED_S)
    os.kill(worker(play).pid, signal.SIGCONT)


@scenario("cluster", whole_s=30, jobs=JOBS)
def memory_of_a_worker_runs_out(play: Play) -> None:
    """It fails, or its parts do, and is started again; its jobs run somewhere."""
    starve(play, worker(play))


@scenario("cluster", whole_s=30, jobs=JOBS)
def memory_of_a_gateway_runs_out(play: Play) -> None:
    """It fails, or its parts do, and is started again; its clients go on elsewhere."""
    starve(play, gateway(play))


def starve(play: Play, node: FaultyNode) -> None:
    """Let the process get no more memory from the machine than it has."""
    resource.prlimit(node.pid, resource.RLIMIT_AS, (1 << 20, resource.RLIM_INFINITY))
    gevent.sleep(LAST_S)
    if node.is_up:
        resource.prlimit(
            node.pid,
            resource.RLIMIT_AS,
            (resource.RLIM_INFINITY, resource.RLIM_INFINITY),
        )
    play.expect(play.here.gateways[1].is_up, "the other gateway is there")
