"""JSON of much text in pieces, made from the bytes as they are kept.

To encode 8 MB at once takes 180 ms of the only thread, and JSON makes up to 50 MB of
them. So a long text is encoded a little at a time, when it is sent.
"""

from __future__ import annotations

import base64
from codecs import getincrementaldecoder
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pydantic_core

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

encode = pydantic_core.to_json
"""JSON in UTF-8; every str in a document comes from a strict decoder."""

STEP_BYTES = 6144
"""What is encoded at once: JSON writes a byte with six at most, and base64 cuts at
multiples of three."""
ASCII_STEP_BYTES = 32_768
"""The same of ASCII: no byte of it takes long to decode."""
PART_BYTES_MAX = 6 * STEP_BYTES
"""Of what is added to a piece at once."""
PIECE_BYTES_MIN = 32_768
"""Of what is sent at once, but the last: so a piece is 69 KB at most."""
LONG_BYTES = 16_384
"""Less is encoded at once."""

_decoder_of = getincrementaldecoder("utf-8")


@dataclass(frozen=True, slots=True)
class Text:
    """A text that is encoded when it is sent."""

    chunks: Sequence[bytes]
    is_base64: bool

    def parts(self) -> Iterator[bytes]:
        """Yield the JSON string."""
        steps = _steps(self.chunks)
        yield b'"'
        yield from map(base64.b64encode, steps) if self.is_base64 else _escaped(steps)
        yield b'"'


def in_pieces(document: Mapping[str, Any]) -> Iterator[bytes]:
    """Yield the document, which may hold a `Text` at any depth of its objects."""
    piece = bytearray()
    for part in _parts(document):
        piece += part
        if len(piece) >= PIECE_BYTES_MIN:
            yield bytes(piece)
            piece.clear()
    yield bytes(piece)


def _parts(value: object) -> Iterator[bytes]:
    if isinstance(value, Text):
        yield from value.parts()
    elif isinstance(value, dict):
        before = b"{"
        for name, one in value.items():
            yield before + encode(name) + b":"
            yield from _parts(one)
            before = b","
        yield b"}" if value else b"{}"
    else:
        yield encode(value)


def _steps(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the same bytes, cut anew: a program may have written them one by one."""
    step = bytearray()
    for chunk in chunks:
        for begin in range(0, len(chunk), STEP_BYTES):
            step += chunk[begin : begin + STEP_BYTES]
            if len(step) >= STEP_BYTES:
                yield bytes(step[:STEP_BYTES])
                del step[:STEP_BYTES]
    yield bytes(step)


def _escaped(steps: Iterable[bytes]) -> Iterator[bytes]:
    decode = _decoder_of("replace").decode
    for step in steps:
        yield encode(decode(step))[1:-1]
    yield encode(decode(b"", final=True))[1:-1]


def character_cut(data: bytes, at: int) -> int:
    """Return the place at or before `at` where the two parts decode as the whole does.

    at: 4 or more.

    Between a byte that is none and its neighbours anything decodes by itself, and a
    sequence has no more than three bytes after its first (RFC 3629).
    """
    for back in range(4):
        if at >= len(data) or data[at - back] & 0xC0 != 0x80:  # noqa: PLR2004 - follows
            return at - back
    return at
