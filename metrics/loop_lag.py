"""How late the event loop is: a timer that measures its own delay."""

from __future__ import annotations

import time

import gevent

from metrics import instruments

EVERY_S = 0.5
WINDOW = 120


def watch_loop() -> None:
    """Set the gauge to the longest delay of the last minute, for ever."""
    delays: list[float] = []
    while True:
        due = time.monotonic() + EVERY_S
        gevent.sleep(EVERY_S)
        delays = [*delays[1 - WINDOW :], max(0.0, time.monotonic() - due)]
        instruments.loop_lag_seconds.set(max(delays))
