"""What has been seen of each publisher, so that nothing counts twice.

A publisher numbers what it publishes, and after a lost connection publishes again,
under the old numbers, whatever was not confirmed.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

SPREAD_MAX = 2048
"""A publisher has nothing unconfirmed that is so much older than its newest."""
WINDOW = 2 * SPREAD_MAX
"""What is older than the newest by more is a repetition for certain."""
PUBLISHERS_MAX = 256
"""A process that publishes is forgotten after so many others."""


class Seen:
    """A bounded memory of numbers, for each publisher."""

    def __init__(self) -> None:
        self._publishers: OrderedDict[str, _Window] = OrderedDict()

    def knows(self, publisher: str, seq: int) -> bool:
        """Tell whether this has been seen, and remember nothing."""
        window = self._publishers.get(publisher)
        return window is not None and window.knows(seq)

    def is_new(self, publisher: str, seq: int) -> bool:
        """Tell whether this is the first time, and remember it."""
        window = self._publishers.setdefault(publisher, _Window())
        self._publishers.move_to_end(publisher)
        if len(self._publishers) > PUBLISHERS_MAX:
            self._publishers.popitem(last=False)
        return window.is_new(seq)


class _Window:
    def __init__(self) -> None:
        self._newest = 0
        self._seqs: set[int] = set()

    def knows(self, seq: int) -> bool:
        return seq in self._seqs or seq <= self._newest - WINDOW

    def is_new(self, seq: int) -> bool:
        if self.knows(seq):
            return False
        self._seqs.add(seq)
        self._newest = max(self._newest, seq)
        if len(self._seqs) > 2 * WINDOW:
            floor = self._newest - WINDOW
            self._seqs = {one for one in self._seqs if one > floor}
        return True


def is_new(seen: Seen, headers: Mapping[str, Any]) -> bool:
    """Tell whether a message is new, and remember it; if not numbered, it always is."""
    number = number_of(headers)
    return number is None or seen.is_new(*number)


def number_of(headers: Mapping[str, Any]) -> tuple[str, int] | None:
    """Return a message's publisher and number, if it has them."""
    publisher, seq = headers.get("publisher"), headers.get("seq")
    if isinstance(publisher, str) and isinstance(seq, int):
        return publisher, seq
    return None
