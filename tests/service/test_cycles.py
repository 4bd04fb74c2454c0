"""What the service leaves to Python's garbage collector, which seldom comes."""

from __future__ import annotations

import re
import signal
import socket
from typing import TYPE_CHECKING

import pytest
from service_process import ServiceProcess, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.docker

ROUNDS = 30
_COUNT = re.compile(r"objects in cycles (\d+)")


class Counted(ServiceProcess):
    """A service that counts its garbage."""

    program = ("tests/fuzz/census.py", "run.py")

    def in_cycles(self) -> int:
        """Return how many objects it has left in cycles since it was asked last."""
        before = len(self._counts())
        self.process.send_signal(signal.SIGUSR1)
        wait_until(lambda: len(self._counts()) > before, 10, "it has counted")
        return int(self._counts()[-1])

    def _counts(self) -> list[str]:
        return _COUNT.findall(self.log())


@pytest.fixture(scope="module")
def counted() -> Iterator[Counted]:
    with Counted(languages="python") as one:
        yield one


def test_a_job_leaves_no_cycles(counted: Counted) -> None:
    api = counted.api
    api.run("python", "print(1)")
    counted.in_cycles()
    for _ in range(ROUNDS):
        assert api.run("python", "print(1)").outcome == "success"
        waited = api.post({"language": "python", "source": "1/0"}, Prefer="wait=5")
        assert waited.document["outcome"] == "failure"
        assert api.cancel(waited.document["id"]).status == 200
    assert counted.in_cycles() < ROUNDS


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 200),
        ("GET", "/v1/jobs/none", 404),
        ("GET", "/v1/jobs/none/events", 404),
        ("GET", "/nothing", 404),
        ("PUT", "/v1/jobs", 405),
        ("POST", "/v1/jobs", 415),
        ("POST", "/v1/jobs/none/stdin", 404),
    ],
)
def test_a_request_leaves_no_cycles(
    counted: Counted, method: str, path: str, status: int
) -> None:
    api = counted.api
    api.call(method, path)
    counted.in_cycles()
    for _ in range(ROUNDS):
        assert api.call(method, path).status == status
    assert counted.in_cycles() < ROUNDS


@pytest.mark.parametrize("body", [b"{", b"{}", b"[" * 100_000, b'{"language":"x"}'])
def test_a_refused_job_leaves_no_cycles(counted: Counted, body: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    counted.in_cycles()
    for _ in range(ROUNDS):
        answer = counted.api.call("POST", "/v1/jobs", body, headers)
        assert answer.status in {400, 422}
    assert counted.in_cycles() < ROUNDS


HEAD = b"POST /v1/jobs HTTP/1.1\r\nHost: [::1]\r\nContent-Type: application/json\r\n"


@pytest.mark.parametrize(
    "sent",
    [
        HEAD + b"Content-Length: 999999999\r\n\r\n",
        HEAD + b"Content-Length: 10\r\n\r\n{",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\nnonsense\r\n",
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        b"nonsense\r\n\r\n",
        b"GET /v1/jobs/none",
    ],
)
def test_who_sends_rubbish_or_leaves_leaves_no_cycles(
    counted: Counted, sent: bytes
) -> None:
    counted.in_cycles()
    for _ in range(ROUNDS):
        with socket.create_connection(("127.0.0.1", counted.port), timeout=10) as sock:
            sock.sendall(sent)
            sock.shutdown(socket.SHUT_WR)
            while sock.recv(65536):
                pass
    assert counted.in_cycles() < ROUNDS


def test_who_leaves_an_open_stream_leaves_no_cycles(counted: Counted) -> None:
    api = counted.api
    job_id = api.submit("python", "import time; time.sleep(2)")
    counted.in_cycles()
    for _ in range(ROUNDS):
        with api.follow(job_id) as events:
            next(iter(events))
    # A stream finds out that nobody listens when it has something to say.
    api.result(job_id)
    wait_until(
        lambda: api.metric("warmbox_watchers") == 0, 10, "all streams have ended"
    )
    assert counted.in_cycles() < ROUNDS
