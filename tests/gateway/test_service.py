"""How the service describes itself, and its page."""

from __future__ import annotations

from ipaddress import ip_network
from typing import TYPE_CHECKING

import pytest
from gateway_client import Gateway, running

from actors.messages import BrokerStatus, LanguageStatus
from gateway.clients import client_key
from gateway.pages import Pages
from metrics.instruments import REGISTRY
from metrics.live import LIVE, DownFact

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    with running() as one:
        yield one


def test_the_languages(gateway: Gateway) -> None:
    gateway.world.fleet["c"] = LanguageStatus("c", "", 0, 1, "")
    answer = gateway.get("/v1/languages").json()
    python, c = answer["languages"]
    assert python["name"] == "python"
    assert python["version"] == "Python 3.13.5"
    assert "py" in python["aliases"]
    assert python["main"] == "main.py"
    assert "print" in python["hello"]
    assert python["limits"]["memory_mb"] == 256
    assert (python["ready"], c["ready"]) == (True, False)
    assert answer["caps"]["memory_mb"] == 1024
    assert python["limits"]["stack_kb"] == 8192
    assert answer["caps"]["stack_kb"] == 262_144


def test_alive(gateway: Gateway) -> None:
    assert gateway.get("/healthz").json() == {"status": "ok"}


def test_ready(gateway: Gateway) -> None:
    answer = gateway.get("/readyz")
    assert answer.status_code == 200
    assert answer.json() == {
        "ready": True,
        "broker": "up",
        "broker_reason": "",
        "workers": 2,
        "languages": {
            "python": {"ready": 5, "starting": 0, "paused": ""},
            "c": {"ready": 5, "starting": 0, "paused": ""},
        },
        "degraded": [],
        "restarting": [],
    }


def test_the_parts_that_are_being_restarted(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    down = DownFact("ValueError: secret things", since=1)
    names = ("root/relay", "root/languages/c/queue")
    monkeypatch.setattr(LIVE, "down", dict.fromkeys(names, down))
    answer = gateway.get("/readyz").json()
    assert answer["restarting"] == ["languages/c/queue", "relay"]
    assert "secret" not in str(answer)


def test_one_language_that_is_paused(gateway: Gateway) -> None:
    gateway.world.fleet["c"] = LanguageStatus("c", "", 5, 0, "the image is missing")
    answer = gateway.get("/readyz")
    assert answer.status_code == 200
    assert answer.json()["degraded"] == ["c"]


def test_a_language_that_no_worker_has(gateway: Gateway) -> None:
    del gateway.world.fleet["c"]
    answer = gateway.get("/readyz")
    assert answer.status_code == 200
    assert answer.json()["languages"]["c"]["ready"] == 0
    assert answer.json()["degraded"] == ["c"]


@pytest.mark.parametrize("kind", ["absent", "silent"])
def test_nobody_tells_what_can_run(gateway: Gateway, kind: str) -> None:
    getattr(gateway.world, kind).add("root/fleet")
    answer = gateway.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["ready"] is False
    assert answer.json()["degraded"] == ["python", "c"]
    assert gateway.get("/v1/languages").status_code == 200


def test_the_broker_is_away(gateway: Gateway) -> None:
    del gateway.world.connections["root/broker"]
    answer = gateway.get("/readyz")
    assert (answer.status_code, answer.json()["broker"]) == (503, "down")
    assert answer.json()["broker_reason"] == "a connection is being started"


def test_the_connection_that_is_away_says_why(gateway: Gateway) -> None:
    gateway.world.connections = {
        "root/broker": BrokerStatus("open", ""),
        "root/events": BrokerStatus("backing_off", "refused"),
    }
    answer = gateway.get("/readyz")
    assert answer.json()["broker_reason"] == "events: refused"


@pytest.mark.parametrize("path", ["/readyz", "/v1/system", "/v1/languages"])
def test_how_the_service_stands_is_not_looked_for_in_its_metrics(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.setattr(REGISTRY, "collect", None)
    assert gateway.get(path).status_code == 200


def test_metrics_count_refusals(gateway: Gateway) -> None:
    gateway.get("/nowhere")
    answer = gateway.get("/metrics")
    assert answer.headers["Content-Type"].startswith("text/plain")
    assert 'warmbox_rejected_total{code="not_found"}' in answer.text


def test_the_page(tmp_path: Path, gateway: Gateway) -> None:
    answer = gateway.get("/")
    policy = answer.headers["Content-Security-Policy"]
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "default-src 'self'" in policy
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    tag = {"If-None-Match": answer.headers["ETag"]}
    again = gateway.get("/", headers=tag)
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["ETag"] == answer.headers["ETag"]
    changed = gateway.get("/", headers={"If-None-Match": '"other"'})
    assert changed.content == answer.content
    (tmp_path / "a.bin").write_bytes(b"\0")
    served = Pages(tmp_path).file("a.bin", {})
    assert served.headers["Content-Type"] == "application/octet-stream"


@pytest.mark.parametrize("name", ["style.css", "app.js"])
def test_the_parts_of_the_page(gateway: Gateway, name: str) -> None:
    answer = gateway.get(f"/static/{name}")
    assert answer.status_code == 200
    kind = {"css": "text/css", "js": "text/javascript"}[name.split(".")[1]]
    assert answer.headers["Content-Type"] == f"{kind}; charset=utf-8"
    assert gateway.request("HEAD", f"/static/{name}").content == b""


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
    ],
)
def test_whose_turn_a_request_takes(address: str, key: str) -> None:
    assert client_key({"REMOTE_ADDR": address}) == key


PROXIES = [ip_network("10.0.0.0/24"), ip_network("::1")]


@pytest.mark.parametrize(
    ("peer", "forwarded", "key"),
    [
        ("192.0.2.7", "198.51.100.1", "192.0.2.7"),
        ("10.0.0.5", "198.51.100.1", "198.51.100.1"),
        ("10.0.0.5", "198.51.100.1, 192.0.2.7", "192.0.2.7"),
        ("10.0.0.5", "198.51.100.1,192.0.2.7 , 10.0.0.9", "192.0.2.7"),
        ("10.0.0.5", "10.0.0.6", "10.0.0.6"),
        ("10.0.0.5", "", "10.0.0.5"),
        ("10.0.0.5", "192.0.2.7, unknown", "10.0.0.5"),
        ("10.0.0.5", "192.0.2.7, 10.0.0.9:80", "10.0.0.5"),
        ("::ffff:10.0.0.5", "192.0.2.7", "192.0.2.7"),
        ("::1", "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("::1", "192.0.2.7\n", "192.0.2.7"),
        ("10.0.0.5", "1.2.3.4" + ",10.0.0.6" * 10_000, "10.0.0.6"),
    ],
)
def test_a_header_is_believed_as_far_as_our_proxies_wrote_it(
    peer: str, forwarded: str, key: str
) -> None:
    environ = {"REMOTE_ADDR": peer, "HTTP_X_FORWARDED_FOR": forwarded}
    assert client_key(environ, PROXIES) == key
