"""Faults of Docker's engine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import gevent
from scenario import scenario

if TYPE_CHECKING:
    from engine_proxy import EngineProxy
    from own_engine import OwnEngine
    from play import Play

IMAGE = "warmbox/python:latest"
LAST_S = 4


def proxy(play: Play) -> EngineProxy:
    assert play.here.engine_proxy is not None
    return play.here.engine_proxy


def engine(play: Play) -> OwnEngine:
    assert play.here.own_engine is not None
    return play.here.own_engine


def kill_one(play: Play) -> None:
    """Have the pool need the engine."""
    play.node.docker.kill(play.node.containers()[0])


def is_paused(play: Play) -> bool:
    pools: dict[str, Any] = play.node.readiness().get("languages", {})
    return any(pool["paused"] for pool in pools.values())


@scenario("proxied", whole_s=25)
def dockers_api_is_slow(play: Play) -> None:
    """With 2 s a call, a dead container is replaced later; the others work on."""
    kill_one(play)
    proxy(play).delay_s = 2
    play.finish_some()
    gevent.sleep(LAST_S)
    proxy(play).delay_s = 0


@scenario("proxied", whole_s=15)
def dockers_api_fails(play: Play) -> None:
    """The pool pauses with back-off and says so; the other containers work on."""
    proxy(play).fails = True
    play.order("crash", name="root/languages/python/pool/1")
    play.wait_until(lambda: is_paused(play), 10, "the pool says that it pauses")
    play.finish_some()
    gevent.sleep(LAST_S)
    proxy(play).fails = False


@scenario("proxied", whole_s=20)
def dockers_socket_closes_everything(play: Play) -> None:
    """All containers end with their streams; jobs wait and are run again."""
    proxy(play).cut()
    play.wait_until(lambda: is_paused(play), 10, "the pool says that it pauses")
    gevent.sleep(LAST_S)
    proxy(play).mend()


@scenario("own engine", whole_s=25)
def dockerd_stopped_and_started(play: Play) -> None:
    """Jobs wait, and are run again when it is back; no container of before is left."""
    engine(play).stop()
    play.wait_until(lambda: is_paused(play), 10, "the pool says that it pauses")
    gevent.sleep(LAST_S)
    engine(play).start()


@scenario("own engine", whole_s=20)
def an_image_removed(play: Play) -> None:
    """Containers that run work on; the pool pauses, says why, and tries again."""
    with engine(play).without(IMAGE):
        kill_one(play)
        play.wait_until(lambda: is_paused(play), 20, "the pool says that it pauses")
        play.finish_some()
        gevent.sleep(LAST_S)


@scenario("own engine", whole_s=20)
def disk_full_for_the_images(play: Play) -> None:
    """Containers that run work on; the pool pauses, says why, and tries again."""
    with engine(play).full_disk():
        kill_one(play)
        play.wait_until(lambda: is_paused(play), 20, "the pool says that it pauses")
        play.finish_some()
        gevent.sleep(LAST_S)
