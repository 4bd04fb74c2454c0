"""The service as a process: killed, stopped, and robbed of its containers."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

import gevent
import pytest
from docker.errors import APIError
from service_process import ADMIN_KEY, ROOT, STOP_S, ServiceProcess, wait_until
from where import HERE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from http_api import Events, Seen

pytestmark = pytest.mark.docker

GONE_S = 10
"""The promise: so long after a `kill -9` there is no container left."""
LONG = {"limits": {"wall_time_s": 30}}
SAY = f"import os, time\nprint({HERE}, flush=True)\n"
HOST = SAY + "time.sleep(25)\n"
STUBBORN = """
import os, signal
print("up", flush=True)
for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
    signal.signal(number, signal.SIG_IGN)
os.fork()
while True:
    pass
"""


def small(**settings: object) -> ServiceProcess:
    return ServiceProcess(languages="python", **{"pool__warm": 1, **settings})


@pytest.fixture(scope="module")
def shared() -> Iterator[ServiceProcess]:
    # A guest would have one more than are counted.
    with small(pool__warm=3, pool__max=3, running_max=3, guests_max=0) as one:
        yield one
        assert one.terminate() == 0
        assert one.containers() == []


def wait_for_none(service: ServiceProcess) -> None:
    wait_until(lambda: not service.containers(), GONE_S, "all containers are gone")


# --------------------------------------------------------------------- its start


def test_one_line_says_that_it_is_ready(shared: ServiceProcess) -> None:
    line = (
        f"warmbox: ready at http://127.0.0.1:{shared.port}; languages python; "
        "broker embedded; runtime runc"
    )
    wait_until(lambda: line in shared.log(), GONE_S, "it says so")

    assert shared.log().count("ready at") == 1


def test_who_may_not_use_docker_is_told_just_that(tmp_path: Path) -> None:
    path = tmp_path / "docker.sock"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()
        path.chmod(0)
        # Who is root may open it all the same, but for this.
        strict = ["setpriv", "--bounding-set=-dac_override", "--inh-caps=-all"]
        told = subprocess.run(
            [*strict, sys.executable, "run.py", "serve"],
            cwd=ROOT,
            env={**os.environ, "DOCKER_HOST": f"unix://{path}"},
            capture_output=True,
            timeout=STOP_S,
            check=False,
        )

    assert told.returncode == 1
    assert told.stderr.startswith(b"warmbox: you may not use Docker: this user is not")
    assert told.stderr.count(b"\n") == 1


# ------------------------------------------------------------------- its end


def test_kill_9_leaves_no_container() -> None:
    with small(pool__warm=2) as service:
        job_id = service.api.submit("python", STUBBORN, **LONG)
        with service.api.follow(job_id) as events:
            events.until("stdout", "up")
            assert len(service.containers()) >= 2
            service.kill()
            wait_for_none(service)


def test_sigterm_lets_running_and_waiting_jobs_end() -> None:
    with small(pool__max=1, running_max=1) as service:
        api = service.api
        source = "import time\nprint('up', flush=True)\ntime.sleep(2)\nprint('end')"
        running = api.submit("python", source)
        waiting = api.submit("python", "print('after')")
        with api.follow(running) as first, api.follow(waiting) as second:
            first.until("stdout", "up")
            service.process.send_signal(signal.SIGTERM)
            wait_until(lambda: refuses(service), 5, "new jobs are refused")
            first.until("stdout", "end")
            assert first.until("finished").data["outcome"] == "success"
            second.until("stdout", "after")
            assert second.until("finished").data["outcome"] == "success"
        assert service.process.wait(30) == 0
        assert service.containers() == []


def refuses(service: ServiceProcess) -> bool:
    answer = service.api.post({"language": "python", "source": "pass"})
    if answer.status == 202:
        return False
    assert answer.status == 503
    assert answer.document["code"] == "draining"
    assert int(answer.headers["Retry-After"]) > 0
    return True


def test_what_outlasts_the_drain_is_ended_and_told() -> None:
    with small(pool__max=1, running_max=1, drain_s=1) as service:
        api = service.api
        jobs = [api.submit("python", STUBBORN, **LONG) for _ in range(2)]
        with api.follow(jobs[0]) as first, api.follow(jobs[1]) as second:
            first.until("stdout", "up")
            service.process.send_signal(signal.SIGINT)
            for events in (first, second):
                end = events.until("finished").data
                assert end["outcome"] == "internal_error"
                assert "stopped" in end["message"]
                assert events.next() is None
        assert service.process.wait(30) == 0
        assert service.containers() == []


def test_a_second_signal_ends_it_at_once() -> None:
    with small(drain_s=60) as service:
        job_id = service.api.submit("python", STUBBORN, **LONG)
        with service.api.follow(job_id) as events:
            events.until("stdout", "up")
            service.process.send_signal(signal.SIGTERM)
            wait_until(lambda: refuses(service), 5, "it drains")
            service.process.send_signal(signal.SIGTERM)
            assert service.process.wait(5) == 1
        wait_for_none(service)


def test_a_taken_port_is_told_in_one_sentence() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        command = [sys.executable, "run.py", "serve", "--port", str(port)]
        ended = subprocess.run(
            command, cwd=ROOT, capture_output=True, timeout=60, check=False
        )
    assert ended.returncode == 1
    assert ended.stdout == b""
    words = ended.stderr.decode()
    assert words.count("\n") == 1
    assert f"cannot listen on 127.0.0.1:{port}: Address already in use" in words


# ------------------------------------------------------------------ what it does


def test_ps_draws_the_tree(shared: ServiceProcess) -> None:
    command = [sys.executable, "run.py", "ps", "--port", str(shared.port)]
    environ = {**os.environ, "WARMBOX_ADMIN_KEY": ADMIN_KEY}
    drawn = subprocess.run(
        command, cwd=ROOT, env=environ, capture_output=True, check=True
    )
    words = drawn.stdout.decode()
    for name in ("scheduler", "relay", "python", "queue", "pool"):
        assert name in words
    assert words.count(" idle ") >= 1


# -------------------------------------------------------------- its containers


def next_host(events: Events) -> str:
    """Return what tells the container that runs the job now from all others."""
    return str(events.until("stdout").data["text"]).strip()


def test_a_job_whose_container_is_killed_runs_again(shared: ServiceProcess) -> None:
    source = HOST.replace("25", "0.5")
    job_id = shared.api.submit("python", source)
    with shared.api.follow(job_id) as events:
        first = next_host(events)
        shared.docker.kill(shared.container_of(first))
        assert events.until("restarted").data == {"attempt": 2}
        assert events.until("started").data == {"attempt": 2}
        second = next_host(events)
        assert events.until("finished").data["outcome"] == "success"
    assert second != first
    result = shared.api.result(job_id)
    assert result.document["attempt"] == 2
    assert result.text == second + "\n"  # nothing of the first attempt
    assert names(result.events).count("finished") == 1
    shared.wait_settled("python", 3)


def names(events: list[Seen]) -> list[str]:
    return [event.name for event in events]


def test_a_job_that_loses_three_containers_is_given_up(
    shared: ServiceProcess,
) -> None:
    job_id = shared.api.submit("python", HOST, **LONG)
    with shared.api.follow(job_id) as events:
        for _ in range(3):
            shared.docker.kill(shared.container_of(next_host(events)))
        end = events.until("finished").data
    assert end["outcome"] == "internal_error"
    assert end["attempt"] == 3
    assert end["message"] == "what ran the job died, 3 times"
    assert names(shared.api.wait(job_id)).count("restarted") == 2
    shared.wait_settled("python", 3)


def test_a_cancelled_job_whose_container_dies_does_not_run_again(
    shared: ServiceProcess,
) -> None:
    job_id = shared.api.submit("python", HOST, **LONG)
    with shared.api.follow(job_id) as events:
        host = shared.container_of(next_host(events))
        shared.docker.pause(host)  # it can't hear the cancel any more
        cancel = gevent.spawn(shared.api.cancel, job_id)
        assert cancel.get(timeout=20).status == 202
        shared.docker.kill(host)
        with suppress(APIError):
            shared.docker.unpause(host)  # some kernels let a frozen process die
        assert events.until("finished").data["outcome"] == "cancelled"
    assert "restarted" not in names(shared.api.wait(job_id))
    shared.wait_settled("python", 3)


@pytest.mark.parametrize("way", ["kill", "remove"])
def test_idle_containers_that_vanish_all_at_once(
    shared: ServiceProcess, way: str
) -> None:
    shared.wait_settled("python", 3)
    before = shared.containers()
    assert len(before) == 3
    gevent.joinall(
        [
            gevent.spawn(shared.docker.kill, one)
            if way == "kill"
            else gevent.spawn(shared.docker.remove_container, one, force=True)
            for one in before
        ]
    )

    def replaced() -> bool:
        now = shared.containers()
        return len(now) == 3 and not set(now) & set(before)

    wait_until(replaced, 30, "the pool is full again")
    shared.wait_settled("python", 3)
    assert shared.api.run("python", "print(1)").text == "1\n"


def test_jobs_survive_the_death_of_all_containers(shared: ServiceProcess) -> None:
    source = "import time\ntime.sleep(0.3)\nprint('end')"
    jobs = [shared.api.submit("python", source) for _ in range(9)]
    with shared.api.follow(jobs[0]) as events:
        events.until("started")
    for one in shared.containers():
        gevent.spawn(shared.docker.kill, one)
    for job_id in jobs:
        result = shared.api.result(job_id)
        assert result.outcome == "success", result
        assert result.text == "end\n"
    shared.wait_settled("python", 3)


def test_the_pool_grows_with_the_demand_and_shrinks_again() -> None:
    settings = {"pool__max": 3, "pool__idle_s": 1, "running_max": 3}
    with small(**settings) as service:
        jobs = [service.api.submit("python", HOST, **LONG) for _ in range(3)]
        for job_id in jobs:
            with service.api.follow(job_id) as events:
                next_host(events)  # all three run at once
        for job_id in jobs:
            service.api.cancel(job_id)
        wait_until(lambda: len(service.containers()) == 1, 30, "the surplus is gone")
        assert service.api.run("python", "print(1)").text == "1\n"


@pytest.mark.parametrize(
    "settings", [{"reuse": "never"}, {"jobs_per_container_max": 1}]
)
def test_a_container_of_one_job(settings: dict[str, object]) -> None:
    with small(**settings) as service:
        source = SAY
        hosts = {service.api.run("python", source).text for _ in range(4)}
    assert len(hosts) == 4
