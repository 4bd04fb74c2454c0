"""What a client does at one gateway reaches a job that another took and a third ran."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import gevent
import pika
import pytest
from calls import Call, follow
from scene import open_scene
from stage import ROOT, Node, Stage, stage, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rabbitmq_server import RabbitServer
    from scene import Scene

pytestmark = [pytest.mark.docker, pytest.mark.rabbitmq]

JOBS_QUEUE = "warmbox.jobs.python"
DEAD = "warmbox.jobs.dead"
SLEEPER = "import time\nprint('up', flush=True)\ntime.sleep(20)"
ECHO = "import sys\nfor line in sys.stdin: print('got', line.strip(), flush=True)"


@pytest.fixture(scope="module")
def shared(rabbitmq: RabbitServer) -> Iterator[Stage]:
    """Two gateways and two workers for all tests here that leave them alive."""
    with open_scene(rabbitmq) as scene, stage(scene.url) as one:
        one.wait_ready()
        yield one


@pytest.fixture
def gateways(shared: Stage) -> tuple[Node, Node]:
    first, second = shared.gateways
    return first, second


def submit(gateway: Node, source: str = "print('hello')", **fields: Any) -> str:
    answer = post(gateway, source, **fields)
    assert answer.status == 202, answer
    return str(answer.document()["id"])


def post(gateway: Node, source: str, key: str = "", **fields: Any) -> Call:
    job = {"language": "python", "source": source, **fields}
    headers = {"Idempotency-Key": key} if key else {}
    return gateway.call("POST", "/v1/jobs", document=job, headers=headers)


def look(gateway: Node, job_id: str) -> dict[str, Any]:
    answer = gateway.call("GET", f"/v1/jobs/{job_id}")
    assert answer.status == 200, answer
    document: dict[str, Any] = answer.document()
    return document


def log_of(gateway: Node, job_id: str, last_id: int = 0) -> list[tuple[str, str, str]]:
    events = follow(gateway.port, job_id, last_id)
    return [(event.id, event.name, event.data) for event in events]


def outcome_of(gateway: Node, job_id: str) -> str:
    *_, (_, name, data) = log_of(gateway, job_id)
    assert name == "finished"
    return str(json.loads(data)["outcome"])


def publish(url: str, body: bytes, queue: str = JOBS_QUEUE) -> None:
    """Publish as any other program would."""
    with pika.BlockingConnection(pika.URLParameters(url)) as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        channel.basic_publish("", queue, body, mandatory=True)


# ------------------------------------------------------------------- following


def test_every_gateway_tells_the_same_from_anywhere_on(
    gateways: tuple[Node, Node],
) -> None:
    first, second = gateways
    job_id = submit(first, "print(1)\nimport sys\nprint(2, file=sys.stderr)")
    whole = log_of(second, job_id)
    assert log_of(first, job_id) == whole
    assert log_of(first, job_id, last_id=2) == whole[2:]
    assert look(first, job_id) == look(second, job_id)
    assert [name for _, name, _ in whole][:2] == ["queued", "started"]


def test_a_post_can_wait_for_its_result(gateways: tuple[Node, Node]) -> None:
    for gateway in gateways:
        job = {"language": "python", "source": "print('now')"}
        headers = {"Prefer": "wait=20"}
        answer = gateway.call("POST", "/v1/jobs", document=job, headers=headers)
        assert answer.status == 200
        assert answer.document()["stdout"] == "now\n"


def test_an_unknown_job_is_unknown_after_a_moment(gateways: tuple[Node, Node]) -> None:
    assert gateways[0].call("GET", "/v1/jobs/none").status == 404
    assert gateways[0].call("GET", "/v1/jobs/none/events").status == 404


def test_the_workers_versions_are_known_at_the_gateways(
    gateways: tuple[Node, Node],
) -> None:
    for gateway in gateways:
        document = gateway.call("GET", "/v1/languages").document()
        (python,) = document["languages"]
        assert python["version"].startswith("Python 3.")
        assert python["ready"] is True


def test_a_result_outlives_all_gateways(scene: Scene) -> None:
    with stage(scene.url, gateways=1, workers=1) as one:
        one.wait_ready()
        (gateway,) = one.gateways
        job_id = submit(gateway)
        before = log_of(gateway, job_id)
        gateway.kill()
        gateway.start()
        one.wait_ready()
        assert log_of(gateway, job_id) == before
        assert look(gateway, job_id)["stdout"] == "hello\n"


# ------------------------------------------------------------ cancelling, stdin, keys


def test_a_running_job_is_cancelled_at_the_other_gateway(
    gateways: tuple[Node, Node],
) -> None:
    first, second = gateways
    job_id = submit(first, SLEEPER)
    for event in follow(first.port, job_id, 0):
        if event.name == "stdout":
            break
    answer = second.call("DELETE", f"/v1/jobs/{job_id}")
    assert answer.document()["outcome"] == "cancelled"
    assert outcome_of(first, job_id) == "cancelled"


def test_what_is_said_of_a_job_that_waits_in_the_broker_is_kept(scene: Scene) -> None:
    narrow = {"pool.warm": 1, "pool.max": 1, "running_max": 1}
    with stage(scene.url, gateways=2, workers=1, **narrow) as one:
        one.wait_ready()
        first, second = one.gateways
        # Given more jobs than a worker takes at once
        busy = submit(first, "import time\ntime.sleep(4)")
        ahead = [submit(first, "import time\ntime.sleep(0.1)") for _ in range(3)]
        fed = submit(first, ECHO, stdin_open=True)
        dropped = submit(first)
        # When one is cancelled and one is fed at the other gateway
        assert second.call("POST", f"/v1/jobs/{fed}/stdin?end=1", raw=b"one\n").status
        answer = second.call("DELETE", f"/v1/jobs/{dropped}")
        assert (answer.status, answer.document()["state"]) == (202, "queued")
        # Then both hear of it when their turn comes
        assert outcome_of(second, dropped) == "cancelled"
        assert [name for _, name, _ in log_of(first, dropped)] == ["queued", "finished"]
        outcomes = {outcome_of(second, job_id) for job_id in (busy, *ahead, fed)}
        assert outcomes == {"success"}
        assert look(second, fed)["stdout"] == "got one\n"


def test_stdin_reaches_the_program_from_the_other_gateway(
    gateways: tuple[Node, Node],
) -> None:
    first, second = gateways
    job_id = submit(first, ECHO, stdin_open=True)
    path = f"/v1/jobs/{job_id}/stdin"
    for gateway, line in ((second, "one\n"), (first, "two\n"), (second, "three\n")):
        assert gateway.call("POST", path, raw=line.encode()).status == 202
        for event in follow(first.port, job_id, 0):
            if event.name == "stdout" and line.strip() in event.data:
                break
    assert second.call("POST", f"{path}?end=1", raw=b"").status == 202
    assert outcome_of(second, job_id) == "success"
    assert look(first, job_id)["stdout"] == "got one\ngot two\ngot three\n"


def test_a_key_means_one_job_at_all_gateways(gateways: tuple[Node, Node]) -> None:
    first, second = gateways
    job_id = submit(first, key="order-66")
    for gateway in (second, first):
        assert submit(gateway, key="order-66") == job_id
        other = post(gateway, "print('other')", key="order-66")
        assert (other.status, other.document()["code"]) == (422, "idempotency_mismatch")
    assert outcome_of(second, job_id) == "success"
    assert submit(second, key="order-66") == job_id


def test_a_key_that_is_used_at_both_at_once_ends_once(
    gateways: tuple[Node, Node],
) -> None:
    first, second = gateways
    for number in range(20):
        key = f"race-{number}"
        posts = [gevent.spawn(submit, gateway, key=key) for gateway in (first, second)]
        (job_id,) = {post.get() for post in posts}
        logs = [log_of(gateway, job_id) for gateway in gateways]
        assert logs[0] == logs[1]
        assert [name for _, name, _ in logs[0]].count("finished") == 1
        assert look(first, job_id)["stdout"] == "hello\n"


# ----------------------------------------------------------------- other producers


def test_what_is_no_job_is_put_aside_and_the_worker_lives(scene: Scene) -> None:
    with stage(scene.url, gateways=1, workers=1) as one:
        one.wait_ready()
        for body in (b"no job", b'{"v": 1}', b'{"v": 99, "id": "x"}', b"\xff\x00"):
            publish(scene.url, body)
        wait_until(lambda: scene.depths()[DEAD] == 4, 10, "all are put aside")
        assert scene.depths()[JOBS_QUEUE] == 0
        assert outcome_of(one.gateways[0], submit(one.gateways[0])) == "success"
        with pika.BlockingConnection(pika.URLParameters(scene.url)) as connection:
            channel = connection.channel()
            method, properties, _ = channel.basic_get(DEAD)
            assert method is not None
            assert properties.headers["x-warmbox-reason"]
            channel.queue_purge(DEAD)
        (worker,) = one.workers
        assert worker.log().count("WARNING") + worker.log().count("ERROR") < 10


def test_a_queue_that_is_full_refuses_aloud(scene: Scene) -> None:
    with stage(scene.url, gateways=1, workers=1, queue_max=3, client_share=1) as one:
        one.wait_ready()
        one.workers[0].kill()
        (gateway,) = one.gateways
        answers = [post(gateway, "print(1)") for _ in range(12)]
        refused = [answer for answer in answers if answer.status != 202]
        # RabbitMQ lets some more in before it refuses
        assert 3 <= len(answers) - len(refused) < 12
        for answer in refused:
            assert (answer.status, answer.document()["code"]) == (503, "queue_full")
            assert "Retry-After" in answer.headers


def test_the_doctor_names_the_argument_that_differs(scene: Scene) -> None:
    with pika.BlockingConnection(pika.URLParameters(scene.url)) as connection:
        arguments = {"x-queue-type": "quorum", "x-max-length": 7}
        connection.channel().queue_declare(
            JOBS_QUEUE, durable=True, arguments=arguments
        )
    command = [sys.executable, "run.py", "doctor", "--role", "gateway", "--port", "0"]
    done = subprocess.run(
        [*command, "--broker", scene.url],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env={"COLUMNS": "250", "PATH": "/usr/bin:/bin"},
    )
    assert done.returncode == 1, done
    assert JOBS_QUEUE in done.stdout
    assert "x-" in done.stdout, done.stdout
    assert "guest:guest" not in done.stdout + done.stderr
    with stage(scene.url, gateways=1, workers=0) as one:
        (gateway,) = one.gateways
        wait_until(lambda: JOBS_QUEUE in gateway.broker_reason(), 20, "it says why")
