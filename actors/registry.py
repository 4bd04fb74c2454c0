"""pykka's registry of all actors, as a set: its own is a list.

Out of a list of ten thousand clients' buckets, to take one that has ended costs as much
as all else that its end needs, thirty times over.
"""

from __future__ import annotations

from typing import Any, SupportsIndex

import pykka

AnyRef = pykka.ActorRef[Any]


class Refs(list[AnyRef]):
    """Actors in the order of their starts; as much of a list as pykka uses."""

    def __init__(self) -> None:
        super().__init__()
        self._refs: dict[AnyRef, None] = {}

    def __len__(self) -> int:
        return len(self._refs)

    def __iter__(self) -> Any:
        return iter(self._refs)

    def __contains__(self, ref: object) -> bool:
        return ref in self._refs

    def __getitem__(self, index: SupportsIndex | slice) -> Any:
        return list(self._refs)[index]

    def append(self, ref: AnyRef) -> None:
        """Add one."""
        self._refs[ref] = None

    def remove(self, ref: AnyRef) -> None:
        """Take one out."""
        del self._refs[ref]


def use_quick_registry() -> None:
    """Have pykka keep actors so; those that there are already stay registered."""
    registry = pykka.ActorRegistry
    refs = Refs()
    with registry._actor_refs_lock:  # noqa: SLF001 - pykka leaves no other way
        for ref in registry._actor_refs:  # noqa: SLF001
            refs.append(ref)
        registry._actor_refs = refs  # noqa: SLF001
