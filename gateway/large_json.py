"""A JSON document that is too large to be decoded in one go.

A request's bytes are in a few long texts; all else is small. So the texts are cut out
and decoded in turns with other requests, while the rest is counted: what would make
more objects than any request needs is refused before there are any.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.problems import Problem
from gateway.texts import Texts, decoded, pieces_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.slices import Slices

_SHORT_BYTES = 256
"""A text that is no longer stays in its place."""
_PLAIN_BYTES_MAX = 131072
"""Of long texts that are no file, source or stdin, together."""
_QUOTE = b'"'


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a document may have: texts, as many commas, and bytes beside the texts."""

    texts_max: int
    beside_bytes_max: int


class _Cutter:
    """Goes through a body once."""

    def __init__(self, body: bytes, bounds: Bounds, slices: Slices) -> None:
        self._body = body
        self._bounds = bounds
        self._slices = slices
        self._name = secrets.token_hex(16)  # nobody can have written it
        self._beside = 0
        self._commas = 0
        self.rest: list[bytes] = []
        """The document, with something short in the place of each long text."""
        self.long: dict[str, bytes | None] = {}

    def cut(self) -> None:
        """Fill `rest` and `long`."""
        at = count = 0
        while (quote := self._body.find(_QUOTE, at)) >= 0:
            count += 1
            if count > self._bounds.texts_max:
                raise _too_many("texts", self._bounds.texts_max)
            self._keep(self._body[at : quote + 1])
            at = self._text(quote + 1)
            self._slices.give_way()
        self._keep(self._body[at:])

    def _keep(self, beside: bytes) -> None:
        self._beside += len(beside)
        if self._beside > self._bounds.beside_bytes_max:
            raise _too_many("bytes beside its texts", self._bounds.beside_bytes_max)
        self._commas += beside.count(b",")
        if self._commas > self._bounds.texts_max:
            raise _too_many("commas between its values", self._bounds.texts_max)
        self.rest.append(beside)

    def _text(self, at: int) -> int:
        """Take the text that begins here; return what follows its closing quote."""
        pieces = [*pieces_of(self._body, at, self._slices)]
        end = at + sum(map(len, pieces))
        if end - at <= _SHORT_BYTES:
            self.rest += pieces
        else:
            name = f"{self._name}{len(self.long)}"
            self.long[name] = decoded(pieces, self._slices)
            self.rest.append(name.encode())
        self.rest.append(self._body[end : end + 1])
        return end + 1


def parse_large(
    body: bytes, parse: Callable[[bytes], object], bounds: Bounds, slices: Slices
) -> tuple[object, Texts]:
    """Return the document, and the texts that are cut out of it.

    parse: what decodes a small document. Raises ValueError for what is no JSON, and a
    Problem for what has too much in it.
    """
    cutter = _Cutter(body, bounds, slices)
    cutter.cut()
    document = parse(b"".join(cutter.rest))
    return _Placing(cutter.long).place(document, ()), Texts(cutter.long)


class _Placing:
    """Puts texts back, but for a program's source, files and stdin."""

    def __init__(self, long: dict[str, bytes | None]) -> None:
        self._long = long
        self._left = _PLAIN_BYTES_MAX

    def place(self, value: object, path: tuple[object, ...]) -> object:
        """Return the value with its texts; `path` leads to it, None for a number."""
        if isinstance(value, str):
            return value if _is_content(path) else self._plain(value)
        if isinstance(value, list):
            return [self.place(one, (*path, None)) for one in value]
        if isinstance(value, dict):
            return {
                self._plain(name): self.place(one, (*path, name))
                for name, one in value.items()
            }
        return value

    def _plain(self, text: str) -> str:
        if text not in self._long:
            return text
        long = self._long[text]
        if long is None:
            raise Problem.invalid(("", "a text has half a surrogate pair in it"))
        self._left -= len(long)
        if self._left < 0:
            raise _too_many(
                "bytes in texts beside source, files and stdin", _PLAIN_BYTES_MAX
            )
        return long.decode()


def _is_content(path: tuple[object, ...]) -> bool:
    return path in {("source",), ("stdin",), ("files", None, "content")}


def _too_many(what: str, most: int) -> Problem:
    return Problem("too_large", f"The body has more than {most} {what}.")
