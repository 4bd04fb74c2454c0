"""A client's token bucket, and the actor that owns it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from actors.actor import Actor, Context
from actors.directory import send
from actors.messages import BucketFull, TokenReply

if TYPE_CHECKING:
    from actors.messages import Boot, TakeToken


LINGER_S = 5.0
"""A bucket stays at least this long: starting one costs more than keeping it."""


@dataclass(slots=True)
class TokenBucket:
    """`burst` tokens at first, refilled at `per_second` up to `burst`."""

    per_second: float
    burst: int
    tokens: float
    updated_at: float

    def take(self, now: float, cost: float = 1) -> TokenReply:
        """Take tokens at `now` (monotonic seconds), or say when there are so many."""
        cost = min(cost, self.burst)
        gained = (now - self.updated_at) * self.per_second
        self.tokens = min(self.burst, self.tokens + gained)
        self.updated_at = now
        granted = self.tokens >= cost
        if granted:
            self.tokens -= cost
        missing = 0.0 if granted else cost - self.tokens
        return TokenReply(
            granted=granted,
            limit=self.burst,
            remaining=math.floor(self.tokens),
            retry_after_s=missing / self.per_second,
            reset_s=self.full_in_s(),
        )

    def full_in_s(self) -> float:
        """Seconds from the last `take` until the bucket is full again."""
        return (self.burst - self.tokens) / self.per_second


class RateBucket(Actor):
    """One client's bucket. Offers to go when it is full again."""

    def __init__(
        self, context: Context, client: str, per_second: float, burst: int
    ) -> None:
        super().__init__(context)
        self._client = client
        self._bucket = TokenBucket(per_second, burst, burst, context.now())
        self._asked = 0
        self._stays_until = 0.0

    def boot(self, message: Boot) -> None:
        """Offer to go soon if nobody ever asks; the first may have asked by now."""
        if not self.has_timer("full"):
            self.set_timer("full", LINGER_S)

    def take_token(self, message: TakeToken) -> None:
        """Answer, and be there until the bucket is full."""
        self._asked += 1
        now = self.now()
        message.reply(self._bucket.take(now, message.cost))
        stays_s = max(self._bucket.full_in_s(), LINGER_S)
        self._stays_until = now + stays_s
        if not self.has_timer("full"):  # one that comes too early is set again
            self.set_timer("full", stays_s)

    def time_out(self, name: str) -> None:
        """Full again: nothing is lost with this bucket."""
        left_s = self._stays_until - self.now()
        if left_s > 0:
            self.set_timer("full", left_s)
        elif self.context.parent is not None:
            send(self.context.parent, BucketFull(self._client, self._asked))
