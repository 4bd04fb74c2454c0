"""What holds in a service at every moment, read within the process between two turns.

No greenlet runs meanwhile, so a fact and its owner's own state can be compared. What
takes a message from one actor to another may lag: who asks does so more than once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from metrics.live import LIVE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from actors.directory import Directory

SCHEDULER = "root/scheduler"


def violations(directory: Directory) -> list[str]:
    """Return a sentence for each that does not hold."""
    refs = directory.refs().items()
    actors = {name: actor for name, ref in refs if (actor := actor_of(ref))}
    return [*_budget(actors), *_queues(actors), *_pools(actors)]


def actor_of(ref: Any) -> Any:
    """Return the actor itself, or None when it is gone: pykka gives no other way."""
    return ref._actor_weakref()  # noqa: SLF001


def _budget(actors: dict[str, Any]) -> Iterator[str]:
    scheduler = actors.get(SCHEDULER)
    if scheduler is None:
        return
    budget = scheduler._budget  # noqa: SLF001
    most = budget.running_max + budget.guests_max
    held = len(scheduler._slots)  # noqa: SLF001
    busy = sum(one.state == "busy" for one in LIVE.containers.values())
    if max(held, busy) > most:
        yield f"running: {held} slots held and {busy} busy, of {most}"


def _queues(actors: dict[str, Any]) -> Iterator[str]:
    for name, queue in actors.items():
        if not name.endswith("/queue"):
            continue
        language = name.split("/")[2]
        waiting = sum(
            one.state == "waiting"
            for one in queue._entries.values()  # noqa: SLF001
        )
        backlog = len(queue._backlog)  # noqa: SLF001
        fact = LIVE.queues.get(language)
        shown = waiting if fact is None else fact.waiting
        if not waiting == backlog == shown:
            yield f"queue of {language}: {waiting} wait, {backlog} queued, {shown} told"


def _pools(actors: dict[str, Any]) -> Iterator[str]:
    for name, pool in actors.items():
        if not name.endswith("/pool"):
            continue
        language = name.split("/")[2]
        children = set(pool._children)  # noqa: SLF001
        living = {one for one in actors if one.startswith(f"{name}/")}
        shown = {
            one for one, fact in LIVE.containers.items() if fact.language == language
        }
        if not children == living == shown:
            yield f"pool of {language}: {children} owned, {living} live, {shown} told"
        fact = LIVE.pools.get(language)
        if fact is not None and fact.ready + fact.starting != len(children):
            yield f"pool of {language}: {fact} with {len(children)} children"
