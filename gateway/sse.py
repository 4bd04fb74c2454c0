"""A job's events as Server-Sent Events, within bounds.

The relay calls `Sink.deliver` in its turn; the stream's greenlet takes what
has come and writes it. A client that reads too slowly is told so (`lagged`) and comes
back with the id of the last event that it got.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gevent.event import Event

from actors.deadlines import DEADLINES
from actors.messages import Finished, NumberedEvent, Output
from gateway.ledger import Hold
from gateway.pieces import LONG_BYTES, PIECE_BYTES_MIN
from gateway.replies import LastChunk
from metrics import instruments

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator

    from gateway.ledger import Ledger
    from gateway.turns import Turns

    Encode = Callable[[NumberedEvent], Iterable[bytes]]
    """Returns an event as it travels, in parts."""

OPENING = b"retry: 2000\n: open\n\n"
HEARTBEAT = b": alive\n\n"
LAGGED = b"event: lagged\ndata: {}\n\n"

EVENTS_IN_PIECE_MAX = 128
"""Short ones: to encode them takes longer than their size tells."""
EVENT_BYTES = 200
"""What an event keeps beside its data, roughly."""


class Place(Hold):
    """One stream among all others: what it keeps counts, and it has turns."""

    __slots__ = ("_turns",)

    def __init__(self, ledger: Ledger, client: str, turns: Turns) -> None:
        super().__init__(ledger, client)
        self._turns = turns

    def wake(self, wake: Callable[[], object]) -> None:
        """Call this when there is news and it is the client's turn."""
        self._turns.wake(self.client, wake)

    def wait_turn(self) -> None:
        """Wait for the client's turn."""
        self._turns.wait(self.client)


class Sink:
    """What the relay has delivered and the stream has not yet written.

    place: counts the bytes of it that are more than a few.
    after_id: of the newest event that the client has had: another gateway may have
    shown it what this one has yet to hear.
    """

    __slots__ = (
        "_after_id",
        "_arrived",
        "_bytes",
        "_events",
        "_events_max",
        "_is_due",
        "_live",
        "_taken_bytes",
        "is_over",
        "lagged",
        "last_id",
        "place",
    )

    def __init__(self, events_max: int, place: Place, after_id: int = 0) -> None:
        self._after_id = after_id
        self._events_max = events_max
        self.place = place
        self._events: list[NumberedEvent] = []
        self._bytes = 0
        self._taken_bytes = 0
        self._arrived = Event()
        self._is_due = False
        self._live = False
        self.lagged = False
        self.is_over = False
        """Whether the job's end was written."""
        self.last_id = 0
        """Of the newest event delivered."""

    def deliver(self, batch: tuple[NumberedEvent, ...]) -> bool:
        """Keep the batch; False when too much is kept already.

        An empty batch says that the relay is going: the client shall come again.
        """
        if batch and batch[0].id <= self._after_id:
            batch = tuple(filter(self._is_news, batch))
            if not batch:
                return not self.lagged
        # A replay comes in one go, before the watch is answered, and the relay
        # bounds it; it is only what piles up afterwards that shows a slow reader.
        kept = len(self._events)
        too_many = self._live and kept and kept + len(batch) > self._events_max
        self.lagged |= bool(too_many or not batch)
        if not self.lagged and self._has_room(batch):
            self._events += batch
            self.last_id = batch[-1].id
        if self._live and not self._is_due:
            self._is_due = True
            self.place.wake(self._arrived.set)
        return not self.lagged

    def _is_news(self, numbered: NumberedEvent) -> bool:
        """Tell whether the client has not had it; nobody comes back behind the end."""
        return numbered.id > self._after_id or isinstance(numbered.event.body, Finished)

    def _has_room(self, batch: tuple[NumberedEvent, ...]) -> bool:
        size = self._bytes
        for numbered in batch:
            size += size_of(numbered)
        if self._count(size + self._taken_bytes):
            self._bytes = size
        else:
            self.lagged = True
        return not self.lagged

    def _count(self, size: int) -> bool:
        return self.place.resize(size if size > LONG_BYTES else 0)

    @property
    def is_refused(self) -> bool:
        """Tell whether not even the replay had room."""
        return self.lagged and not self._events

    def go_live(self) -> None:
        """Begin to hold the reader to its bound: the replay is complete.

        Until then nobody is to be woken, as whoever opens a stream takes first what has
        come meanwhile.
        """
        self._live = True

    def take(self) -> list[NumberedEvent]:
        """Return what is kept; it counts until it is written."""
        self._arrived.clear()
        self._is_due = False
        events, self._events = self._events, []
        self._taken_bytes, self._bytes = self._bytes, 0
        return events

    def note_written(self) -> None:
        """Have what was taken count no longer."""
        had, self._taken_bytes = self._bytes + self._taken_bytes, 0
        if had > LONG_BYTES:  # else none of it has counted
            self._count(self._bytes)

    def wait(self, timeout_s: float) -> bool:
        """Return whether something has arrived before the time is over."""
        return DEADLINES.within(self._arrived, timeout_s)


def size_of(numbered: NumberedEvent) -> int:
    """Return what an event keeps in memory, roughly, in bytes."""
    body = numbered.event.body
    return EVENT_BYTES + (len(body.data) if isinstance(body, Output) else 0)


def stream(
    sink: Sink,
    heartbeat_s: float,
    is_lost: Callable[[], bool],
    leave: Callable[[], None],
    encode: Encode,
) -> Iterator[bytes]:
    """Yield the event stream in pieces, up to the terminal event.

    `is_lost` is asked when nothing has come for a while: whether the relay has
    events that it no longer delivers to this sink. `leave` is called at the end.
    """
    instruments.watchers.inc()
    try:
        sink.is_over = yield from _all_pieces(sink, heartbeat_s, is_lost, encode)
    finally:
        instruments.watchers.dec()
        sink.place.release()
        leave()


def _all_pieces(
    sink: Sink, heartbeat_s: float, is_lost: Callable[[], bool], encode: Encode
) -> Generator[bytes, None, bool]:
    """Yield the pieces; return whether the job's end is among them."""
    # The first one brings the headers on their way, so it goes out at once.
    first = OPENING
    while True:
        # Found out before what is kept is taken, so that it still goes out.
        lagged = sink.lagged or (first is HEARTBEAT and is_lost())
        has_ended = yield from _pieces(first, sink, encode)
        if has_ended:
            return True
        if lagged:
            yield LAGGED
            return False
        first = b"" if sink.wait(heartbeat_s) else HEARTBEAT


def _pieces(before: bytes, sink: Sink, encode: Encode) -> Generator[bytes, None, bool]:
    """Yield what the sink has behind the bytes that come first.

    The pieces are of a size that others can wait for, and leave others their turn.
    """
    parts, size, count = [before], len(before), 0
    for numbered in sink.take():
        for part in encode(numbered):
            if size >= PIECE_BYTES_MIN or count >= EVENTS_IN_PIECE_MAX:
                yield b"".join(parts)
                sink.place.wait_turn()
                parts, size, count = [], 0, 0
            parts.append(part)
            size += len(part)
        count += 1
        if isinstance(numbered.event.body, Finished):
            yield LastChunk(b"".join(parts))
            return True
    if size:
        yield b"".join(parts)
    sink.note_written()
    return False
