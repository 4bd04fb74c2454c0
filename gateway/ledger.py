"""What unfinished answers keep in memory, per client and in all.

An answer that is not yet written keeps the output that it is about, even when the relay
has let go of it. A client that reads nothing, on many connections, would have us keep
as much as there are connections.
"""

from __future__ import annotations

from gateway.problems import Problem
from metrics import instruments

PIECE_BYTES = 131_072
"""What is encoded of an answer and not yet sent, beside what it is made from."""


class Ledger:
    """Owns how many bytes are kept, in all and for each client that has some.

    Who has none may have one answer of any size, unless others' fill the whole.
    """

    def __init__(self, bytes_max: int, bytes_per_client_max: int) -> None:
        self._bytes_max = bytes_max
        self._bytes_per_client_max = bytes_per_client_max
        self._bytes = 0
        self._by_client: dict[str, int] = {}
        instruments.answer_bytes_max.set(bytes_max)
        instruments.answer_bytes.set(0)

    def hold(self, client: str, size: int = 0) -> Hold:
        """Return the client's hold of so many bytes, or raise the Problem."""
        hold = Hold(self, client)
        if not hold.resize(size):
            raise AnswersFullError
        return hold

    def held(self, client: str) -> int:
        """Return what is kept for this client, in bytes."""
        return self._by_client.get(client, 0)

    def change(self, client: str, more: int) -> bool:
        """Count so many bytes more, or fewer; False when there is no room for them."""
        own = self._by_client.get(client, 0)
        if more > 0 and not self._has_room(own, more):
            return False
        self._bytes += more
        if own + more:
            self._by_client[client] = own + more
        else:
            self._by_client.pop(client, None)
        instruments.answer_bytes.set(self._bytes)
        return True

    def _has_room(self, own: int, more: int) -> bool:
        fits = not self._bytes or self._bytes + more <= self._bytes_max
        return fits and (not own or own + more <= self._bytes_per_client_max)


class Hold:
    """The bytes that one answer keeps."""

    __slots__ = ("_is_released", "_ledger", "_size", "client")

    def __init__(self, ledger: Ledger, client: str) -> None:
        self._ledger = ledger
        self.client = client
        self._size = 0
        self._is_released = False

    def resize(self, size: int) -> bool:
        """Keep so many bytes from now on; False, and no change, if that is too many.

        So it is once this was released: nobody would release it a second time.
        """
        if self._is_released:
            return False
        more = size - self._size
        if more and not self._ledger.change(self.client, more):
            return False
        self._size = size
        return True

    def release(self) -> None:
        """Keep nothing any more, whatever still comes."""
        self.resize(0)
        self._is_released = True


class AnswersFullError(Problem):
    """What is said while too much is unread."""

    def __init__(self) -> None:
        super().__init__(
            "answers_full",
            "Too many long answers are being read. Try again soon.",
            headers={"Retry-After": "2"},
        )
