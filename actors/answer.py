"""The answer to a question that an actor was asked."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pykka
from gevent.event import AsyncResult

from actors.deadlines import DEADLINES

if TYPE_CHECKING:
    from types import TracebackType

    _ExcInfo = tuple[
        type[BaseException] | None, BaseException | None, TracebackType | None
    ]


class Answer(pykka.Future[Any]):
    """A future that costs a third of pykka's own.

    Its lock and its condition are made for threads; where these are greenlets, they
    cost more than the wait.
    """

    def __init__(self) -> None:
        super().__init__()
        self._result: AsyncResult[Any] = AsyncResult()

    def get(self, *, timeout: float | None = None) -> Any:
        """Wait for the value and return it, or raise what the actor raised.

        Raises pykka.Timeout after `timeout` seconds.
        """
        if self._get_hook is not None:
            return super().get(timeout=timeout)
        if timeout is not None and not DEADLINES.within(self._result, timeout):
            raise pykka.Timeout(f"{timeout} seconds")
        return self._result.get()

    def set(self, value: Any = None) -> None:
        """Give the value."""
        self._result.set(value)

    def set_exception(self, exc_info: _ExcInfo | None = None) -> None:
        """Give an exception: this one, or the one that is being handled."""
        found = (exc_info or sys.exc_info())[1]
        self._result.set_exception(found or RuntimeError("no exception was given"))
