"""A bound that clients share: none of them may have so much that others get nothing.

A plain object, for whoever owns what is bounded.
"""

from __future__ import annotations

from typing import Literal

Refusal = Literal["full", "client_full"]
"""All together have too much, or this client has."""


class Shares:
    """most: of all clients together, in whatever unit the owner counts.

    share: of what the others leave, the part that one client may have. Half of it
    (0.5) is half of all for one who is alone, and there is always room for one more.
    A client that has nothing may have its first, whatever the share.
    """

    def __init__(self, most: int, share: float) -> None:
        self._most = most
        self._share = share
        self._taken: dict[str, int] = {}
        self.used = 0

    def refusal(self, client: str, amount: int) -> Refusal | None:
        """Tell why this client can't have so much more; None when it can."""
        if self.used + amount > self._most:
            return "full"
        has = self._taken.get(client, 0)
        left = self._most - (self.used - has)
        return "client_full" if has and has + amount > self._share * left else None

    def take(self, client: str, amount: int) -> None:
        """Count it as the client's, whether or not it could be refused."""
        self.used += amount
        self._taken[client] = self._taken.get(client, 0) + amount

    def give_back(self, client: str, amount: int) -> None:
        """Count it as nobody's again."""
        self.used -= amount
        left = self._taken.get(client, 0) - amount
        if left:
            self._taken[client] = left
        else:
            self._taken.pop(client, None)

    @property
    def fill(self) -> float:
        """How full it is, from 0 to 1."""
        return self.used / self._most
