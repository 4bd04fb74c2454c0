"""Answers that are JSON documents, and the headers that all answers share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import bottle

from gateway.views import encode

if TYPE_CHECKING:
    from collections.abc import Mapping

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
    body = encode(document)
    return bottle.HTTPResponse(body, status, {**_HEADERS, **(headers or {})})


class LastChunk(bytes):
    """The last bytes of a streamed answer: the stream's end goes out with them."""

    __slots__ = ()
