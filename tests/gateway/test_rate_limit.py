"""One token a submission, and what the client is told about its bucket."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from gateway_client import Gateway, assert_problem, running

from actors.messages import TokenReply
from gateway.config import GatewayConfig
from gateway.problems import Problem
from gateway.reads import Reads

if TYPE_CHECKING:
    from collections.abc import Iterator

GOOD: dict[str, Any] = {"language": "python", "source": "print(1)"}


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    with running() as one:
        yield one


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


# ------------------------------------------------- requests that need no token


READS = [
    ("GET", "/readyz"),
    ("GET", "/metrics"),
    ("GET", "/v1/languages"),
    ("GET", "/openapi.json"),
    ("GET", "/v1/system"),
    ("GET", "/v1/jobs/x"),
    ("DELETE", "/v1/jobs/x"),
    ("GET", "/v1/jobs/x/events"),
    ("POST", "/v1/jobs/x/stdin"),
]


@pytest.mark.parametrize(("method", "path"), READS)
def test_what_needs_no_token_has_a_rate_of_its_own(method: str, path: str) -> None:
    with running(reads_per_second=0.01, reads_burst=2) as gateway:
        answers = [gateway.request(method, path) for _ in range(3)]
        assert [one.status_code == 429 for one in answers] == [False, False, True]
        assert_problem(answers[2], 429, "rate_limited")
        assert answers[2].headers["Retry-After"] == "100"
        assert answers[2].headers["RateLimit"] == '"reads";r=0;t=200'
        # The page and its parts, and jobs, are no reads
        assert gateway.get("/").status_code == 200
        assert gateway.get("/static/app.js").status_code == 200
        assert gateway.post(GOOD).status_code == 202


def test_who_asks_each_second_is_never_refused() -> None:
    clock = [0.0]
    reads = Reads(GatewayConfig(secret=b"", reads_burst=1), lambda: clock[0])
    for _ in range(1000):
        clock[0] += 1
        reads.take({"REMOTE_ADDR": "192.0.2.1"})


def test_each_client_has_a_bucket_and_the_number_of_buckets_a_bound() -> None:
    clock = [0.0]
    config = GatewayConfig(
        secret=b"", reads_per_second=1, reads_burst=2, reads_clients_max=2
    )
    reads = Reads(config, lambda: clock[0])

    def granted(address: str) -> bool:
        try:
            reads.take({"REMOTE_ADDR": address})
        except Problem:
            return False
        return True

    assert [granted("a") for _ in range(3)] == [True, True, False]
    assert [granted("b") for _ in range(3)] == [True, True, False]
    # Those beyond the bound share one
    assert [granted(name) for name in "cde"] == [True, True, False]
    clock[0] += 1
    assert [granted("a") for _ in range(2)] == [True, False]
    # Who is at rest makes room
    clock[0] += 10
    assert [granted("c") for _ in range(3)] == [True, True, False]
    assert [granted("d") for _ in range(3)] == [True, True, False]
