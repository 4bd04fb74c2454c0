"""Faults of containers and of what runs in them."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import gevent
from scenario import scenario

if TYPE_CHECKING:
    from play import Play

PAUSE_S = 3
FILL_TMP = """
import os
here = os.getcwd()
for folder in ("/tmp", "/dev/shm", here):
    try:
        for number in range(1000):
            with open(f"{folder}/hog-{number}", "wb") as hog:
                hog.write(bytes(4 << 20))
    except OSError as error:
        print("here" if folder == here else folder, error.errno)
"""
HOGS = 8
HOG_SAYS = "/tmp 28\n/dev/shm 28\nhere 28\n"  # noqa: S108 - what a program says


@scenario(is_quick=True, whole_s=12)
def docker_kill_of_a_container(play: Play) -> None:
    """Its job runs again elsewhere; the pool starts another."""
    play.node.docker.kill(play.node.containers()[0])


@scenario(whole_s=15)
def docker_kill_of_all_containers_at_once(play: Play) -> None:
    """Their jobs run again; the pool is filled again."""
    kill = play.node.docker.kill
    gevent.joinall([gevent.spawn(kill, one) for one in play.node.containers()])


@scenario(whole_s=12)
def docker_rm_of_a_container(play: Play) -> None:
    """The same as a kill."""
    play.node.docker.remove_container(play.node.containers()[0], force=True)


@scenario(whole_s=15)
def docker_rm_of_all_containers_at_once(play: Play) -> None:
    """The same as a kill."""
    remove = play.node.docker.remove_container
    found = play.node.containers()
    gevent.joinall([gevent.spawn(remove, one, force=True) for one in found])


@scenario()
def docker_pause_of_a_container_for_3_s(play: Play) -> None:
    """Its job goes on when it can; the others do not wait for it."""
    container = play.node.containers()[0]
    play.node.docker.pause(container)
    play.finish_some()
    gevent.sleep(PAUSE_S)
    play.node.docker.unpause(container)


@scenario(whole_s=35, jobs=41, is_loaded=False)
def docker_pause_of_an_idle_container_for_good(play: Play) -> None:
    """A job that it does not begin within 15 s runs again elsewhere."""
    play.node.docker.pause(play.node.containers()[0])
    play.history.post(40)


@scenario(whole_s=12)
def runner_killed(play: Play) -> None:
    """The container ends with it: its job runs again elsewhere."""
    os.kill(play.node.runner_pid(play.node.containers()[0]), signal.SIGKILL)


@scenario()
def runner_stopped_for_3_s(play: Play) -> None:
    """Its job goes on when it can; the others do not wait for it."""
    pid = play.node.runner_pid(play.node.containers()[0])
    os.kill(pid, signal.SIGSTOP)
    play.finish_some()
    gevent.sleep(PAUSE_S)
    os.kill(pid, signal.SIGCONT)


@scenario(whole_s=35, jobs=41, is_loaded=False)
def runner_of_an_idle_container_stopped_for_good(play: Play) -> None:
    """A job that it does not begin within 15 s runs again elsewhere."""
    os.kill(play.node.runner_pid(play.node.containers()[0]), signal.SIGSTOP)
    play.history.post(40)


@scenario(whole_s=12)
def runner_babbling(play: Play) -> None:
    """What is no frame ends the container; the job runs again elsewhere."""
    play.node.babble(play.node.containers()[0])


@scenario(whole_s=12)
def disk_full_for_tmpfs(play: Play) -> None:
    """Programs that fill every place they can write to find it full, and the next job
    finds it empty."""
    job = {"language": "python", "source": FILL_TMP}
    for _ in range(HOGS):
        answer = play.node.call(
            "POST", "/v1/jobs", document=job, headers={"Prefer": "wait=30"}
        )
        said = answer.document()["stdout"]
        play.expect(said == HOG_SAYS, f"a hog said {said!r}")
