"""A broker that is away or takes nothing, and jobs that nobody can run."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import docker
import pytest
from calls import follow
from stage import Node, stage, wait_until
from where import HERE, container_of

if TYPE_CHECKING:
    from calls import Call
    from scene import Scene

pytestmark = [pytest.mark.docker, pytest.mark.rabbitmq]

HEAL_S = 30
ANSWER_S = 8
"""The longest that a client waits for a 503: the gateway's patience and some more."""
JOB = {"language": "python", "source": "print('hello')"}
HOST = f"""
import os, time
print({HERE}, flush=True)
time.sleep(20)
"""
LONG = {"language": "python", "source": HOST, "limits": {"wall_time_s": 30}}


def assert_refused(answer: Call) -> None:
    assert answer.status == 503, answer
    assert answer.document()["code"] in {"broker_unavailable", "unconfirmed"}
    assert int(answer.headers["Retry-After"]) > 0


def assert_says_why(node: Node) -> None:
    wait_until(lambda: "efused" in node.broker_reason(), HEAL_S, "it says why")
    assert node.call("GET", "/readyz").status == 503
    assert node.readiness()["broker"] == "down"
    assert node.call("GET", "/healthz").status == 200


def run(gateway: Node) -> dict[str, Any]:
    """Run a job to its end; return its document."""
    answer = gateway.call(
        "POST", "/v1/jobs", document=JOB, headers={"Prefer": "wait=20"}
    )
    assert answer.status == 200, answer
    document: dict[str, Any] = answer.document()
    return document


def test_a_broker_that_comes_late(scene: Scene) -> None:
    scene.server.stop()
    with stage(scene.url, gateways=1, workers=1) as one:
        (gateway,) = one.gateways
        # Given processes that have found no broker
        wait_until(gateway.readiness, HEAL_S, "the gateway answers")
        assert gateway.call("GET", "/").status == 200
        assert gateway.call("GET", "/v1/languages").status == 200
        assert_refused(gateway.call("POST", "/v1/jobs", document=JOB))
        for node in one.nodes:
            assert_says_why(node)
        # When it comes
        scene.server.start()
        # Then all heals
        one.wait_ready()
        assert run(gateway)["stdout"] == "hello\n"


def test_a_broker_without_memory_refuses_aloud(scene: Scene) -> None:
    with stage(scene.url, gateways=1, workers=1) as one:
        one.wait_ready()
        (gateway,) = one.gateways
        assert run(gateway)["outcome"] == "success"
        with scene.alarm():
            for _ in range(5):
                began = time.monotonic()
                assert_refused(gateway.call("POST", "/v1/jobs", document=JOB))
                assert time.monotonic() - began < ANSWER_S
            assert gateway.call("GET", "/").status == 200
        wait_until(
            lambda: gateway.call("POST", "/v1/jobs", document=JOB).status == 202,
            HEAL_S,
            "jobs are taken again",
        )
        assert run(gateway)["stdout"] == "hello\n"
        scene.wait_no_jobs()


def test_a_job_runs_on_while_the_broker_has_no_memory(scene: Scene) -> None:
    with stage(scene.url, gateways=1, workers=1) as one:
        one.wait_ready()
        (gateway,) = one.gateways
        source = "import time\nprint('a', flush=True)\ntime.sleep(3)\nprint('b')"
        job = {"language": "python", "source": source}
        answer = gateway.call("POST", "/v1/jobs", document=job)
        events = follow(gateway.port, answer.document()["id"], 0)
        seen = [next(events), next(events), next(events)]
        with scene.alarm():
            time.sleep(5)  # it ends meanwhile
        seen += events
        names = [event.name for event in seen]
        assert names == ["queued", "started", "stdout", "stdout", "finished"]


def test_a_job_that_takes_its_container_down_is_given_up(scene: Scene) -> None:
    engine = docker.from_env().api
    with stage(scene.url, gateways=1, workers=2, attempts_max=3) as one:
        one.wait_ready()
        (gateway,) = one.gateways
        answer = gateway.call("POST", "/v1/jobs", document=LONG)
        names, attempts = [], []
        for event in follow(gateway.port, answer.document()["id"], 0):
            names.append(event.name)
            if event.name == "started":
                attempts.append(event.data)
            if event.name == "stdout":
                here = event.data.split('"')[3].removesuffix("\\n")
                engine.kill(container_of(engine, "warmbox.service", here))
        assert names.count("started") == 3
        assert names.count("restarted") == 2
        assert attempts == [f'{{"attempt":{number}}}' for number in (1, 2, 3)]
        assert names[-1] == "finished"
        assert '"internal_error"' in event.data
        # and it does not come back
        scene.wait_no_jobs()
        assert run(gateway)["outcome"] == "success"
    engine.close()
