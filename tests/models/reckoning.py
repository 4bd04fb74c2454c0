"""What the scheduler reckons with, against what is, when nobody has anything to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from supervisors.tree import LANGUAGES, SCHEDULER

if TYPE_CHECKING:
    from collections.abc import Iterator

    from actors.directory import Directory

# ruff: noqa: SLF001 - each of these facts has one owner, who tells it to nobody else


def misreckoned(directory: Directory, language: str) -> Iterator[tuple[str, Any, Any]]:
    """Yield what differs: its name, as the scheduler has it, and as it is."""
    actors = {name: ref._actor_weakref() for name, ref in directory.refs().items()}
    scheduler = actors.get(SCHEDULER)
    queue = actors.get(f"{LANGUAGES}{language}/queue")
    if scheduler is None or queue is None or scheduler._unheard:
        return
    prefix = f"{LANGUAGES}{language}/pool/"
    boxes = [box for name, box in actors.items() if name.startswith(prefix)]
    for name, has, facts in (
        ("who waits", waiting(scheduler, language), dict(queue._backlog.counts())),
        ("who runs", running(scheduler, language), at_work(boxes)),
        ("who is idle", set(scheduler._idle[language]._tenants), idle(boxes)),
        ("lanes", lanes(scheduler, language), []),
    ):
        if has != facts:
            yield name, has, facts


def waiting(scheduler: Any, language: str) -> dict[str, int]:
    turns = scheduler._turns.get(language)
    return {} if turns is None else dict(turns._counts)


def running(scheduler: Any, language: str) -> dict[str, str]:
    slots = scheduler._slots._taken.items()
    return {name: slot.client for name, slot in slots if slot.language == language}


def at_work(boxes: list[Any]) -> dict[str, str]:
    at_work = [box for box in boxes if box._state == "busy"]
    return {box.name: box._run.lease.job.client for box in at_work}


def idle(boxes: list[Any]) -> set[str]:
    return {box.name for box in boxes if box._state == "idle"}


def lanes(scheduler: Any, language: str) -> list[str]:
    """Return who waits among those who run something, and does not, or the reverse."""
    turns = scheduler._turns.get(language)
    found = {} if turns is None else turns.clients
    return [
        client
        for client, lane in found.items()
        if (lane in {2, 3}) != (scheduler._slots.of(client) > 0)
    ]
