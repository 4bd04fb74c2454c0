"""What all messages through RabbitMQ are: versioned JSON, with bytes in it."""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any, NoReturn

VERSION = 1
"""Of every kind of message. A reader refuses others; a writer that needs a change that
readers of this version would get wrong counts it up, after all readers know both."""


class CodecError(ValueError):
    """A message that can't be read; its text says why."""


def dump(document: dict[str, Any]) -> bytes:
    """Return the document with the version, as compact JSON."""
    text = json.dumps({"v": VERSION, **document}, separators=(",", ":"))
    return text.encode()


def load(body: bytes) -> dict[str, Any]:
    """Return the document; CodecError when it is none, or of another version."""
    try:
        document = json.loads(body, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise CodecError(f"not JSON: {error}") from error
    if not isinstance(document, dict):
        raise CodecError("not a JSON object")
    version = document.get("v")
    if version != VERSION or isinstance(version, bool):
        raise CodecError(f"unknown schema version {version!r}; {VERSION} is known")
    return document


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def to_base64(data: bytes) -> str:
    """Return bytes as JSON can hold them."""
    return base64.b64encode(data).decode()


def from_base64(text: str) -> bytes:
    """Return the bytes; CodecError when there is anything but base64 in the text."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise CodecError(f"not base64: {error}") from error
