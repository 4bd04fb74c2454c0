"""Reading what a client sends, within bounds of size and time."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NoReturn

from gateway.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Mapping

_PIECE_BYTES = 65536


def read_body(environ: Mapping[str, Any], bytes_max: int, timeout_s: float) -> bytes:
    """Return the whole body; a Problem when it is too large, too slow or broken."""
    announced = int(environ.get("CONTENT_LENGTH") or 0)
    if announced > bytes_max:
        raise _too_large(bytes_max)
    stream = environ["wsgi.input"]
    stream.end_within(timeout_s)
    try:
        return _read(stream, bytes_max)
    except TimeoutError as error:
        detail = f"The body did not end within {timeout_s:g} seconds."
        raise Problem.closing("body_timeout", detail) from error
    except OSError as error:  # pywsgi's word for a body that breaks the protocol
        raise Problem.closing("bad_request", "The body is broken.") from error


def read_json(environ: Mapping[str, Any], bytes_max: int, timeout_s: float) -> object:
    """Return the JSON document that the body is."""
    media_type = environ.get("CONTENT_TYPE", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise Problem.closing(
            "unsupported_media_type", "The body must be application/json."
        )
    return parse_json(read_body(environ, bytes_max, timeout_s))


def parse_json(body: bytes) -> object:
    """Decode strict JSON: UTF-8, no NaN, no infinity, of sane depth."""
    try:
        return json.loads(body.decode(), parse_constant=_refuse_constant)
    except RecursionError as error:
        raise Problem("invalid_json", "The JSON is nested too deep.") from error
    except ValueError as error:  # also an undecodable or endless number, bad UTF-8
        detail = f"The body is not JSON: {error}"
        raise Problem("invalid_json", detail) from error


def _read(stream: Any, bytes_max: int) -> bytes:
    pieces = []
    left = bytes_max + 1
    while left and (piece := stream.read(min(left, _PIECE_BYTES))):
        pieces.append(piece)
        left -= len(piece)
    if not left:
        raise _too_large(bytes_max)
    return b"".join(pieces)


def _too_large(bytes_max: int) -> Problem:
    detail = f"The body is larger than {bytes_max} bytes."
    return Problem.closing("too_large", detail)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON value")
