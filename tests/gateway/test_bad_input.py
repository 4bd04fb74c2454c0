"""Every bad request is one clear problem document, and breaks nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from gateway_client import Gateway, assert_problem, running

if TYPE_CHECKING:
    from collections.abc import Iterator


GOOD: dict[str, Any] = {"language": "python", "source": "print(1)"}


@pytest.fixture(scope="module")
def gateway() -> Iterator[Gateway]:
    with running() as one:
        yield one


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"{'a': 1}",
        b'{"language": NaN}',
        b'{"limits": {"wall_time_s": -Infinity}}',
        b'{"language": "\xff"}',
        b"\xef\xbb\xbf{}",
        b"[" * 100_000,
        b"1" * 10_000,
        '{"language": "python"}'.encode("utf-16"),
    ],
)
def test_what_is_not_json(gateway: Gateway, body: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    answer = gateway.request("POST", "/v1/jobs", data=body, headers=headers)
    assert_problem(answer, 400, "invalid_json")


@pytest.mark.parametrize("body", [b"[]", b"[{}]", b'"text"', b"1", b"true", b"null"])
def test_json_that_is_no_object(gateway: Gateway, body: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    answer = gateway.request("POST", "/v1/jobs", data=body, headers=headers)
    (error,) = assert_problem(answer, 422, "invalid")["errors"]
    assert error["field"] == ""


@pytest.mark.parametrize("content_type", ["text/plain", "", "application/jsonx"])
def test_other_content_types(gateway: Gateway, content_type: str) -> None:
    headers = {"Content-Type": content_type}
    answer = gateway.request("POST", "/v1/jobs", data=b"{}", headers=headers)
    assert_problem(answer, 415, "unsupported_media_type")


def test_an_unknown_language_names_the_closest(gateway: Gateway) -> None:
    answer = gateway.post({**GOOD, "language": "pyhton"})
    (error,) = assert_problem(answer, 422, "invalid")["errors"]
    assert error["field"] == "language"
    assert "python" in error["message"]


def test_a_language_without_an_image_is_unknown(gateway: Gateway) -> None:
    answer = gateway.post({**GOOD, "language": "ruby"})
    (error,) = assert_problem(answer, 422, "invalid")["errors"]
    assert "there are c, python" in error["message"]


def test_two_megabytes_of_source(gateway: Gateway) -> None:
    answer = gateway.post({**GOOD, "source": "x" * 2 * 2**20})
    problem = assert_problem(answer, 413, "too_large")
    assert "1024 KiB" in problem["detail"]


def test_the_limit_counts_all_files_together(gateway: Gateway) -> None:
    half = [{"name": f"{n}.py", "content": "x" * 600_000} for n in range(2)]
    answer = gateway.post({"language": "python", "files": half})
    assert_problem(answer, 413, "too_large")


def test_two_megabytes_of_stdin(gateway: Gateway) -> None:
    answer = gateway.post({**GOOD, "stdin": "x" * 2 * 2**20})
    assert_problem(answer, 413, "too_large")


def test_a_body_that_is_larger_than_any_request(gateway: Gateway) -> None:
    answer = gateway.post({**GOOD, "source": "x" * 9 * 2**20})
    assert_problem(answer, 413, "too_large")


@pytest.mark.parametrize("key", ["", "a b", "ü", "x" * 256])
def test_idempotency_keys(gateway: Gateway, key: str) -> None:
    headers = {"Idempotency-Key": key.encode()}
    answer = gateway.request("POST", "/v1/jobs", json=GOOD, headers=headers)
    (error,) = assert_problem(answer, 422, "invalid")["errors"]
    assert error["field"] == "Idempotency-Key"


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/v1/jobs", "POST"),
        ("BREW", "/v1/jobs", "POST"),
        ("POST", "/v1/jobs/x", "DELETE,GET,HEAD"),
        ("POST", "/v1/jobs/x/events", "GET,HEAD"),
        ("DELETE", "/", "GET,HEAD"),
    ],
)
def test_methods_that_do_not_exist(
    gateway: Gateway, method: str, path: str, allowed: str
) -> None:
    answer = gateway.request(method, path)
    assert_problem(answer, 405, "method_not_allowed")
    assert answer.headers["Allow"] == allowed


@pytest.mark.parametrize("path", ["/v2", "/v1/jobs/", "/static/", "/static/../app.py"])
def test_paths_that_do_not_exist(gateway: Gateway, path: str) -> None:
    assert_problem(gateway.get(path), 404, "not_found")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", ""),
        ("GET", "/events"),
        ("POST", "/stdin"),
        ("DELETE", ""),
    ],
)
def test_unknown_and_expired_jobs(gateway: Gateway, method: str, path: str) -> None:
    gateway.world.expired.add("old")
    unknown = gateway.request(method, f"/v1/jobs/unknown{path}")
    assert_problem(unknown, 404, "unknown_job")
    expired = gateway.request(method, f"/v1/jobs/old{path}")
    assert_problem(expired, 410, "expired")


@pytest.mark.parametrize("last_id", ["x", "-1", "1.5", "", "9" * 30])
def test_last_event_ids(gateway: Gateway, last_id: str) -> None:
    headers = {"Last-Event-ID": last_id}
    answer = gateway.get("/v1/jobs/x/events", headers=headers)
    assert_problem(answer, 422, "invalid")


def test_query_values(gateway: Gateway) -> None:
    assert_problem(gateway.get("/v1/jobs/x?encoding=rot13"), 422, "invalid")
    answer = gateway.request("POST", "/v1/jobs/x/stdin?end=yes")
    assert_problem(answer, 422, "invalid")
    many = "a&" * 1000
    for method, path in (("GET", ""), ("GET", "/events"), ("POST", "/stdin")):
        answer = gateway.request(method, f"/v1/jobs/x{path}?{many}")
        assert_problem(answer, 400, "bad_request")


def test_the_service_still_takes_jobs(gateway: Gateway) -> None:
    assert gateway.post(GOOD).status_code == 202
