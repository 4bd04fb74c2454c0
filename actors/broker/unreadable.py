"""What came from the broker and can't be read: counted each time, told of once."""

from __future__ import annotations

import logging
from typing import Literal

from metrics import instruments

log = logging.getLogger("warmbox.broker")

Kind = Literal["control", "event", "report"]
REASON_MAX = 200
"""Characters of a reason that are logged: it may quote what was sent."""


class Unreadable:
    """name: of the actor that reads."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._told: set[Kind] = set()

    def note(self, kind: Kind, reason: str) -> None:
        """Count one; there may be thousands, so only the first is logged."""
        instruments.unreadable_total.labels(kind).inc()
        if kind in self._told:
            return
        self._told.add(kind)
        log.error(
            "%s: skips what is no %s, and from now on only counts them: %s",
            self._name,
            kind,
            reason[:REASON_MAX],
        )
