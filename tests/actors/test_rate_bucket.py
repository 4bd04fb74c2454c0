"""The token bucket's arithmetic, and the actor around it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.messages import BucketFull, TakeToken, TokenReply
from actors.rate_bucket import LINGER_S, RateBucket, TokenBucket

if TYPE_CHECKING:
    from actor_world import World

waits_strategy = st.lists(st.floats(0, 100), max_size=40)
rates = st.floats(0.01, 1000)
bursts = st.integers(1, 50)


def bucket(per_second: float = 2, burst: int = 4) -> TokenBucket:
    return TokenBucket(per_second, burst, burst, 0.0)


def test_a_new_bucket_grants_its_burst_at_once() -> None:
    one = bucket()
    replies = [one.take(0) for _ in range(5)]
    assert [reply.granted for reply in replies] == [True] * 4 + [False]
    assert [reply.remaining for reply in replies] == [3, 2, 1, 0, 0]


def test_a_refusal_says_when_to_come_again() -> None:
    one = bucket(burst=1)
    assert one.take(0).retry_after_s == 0
    assert one.take(0.1) == TokenReply(
        granted=False, limit=1, remaining=0, retry_after_s=0.4, reset_s=0.4
    )
    assert one.take(0.5).granted


def test_what_costs_more_takes_all_of_it_or_nothing() -> None:
    one = bucket()
    assert one.take(0, 2.5).granted
    assert one.take(0, 2) == TokenReply(
        granted=False, limit=4, remaining=1, retry_after_s=0.25, reset_s=1.25
    )
    assert one.take(0.25, 2).granted


def test_what_costs_more_than_there_can_be_waits_for_a_full_bucket() -> None:
    one = bucket()
    assert one.take(0, 100).granted
    refused = one.take(0, 100)
    assert (refused.granted, refused.retry_after_s) == (False, 2)
    assert one.take(2, 100).granted


def test_tokens_come_back_with_time_up_to_the_burst() -> None:
    one = bucket()
    for _ in range(4):
        one.take(0)
    assert one.full_in_s() == 2
    assert one.take(1).remaining == 1
    assert one.take(1000).remaining == 3


def test_a_refusal_costs_nothing() -> None:
    one = bucket(burst=1)
    one.take(0)
    for n in range(100):
        assert not one.take(n * 0.004).granted
    assert one.take(0.5).granted


@given(rates, bursts, waits_strategy)
def test_never_above_the_burst_never_below_nothing(
    per_second: float, burst: int, waits: list[float]
) -> None:
    one = bucket(per_second, burst)
    now = 0.0
    for wait in waits:
        now += wait
        reply = one.take(now)
        assert 0 <= one.tokens <= burst
        assert 0 <= reply.remaining <= burst
        assert reply.retry_after_s >= 0
        assert reply.reset_s >= 0
        assert reply.granted == (reply.retry_after_s == 0)


@given(rates, bursts, waits_strategy)
def test_no_more_is_granted_than_the_rate_allows(
    per_second: float, burst: int, waits: list[float]
) -> None:
    one = bucket(per_second, burst)
    now = granted = 0.0
    for wait in waits:
        now += wait
        granted += one.take(now).granted
        assert granted <= burst + now * per_second + 1e-6


# -------------------------------------------------------------------------- actor


def start(world: World, per_second: float = 2, burst: int = 4) -> None:
    world.start(RateBucket, "bucket", "ann", per_second, burst)


def take(world: World, count: int = 1) -> list[TokenReply]:
    replies: list[TokenReply] = []
    world.tell("bucket", *[TakeToken("ann", replies.append)] * count)
    return replies


def test_each_request_is_answered(world: World) -> None:
    start(world)
    assert [reply.granted for reply in take(world, 6)] == [True] * 4 + [False] * 2
    world.clock.advance(0.5)
    assert [reply.granted for reply in take(world, 2)] == [True, False]


def test_a_bucket_that_nobody_asks_offers_to_go(world: World) -> None:
    start(world)
    world.clock.advance(LINGER_S)
    assert world.parent.of(BucketFull) == [BucketFull("ann", 0)]


def test_a_bucket_offers_to_go_when_it_is_full_and_not_before(world: World) -> None:
    start(world, per_second=0.2)
    take(world, 4)
    world.clock.advance(19.9)
    assert world.parent.of(BucketFull) == []
    world.clock.advance(0.1)
    assert world.parent.of(BucketFull) == [BucketFull("ann", 4)]


def test_a_bucket_that_is_full_soon_stays_a_while(world: World) -> None:
    start(world)
    take(world)
    world.clock.advance(LINGER_S - 0.1)
    assert world.parent.of(BucketFull) == []
    world.clock.advance(0.1)
    assert world.parent.of(BucketFull) == [BucketFull("ann", 1)]


def test_a_request_puts_the_offer_off(world: World) -> None:
    start(world)
    take(world)
    world.clock.advance(LINGER_S - 0.1)
    take(world)
    world.clock.advance(LINGER_S - 0.1)
    assert world.parent.of(BucketFull) == []
    world.clock.advance(0.1)
    assert world.parent.of(BucketFull) == [BucketFull("ann", 2)]


@pytest.mark.parametrize("per_second", [0.5, 10])
def test_the_actor_counts_by_its_contexts_clock(
    world: World, per_second: float
) -> None:
    start(world, per_second, 1)
    take(world)
    (reply,) = take(world)
    assert reply.retry_after_s == pytest.approx(1 / per_second)
