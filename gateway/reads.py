"""The rate of requests that need no token: reading, following, cancelling.

Each answer is cheap, but a client that does nothing else would have the thread for
itself. Unlike the token of a job this is no actor's: a question would cost as much as
most of these answers.
"""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from gateway.clients import client_key
from gateway.problems import Problem
from metrics import instruments

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from gateway.config import GatewayConfig

OVERFLOW = ""
"""Whose rate all share who come when too many clients are known."""


class Reads:
    """Owns when each client's bucket is full again (GCRA): one number a client.

    A client whose bucket is full is forgotten, and that is all there is to an end here:
    with the process all buckets are full.
    """

    def __init__(
        self, config: GatewayConfig, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._proxies = config.proxies
        self._each_s = 1 / config.reads_per_second
        self._burst = config.reads_burst
        self._clients_max = config.reads_clients_max
        self._now = now
        self._full_at: OrderedDict[str, float] = OrderedDict()
        """In the order of the last request."""

    def take(self, environ: Mapping[str, Any]) -> None:
        """Count a request, or raise the Problem when its client sends too many."""
        now = self._now()
        client = client_key(environ, self._proxies)
        if client not in self._full_at and not self._has_place(now):
            client = OVERFLOW
        full_at = max(now, self._full_at.get(client, now)) + self._each_s
        too_early_s = full_at - now - self._burst * self._each_s
        if too_early_s > 1e-9:  # noqa: PLR2004 - what floats leave over
            raise self._refusal(too_early_s, full_at - self._each_s - now)
        self._full_at[client] = full_at
        self._full_at.move_to_end(client)

    def _has_place(self, now: float) -> bool:
        """Forget who is longest at rest; two for each that comes."""
        for _ in range(min(2, len(self._full_at))):
            client = next(iter(self._full_at))
            if self._full_at[client] > now:
                break
            del self._full_at[client]
        return len(self._full_at) < self._clients_max

    def _refusal(self, wait_s: float, reset_s: float) -> Problem:
        instruments.rate_limited_total.inc()
        seconds = math.ceil(wait_s) or 1
        return Problem(
            "rate_limited",
            f"Too many requests. Come back in {seconds} s.",
            headers={
                "RateLimit-Policy": f'"reads";q={self._burst}',
                "RateLimit": f'"reads";r=0;t={math.ceil(reset_s)}',
                "Retry-After": str(seconds),
            },
        )
