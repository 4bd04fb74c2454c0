"""Answers that are JSON documents, and the headers that all answers share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import bottle

from gateway.pieces import encode

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_HEADERS = {
    "Content-Type": "application/json",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
}


def reply(
    document: Mapping[str, Any],
    status: int = 200,
    headers: Mapping[str, str] | None = None,
) -> Any:
    """Return the document as a response."""
    return reply_encoded(encode(document), status, headers)


def reply_encoded(
    body: bytes | Iterator[bytes],
    status: int = 200,
    headers: Mapping[str, str] | None = None,
) -> Any:
    """Return a document that is JSON already, or its pieces, as a response."""
    return bottle.HTTPResponse(body, status, {**_HEADERS, **(headers or {})})


class LastChunk(bytes):
    """The last bytes of a streamed answer: the stream's end goes out with them."""

    __slots__ = ()
