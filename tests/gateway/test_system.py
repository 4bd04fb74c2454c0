"""The live tree: who may see it, and what it says."""

from __future__ import annotations

import time
from ipaddress import ip_network
from typing import TYPE_CHECKING, Any

import pytest
from actor_world import Probe
from gateway_client import Gateway, assert_problem, running

from gateway.admin import require_admin
from gateway.app import make_status_app
from gateway.problems import Problem
from metrics.live import ContainerFact, DownFact, Live, PoolFact, QueueFact

if TYPE_CHECKING:
    from collections.abc import Iterator

KEY = "an-admins-key-of-ours"
LOCAL = {"REMOTE_ADDR": "127.0.0.1", "HTTP_HOST": "127.0.0.1:8000"}
FAR = {"REMOTE_ADDR": "192.0.2.7", "HTTP_HOST": "box.example"}
BOX = "root/languages/python/pool/"


@pytest.fixture
def live(monkeypatch: pytest.MonkeyPatch) -> Live:
    fresh = Live()
    monkeypatch.setattr("gateway.system.LIVE", fresh)
    return fresh


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    with running(admin_key=KEY) as one:
        yield one


def is_let_in(environ: dict[str, str], admin_key: str = KEY) -> bool:
    try:
        require_admin(environ, admin_key)
    except Problem as problem:
        return problem.code != "not_found"
    return True


def bearer(key: str) -> dict[str, str]:
    return {"HTTP_AUTHORIZATION": f"Bearer {key}"}


# ----------------------------------------------------------------------- who may see


@pytest.mark.parametrize(
    ("address", "host"),
    [
        ("127.0.0.1", "127.0.0.1:8000"),
        ("127.0.0.1", "localhost"),
        ("127.8.9.1", "LOCALHOST:8000"),
        ("::1", "[::1]:8000"),
        ("::ffff:127.0.0.1", "localhost:8000"),
    ],
)
def test_a_client_on_this_machine_needs_no_key(address: str, host: str) -> None:
    local = {"REMOTE_ADDR": address, "HTTP_HOST": host}
    assert is_let_in(local, admin_key="")
    # but where there is one: a proxy may sit on this machine, too
    assert not is_let_in(local)
    assert is_let_in({**local, **bearer(KEY)})


@pytest.mark.parametrize(
    "more",
    [
        {"REMOTE_ADDR": "192.0.2.7"},
        {"REMOTE_ADDR": ""},
        {"HTTP_X_FORWARDED_FOR": "127.0.0.1"},
        {"HTTP_X_FORWARDED_PROTO": "https"},
        {"HTTP_X_REAL_IP": "127.0.0.1"},
        {"HTTP_FORWARDED": "for=127.0.0.1"},
        {"HTTP_VIA": "1.1 proxy"},
        {"HTTP_HOST": "127.0.0.1.evil.example"},
        {"HTTP_HOST": "evil.example:8000"},
        {"HTTP_HOST": ""},
        {"HTTP_ORIGIN": "https://learn.example"},
        {"SERVER_PROTOCOL": "HTTP/1.0"},
    ],
)
def test_whoever_comes_from_elsewhere_needs_the_key(more: dict[str, str]) -> None:
    environ = {**LOCAL, **more}
    assert not is_let_in(environ, admin_key="")
    assert not is_let_in(environ)
    assert not is_let_in({**environ, **bearer("wrong")})
    assert is_let_in({**environ, **bearer(KEY)})


@pytest.mark.parametrize(
    "given",
    ["", "Bearer", "Bearer ", f"Basic {KEY}", KEY, f"Bearer {KEY}x", "Bearer é"],
)
def test_what_is_not_the_key_opens_nothing(given: str) -> None:
    assert not is_let_in({**FAR, "HTTP_AUTHORIZATION": given})


def test_where_there_is_no_key_none_opens() -> None:
    for given in ("Bearer ", "Bearer x", "bearer"):
        assert not is_let_in({**FAR, "HTTP_AUTHORIZATION": given}, admin_key="")


def test_the_schemes_name_is_not_case_sensitive() -> None:
    assert is_let_in({**FAR, "HTTP_AUTHORIZATION": f"bEaReR  {KEY}"})


def test_who_may_not_see_it_is_told_what_an_unknown_path_is(gateway: Gateway) -> None:
    through_a_proxy = {"X-Forwarded-For": "192.0.2.7"}
    refused = gateway.get("/v1/system", headers=through_a_proxy)
    nowhere = gateway.get("/v1/nowhere", headers=through_a_proxy)
    assert_problem(refused, 404, "not_found")
    assert refused.content == nowhere.content
    with_key = {**through_a_proxy, "Authorization": f"Bearer {KEY}"}
    assert gateway.get("/v1/system", headers=with_key).status_code == 200


@pytest.mark.usefixtures("live")
@pytest.mark.parametrize(
    "settings",
    [{"hosts": ("box.example",)}, {"proxies": (ip_network("192.0.2.0/24"),)}],
)
def test_behind_a_proxy_nobody_is_local(settings: dict[str, Any]) -> None:
    with running(**settings) as behind, running() as alone:
        assert behind.get("/v1/system").status_code == 404
        assert alone.get("/v1/system").status_code == 200


