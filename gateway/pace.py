"""How fast a client must take an answer: who doesn't would have us keep it for ever."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gateway.config import GatewayConfig

_LEAST_S = 0.001
"""A time to wait; none would mean not to wait at all."""


class Pace:
    """Only waits for the client count, and only what it took after one.

    Each wait may take `send_timeout_s`. All together may take as long and, beyond that,
    what the bytes take at `send_kb_s_min`.
    """

    __slots__ = ("_bytes", "_bytes_s_min", "_timeout_s", "_waited_s")

    def __init__(self, config: GatewayConfig) -> None:
        self._timeout_s = config.send_timeout_s
        self._bytes_s_min = config.send_kb_s_min * 1024
        self._bytes = 0
        self._waited_s = 0.0

    def add(self, size: int, waited_s: float) -> None:
        """Note that the client took so many bytes, for which it let us wait."""
        self._bytes += size
        self._waited_s += waited_s

    def time_left(self) -> float:
        """Return how long the client may take over the next bytes, in seconds."""
        earned_s = self._timeout_s + self._bytes / self._bytes_s_min
        return max(_LEAST_S, min(self._timeout_s, earned_s - self._waited_s))
