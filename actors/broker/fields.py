"""Fields of messages from the broker, each read strictly.

Whoever can publish there may be of another version, or be another program.
"""

from __future__ import annotations

from typing import Any

from actors.broker.codec import CodecError

NUMBER_MAX = 1_000_000_000
FIGURE_MAX = 10**15
TIME_MAX = 100_000_000_000
"""In the year 5138: far enough, and every calendar can still tell it."""

Document = dict[str, Any]


def document(value: object, name: str) -> Document:
    """Return what should be a JSON object."""
    if not isinstance(value, dict):
        raise CodecError(f"{name} is no object")
    return value


def listed(of: Document, name: str) -> list[Any]:
    """Return what should be a JSON array."""
    value = of.get(name)
    if not isinstance(value, list):
        raise CodecError(f"{name} is no array")
    return value


def text(of: Document, name: str, absent: str | None = None) -> str:
    """Return text that can be written again; `absent` where the field is missing."""
    value = of.get(name, absent)
    if not isinstance(value, str):
        raise CodecError(f"{name} is no text")
    if not value.isascii():
        _refuse_surrogates(value, name)
    return value


def _refuse_surrogates(value: str, name: str) -> None:
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise CodecError(f"{name} has half a surrogate pair in it") from error


def flag(of: Document, name: str) -> bool:
    """Return true or false."""
    value = of.get(name)
    if not isinstance(value, bool):
        raise CodecError(f"{name} is neither true nor false")
    return value


def whole(of: Document, name: str, least: int = 0) -> int:
    """Return a whole number of a size that makes sense."""
    value = of.get(name)
    if isinstance(value, bool) or not isinstance(value, int):
        raise CodecError(f"{name} is no whole number")
    if not least <= value <= NUMBER_MAX:
        raise CodecError(f"{name} is out of its range")
    return value


def figure(of: Document, name: str) -> float | None:
    """Return a figure that is only shown; None where there is none."""
    value = of.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise CodecError(f"{name} is no number")
    if not -FIGURE_MAX <= value <= FIGURE_MAX:
        raise CodecError(f"{name} is out of its range")
    return value


def whole_figure(of: Document, name: str) -> int | None:
    """Return a figure that is whole; None where there is none."""
    value = figure(of, name)
    if value is not None and not isinstance(value, int):
        raise CodecError(f"{name} is no whole number")
    return value


def moment(of: Document, name: str) -> float:
    """Return seconds since the epoch."""
    value = figure(of, name)
    if value is None or not 0 <= value <= TIME_MAX:
        raise CodecError(f"{name} is no moment")
    return value
