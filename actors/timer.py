"""Timers straight on the event loop: a greenlet for each would cost ten times more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import gevent

if TYPE_CHECKING:
    from collections.abc import Callable


class Timer:
    """Calls `call` in the hub once, `seconds` from now: it may not block or raise.

    Its owner keeps it until then, or kills it.
    """

    __slots__ = ("_call", "_watcher")

    def __init__(self, seconds: float, call: Callable[[], object]) -> None:
        self._call = call
        self._watcher: Any = gevent.get_hub().loop.timer(max(seconds, 0))
        self._watcher.start(self._ring)

    def _ring(self) -> None:
        self.kill()
        self._call()

    def kill(self) -> None:
        """Give the watcher back; a call that has not come will not."""
        if self._watcher is not None:
            self._watcher.stop()
            self._watcher.close()
            self._watcher = None
