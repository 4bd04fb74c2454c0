"""Events as they travel, each encoded once for all who follow its job."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from actors.messages import (
    Finished,
    NumberedEvent,
    Output,
    Queued,
    Restarted,
    Started,
)
from gateway.pieces import (
    ASCII_STEP_BYTES,
    LONG_BYTES,
    PART_BYTES_MAX,
    STEP_BYTES,
    character_cut,
    encode,
)
from gateway.views import as_utf8, result

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from gateway.streams import Audience

KEPT_BYTES_MAX = 1 << 20
KEPT_MAX = 1024

Key = tuple[int, int]
"""An event's identity, and where in its data the part begins."""


class Encodings:
    """Owns the last parts that were encoded, within bounds of bytes and number.

    They are found by the event's identity, which it keeps while its part is kept.
    """

    def __init__(self) -> None:
        self._kept: OrderedDict[Key, tuple[NumberedEvent, bytes]] = OrderedDict()
        self._bytes = 0

    def of(self, audience: Audience, numbered: NumberedEvent) -> Iterable[bytes]:
        """Return the event in parts; a short one is the only part.

        audience: who follows the job. For one alone nothing short is kept.
        """
        body = numbered.event.body
        if isinstance(body, Output) and len(body.data) > LONG_BYTES:
            return self._long(numbered, body.data, is_shared=audience.count > 1)
        key = (id(numbered), 0)
        found = self._kept.get(key)
        if found is not None:
            return (found[1],)
        part = encode_event(numbered)
        return (part if audience.count == 1 else self._keep(key, numbered, part),)

    def _long(
        self, numbered: NumberedEvent, data: bytes, *, is_shared: bool
    ) -> Iterator[bytes]:
        head, tail = _around(numbered)
        yield head
        for begin, text in _steps(data):
            key = (id(numbered), begin)
            found = self._kept.get(key)
            part = found[1] if found else encode(as_utf8(text))[1:-1]
            if is_shared and not found:
                self._keep(key, numbered, part)
            for at in range(0, len(part), PART_BYTES_MAX):
                yield part[at : at + PART_BYTES_MAX]
        yield tail

    def _keep(self, key: Key, numbered: NumberedEvent, part: bytes) -> bytes:
        self._kept[key] = numbered, part
        self._bytes += len(part)
        while self._bytes > KEPT_BYTES_MAX or len(self._kept) > KEPT_MAX:
            _, (_, oldest) = self._kept.popitem(last=False)
            self._bytes -= len(oldest)
        return part


def _steps(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the parts of a long text with where they begin: the same for all."""
    begin = 0
    while begin < len(data):
        step = data[begin : begin + ASCII_STEP_BYTES]
        if not step.isascii():
            step = data[begin : character_cut(data, begin + STEP_BYTES)]
        yield begin, step
        begin += len(step)


def _around(numbered: NumberedEvent) -> tuple[bytes, bytes]:
    """Return what stands before and behind an output's text."""
    event = numbered.event
    body = event.body
    assert isinstance(body, Output)  # noqa: S101 - only these are long
    empty = NumberedEvent(
        numbered.id,
        type(event)(event.job_id, event.attempt, Output(body.phase, body.stream, b"")),
    )
    head, quotes, tail = encode_event(empty).rpartition(b'""')
    return head + quotes[:1], quotes[1:] + tail


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
