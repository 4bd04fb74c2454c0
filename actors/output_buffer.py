"""Collects a program's output into events of a sensible size and cut."""

from __future__ import annotations

from typing import Literal

from actors.messages import Output

Phase = Literal["compile", "run"]
Stream = Literal["stdout", "stderr"]


class OutputBuffer:
    """Merges neighbouring chunks of a stream; never cuts a UTF-8 sequence in two."""

    def __init__(self) -> None:
        self._chunks: list[tuple[Phase, Stream, bytes]] = []
        self._tails: dict[Stream, bytes] = {}
        self.size = 0

    def add(self, phase: Phase, stream: Stream, data: bytes) -> None:
        """Take bytes in, holding back the start of an unfinished character."""
        data = self._tails.pop(stream, b"") + data
        cut = character_border(data)
        if cut < len(data):
            self._tails[stream] = data[cut:]
        self._append(phase, stream, data[:cut])

    def _append(self, phase: Phase, stream: Stream, data: bytes) -> None:
        if not data:
            return
        self.size += len(data)
        if self._chunks and self._chunks[-1][:2] == (phase, stream):
            data = self._chunks.pop()[2] + data
        self._chunks.append((phase, stream, data))

    def take(self) -> list[Output]:
        """Return what can be shown now."""
        chunks, self._chunks = self._chunks, []
        self.size = 0
        return [Output(*chunk) for chunk in chunks]

    def take_all(self, phase: Phase) -> list[Output]:
        """Return all, at the end of a phase: what is unfinished stays so."""
        tails, self._tails = self._tails, {}
        for stream, data in tails.items():
            self._append(phase, stream, data)
        return self.take()


def character_border(data: bytes) -> int:
    """Return where `data` ends if an unfinished last UTF-8 sequence is left out.

    Only a tail that could still become a valid character is held back (RFC 3629).
    """
    for back in range(1, min(3, len(data)) + 1):
        byte = data[-back]
        if byte & 0xC0 != 0x80:  # noqa: PLR2004 - not a continuation byte
            length = sequence_length(byte)
            return len(data) - back if length > back else len(data)
    return len(data)


def sequence_length(lead: int) -> int:
    """Return how many bytes a UTF-8 sequence with this first byte has."""
    if 0xC2 <= lead <= 0xDF:  # noqa: PLR2004 - RFC 3629, section 4
        return 2
    if 0xE0 <= lead <= 0xEF:  # noqa: PLR2004
        return 3
    if 0xF0 <= lead <= 0xF4:  # noqa: PLR2004
        return 4
    return 1