@pytest.mark.usefixtures("live")
def test_a_worker_shows_its_tree_and_the_page(gateway: Gateway) -> None:
    with running(make=make_status_app) as worker:
        for path in ("/v1/system", "/system", "/static/system.js"):
            assert worker.get(path).status_code == 200
    page = gateway.get("/system")
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "default-src 'self'" in page.headers["Content-Security-Policy"]


# ------------------------------------------------------------------------ what it says


def system(gateway: Gateway) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {KEY}"}
    document: dict[str, Any] = gateway.get("/v1/system", headers=headers).json()
    return document


@pytest.mark.usefixtures("live")
def test_a_process_in_which_nothing_is_told(gateway: Gateway) -> None:
    document = system(gateway)
    assert document["actors"] == []
    assert document["languages"] == []
    minute = document["last_minute"]
    assert minute["jobs_by_second"] == [0] * 60
    assert minute["wait_p95_ms_by_second"] == [None] * 60
    assert (minute["jobs"], minute["wait_p50_ms"]) == (0, None)


def test_actors_stand_in_the_order_of_the_tree(live: Live, gateway: Gateway) -> None:
    names = ("root/relay", "root", f"{BOX}10", f"{BOX}2", "root/buckets/bucket")
    for name in names:
        gateway.world.actors[name] = Probe().ref
    live.containers[f"{BOX}2"] = ContainerFact("python", 0, "busy")
    live.down["root/broker"] = DownFact("it broke", time.monotonic())
    live.restarts["root/relay"] = 3
    actors = system(gateway)["actors"]
    assert [(one["name"], one["state"]) for one in actors] == [
        ("root", "up"),
        ("root/broker", "restarting"),
        ("root/relay", "up"),
        (f"{BOX}2", "busy"),
        (f"{BOX}10", "up"),
    ]
    assert actors[2] == {
        "name": "root/relay",
        "kind": "Recorder",
        "state": "up",
        "mailbox": 0,
        "restarts": 3,
    }


def test_a_language_has_its_queue_its_pool_and_its_containers(
    live: Live, gateway: Gateway
) -> None:
    now = time.monotonic()
    live.queues["python"] = QueueFact(4, now - 2)
    live.pools["python"] = PoolFact(1, 1, 2, 10, "no image", now + 100)
    live.containers[f"{BOX}1"] = ContainerFact("python", now - 5, "busy", jobs=7)
    live.containers["root/languages/c/pool/1"] = ContainerFact("c", now)
    live.queues["c"] = QueueFact(0, None)
    live.minute("python").add(now - 1.5, 12.0, ours=True)
    c, python = system(gateway)["languages"]
    assert (python["waiting"], c["waiting"]) == (4, 0)
    assert python["next_waits_s"] >= 2
    assert c["next_waits_s"] is None
    assert python["pool"]["paused"] == "no image"
    assert 0 < python["pool"]["resumes_in_s"] <= 100
    assert c["pool"]["paused"] == "it is down"
    (box,) = python["containers"]
    assert (box["name"], box["state"], box["jobs"]) == (f"{BOX}1", "busy", 7)
    assert box["for_s"] >= 5
    minute = python["last_minute"]
    assert (minute["jobs"], minute["internal_errors"]) == (1, 1)
    assert minute["wait_p50_ms"] == pytest.approx(12, rel=0.2)
    assert c["last_minute"]["jobs"] == 0


def test_a_paused_pools_actor_says_so(live: Live, gateway: Gateway) -> None:
    gateway.world.actors[BOX.removesuffix("/")] = Probe().ref
    live.pools["python"] = PoolFact(0, 0, 2, 10, "no image", 0)
    (pool,) = system(gateway)["actors"]
    assert pool["state"] == "paused"


def test_all_languages_together(live: Live, gateway: Gateway) -> None:
    now = time.monotonic()
    live.minute("python").add(now - 1.2, 1.0, ours=False)
    live.minute("c").add(now - 1.2, 100.0, ours=False)
    minute = system(gateway)["last_minute"]
    assert minute["jobs"] == sum(minute["jobs_by_second"]) == 2
    assert minute["wait_p95_ms"] == pytest.approx(100, rel=0.2)


def test_what_has_happened_is_told_newest_first(live: Live, gateway: Gateway) -> None:
    live.restarted("root/relay", "KeyError: 1", attempt=1, delay_s=0.12345)
    live.retired(f"{BOX}1", "oom")
    live.down["root/relay"] = DownFact("KeyError: 1", time.monotonic())
    document = system(gateway)
    newest, oldest = document["happenings"]
    assert (newest["number"], newest["kind"], newest["reason"]) == (2, "retired", "oom")
    assert (oldest["attempt"], oldest["delay_s"]) == (1, 0.123)
    assert document["down"][0]["name"] == "root/relay"
