"""The long texts of a JSON document, which are decoded in turns with other requests."""

from __future__ import annotations

import base64
import json
import re
from typing import TYPE_CHECKING

from gateway.slices import PIECE_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from gateway.slices import Slices

_SPLIT_CHARS = re.compile(
    rb"(?:\\u[dD][89abAB][0-9a-fA-F]{2})?(?:\\(?:u[0-9a-fA-F]{0,3})?)?\Z"
)
"""What may not be the end of a piece: half a surrogate pair, and part of an escape."""
_SPLIT_BYTES_MAX = 11
_FIRST_BYTES = 512
"""Of the first piece: nearly all texts are no longer."""
_ESCAPED = ((rb"\\", b"__"), (rb"\"", b"__"))


class Texts:
    """UTF-8 of long texts by what stands for each in the document.

    None is a text that has half a surrogate pair in it, which no encoding can carry.
    """

    def __init__(self, long: dict[str, bytes | None] | None = None) -> None:
        self._long = long or {}

    def are_whole(self) -> bool:
        """Tell whether all of them can be encoded."""
        return None not in self._long.values()

    def is_broken(self, text: str) -> bool:
        """Tell whether this stands for a text that can't be encoded."""
        return text in self._long and self._long[text] is None

    def utf8(self, text: str) -> bytes:
        """Return the bytes of a text, or of what it stands for."""
        long = self._long.get(text)
        return text.encode() if long is None else long


def pieces_of(body: bytes, at: int, slices: Slices) -> Iterator[bytes]:
    """Yield the text that begins at `at`, behind its quote, in pieces as they stand.

    Each can be decoded by itself. The last is followed by the closing quote; there is
    none if the body ends before it.
    """
    size = _FIRST_BYTES
    while True:
        piece = body[at : at + size]
        bare = piece
        for escape, filler in _ESCAPED:
            bare = bare.replace(escape, filler)  # as long: what is found stays in place
        end = bare.find(b'"')
        is_last = end >= 0 or len(piece) < size
        if end < 0:
            end = len(piece) if is_last else _whole(piece, bare)
        yield piece[:end]
        if is_last:
            return
        at += end
        size = PIECE_BYTES
        slices.give_way()


def _whole(piece: bytes, bare: bytes) -> int:
    """Return where to cut, so that no character is split."""
    end = len(piece)
    while end > len(piece) - 3 and piece[end - 1] & 0x80:
        end -= 1
        if piece[end] & 0x40:  # the first byte of a character, which may go on
            return end
    split = _SPLIT_CHARS.search(bare, len(bare) - _SPLIT_BYTES_MAX)
    return len(piece) if split is None else split.start()


def decoded(pieces: Iterable[bytes], slices: Slices) -> bytes | None:
    """Return the text's UTF-8; None when it has half a surrogate pair in it.

    Raises ValueError for what is no JSON.
    """
    found: list[bytes] = []
    is_broken = False
    for piece in pieces:
        text: str = json.loads(f'"{piece.decode()}"')
        try:
            found.append(text.encode())
        except UnicodeEncodeError:
            is_broken = True
        slices.give_way()
    return None if is_broken else b"".join(found)


def base64_bytes(size: int) -> int:
    """Return how long base64 of so many bytes is."""
    return (size + 2) // 3 * 4


def from_base64(text: bytes, slices: Slices) -> bytes:
    """Return what base64 says; ValueError when it is none."""
    found = bytearray()
    for at in range(0, len(text), PIECE_BYTES):
        piece = text[at : at + PIECE_BYTES]
        is_last = at + PIECE_BYTES >= len(text)
        if piece.endswith(b"=") and not is_last:
            raise ValueError("it ends before its end")
        found += base64.b64decode(piece, validate=True)
        slices.give_way()
    return bytes(found)
