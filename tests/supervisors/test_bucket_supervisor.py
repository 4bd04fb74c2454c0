"""Buckets on demand, capped, gone when they are full again."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pykka
import pytest
from actor_world import World, settle

from actors.messages import BucketFull, ChildExited, TakeToken, TokenReply
from actors.rate_bucket import LINGER_S, RateBucket
from supervisors.bucket_supervisor import BucketSupervisor

if TYPE_CHECKING:
    from types import FrameType

    from actors.directory import AnyRef


class Buckets:
    """A bucket supervisor and what its clients are answered."""

    def __init__(self, world: World, clients_max: int = 3) -> None:
        self.world = world
        self.replies: list[TokenReply] = []
        world.start(BucketSupervisor, "buckets", 1.0, 2, clients_max)

    def take(self, *clients: str) -> list[bool]:
        """Take a token for each; return who got one."""
        self.replies.clear()
        messages = [TakeToken(client, self.replies.append) for client in clients]
        self.world.tell("buckets", *messages)
        return [reply.granted for reply in self.replies]

    def living(self) -> list[AnyRef]:
        settle()
        return pykka.ActorRegistry.get_by_class(RateBucket)


@pytest.fixture
def buckets(world: World) -> Buckets:
    return Buckets(world)


def test_each_client_has_a_bucket_of_its_own(buckets: Buckets) -> None:
    assert buckets.living() == []
    assert buckets.take("ann", "ann", "ann", "bob") == [True, True, False, True]
    assert len(buckets.living()) == 2


def test_a_full_bucket_goes_and_the_client_loses_nothing(
    world: World, buckets: Buckets
) -> None:
    buckets.take("ann", "ann")
    world.clock.advance(LINGER_S - 0.1)
    assert len(buckets.living()) == 1
    world.clock.advance(0.1)
    assert buckets.living() == []
    assert buckets.take("ann", "ann", "ann") == [True, True, False]


def test_a_bucket_stays_as_long_as_its_first_request_needs(world: World) -> None:
    # Given a bucket that was asked before it had so much as begun
    world.start(BucketSupervisor, "slow", 0.1, 2, 3)
    replies: list[TokenReply] = []
    take = TakeToken("ann", replies.append)
    world.tell("slow", take, take)
    # When it lingers beyond what one without requests would
    world.clock.advance(LINGER_S + 0.1)
    settle()
    # Then it has not gone to come back full
    world.tell("slow", take)
    assert [reply.granted for reply in replies] == [True, True, False]


def test_a_bucket_that_is_asked_meanwhile_stays(world: World, buckets: Buckets) -> None:
    # Given a bucket that has offered to go, not knowing of a request to come
    buckets.take("ann", "ann")
    world.tell("buckets", BucketFull("ann", 1), BucketFull("bob", 0))
    assert len(buckets.living()) == 1
    # When its offer is up to date
    world.tell("buckets", BucketFull("ann", 2))
    assert buckets.living() == []


def test_a_flood_of_clients_shares_one_bucket(buckets: Buckets) -> None:
    assert buckets.take("a", "b", "c") == [True] * 3
    assert buckets.take("d", "e", "f", "a") == [True, True, False, True]
    assert len(buckets.living()) == 4


def test_there_is_room_again_when_buckets_are_full(
    world: World, buckets: Buckets
) -> None:
    buckets.take("a", "b", "c", "d", "d")
    world.clock.advance(LINGER_S)
    assert buckets.living() == []
    assert buckets.take("d", "d", "e", "e") == [True] * 4
    assert len(buckets.living()) == 2


def test_a_crashed_bucket_is_a_new_one_for_the_next_request(buckets: Buckets) -> None:
    buckets.take("ann", "ann")
    (bucket,) = buckets.living()
    bucket.tell(object())
    assert buckets.living() == []
    assert buckets.take("ann") == [True]
    assert len(buckets.living()) == 1


@pytest.mark.parametrize("crashed", [False, True])
def test_an_exit_costs_the_same_however_many_buckets_there_are(
    world: World, *, crashed: bool
) -> None:
    costs = {lines_of_an_exit(world, count, crashed=crashed) for count in (2, 200)}
    assert len(costs) == 1


def lines_of_an_exit(world: World, count: int, *, crashed: bool) -> int:
    """Return how many lines are executed when one of so many buckets has ended."""
    supervisor = BucketSupervisor(world.context("many"), 1.0, 2, count)
    for number in range(count):
        supervisor.take_token(TakeToken(f"c{number}", lambda _: None))
    last = pykka.ActorRegistry.get_by_class(RateBucket)[-1]
    notice = ChildExited("many/bucket", last.actor_urn, crashed, "")
    lines = 0

    def count_line(_: FrameType, event: str, __: object) -> Any:
        nonlocal lines
        lines += event == "line"
        return count_line

    before = sys.gettrace()
    sys.settrace(count_line)
    try:
        supervisor.child_exited(notice)
    finally:
        sys.settrace(before)
    supervisor.clean_up(crashed=False)
    settle()
    return lines


def test_a_request_that_comes_before_the_notice_of_a_crash_is_answered(
    world: World, buckets: Buckets
) -> None:
    # Given a bucket that is dead, and a supervisor that has not heard of it
    buckets.take("ann")
    (bucket,) = buckets.living()
    bucket.stop()
    # Then the next request is answered by a new one
    assert buckets.take("ann") == [True]
    # And the late notice does not take that away
    late = ChildExited("buckets/bucket", bucket.actor_urn, crashed=True, reason="")
    world.tell("buckets", late)
    assert len(buckets.living()) == 1


@pytest.mark.parametrize("crashing", [False, True])
def test_all_buckets_end_with_their_supervisor(
    world: World, buckets: Buckets, crashing: bool
) -> None:
    buckets.take("ann", "bob")
    if crashing:
        world.crash("buckets")
    else:
        world.stop("buckets")
    assert buckets.living() == []
