"""Whose jobs wait for one language, and whose turn it is.

Clients wait in lanes, by what they may have (`Lane`); within a lane they take turns.
The queue has the jobs, this only their number by client, and every step is O(1): ten
thousand clients may wait.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable


class Lane:
    """What a client that waits may have; the earlier lane goes first.

    Plain numbers: they are looked at several times a job.
    """

    NEWCOMER: Final = 0
    """It has nothing running, and so may have a slot beyond the usual ones."""
    SPOILING_NEWCOMER: Final = 1
    """So has this one, but its jobs leave containers that can't be used again."""
    REGULAR: Final = 2
    """It has something running."""
    SPOILING_REGULAR: Final = 3


LANES = (0, 1, 2, 3)
NEW_LANES = (0, 1)
"""Of those who have nothing running."""


class Turns:
    """One language's waiting clients.

    lane_of: tells the lane of a client; whenever that changes, `sort` is to be called.
    """

    def __init__(self, lane_of: Callable[[str], int]) -> None:
        self._lane_of = lane_of
        self._counts: dict[str, int] = {}
        """Below 0 where a job was cancelled while it was being dispatched."""
        self.clients: dict[str, int] = {}
        """Who waits, and in which lane; only to look at."""
        self._lanes: tuple[OrderedDict[str, None], ...] = tuple(
            OrderedDict() for _ in LANES
        )
        self.count = 0
        """How many jobs wait."""

    def __contains__(self, client: object) -> bool:
        return client in self.clients

    def __len__(self) -> int:
        return len(self.clients)

    def __bool__(self) -> bool:
        return bool(self.clients)

    def add(self, client: str, jobs: int, *, first: bool = False) -> None:
        """Note that so many more of the client's jobs wait, or fewer.

        first: the client's turn is the next one.
        """
        self.count += jobs
        count = self._counts.get(client, 0) + jobs
        if count:
            self._counts[client] = count
        else:
            self._counts.pop(client, None)
        if count <= 0:
            self._leave(client)
        elif client not in self.clients:
            self._enter(client)
        if first and count > 0:
            self._lanes[self.clients[client]].move_to_end(client, last=False)

    def take(self, client: str) -> None:
        """One of the client's jobs is dispatched; others have their turn first."""
        self.add(client, -1)
        if client in self.clients:
            self._lanes[self.clients[client]].move_to_end(client)

    def clear(self, client: str) -> None:
        """None of the client's jobs waits."""
        self.count -= self._counts.pop(client, 0)
        self._leave(client)

    def sort(self, client: str) -> None:
        """Let the client wait in the lane where it belongs now."""
        lane = self.clients.get(client)
        if lane is not None and lane != self._lane_of(client):
            self._leave(client)
            self._enter(client)

    def _enter(self, client: str) -> None:
        lane = self.clients[client] = self._lane_of(client)
        self._lanes[lane][client] = None

    def _leave(self, client: str) -> None:
        lane = self.clients.pop(client, None)
        if lane is not None:
            del self._lanes[lane][client]

    def lane(self, lane: int) -> OrderedDict[str, None]:
        """Return who waits in a lane, in the order of their turns; only to look at."""
        return self._lanes[lane]


class LastServed:
    """The last two clients whose jobs began, and when the last of each did."""

    def __init__(self) -> None:
        self._last = self._before = ("", float("-inf"))

    def note(self, client: str, now: float) -> None:
        """A job of this client begins."""
        if client != self._last[0]:
            self._before = self._last
        self._last = client, now

    def others(self, client: str, since: float) -> bool:
        """Tell whether a job of another client has begun since then."""
        return any(
            name != client and at > since for name, at in (self._last, self._before)
        )
