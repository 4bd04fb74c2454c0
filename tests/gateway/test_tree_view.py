"""The live tree on a terminal."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import pytest
from fake_service import Script, serving
from rich.console import Console

from gateway.client import Client, ClientError
from gateway.tree_view import draw, duration, show_tree, watch_tree

if TYPE_CHECKING:
    from collections.abc import Iterator

POOL = "root/languages/python/pool"


def actor(name: str, state: str = "up", **more: Any) -> dict[str, Any]:
    return {
        "name": name,
        "kind": "Actor",
        "state": state,
        "mailbox": 0,
        "restarts": 0,
        **more,
    }


def tree(**changes: Any) -> dict[str, Any]:
    """Return a small tree, as the service tells it."""
    minute = {
        "jobs": 90,
        "internal_errors": 0,
        "wait_p50_ms": 0.42,
        "wait_p95_ms": 1500.0,
    }
    return {
        "uptime_s": 7384,
        "broker": "up",
        "actors": [
            actor("root"),
            actor("root/broker", mailbox=17),
            actor("root/relay", "restarting", restarts=2),
            actor("root/languages"),
            actor("root/languages/python"),
            actor("root/languages/python/queue"),
            actor(POOL, "paused"),
            actor(f"{POOL}/1", "busy"),
            actor(f"{POOL}/2", "idle"),
        ],
        "languages": [
            {
                "name": "python",
                "waiting": 3,
                "next_waits_s": 0.25,
                "pool": {
                    "ready": 2,
                    "starting": 0,
                    "wanted": 5,
                    "max": 10,
                    "paused": "no [such] image",
                    "resumes_in_s": 1.5,
                },
                "containers": [
                    {"name": f"{POOL}/1", "state": "busy", "for_s": 2.0, "jobs": 7},
                    {"name": f"{POOL}/2", "state": "idle", "for_s": 61, "jobs": 0},
                ],
                "last_minute": minute,
            }
        ],
        "down": [{"name": "root/relay", "reason": "KeyError: 1", "for_s": 0.1}],
        "happenings": [
            {
                "at": "2026-01-02T03:04:05.678Z",
                "name": "root/relay",
                "kind": "restarted",
                "reason": "KeyError: 1",
                "attempt": 2,
            }
        ],
        "last_minute": minute,
        **changes,
    }


def drawn(document: dict[str, Any], height: int | None = None) -> list[str]:
    console = Console(file=io.StringIO(), width=120)
    console.print(draw(document, height))
    assert isinstance(console.file, io.StringIO)
    return [" ".join(line.split()) for line in console.file.getvalue().splitlines()]


def test_the_tree_is_drawn_with_what_each_part_does() -> None:
    assert drawn(tree()) == [
        "Warmbox up 2 h 3 min broker up last minute: 90 jobs waited 0.4 ms (p95 1.5 s)",
        "",
        "actor state mailbox restarts does",
        "root up Actor",
        "├─ broker up 17 Actor",
        "├─ relay restarting 2 KeyError: 1, for 100 ms",
        "└─ languages up Actor",
        "└─ python up Actor",
        "├─ queue up 3 waiting, the next for 250 ms, 90 jobs a minute",
        "└─ pool paused 2 of 5 ready, at most 10 no [such] image, again in 1.5 s",
        "├─ 1 busy for 2.0 s, 7 jobs so far",
        "└─ 2 idle for 1 min 1 s",
        "",
        "03:04:05 root/relay restarted, attempt 2: KeyError: 1",
    ]


def test_where_lines_are_few_containers_share_one() -> None:
    lines = drawn(tree(), height=15)
    assert not any("so far" in line for line in lines)
    assert any(line.endswith("again in 1.5 s 1 busy 2 idle") for line in lines)
    assert len(drawn(tree(), height=50)) == len(drawn(tree()))


def test_our_own_errors_stand_out() -> None:
    minute = {**tree()["last_minute"], "internal_errors": 2, "wait_p50_ms": None}
    (headline, *_) = drawn(tree(last_minute=minute, broker="down"))
    assert headline.endswith("broker down last minute: 90 jobs 2 of our own errors")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.0004, "0.4 ms"),
        (0.25, "250 ms"),
        (59.94, "59.9 s"),
        (61, "1 min 1 s"),
        (7384, "2 h 3 min"),
    ],
)
def test_times_are_said_as_people_do(seconds: float, words: str) -> None:
    assert duration(seconds) == words


# ------------------------------------------------------------------------ the service


@pytest.fixture
def script() -> Iterator[Script]:
    script = Script(systems=[tree()])
    with serving(script) as script.url:
        yield script


def terminal() -> Console:
    return Console(file=io.StringIO(), width=120, height=50)


def test_it_is_drawn_once(script: Script) -> None:
    console = terminal()
    show_tree(Client(script.url), "the-admins-key-of-ours", console)
    assert isinstance(console.file, io.StringIO)
    assert "root/relay restarted" in console.file.getvalue()
    assert script.authorizations == ["Bearer the-admins-key-of-ours"]


def test_without_a_key_none_is_sent(script: Script) -> None:
    show_tree(Client(script.url), "", terminal())
    assert script.authorizations == [None]


def test_who_may_not_see_it_is_told_what_it_takes(script: Script) -> None:
    script.systems = [404]
    with pytest.raises(ClientError, match="WARMBOX_ADMIN_KEY"):
        show_tree(Client(script.url), "", terminal())


def test_watching_outlasts_a_service_that_is_away(script: Script) -> None:
    script.systems = [tree(), 503, tree(broker="down")]
    console, pauses = terminal(), 0

    def pause(_: float) -> None:
        nonlocal pauses
        pauses += 1
        if pauses == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        watch_tree(Client(script.url), "", console, pause)
    assert script.systems == []
    assert isinstance(console.file, io.StringIO)
    assert "broker down" in console.file.getvalue()
