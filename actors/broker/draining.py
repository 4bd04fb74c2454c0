"""A drain goes on over a crash of who drains."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.messages import BeginDrain

if TYPE_CHECKING:
    from collections.abc import Callable


def going_on(drained: Callable[[], None] | None) -> list[BeginDrain]:
    """Return what a successor has to be told first: that it drains, if it does.

    Else it takes all that there is, and whoever is draining gives it back: each job
    goes to and fro, as often as it can.
    """
    return [] if drained is None else [BeginDrain(drained)]
