"""One token a submission, and what the client is told about its bucket."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from gateway_client import Gateway, assert_problem, running

from actors.messages import TokenReply

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
