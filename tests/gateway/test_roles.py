"""What is otherwise where several gateways share a broker, and on a worker."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from gateway_client import Gateway, assert_problem, running, shown
from twins import HELLO, SUCCESS

from actors.messages import AwaitRead, Finished, Started
from gateway.app import make_status_app

if TYPE_CHECKING:
    from collections.abc import Iterator

GOOD: dict[str, Any] = {"language": "python", "source": "print(1)"}


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    with running(unknown_wait_s=0.05) as one:
        yield one


def elsewhere(gateway: Gateway) -> str:
    """Have another gateway take a job; return its id."""
    job_id = gateway.submit()
    gateway.world.elsewhere.append(gateway.world.jobs.pop(job_id).job)
    return job_id


# ---------------------------------------------------------------- several gateways


@pytest.mark.parametrize("path", ["", "/events?last_event_id=1"])
def test_a_job_of_another_gateway_is_waited_for(gateway: Gateway, path: str) -> None:
    job_id = elsewhere(gateway)
    answer = gateway.get(f"/v1/jobs/{job_id}{path}", stream=True)
    assert answer.status_code == 200


@pytest.mark.parametrize("path", ["", "/events?last_event_id=1"])
def test_an_echo_does_not_overtake_the_job_before_it(
    gateway: Gateway, path: str
) -> None:
    gateway.world.relay_lags = True
    job_id = elsewhere(gateway)
    answer = gateway.get(f"/v1/jobs/{job_id}{path}", stream=True)
    assert answer.status_code == 200


def test_a_job_of_another_gateway_is_followed(gateway: Gateway) -> None:
    job_id = elsewhere(gateway)
    events = shown(gateway.follow(job_id))
    gateway.world.emit(job_id, Started(), HELLO, Finished(SUCCESS))
    assert [name for _, name, _ in events] == ["started", "stdout", "finished"]


def test_a_job_that_nobody_has_taken_is_unknown(gateway: Gateway) -> None:
    for path in ("", "/events"):
        assert_problem(gateway.get(f"/v1/jobs/none{path}"), 404, "unknown_job")
    assert_problem(gateway.request("DELETE", "/v1/jobs/none"), 404, "unknown_job")


def test_whether_a_job_is_unknown_can_be_unknown(gateway: Gateway) -> None:
    gateway.world.silent.add("root/fleet")
    for path in ("", "/events", "/events?last_event_id=1"):
        answer = gateway.get(f"/v1/jobs/none{path}")
        assert_problem(answer, 503, "unavailable")
        assert answer.headers["Retry-After"] == "1"


@pytest.mark.parametrize("path", ["", "/events"])
def test_a_log_that_is_being_read_is_waited_for(gateway: Gateway, path: str) -> None:
    job_id = gateway.submit_done()
    gateway.world.is_unread = True
    answer = gateway.get(f"/v1/jobs/{job_id}{path}")
    assert answer.status_code == 200
    assert "success" in answer.text


def test_a_log_that_is_not_read_in_time_is_no_state(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.ports._READ_WAIT_S", 0.05)
    job_id = gateway.submit_done()
    gateway.world.is_unread = True
    gateway.world.deaf.add(AwaitRead)
    answer = gateway.get(f"/v1/jobs/{job_id}")
    assert_problem(answer, 503, "unavailable")
    assert answer.headers["Retry-After"] == "1"


def test_one_process_alone_waits_for_nothing() -> None:
    with running() as alone:
        job_id = elsewhere(alone)
        assert_problem(alone.get(f"/v1/jobs/{job_id}"), 404, "unknown_job")


def test_a_waiting_post_waits_for_its_own_job_to_be_known(gateway: Gateway) -> None:
    world = gateway.world

    def lose(job_id: str) -> None:
        recorded = world.jobs.pop(job_id)
        world.elsewhere.append(recorded.job)

    world.on_publish = lose
    assert gateway.post(GOOD, Prefer="wait=1").status_code == 202
    assert world.watched.is_set()


def test_a_key_is_looked_up_before_anything_is_published(gateway: Gateway) -> None:
    first = gateway.post(GOOD, Idempotency_Key="k1")
    gateway.world.absent.add("root/broker")
    again = gateway.post(GOOD, Idempotency_Key="k1")
    assert (again.status_code, again.json()) == (202, first.json())
    other = gateway.post({**GOOD, "args": ["x"]}, Idempotency_Key="k1")
    assert_problem(other, 422, "idempotency_mismatch")
    new = gateway.post(GOOD, Idempotency_Key="k2")
    assert_problem(new, 503, "broker_unavailable")


def test_a_key_of_an_expired_job_does_not_run_it_again(gateway: Gateway) -> None:
    job_id = gateway.post(GOOD, Idempotency_Key="k1").json()["id"]
    gateway.world.expired.add(job_id)
    assert_problem(gateway.post(GOOD, Idempotency_Key="k1"), 410, "expired")
    other = gateway.post({**GOOD, "args": ["x"]}, Idempotency_Key="k1")
    assert_problem(other, 422, "idempotency_mismatch")


def test_without_the_log_a_key_promises_nothing(gateway: Gateway) -> None:
    gateway.world.absent.add("root/relay")
    assert_problem(gateway.post(GOOD, Idempotency_Key="k1"), 503, "unavailable")
    assert gateway.post(GOOD).status_code == 202


def test_the_versions_are_those_that_workers_tell() -> None:
    with running(served={"python": ""}) as gateway:
        (python,) = gateway.get("/v1/languages").json()["languages"]
        assert python["version"] == "Python 3.13.5"
        gateway.world.fleet.clear()
        (python,) = gateway.get("/v1/languages").json()["languages"]
        assert (python["version"], python["ready"]) == ("", False)


# ------------------------------------------------------------------------ a worker


def test_a_worker_tells_only_how_it_stands() -> None:
    with running(make=make_status_app) as worker:
        for path in ("/healthz", "/metrics"):
            assert worker.get(path).status_code == 200
        assert worker.get("/readyz").json()["languages"]["python"]["ready"] == 5
        for path in ("/", "/v1/languages", "/openapi.json", "/v1/jobs/j1"):
            assert_problem(worker.get(path), 404, "not_found")
        assert_problem(worker.post(GOOD), 404, "not_found")
