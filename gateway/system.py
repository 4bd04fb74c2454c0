"""The live tree: what every part of this process does just now.

Only the broker is asked: each other fact is where its owner has written it
(`metrics.live`), names are the directory's, and mailboxes are looked at from outside.
"""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from gateway.admin import require_admin
from gateway.ports import broker_is_up
from gateway.replies import reply
from gateway.views import rfc3339
from metrics.collector import mailboxes
from metrics.last_minute import LastMinute, Second, percentile, together
from metrics.live import LIVE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from gateway.config import GatewayConfig
    from gateway.ports import Directory
    from metrics.live import Happening

BUCKET = "root/buckets/bucket"
"""There is one for each client, and they all have this name: none is shown."""


class System:
    """Answers for administrators."""

    def __init__(self, config: GatewayConfig, directory: Directory) -> None:
        self._config = config
        self._directory = directory

    def show(self, environ: Mapping[str, Any]) -> Any:
        """Answer `GET /v1/system`."""
        config = self._config
        is_behind = bool(config.proxies or config.hosts)
        require_admin(environ, config.admin_key, is_behind=is_behind)
        return reply(self._document(time.monotonic()))

    def _document(self, now: float) -> dict[str, Any]:
        minutes = {
            language: minute.seconds(now) for language, minute in LIVE.minutes.items()
        }
        return {
            "at": rfc3339(time.time()),
            "uptime_s": _age(now, LIVE.began_at),
            "broker": "up" if broker_is_up(self._directory) else "down",
            "actors": self._actors(),
            "languages": [
                _language(name, minutes.get(name, []), now)
                for name in sorted(LIVE.queues.keys() | LIVE.pools.keys())
            ],
            "down": [
                {"name": name, "reason": down.reason, "for_s": _age(now, down.since)}
                for name, down in LIVE.down.items()
            ],
            "happenings": [_happening(one) for one in reversed(LIVE.happenings)],
            "last_minute": {
                **_summary([one for each in minutes.values() for one in each]),
                **_by_second(together([LastMinute().seconds(now), *minutes.values()])),
            },
        }

    def _actors(self) -> list[dict[str, Any]]:
        found = mailboxes(self._directory.refs())
        names = (found.keys() | LIVE.down.keys()) - {BUCKET}
        return [
            {
                "name": name,
                "kind": found[name].kind if name in found else "",
                "state": _state(name),
                "mailbox": found[name].depth if name in found else 0,
                "restarts": LIVE.restarts[name],
            }
            for name in sorted(names, key=_place)
        ]


_PARTS = "broker consumer events fleet relay scheduler languages queue pool buckets"
_ORDER = {part: n for n, part in enumerate(f"{_PARTS} gateway".split(), start=1)}


def _place(name: str) -> tuple[tuple[int, int, str], ...]:
    """Return what sorts a tree as it is started, and numbers by their value."""
    return tuple(
        (_ORDER.get(part, 0), int(part) if part.isdecimal() else 0, part)
        for part in name.split("/")
    )


def _state(name: str) -> str:
    if name in LIVE.down:
        return "restarting"
    container = LIVE.containers.get(name)
    if container is not None:
        return container.state
    language = name.removeprefix("root/languages/").removesuffix("/pool")
    pool = LIVE.pools.get(language) if name.endswith("/pool") else None
    return "paused" if pool is not None and pool.paused else "up"


def _language(name: str, minute: list[Second], now: float) -> dict[str, Any]:
    queue, pool = LIVE.queues.get(name), LIVE.pools.get(name)
    waits_since = None if queue is None else queue.next_since
    return {
        "name": name,
        "waiting": 0 if queue is None else queue.waiting,
        "next_waits_s": None if waits_since is None else _age(now, waits_since),
        "pool": {
            "ready": 0 if pool is None else pool.ready,
            "starting": 0 if pool is None else pool.starting,
            "wanted": 0 if pool is None else pool.wanted,
            "max": 0 if pool is None else pool.size_max,
            "paused": "it is down" if pool is None else pool.paused,
            "resumes_in_s": _age(pool.resumes_at, now) if pool and pool.paused else 0,
        },
        "containers": _containers(name, now),
        "last_minute": _summary(minute),
    }


def _containers(language: str, now: float) -> list[dict[str, Any]]:
    named = [(n, one) for n, one in LIVE.containers.items() if one.language == language]
    return [
        {
            "name": name,
            "state": one.state,
            "for_s": _age(now, one.since),
            "jobs": one.jobs,
        }
        for name, one in sorted(named, key=lambda item: _place(item[0]))
    ]


def _summary(seconds: Iterable[Second]) -> dict[str, Any]:
    total = Second(0)
    for second in seconds:
        total.jobs += second.jobs
        total.ours += second.ours
        total.waits.update(second.waits)
    return {
        "jobs": total.jobs,
        "internal_errors": total.ours,
        "wait_p50_ms": percentile(total.waits, 0.5),
        "wait_p95_ms": percentile(total.waits, 0.95),
    }


def _by_second(seconds: list[Second]) -> dict[str, Any]:
    return {
        "jobs_by_second": [one.jobs for one in seconds],
        "wait_p95_ms_by_second": [percentile(one.waits, 0.95) for one in seconds],
    }


def _happening(one: Happening) -> dict[str, Any]:
    delay_s = round(one.delay_s, 3)
    return {**asdict(one), "at": rfc3339(one.at), "delay_s": delay_s}


def _age(now: float, since: float) -> float:
    return round(max(0.0, now - since), 2)
