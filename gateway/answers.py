"""Answers about jobs: the usual at once, long ones in pieces, with turns for others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gateway import views
from gateway.ledger import PIECE_BYTES
from gateway.pieces import LONG_BYTES, in_pieces
from gateway.replies import reply, reply_encoded

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Self

    from actors.messages import JobView
    from gateway.ledger import Hold, Ledger
    from gateway.turns import Turns


class Answers:
    """Makes the documents of jobs; who asks for long ones takes turns with others."""

    def __init__(self, ledger: Ledger, turns: Turns) -> None:
        self._ledger = ledger
        self._turns = turns

    def about(
        self,
        view: JobView,
        client: str,
        *,
        encoding: views.Encoding = "utf-8",
        more: Mapping[str, Any] | None = None,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        """Return the whole job as a response, with `more` in its document.

        Raises the Problem when the client, or all, are being sent too much already.
        """
        document, size = views.whole(view, encoding)
        document |= more or {}
        if size <= LONG_BYTES:
            return reply(document, status, headers)
        hold = self._ledger.hold(client, size + PIECE_BYTES)
        pieces = _LongAnswer(in_pieces(document), hold, self._turns, client)
        return reply_encoded(pieces, status, headers)


class _LongAnswer:
    """The pieces, each in its turn; what they are made from is held until `close`.

    The WSGI server closes it however it ends. It is no generator: one that was never
    begun would not come to its end.
    """

    def __init__(
        self, pieces: Iterator[bytes], hold: Hold, turns: Turns, client: str
    ) -> None:
        self._pieces = pieces
        self._hold = hold
        self._turns = turns
        self._client = client
        self._is_begun = False

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> bytes:
        if self._is_begun:
            self._turns.wait(self._client)
        self._is_begun = True
        return next(self._pieces)

    def close(self) -> None:
        """Let go of what was held."""
        self._pieces = iter(())
        self._hold.release()
