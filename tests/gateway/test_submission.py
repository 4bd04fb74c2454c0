"""Submitting: accepted, refused, limited, waited for, repeated."""

from __future__ import annotations

import base64
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import gevent
import pytest
from gateway_client import Gateway, assert_problem, running
from twins import HELLO, SUCCESS

from actors.messages import (
    Finished,
    PublishJob,
    SourceFile,
    Started,
)
from gateway.submission import HOPS_TO_CONTAINER
from metrics.live import LIVE, QueueFact

if TYPE_CHECKING:
    from collections.abc import Iterator

GOOD: dict[str, Any] = {"language": "python", "source": "print(1)"}


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    with running(publish_timeout_s=0.05) as one:
        yield one


# ------------------------------------------------------------------- submitting


def test_an_accepted_job_has_an_address(gateway: Gateway) -> None:
    answer = gateway.post({"language": "PY", "source": "print(1)"})
    receipt = answer.json()
    path = f"/v1/jobs/{receipt['id']}"
    assert answer.status_code == 202
    assert answer.headers["Location"] == path
    assert receipt["state"] == "queued"
    assert receipt["language"] == "python"
    assert receipt["created_at"].endswith("Z")
    links = {"self": path, "events": f"{path}/events", "stdin": f"{path}/stdin"}
    assert receipt["links"] == links
    assert len(receipt["id"]) >= 22


@pytest.mark.parametrize(
    ("waiting", "turns"), [(0, HOPS_TO_CONTAINER), (1, HOPS_TO_CONTAINER), (2, 0)]
)
def test_only_a_job_that_starts_at_once_goes_before_its_answer(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch, waiting: int, turns: int
) -> None:
    taken: list[float] = []
    monkeypatch.setitem(LIVE.queues, "python", QueueFact(waiting, None))
    monkeypatch.setattr(
        "gateway.submission.gevent", SimpleNamespace(sleep=taken.append)
    )
    assert gateway.post(GOOD).status_code == 202
    assert taken == [0] * turns


def test_what_the_broker_gets(gateway: Gateway) -> None:
    content = base64.b64encode(b"\x00\xff").decode()
    gateway.submit(
        source="print('ü')",
        stdin="in\n",
        stdin_open=True,
        args=["-x", "a b"],
        env={"B": "2", "A": "1"},
        limits={"wall_time_s": 7, "memory_mb": 64.0, "open_files": 8},
    )
    job = gateway.world.only_job().job
    assert job.files == (SourceFile("main.py", "print('ü')".encode()),)
    assert job.client == "127.0.0.1"
    assert (job.stdin, job.stdin_open) == (b"in\n", True)
    assert job.args == ("-x", "a b")
    assert job.env == (("A", "1"), ("B", "2"))
    assert (job.limits.wall_time_s, job.limits.memory_mb) == (7, 64)
    assert job.limits.processes == 64  # the language's default
    assert (job.limits.open_files, job.limits.stack_kb) == (8, 8192)
    assert job.fingerprint == ""
    gateway.world.jobs.clear()
    files = [
        {"name": "b/data", "content": content, "encoding": "base64"},
        {"name": "main.c", "content": ""},
    ]
    assert gateway.post({"language": "c", "files": files}).status_code == 202
    assert gateway.world.only_job().job.files == (
        SourceFile("b/data", b"\x00\xff"),
        SourceFile("main.c", b""),
    )


def test_a_claimed_address_is_not_believed(gateway: Gateway) -> None:
    gateway.post(GOOD, X_Forwarded_For="192.0.2.1")
    assert gateway.world.only_job().job.client == "127.0.0.1"


@pytest.mark.parametrize(
    ("status", "code"),
    [
        ("queue_full", "queue_full"),
        ("unavailable", "broker_unavailable"),
        ("unknown", "unconfirmed"),
        ("draining", "draining"),
    ],
)
def test_what_the_broker_refuses(gateway: Gateway, status: str, code: str) -> None:
    gateway.world.refuse = status
    answer = gateway.post(GOOD)
    assert_problem(answer, 503, code)
    assert int(answer.headers["Retry-After"]) > 0


def test_a_broker_that_is_away_or_silent(gateway: Gateway) -> None:
    gateway.world.absent.add("root/broker")
    assert_problem(gateway.post(GOOD), 503, "broker_unavailable")
    gateway.world.absent.clear()
    gateway.world.silent.add("root/broker")
    assert_problem(gateway.post(GOOD), 503, "unconfirmed")


def test_what_may_have_been_taken_is_not_called_refused(gateway: Gateway) -> None:
    gateway.world.silent.add("root/broker")
    for headers, advice in (
        ({}, "without an Idempotency-Key, it may run twice"),
        ({"Idempotency_Key": "k"}, "with the same Idempotency-Key: it runs once"),
    ):
        detail = assert_problem(gateway.post(GOOD, **headers), 503, "unconfirmed")[
            "detail"
        ]
        assert "may have been accepted" in detail
        assert advice in detail


