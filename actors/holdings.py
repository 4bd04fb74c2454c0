"""Who holds how much of what has a bound, and whose is let go first.

Where there is too much, whoever holds most gives way: so nobody can push out what
others have, but only his own. Among one client's, the oldest goes first.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field

AT_ONCE_MAX = 500
"""Of what is too old or too much, so many go in one step, the others in the next: each
takes some microseconds of the only thread, and after a lull 100,000 may be due."""
STEPS = 16
"""Of a doubling: clients whose shares differ by less than a sixteenth are alike."""


@dataclass(slots=True)
class _Holder:
    size: int = 0
    level: int | None = None
    """None as long as it has nothing that could go."""
    least: int = 0
    below: int = 0
    """The sizes that are of this level, while it has one."""
    loose: OrderedDict[str, None] = field(default_factory=OrderedDict)
    """Ordered, as whoever stands in line here: of a plain dict the first is looked for
    behind all gaps, and ten thousand that go one by one take 50 ms."""


class Holdings:
    """Shares by client, in whatever unit. Each call takes the same time, however many.

    What is still in use counts for its client, but can't go: it has no key yet.
    """

    def __init__(self) -> None:
        self.total = 0
        self._holders: dict[str, _Holder] = {}
        self._levels: dict[int, OrderedDict[str, _Holder]] = {}

    def grow(self, client: str, size: int) -> None:
        """Count so much more of this client, or less."""
        holder = self._holders.get(client)
        if holder is None:
            holder = self._holders[client] = _Holder()
        holder.size += size
        self.total += size
        is_settled = holder.least <= holder.size < holder.below
        if not (is_settled or (holder.level is None and holder.size)):
            self._settle(client, holder)

    def loosen(self, client: str, key: str) -> None:
        """From now on, this one may go; it is the client's newest."""
        holder = self._holders[client]
        holder.loose[key] = None
        self._settle(client, holder)

    def drop(self, client: str, key: str, size: int) -> None:
        """This one, which might go, has gone."""
        holder = self._holders[client]
        del holder.loose[key]
        holder.size -= size
        self.total -= size
        self._settle(client, holder)

    def first_to_go(self) -> str | None:
        """Return the oldest of whoever holds most; None when nothing can go."""
        if not self._levels:
            return None
        holders = self._levels[max(self._levels)]
        return next(iter(next(iter(holders.values())).loose))

    def _settle(self, client: str, holder: _Holder) -> None:
        """Have the client stand where its share belongs."""
        if holder.loose:
            if not holder.least <= holder.size < holder.below:
                self._leave(client, holder)
                self._enter(client, holder)
            return
        self._leave(client, holder)
        if not holder.size:
            del self._holders[client]

    def _enter(self, client: str, holder: _Holder) -> None:
        level = holder.level = level_of(holder.size)
        holder.least, holder.below = sizes_of(level)
        self._levels.setdefault(level, OrderedDict())[client] = holder

    def _leave(self, client: str, holder: _Holder) -> None:
        if holder.level is not None:
            holders = self._levels[holder.level]
            del holders[client]
            if not holders:
                del self._levels[holder.level]
            holder.level, holder.least, holder.below = None, 0, 0


def level_of(size: int) -> int:
    """Return a number that grows with the size, by `STEPS` with each doubling."""
    shift = max(size.bit_length() - STEPS.bit_length(), 0)
    return shift * STEPS + (size >> shift)


def sizes_of(level: int) -> tuple[int, int]:
    """Return the least size of a level, and the next one's."""
    shift = max(level // STEPS - 1, 0)
    least = level - shift * STEPS << shift
    return least, least + (1 << shift)
