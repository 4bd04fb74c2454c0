"""Looking, feeding and stopping, against twins of the actors."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import gevent
import pytest
from gateway_client import Gateway, assert_problem, running
from twins import HELLO

from actors.messages import (
    CancelJob,
    CompileResult,
    CompileUsage,
    Finished,
    JobResult,
    Outcome,
    Output,
    Restarted,
    SendStdin,
    Started,
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


# ----------------------------------------------------------------------- looking


def test_a_queued_job_shows_its_turn(gateway: Gateway) -> None:
    job_id = gateway.submit()
    document = gateway.get(f"/v1/jobs/{job_id}").json()
    assert (document["state"], document["position"]) == ("queued", 3)
    gateway.world.absent.add("root/languages/python/queue")
    assert "position" not in gateway.get(f"/v1/jobs/{job_id}").json()


def test_a_job_runs_from_when_its_queue_says_so(gateway: Gateway) -> None:
    """The event that tells it waits for the program's first output for a moment."""
    job_id = gateway.post(GOOD, Idempotency_Key="k1").json()["id"]
    gateway.world.on_find_position = lambda _: "running"
    document = gateway.get(f"/v1/jobs/{job_id}").json()
    assert (document["state"], document["stdout"]) == ("running", "")
    assert "position" not in document
    assert gateway.post(GOOD, Idempotency_Key="k1").json()["state"] == "running"


def test_a_job_that_ends_while_its_queue_is_asked_is_done(gateway: Gateway) -> None:
    job_id = gateway.submit()

    def end(asked: str) -> None:
        gateway.world.emit(asked, Started(), Finished(JobResult(Outcome.SUCCESS)))

    gateway.world.on_find_position = end
    assert gateway.get(f"/v1/jobs/{job_id}").json()["state"] == "done"


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
        compile=CompileResult(
            Outcome.SUCCESS, 0, None, CompileUsage(40.0, 30.0, 50_000)
        ),
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
            "usage": {"wall_ms": 40.0, "cpu_ms": 30.0, "memory_kb": 50_000},
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
    path = f"/v1/jobs/{gateway.submit_done()}/stdin"
    assert_problem(gateway.request("POST", path, data=b"x"), 409, "not_running")
    path = f"/v1/jobs/{gateway.submit()}/stdin"
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
    assert "no effect" in assert_problem(answer, 503, "broker_unavailable")["detail"]
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
