"""A job's events as Server-Sent Events, within bounds.

The relay calls `Sink.deliver` in its turn; the stream's greenlet takes what
has come and writes it. A client that reads too slowly is told so (`lagged`) and comes
back with the id of the last event that it got.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gevent.event import Event

from actors.messages import (
    Finished,
    NumberedEvent,
    Output,
    Queued,
    Restarted,
    Started,
)
from gateway.replies import LastChunk
from gateway.views import as_utf8, encode, result
from metrics import instruments

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator

OPENING = b"retry: 2000\n: open\n\n"
HEARTBEAT = b": alive\n\n"
LAGGED = b"event: lagged\ndata: {}\n\n"

_CHUNK_BYTES = 65536


class Sink:
    """What the relay has delivered and the stream has not yet written."""

    def __init__(self, events_max: int) -> None:
        self._events_max = events_max
        self._events: list[NumberedEvent] = []
        self._arrived = Event()
        self._live = False
        self.lagged = False
        self.last_id = 0
        """Of the newest event delivered."""

    def deliver(self, batch: tuple[NumberedEvent, ...]) -> bool:
        """Keep the batch; False when too much is kept already.

        An empty batch says that the relay is going: the client shall come again.
        """
        # A replay comes in one go, before the watch is answered, and the relay
        # bounds it; it is only what piles up afterwards that shows a slow reader.
        kept = len(self._events)
        too_many = self._live and kept and kept + len(batch) > self._events_max
        if too_many or not batch:
            self.lagged = True
        if not self.lagged:
            self._events.extend(batch)
            self.last_id = batch[-1].id
        self._arrived.set()
        return not self.lagged

    def go_live(self) -> None:
        """Begin to hold the reader to its bound: the replay is complete."""
        self._live = True

    def take(self) -> list[NumberedEvent]:
        """Return what is kept, and keep it no longer."""
        self._arrived.clear()
        events, self._events = self._events, []
        return events

    def wait(self, timeout_s: float) -> bool:
        """Return whether something has arrived before the time is over."""
        return bool(self._arrived.wait(timeout_s))


def stream(
    sink: Sink,
    heartbeat_s: float,
    is_lost: Callable[[], bool],
    leave: Callable[[], None],
) -> Iterator[bytes]:
    """Yield the event stream in chunks, up to the terminal event.

    `is_lost` is asked when nothing has come for a while: whether the relay has
    events that it no longer delivers to this sink. `leave` is called when the stream
    ends before the job does: after that the relay keeps no watcher.
    """
    instruments.watchers.inc()
    has_ended = False
    try:
        has_ended = yield from _chunks(sink, heartbeat_s, is_lost)
    finally:
        instruments.watchers.dec()
        if not has_ended:
            leave()


def _chunks(
    sink: Sink, heartbeat_s: float, is_lost: Callable[[], bool]
) -> Generator[bytes, None, bool]:
    """Yield the chunks; return whether the job's end is among them."""
    # The first chunk brings the headers on their way, so it goes out at once.
    first = OPENING
    while True:
        # Found out before what is kept is taken, so that it still goes out.
        lagged = sink.lagged or (first is HEARTBEAT and is_lost())
        events = sink.take()
        yield from _encoded(first, events)
        if events and isinstance(events[-1].event.body, Finished):
            return True
        if lagged:
            yield LAGGED
            return False
        first = b"" if sink.wait(heartbeat_s) else HEARTBEAT


def _encoded(before: bytes, events: Iterable[NumberedEvent]) -> Iterator[bytes]:
    chunk = bytearray(before)
    for numbered in events:
        chunk += encode_event(numbered)
        if isinstance(numbered.event.body, Finished):
            yield LastChunk(chunk)
            return
        if len(chunk) >= _CHUNK_BYTES:
            yield bytes(chunk)
            chunk.clear()
    if chunk:
        yield bytes(chunk)


def encode_event(numbered: NumberedEvent) -> bytes:
    """Return one event as it travels. JSON keeps its data on one line."""
    name, data = _describe(numbered.event.attempt, numbered.event.body)
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (numbered.id, name, encode(data))


def _describe(attempt: int, body: object) -> tuple[bytes, dict[str, Any]]:
    match body:
        case Output("run", stream_name, data):
            return stream_name.encode(), {"text": as_utf8(data)}
        case Output("compile", stream_name, data):
            return b"compile", {"stream": stream_name, "text": as_utf8(data)}
        case Queued(position):
            return b"queued", {"position": position}
        case Started():
            return b"started", {"attempt": attempt}
        case Restarted():
            return b"restarted", {"attempt": attempt}
        case Finished(end):
            return b"finished", {**result(end), "attempt": attempt}
        case _:
            raise TypeError(f"watchers are not shown {body!r}")
