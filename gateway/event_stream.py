"""A reader of Server-Sent Events without any I/O: bytes in, events out."""

from __future__ import annotations

import re
from dataclasses import dataclass

_LINE_END = re.compile(rb"\r\n|\n|\r")


@dataclass(frozen=True, slots=True)
class ServerEvent:
    """One event of a stream, as its server wrote it."""

    name: str
    data: str
    id: str


class EventParser:
    """Takes a stream in pieces of any size."""

    def __init__(self) -> None:
        self._rest = b""
        self._name = ""
        self._data: list[str] = []
        self._id = ""

    def feed(self, piece: bytes) -> list[ServerEvent]:
        """Return the events that this piece has completed."""
        text = self._rest + piece
        events = []
        begin = 0
        for end in _LINE_END.finditer(text):
            if end[0] == b"\r" and end.end() == len(text):
                break  # a line feed that belongs to it may follow in the next piece
            event = self._take(text[begin : end.start()].decode(errors="replace"))
            begin = end.end()
            if event:
                events.append(event)
        self._rest = text[begin:]
        return events

    def _take(self, line: str) -> ServerEvent | None:
        if not line:
            return self._complete()
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        match field:
            case "event":
                self._name = value
            case "data":
                self._data.append(value)
            case "id":
                self._id = value
            case _:
                pass  # a comment begins with a colon; other fields are not for us
        return None

    def _complete(self) -> ServerEvent | None:
        name, data = self._name or "message", self._data
        self._name, self._data = "", []
        if not data:
            return None
        return ServerEvent(name, "\n".join(data), self._id)