def test_a_confirm_after_the_timeout_is_harmless(gateway: Gateway) -> None:
    world = gateway.world
    late: list[PublishJob] = []
    hear = world.tell

    def hold_back(name: str, message: object) -> bool:
        if isinstance(message, PublishJob):
            late.append(message)
            return True
        return hear(name, message)

    world.tell = hold_back  # type: ignore[method-assign]
    assert_problem(gateway.post(GOOD), 503, "unconfirmed")
    world.tell = hear  # type: ignore[method-assign]
    world.tell("root/broker", late[0])
    assert gateway.post(GOOD).status_code == 202


def test_a_relay_that_is_away(gateway: Gateway) -> None:
    job_id = gateway.submit()
    gateway.world.absent.add("root/relay")
    for path in ("", "/events"):
        answer = gateway.get(f"/v1/jobs/{job_id}{path}")
        assert_problem(answer, 503, "unavailable")
        assert answer.headers["Retry-After"] == "1"


# ------------------------------------------------------------------ Prefer: wait


def test_a_waiting_client_gets_the_whole_result(gateway: Gateway) -> None:
    def run(job_id: str) -> None:
        gevent.spawn(gateway.world.emit, job_id, Started(), HELLO, Finished(SUCCESS))

    gateway.world.on_publish = run
    answer = gateway.post(GOOD, Prefer="respond-async, wait=10")
    assert answer.status_code == 200
    assert answer.headers["Preference-Applied"] == "wait=10"
    assert answer.headers["Location"] == answer.json()["links"]["self"]
    assert answer.json()["stdout"] == "hello\n"
    assert gateway.world.watchers == []


def test_a_job_that_outlasts_the_wait(gateway: Gateway) -> None:
    answer = gateway.post(GOOD, Prefer="wait=1")
    assert answer.status_code == 202
    assert "Preference-Applied" not in answer.headers
    assert gateway.world.watchers == []


def test_a_relay_that_ends_ends_the_wait(gateway: Gateway) -> None:
    waiting = gevent.spawn(gateway.post, GOOD, Prefer="wait=30")
    assert gateway.world.watched.wait(5)
    ((_, deliver),) = gateway.world.watchers
    gateway.world.absent.add("root/relay")
    deliver(())
    assert waiting.get(timeout=5).status_code == 202


def test_a_job_is_accepted_also_while_the_relay_is_away(gateway: Gateway) -> None:
    gateway.world.absent.add("root/relay")
    assert gateway.post(GOOD, Prefer="wait=30").status_code == 202
    assert gateway.post(GOOD, Idempotency_Key="k").status_code == 202


def test_the_wait_is_capped() -> None:
    with running(wait_s_max=1) as gateway:
        assert gateway.post(GOOD, Prefer="wait=600").status_code == 202


@pytest.mark.parametrize("prefer", ["wait", "wait=x", "wait=-1", "wait=1e3", "wait=0"])
def test_a_preference_that_makes_no_sense_is_ignored(
    gateway: Gateway, prefer: str
) -> None:
    assert gateway.post(GOOD, Prefer=prefer).status_code == 202
    assert not gateway.world.watched.is_set()


# ------------------------------------------------------------------- idempotency


def test_the_same_key_gives_the_same_job(gateway: Gateway) -> None:
    first = gateway.post(GOOD, Idempotency_Key="k1")
    gateway.world.emit(first.json()["id"], Started())
    again = gateway.post({**GOOD, "args": []}, Idempotency_Key="k1")
    assert again.status_code == 202
    assert again.json() == {**first.json(), "state": "running"}
    other = gateway.post(GOOD, Idempotency_Key="k2")
    assert other.json()["id"] != first.json()["id"]
    assert len(gateway.world.jobs) == 2


def test_the_same_key_for_another_request(gateway: Gateway) -> None:
    gateway.post(GOOD, Idempotency_Key="k1")
    answer = gateway.post({**GOOD, "args": ["x"]}, Idempotency_Key="k1")
    assert_problem(answer, 422, "idempotency_mismatch")


def test_a_repetition_may_wait_for_the_result(gateway: Gateway) -> None:
    job_id = gateway.post(GOOD, Idempotency_Key="k1").json()["id"]
    gateway.world.emit(job_id, Started(), HELLO, Finished(SUCCESS))
    answer = gateway.post(GOOD, Idempotency_Key="k1", Prefer="wait=5")
    assert answer.status_code == 200
    assert answer.json()["stdout"] == "hello\n"


def test_a_repetition_after_the_result_is_gone(gateway: Gateway) -> None:
    job_id = gateway.post(GOOD, Idempotency_Key="k1").json()["id"]
    gateway.world.expired.add(job_id)
    assert_problem(gateway.post(GOOD, Idempotency_Key="k1"), 410, "expired")
    waiting = gateway.post(GOOD, Idempotency_Key="k1", Prefer="wait=1")
    assert_problem(waiting, 410, "expired")


def test_ids_differ_between_services_of_other_secrets() -> None:
    ids = set()
    for secret in (b"one", b"two", b"one"):
        with running(secret=secret) as gateway:
            ids.add(gateway.post(GOOD, Idempotency_Key="k").json()["id"])
    assert len(ids) == 2
