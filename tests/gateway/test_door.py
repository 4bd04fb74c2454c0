"""Which names the service answers to, and which web pages may ask."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from gateway_client import Gateway, assert_problem, running

from actors.messages import TakeToken

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = "https://learn.example"
GOOD: dict[str, Any] = {"language": "python", "source": "print(1)"}
PATHS = ("/", "/v1/jobs/x", "/metrics", "/readyz", "/v1/system", "/openapi.json")


@pytest.fixture(scope="module")
def gateway() -> Iterator[Gateway]:
    with running(hosts=("box.example",), origins=(PAGE,)) as one:
        yield one


def post(gateway: Gateway, **headers: str) -> Any:
    gateway.world.told.clear()
    return gateway.post(GOOD, **headers)


def tokens(gateway: Gateway) -> int:
    return sum(isinstance(one, TakeToken) for one in gateway.world.told)


# ---------------------------------------------------------------------------- names


@pytest.mark.parametrize(
    "host",
    [
        *("localhost", "LOCALHOST:8000", "127.0.0.1:8000", "[::1]:8000", "192.0.2.7"),
        *("[2001:db8::1]", "box.example", "Box.Example.:443"),
    ],
)
def test_names_that_are_the_services_own(gateway: Gateway, host: str) -> None:
    assert post(gateway, Host=host).status_code == 202


@pytest.mark.parametrize(
    "host",
    [
        *("evil.example", "127.0.0.1.evil.example:8000", "localhost.evil.example"),
        *("x", "box.example.evil.example", "[evil.example]", "0x7f.1"),
    ],
)
def test_a_name_that_nobody_has_listed(gateway: Gateway, host: str) -> None:
    problem = assert_problem(post(gateway, Host=host), 421, "unknown_host")
    assert "http.hosts" in problem["detail"]
    assert tokens(gateway) == 0
    for path in PATHS:
        answer = gateway.get(path, headers={"Host": host})
        assert_problem(answer, 421, "unknown_host")


def test_whether_the_process_answers_is_told_to_all(gateway: Gateway) -> None:
    assert gateway.get("/healthz", headers={"Host": "x"}).status_code == 200


def test_the_name_that_is_listened_on_is_known() -> None:
    with running(host="localhost") as gateway:
        assert post(gateway, Host="localhost").status_code == 202
    with running(hosts=("*",)) as gateway:
        assert post(gateway, Host="anything.example").status_code == 202


# -------------------------------------------------------------------------- origins


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://[::1"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site", "Origin": "https://other.box.example"},
        {
            "Sec_Fetch_Site": "cross-site",
            "Sec_Fetch_Mode": "navigate",
            "Sec_Fetch_Dest": "document",
        },
    ],
)
def test_another_sites_page_costs_its_visitor_nothing(
    gateway: Gateway, headers: dict[str, str]
) -> None:
    answer = post(gateway, Content_Type="text/plain", **headers)
    assert_problem(answer, 403, "foreign_origin")
    assert tokens(gateway) == 0
    assert "Access-Control-Allow-Origin" not in answer.headers


def test_our_own_page_may_ask(gateway: Gateway) -> None:
    own = f"http://127.0.0.1:{gateway.port}"
    assert post(gateway, Origin=own).status_code == 202
    # behind a proxy that says another name than the browser does
    site = {"Sec_Fetch_Site": "same-origin", "Origin": "https://box.example:8443"}
    assert post(gateway, Host="box.example", **site).status_code == 202


def test_a_link_on_another_sites_page_leads_here(gateway: Gateway) -> None:
    site = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    visit = gateway.get("/", headers={**site, "Sec-Fetch-Dest": "document"})
    assert visit.status_code == 200
    framed = gateway.get("/", headers={**site, "Sec-Fetch-Dest": "iframe"})
    assert_problem(framed, 403, "foreign_origin")


def test_a_page_that_is_listed_may_ask_and_read(gateway: Gateway) -> None:
    site = {"Origin": PAGE, "Sec_Fetch_Site": "cross-site"}
    for answer in (
        post(gateway, **site),
        gateway.get("/v1/jobs/x", headers={"Origin": PAGE}),
    ):
        assert answer.headers["Access-Control-Allow-Origin"] == PAGE
        assert "Location" in answer.headers["Access-Control-Expose-Headers"]
        assert "Origin" in answer.headers["Vary"]
    job_id = gateway.submit_done()
    with gateway.get(
        f"/v1/jobs/{job_id}/events", headers={"Origin": PAGE}, stream=True
    ) as stream:
        assert stream.headers["Access-Control-Allow-Origin"] == PAGE
    asked = {"Origin": PAGE, "Access-Control-Request-Method": "POST"}
    preflight = gateway.request("OPTIONS", "/v1/jobs", headers=asked)
    assert preflight.status_code == 204
    assert "POST" in preflight.headers["Access-Control-Allow-Methods"]
    assert "Idempotency-Key" in preflight.headers["Access-Control-Allow-Headers"]
    assert preflight.headers["Access-Control-Allow-Origin"] == PAGE
    # but not look inside, wherever its visitor sits
    assert_problem(
        gateway.get("/v1/system", headers={"Origin": PAGE}), 404, "not_found"
    )


def test_without_a_list_no_page_may_read() -> None:
    with running() as gateway:
        answer = post(gateway)
        assert "Vary" not in answer.headers
        asked = {"Origin": PAGE, "Access-Control-Request-Method": "POST"}
        preflight = gateway.request("OPTIONS", "/v1/jobs", headers=asked)
        assert_problem(preflight, 403, "foreign_origin")
    with running(origins=("*",)) as gateway:
        assert post(gateway, Origin=PAGE).headers["Access-Control-Allow-Origin"] == PAGE
