"""Submitting, looking, feeding and stopping, against twins of the actors."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import gevent
import pytest
from test_bad_input import assert_problem
from twins import HELLO, SUCCESS, Gateway, running

from actors.messages import (
    CancelJob,
    CompileResult,
    Finished,
    JobResult,
    Outcome,
    Output,
    PublishJob,
    Restarted,
    SendStdin,
    SourceFile,
    Started,
    TokenReply,
    Usage,
)
from gateway.config import GatewayConfig

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


def test_what_the_broker_gets(gateway: Gateway) -> None:
    content = base64.b64encode(b"\x00\xff").decode()
    gateway.submit(
        source="print('ü')",
        stdin="in\n",
        stdin_open=True,
        args=["-x", "a b"],
        env={"B": "2", "A": "1"},
        limits={"wall_time_s": 7, "memory_mb": 64.0},
    )
    job = gateway.world.only_job().job
    assert job.files == (SourceFile("main.py", "print('ü')".encode()),)
    assert job.client == "127.0.0.1"
    assert (job.stdin, job.stdin_open) == (b"in\n", True)
    assert job.args == ("-x", "a b")
    assert job.env == (("A", "1"), ("B", "2"))
    assert (job.limits.wall_time_s, job.limits.memory_mb) == (7, 64)
    assert job.limits.processes == 64  # the language's default
    assert job.fingerprint == ""
    gateway.world.jobs.clear()
    files = [
        {"name": "b/data", "content": content, "encoding": "base64"},
        {"name": "main.py", "content": ""},
    ]
    assert gateway.post({"language": "c", "files": files}).status_code == 202
    assert gateway.world.only_job().job.files == (
        SourceFile("b/data", b"\x00\xff"),
        SourceFile("main.py", b""),
    )


def test_a_claimed_address_is_not_believed(gateway: Gateway) -> None:
    gateway.post(GOOD, X_Forwarded_For="192.0.2.1")
    assert gateway.world.only_job().job.client == "127.0.0.1"


@pytest.mark.parametrize(
    ("status", "code"),
    [
        ("queue_full", "queue_full"),
        ("unavailable", "broker_unavailable"),
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
    assert_problem(gateway.post(GOOD), 503, "broker_unavailable")


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
    assert_problem(gateway.post(GOOD), 503, "broker_unavailable")
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


# ------------------------------------------------------------------- rate limit


def test_the_rate_headers_of_an_accepted_job(gateway: Gateway) -> None:
    headers = gateway.post(GOOD).headers
    assert headers["RateLimit-Policy"] == '"default";q=20'
    assert headers["RateLimit"] == '"default";r=19;t=1'


def test_an_empty_bucket_comes_before_the_body(gateway: Gateway) -> None:
    gateway.world.token = TokenReply(
        granted=False, limit=20, remaining=0, retry_after_s=1.2, reset_s=21
    )
    answer = gateway.request("POST", "/v1/jobs", data=b"not json")
    assert_problem(answer, 429, "rate_limited")
    assert answer.headers["Retry-After"] == "2"
    assert answer.headers["RateLimit"] == '"default";r=0;t=21'


def test_a_refused_request_tells_the_rate_too(gateway: Gateway) -> None:
    assert "RateLimit" in gateway.post({}).headers


def test_without_buckets_requests_pass(gateway: Gateway) -> None:
    gateway.world.absent.add("root/buckets")
    answer = gateway.post(GOOD)
    assert answer.status_code == 202
    assert "RateLimit" not in answer.headers


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


def test_ids_differ_between_services_of_other_secrets() -> None:
    ids = set()
    for secret in (b"one", b"two", b"one"):
        with running(secret=secret) as gateway:
            ids.add(gateway.post(GOOD, Idempotency_Key="k").json()["id"])
    assert len(ids) == 2


# ----------------------------------------------------------------------- looking


def test_a_queued_job_shows_its_turn(gateway: Gateway) -> None:
    job_id = gateway.submit()
    document = gateway.get(f"/v1/jobs/{job_id}").json()
    assert (document["state"], document["position"]) == ("queued", 3)
    gateway.world.absent.add("root/languages/python/queue")
    assert "position" not in gateway.get(f"/v1/jobs/{job_id}").json()


def test_a_running_job_shows_its_output_so_far(gateway: Gateway) -> None:
    job_id = gateway.submit()
    gateway.world.emit(job_id, Started(), HELLO)
    document = gateway.get(f"/v1/jobs/{job_id}").json()
    assert (document["state"], document["attempt"]) == ("running", 1)
    assert (document["stdout"], document["stderr"]) == ("hello\n", "")
    assert "outcome" not in document


def test_the_whole_result(gateway: Gateway) -> None:
    result = JobResult(
        Outcome.SIGNALLED,
        signal=11,
        compile=CompileResult(Outcome.SUCCESS, 0, None),
        usage=Usage(1.23456, 40.0, 5.5, 4.4, 9000),
        truncated=True,
        message="It crashed.",
    )
    job_id = gateway.submit_done(
        Output("compile", "stderr", b"warning "),
        Output("compile", "stdout", b"note"),
        Output("run", "stdout", b"out"),
        Output("run", "stderr", b"err"),
        result=result,
    )
    document = gateway.get(f"/v1/jobs/{job_id}").json()
    del document["created_at"], document["links"]
    assert document == {
        "id": job_id,
        "state": "done",
        "language": "python",
        "attempt": 1,
        "outcome": "signalled",
        "exit_code": None,
        "signal": 11,
        "stdout": "out",
        "stderr": "err",
        "compile": {
            "outcome": "success",
            "exit_code": 0,
            "signal": None,
            "output": "warning note",
        },
        "usage": {
            "queue_ms": 1.23,
            "compile_ms": 40.0,
            "wall_ms": 5.5,
            "cpu_ms": 4.4,
            "memory_kb": 9000,
        },
        "truncated": True,
        "message": "It crashed.",
    }


def test_what_an_earlier_attempt_wrote_is_void(gateway: Gateway) -> None:
    job_id = gateway.submit_done(
        Output("run", "stdout", b"half"),
        Restarted(),
        Started(),
        Output("run", "stdout", b"whole"),
    )
    document = gateway.get(f"/v1/jobs/{job_id}").json()
    assert (document["stdout"], document["attempt"]) == ("whole", 2)


def test_bytes_that_are_no_text(gateway: Gateway) -> None:
    wild = b"\x00\xff\xe2\x82"
    job_id = gateway.submit_done(
        Output("run", "stdout", wild), Output("run", "stdout", b"\xac\xed\xa0\x80")
    )
    text = gateway.get(f"/v1/jobs/{job_id}").json()["stdout"]
    assert text == "\x00\ufffd€\ufffd\ufffd\ufffd"
    exact = gateway.get(f"/v1/jobs/{job_id}?encoding=base64").json()
    assert exact["encoding"] == "base64"
    assert base64.b64decode(exact["stdout"]) == wild + b"\xac\xed\xa0\x80"
    assert exact["stderr"] == ""


# ------------------------------------------------------------- feeding, stopping


def test_bytes_for_a_running_program(gateway: Gateway) -> None:
    job_id = gateway.submit(stdin_open=True)
    path = f"/v1/jobs/{job_id}/stdin"
    answer = gateway.request("POST", path, data=b"\x00\xff")
    assert (answer.status_code, answer.json()) == (202, {})
    gateway.request("POST", f"{path}?end=1")
    sent = [one for one in gateway.world.told if isinstance(one, SendStdin)]
    assert sent == [
        SendStdin(job_id, "python", b"\x00\xff", end=False),
        SendStdin(job_id, "python", b"", end=True),
    ]


def test_bytes_that_are_too_many_or_too_late(gateway: Gateway) -> None:
    job_id = gateway.submit_done()
    path = f"/v1/jobs/{job_id}/stdin"
    assert_problem(gateway.request("POST", path, data=b"x"), 409, "not_running")
    data = b"x" * (GatewayConfig(secret=b"").stdin_kb_max * 1024 + 1)
    assert_problem(gateway.request("POST", path, data=data), 413, "too_large")


def test_stopping_a_job_shows_how_it_ended(gateway: Gateway) -> None:
    def end(job_id: str) -> None:
        result = JobResult(Outcome.CANCELLED)
        gevent.spawn(gateway.world.emit, job_id, Finished(result))

    job_id = gateway.submit()
    gateway.world.emit(job_id, Started(), HELLO)
    gateway.world.on_cancel = end
    answer = gateway.request("DELETE", f"/v1/jobs/{job_id}")
    assert answer.status_code == 200
    assert answer.json()["outcome"] == "cancelled"
    assert answer.json()["stdout"] == "hello\n"


def test_stopping_a_job_that_has_ended_changes_nothing(gateway: Gateway) -> None:
    job_id = gateway.submit_done()
    answer = gateway.request("DELETE", f"/v1/jobs/{job_id}")
    assert (answer.status_code, answer.json()["outcome"]) == (200, "success")
    assert not any(isinstance(one, CancelJob) for one in gateway.world.told)


def test_a_job_that_takes_long_to_end(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.jobs._CANCEL_WAIT_S", 0.01)
    job_id = gateway.submit()
    answer = gateway.request("DELETE", f"/v1/jobs/{job_id}")
    assert (answer.status_code, answer.json()["state"]) == (202, "queued")


def test_nobody_to_stop_a_job(gateway: Gateway) -> None:
    job_id = gateway.submit()
    gateway.world.absent.add("root/broker")
    answer = gateway.request("DELETE", f"/v1/jobs/{job_id}")
    assert_problem(answer, 503, "broker_unavailable")
    assert gateway.world.watchers == []


# ------------------------------------------------------------------------- faults


def test_a_fault_of_ours_tells_nothing(
    gateway: Gateway, caplog: pytest.LogCaptureFixture
) -> None:
    gateway.world.jobs["broken"] = None  # type: ignore[assignment]
    answer = gateway.get("/v1/jobs/broken")
    assert_problem(answer, 500, "internal")
    assert "NoneType" not in answer.text
    assert "NoneType" in caplog.text
