"""What bodies cost while they are read and made into jobs: tokens and memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.shares import Shares
from gateway.problems import Problem
from metrics.fill import Fill

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

TOKEN_BYTES = 262_144
"""For so much of a body there is one token to pay, and for what is begun of it."""
_RETRY_S = 2


def tokens_of(size: int) -> int:
    """Return what a body of so many bytes costs: at least one token."""
    return max(1, -(-size // TOKEN_BYTES))


class Bodies:
    """Bytes of all bodies that are held, by client."""

    def __init__(self, bytes_max: int, share: float) -> None:
        self._shares = Shares(bytes_max, share)
        self._fill = Fill("http.bodies_mb_max")

    def take(self, client: str, size: int) -> None:
        """Count bytes, before there are any; a Problem when they are too many."""
        match self._shares.refusal(client, size):
            case "full":
                raise _full("Too much is being sent to the service just now.")
            case "client_full":
                raise _client_full("You are sending too much at once.")
        self._shares.take(client, size)
        self._fill.show(self._shares.fill)

    def give_back(self, client: str, size: int) -> None:
        """Count them no longer."""
        self._shares.give_back(client, size)
        self._fill.show(self._shares.fill)

    def intake(self, client: str, pay: Callable[[], object]) -> Intake:
        """Hold a body of the client's, as long as the `with` of this goes on.

        pay: takes one more token, or raises the Problem that there is none.
        """
        return Intake(self, client, pay)


class Intake:
    """One body. size: how many bytes of it are counted."""

    __slots__ = ("_bodies", "_client", "_pay", "size")

    def __init__(self, bodies: Bodies, client: str, pay: Callable[[], object]) -> None:
        self._bodies = bodies
        self._client = client
        self._pay = pay
        self.size = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._bodies.give_back(self._client, self.size)

    def announce(self, size: int) -> None:
        """Make room for all of it; it has been paid for."""
        self._bodies.take(self._client, size)
        self.size = size

    def grow(self, size: int) -> None:
        """Make room for so much more, and pay for it: nobody has announced it."""
        for _ in range(tokens_of(self.size), tokens_of(self.size + size)):
            self._pay()
        self._bodies.take(self._client, size)
        self.size += size


def _full(detail: str) -> Problem:
    return Problem.closing("too_busy", detail, _RETRY_S)


def _client_full(detail: str) -> Problem:
    return Problem.closing("too_much_at_once", detail, _RETRY_S)
