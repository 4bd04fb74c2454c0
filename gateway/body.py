"""Reading what a client sends, within bounds of size and time."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NoReturn

from gateway.large_json import parse_large
from gateway.problems import Problem
from gateway.slices import PIECE_BYTES
from gateway.texts import Texts

if TYPE_CHECKING:
    from gateway.bodies import Intake
    from gateway.large_json import Bounds
    from gateway.slices import Slices

Environ = Mapping[str, Any]


def announced_bytes(environ: Environ) -> int:
    """Return how long the body is to be; 0 when that is not said."""
    return int(environ.get("CONTENT_LENGTH") or 0)


def media_type(environ: Environ) -> str:
    """Return what the client says that the body is; empty when it does not."""
    return str(environ.get("CONTENT_TYPE", "")).partition(";")[0].strip().lower()


def read_body(
    environ: Environ, bytes_max: int, timeout_s: float, intake: Intake
) -> bytes:
    """Return the whole body; a Problem when it is too large, too slow or broken."""
    announced = announced_bytes(environ)
    if announced > bytes_max:
        raise _too_large(bytes_max)
    intake.announce(announced)
    stream = environ["wsgi.input"]
    stream.end_within(timeout_s)
    try:
        return _read(stream, bytes_max, intake)
    except TimeoutError as error:
        detail = f"The body did not end within {timeout_s:g} seconds."
        raise Problem.closing("body_timeout", detail) from error
    except OSError as error:  # pywsgi's word for a body that breaks the protocol
        raise Problem.closing("bad_request", "The body is broken.") from error


def parse_json(body: bytes, bounds: Bounds, slices: Slices) -> tuple[object, Texts]:
    """Decode strict JSON: UTF-8, no NaN, no infinity, of sane depth.

    A large body's long texts come beside it.
    """
    try:
        if len(body) <= PIECE_BYTES:
            return _parse(body), Texts()
        return parse_large(body, _parse, bounds, slices)
    except RecursionError as error:
        raise Problem("invalid_json", "The JSON is nested too deep.") from error
    except ValueError as error:  # also an undecodable or endless number, bad UTF-8
        detail = f"The body is not JSON: {error}"
        raise Problem("invalid_json", detail) from error


def _parse(body: bytes) -> object:
    return _DECODER.decode(body.decode())


def _read(stream: Any, bytes_max: int, intake: Intake) -> bytes:
    pieces = []
    size = 0
    while piece := stream.read(PIECE_BYTES):
        size += len(piece)
        if size > bytes_max:
            raise _too_large(bytes_max)
        if size > intake.size:
            intake.grow(size - intake.size)
        pieces.append(piece)
    return b"".join(pieces)


def _too_large(bytes_max: int) -> Problem:
    detail = f"The body is larger than {bytes_max} bytes."
    return Problem.closing("too_large", detail)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON value")


_DECODER = json.JSONDecoder(parse_constant=_refuse_constant)
"""Made once: `json.loads` would make one for each body."""
