"""Bottle's request and response, kept by the greenlet that serves them.

Bottle keeps each of their six fields in a `threading.local`, for threads that live
long. A connection is a new greenlet, for which each of the six sets up a dictionary
and a notice of its end: a tenth of all that a request cost. An attribute of the
greenlet means the same.
"""

from __future__ import annotations

from typing import Any

import bottle
from gevent import getcurrent

_BOTTLES_OWN = "Thread-local property"
"""The docstring by which Bottle's are known."""


def keep_in_greenlets() -> None:
    """Replace the fields that Bottle keeps by thread."""
    for kind, name in kept_in_threads():
        setattr(kind, name, _kept(f"{kind.__name__}_{name}"))


def kept_in_threads() -> list[tuple[type, str]]:
    """Return the fields that Bottle still keeps by thread, with their class."""
    return [
        (kind, name)
        for kind in (bottle.LocalRequest, bottle.LocalResponse)
        for name, field in vars(kind).items()
        if isinstance(field, property) and field.__doc__ == _BOTTLES_OWN
    ]


def _kept(name: str) -> property:
    def read(_: object) -> Any:
        try:
            return getattr(getcurrent(), name)
        except AttributeError:
            raise RuntimeError("there is no request here") from None

    def write(_: object, value: object) -> None:
        setattr(getcurrent(), name, value)

    return property(read, write)
