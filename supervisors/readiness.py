"""When the service is ready, and the one line that says so."""

from __future__ import annotations

from typing import TYPE_CHECKING

import gevent

from actors.messages import (
    BrokerStatus,
    DescribeBroker,
    DescribeFleet,
    FleetStatus,
)
from supervisors.tree import BROKER, CONSUMER, EVENTS, FLEET, GATEWAY

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from typing import Any

    from actors.directory import Directory
    from supervisors.settings_model import Settings

POLL_S = 0.1
_ASK_S = 5.0
_CONNECTIONS = (BROKER, CONSUMER, EVENTS)


def wait_until_ready(
    directory: Directory,
    languages: Collection[str],
    pause: Callable[[float], object] = gevent.sleep,
) -> dict[str, str]:
    """Wait until jobs can be taken; return the languages that can't run, and why.

    languages: those with a pool here; each has a container that is ready, or says what
    it waits for.
    """
    while True:
        paused = _paused(directory, languages)
        if paused is not None and _is_open(directory):
            return paused
        pause(POLL_S)


def ready_line(settings: Settings, url: str, paused: Mapping[str, str | None]) -> str:
    """Return what a person who has started the service wants to know.

    paused: all languages, each with what keeps it from running, if anything does.
    """
    names = [f"{name} (paused: {why})" if why else name for name, why in paused.items()]
    nodes = ", ".join(part.rpartition("@")[2] for part in settings.broker_urls)
    own = [f"{name}: {runtime}" for name, runtime in settings.runtime_of.items()]
    parts = [
        f"ready at {url}",
        f"languages {', '.join(names)}",
        f"broker {nodes or settings.broker}",
    ]
    if settings.role != "gateway":
        parts.append(f"runtime {', '.join([settings.runtime, *own])}")
    return "; ".join(parts)


def _is_open(directory: Directory) -> bool:
    """Tell whether somebody listens, and each connection of this process is open."""
    names = directory.names()
    connections = [name for name in _CONNECTIONS if name in names]
    statuses = [_ask(directory, name, DescribeBroker()) for name in connections]
    is_open = all(isinstance(s, BrokerStatus) and s.state == "open" for s in statuses)
    return GATEWAY in names and bool(connections) and is_open


def _paused(directory: Directory, languages: Collection[str]) -> dict[str, str] | None:
    """Return why languages can't run; None while one may still become ready."""
    if not languages:
        return {}
    fleet = _ask(directory, FLEET, DescribeFleet())
    if not isinstance(fleet, FleetStatus):
        return None
    known = {one.name: one for one in fleet.languages}
    settled = {name for name, one in known.items() if one.ready or one.paused}
    if not settled.issuperset(languages):
        return None
    reasons = {name: known[name].paused for name in languages if not known[name].ready}
    return {name: why for name, why in reasons.items() if why}


def _ask(directory: Directory, name: str, message: object) -> Any:
    try:
        return directory.ask(name, message, _ASK_S)
    except (LookupError, TimeoutError):
        return None
