"""The engine port's own bookkeeping; Docker itself is met in other tests."""

from __future__ import annotations

from typing import Any

import docker.errors
import gevent
import pytest
import requests
from actor_world import settle
from gevent.event import Event
from samples import CONFIG, make_defaults

from actors.engine import (
    Attached,
    Engine,
    EngineError,
    EngineRefusedError,
    engine_error,
)


class ClientTwin:
    """As much of Docker's client as the end of containers needs.

    polls: how often a container is still listed after it was removed.
    ends: whether a container ends by itself.
    """

    def __init__(self, *ids: str, polls: int = 0, ends: bool = True) -> None:
        self.left = dict.fromkeys(ids, polls)
        self.ends = ends
        self.calls: list[str] = []
        self.removed = Event()
        self.removing: set[str] = set()
        self.listed, self.creating, self.may_create = Event(), Event(), Event()
        self.may_remove = Event()
        self.may_remove.set()

    def containers(self, *, all: bool, filters: dict[str, str]) -> list[dict[str, str]]:  # noqa: A002
        assert all
        self.listed.set()
        assert filters == {"label": f"warmbox.service={CONFIG.service}"}
        for one in self.removing & self.left.keys():
            self.left[one] -= 1
            if self.left[one] < 0:
                del self.left[one]
        return [{"Id": one} for one in self.left]

    def remove_container(self, container_id: str, *, force: bool) -> None:
        assert force
        self.calls.append("remove")
        self.may_remove.wait()
        self.removing.add(container_id)
        self.removed.set()

    def wait(self, container_id: str, timeout_s: float, condition: str) -> None:
        assert timeout_s > 0
        self.calls.append(condition)
        if not self.ends:
            raise requests.exceptions.ReadTimeout
        if condition == "removed":
            del self.left[container_id]
            self.removed.set()

    def create_host_config(self, **_: Any) -> dict[str, Any]:
        return {}

    def create_container(self, *_: Any, **__: Any) -> dict[str, str]:
        self.creating.set()
        self.may_create.wait()
        self.left["late"] = 0
        return {"Id": "late"}

    def attach_socket(self, *_: Any, **__: Any) -> Any:
        raise OSError("the engine is going down")


class AttachedTwin(Attached):
    """A container of this client; only its end is looked at."""

    def __init__(self, client: ClientTwin) -> None:
        self.id = "a"
        self.uid_first = CONFIG.uid_first
        self._client = client

    def close(self) -> None:
        self._client.calls.append("close")


def engine_with(client: ClientTwin, monkeypatch: pytest.MonkeyPatch) -> Engine:
    monkeypatch.setattr("docker.APIClient", lambda **_: client)
    monkeypatch.setattr("actors.engine.SWEEP_POLL_S", 0)
    monkeypatch.setattr("actors.engine.SWEEP_ASK_S", 0)
    return Engine(CONFIG)


def test_the_engine_is_the_one_that_the_environment_names(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[dict[str, Any]] = []
    monkeypatch.setattr("docker.APIClient", lambda **words: asked.append(words))
    monkeypatch.setenv("DOCKER_HOST", "unix:///elsewhere.sock")
    Engine(CONFIG)
    monkeypatch.delenv("DOCKER_HOST")
    Engine(CONFIG)
    assert [words.get("base_url") for words in asked] == [
        "unix:///elsewhere.sock",
        None,
    ]


def test_nothing_is_left_when_a_sweep_comes_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    client = ClientTwin("a", "b", "c", polls=20)
    assert engine_with(client, monkeypatch).sweep(30) == 0
    assert client.removing == {"a", "b", "c"}


def test_a_sweep_tells_what_docker_does_not_remove_in_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    client = ClientTwin("a", "b", polls=1 << 30)
    assert engine_with(client, monkeypatch).sweep(0.01) == 2


def test_an_engine_that_hangs_is_asked_once_for_each(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    client = ClientTwin("a", "b")
    client.may_remove.clear()
    engine = engine_with(client, monkeypatch)
    assert engine.sweep(0.05) == 2
    assert client.calls == ["remove", "remove"]
    client.may_remove.set()
    assert engine.sweep(30) == 0


def test_closing_waits_for_a_start_under_way_and_lets_no_other_begin(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Given a container that is just being made
    client = ClientTwin()
    engine = engine_with(client, monkeypatch)
    start = gevent.spawn(engine.start, make_defaults())
    client.creating.wait()
    # When the engine is closed, and Docker then has made it
    closing = gevent.spawn(engine.close, 30)
    client.listed.wait()
    assert not closing.ready()
    with pytest.raises(EngineError, match="being stopped"):
        engine.start(make_defaults())
    client.may_create.set()
    # Then it goes, too
    assert closing.get(timeout=30) == 0
    assert client.left == {}
    with pytest.raises(EngineError):
        start.get()


# --------------------------------------------------------------- the end of a container


def discard(client: ClientTwin, engine: Engine, **options: bool) -> list[str]:
    """Have the container discarded; return what was done, in order."""
    engine.discard(AttachedTwin(client), **options)
    client.removed.wait()
    settle()
    return client.calls


def test_a_container_ends_by_itself_and_is_never_killed_meanwhile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    client = ClientTwin("a")
    calls = discard(client, engine_with(client, monkeypatch))
    assert calls == ["close", "not-running", "removed"]


def test_a_container_that_does_not_end_is_killed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    client = ClientTwin("a", ends=False)
    calls = discard(client, engine_with(client, monkeypatch))
    assert calls == ["close", "not-running", "remove"]


def test_a_container_that_is_stuck_is_killed_while_its_stream_is_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    client = ClientTwin("a")
    calls = discard(client, engine_with(client, monkeypatch), kill=True)
    assert calls == ["remove", "close"]


def test_an_engine_that_answers_is_not_away() -> None:
    assert isinstance(
        engine_error(docker.errors.APIError("too little")), EngineRefusedError
    )
    assert not isinstance(
        engine_error(requests.ConnectionError("away")), EngineRefusedError
    )
