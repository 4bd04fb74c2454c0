"""Which jobs are too many, or too large, for their client and for all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from samples import make_job

from actors.acceptance import JOB_BYTES, acceptance, size_of
from actors.admission import Admission
from actors.broker.embedded import EmbeddedBroker
from actors.broker.embedded_store import EmbeddedStore
from actors.broker.event_codec import decode_events, encode_events
from actors.messages import (
    AckJob,
    JobDelivered,
    JobEvent,
    PublishJob,
    PublishReply,
    SubscribeJobs,
)
from actors.shares import Shares
from metrics.instruments import REGISTRY

if TYPE_CHECKING:
    from actor_world import World

QUEUE = "root/languages/python/queue"


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.integers(1, 60)), max_size=60))
def test_nobody_takes_what_others_need(wanted: list[tuple[str, int]]) -> None:
    shares = Shares(100, 0.5)
    taken = dict.fromkeys("abcd", 0)
    for client, amount in wanted:
        if shares.refusal(client, amount) is None:
            shares.take(client, amount)
            taken[client] += amount
            assert shares.used == sum(taken.values()) <= 100
            assert taken[client] == amount or taken[client] <= 50
    for client, amount in taken.items():
        shares.give_back(client, amount)
    assert shares.used == 0


def test_a_client_alone_has_half_and_another_half_of_the_rest() -> None:
    admission = Admission(100, 1 << 30, 0.5)

    def fill(client: str) -> int:
        count = 0
        while admission.refusal(make_job(client=client)) is None:
            count += 1
            admission.add(f"{client}{count}", acceptance(make_job(client=client)))
        return count

    assert [fill("a"), fill("b"), fill("c")] == [50, 25, 12]
    assert admission.refusal(make_job(client="d")) is None
    assert admission.refusal(make_job(client="a")) == "client_full"
    assert admission.refusal(make_job(client="a", language="c")) is None


def test_bytes_are_bounded_over_all_languages() -> None:
    large = b"x" * (100_000 - 2 * JOB_BYTES)
    admission = Admission(1000, 200_000, 0.5)
    for number, client in enumerate("ab"):
        job = make_job(f"j{number}", client=client, stdin=large)
        assert admission.refusal(job) is None
        admission.add(job.id, acceptance(job))
    other = make_job(client="b", language="c", stdin=large)
    assert admission.refusal(other) == "queue_full"
    assert admission.refusal(make_job(client="b", stdin=b"")) == "client_full"
    admission.remove("j0")
    admission.remove("j0")
    admission.add("j1", acceptance(job))  # known already
    assert admission.refusal(make_job(client="c", stdin=large)) is None
    fill = {"bound": "queue_mb_max"}
    found = REGISTRY.get_sample_value("warmbox_bound_fill_ratio", fill)
    assert found == size_of(job) / 200_000


def test_every_gateway_hears_whose_job_it_is_and_how_large() -> None:
    opening = acceptance(make_job(stdin=b"12345", stdin_open=False, client="192.0.2.1"))
    body = encode_events([JobEvent("j1", 1, opening)])
    ((_, heard),) = [(one, one.body) for one in decode_events(body, "", lambda _: None)]
    assert (heard.client, heard.size) == (opening.client, opening.size)  # type: ignore[union-attr]
    assert not heard.stdin_open  # type: ignore[union-attr]
    assert b"192.0.2.1" not in body


@pytest.mark.parametrize("times", [1, 2])
def test_the_embedded_broker_keeps_room_for_others(world: World, times: int) -> None:
    queue = world.probe(QUEUE)
    store = EmbeddedStore(4, 600, 1_000_000)
    admission = Admission(4, 1 << 30, 0.5)
    world.start(EmbeddedBroker, "root/broker", store, admission=admission)
    world.tell("root/broker", SubscribeJobs("python", QUEUE))
    replies: list[PublishReply] = []

    def publish(job_id: str, client: str) -> str:
        job = make_job(job_id, client=client)
        world.tell("root/broker", PublishJob(job, replies.append))
        return replies[-1].status

    for _ in range(times):  # also after what has ended
        statuses = [publish(f"a{number}-{len(replies)}", "a") for number in range(3)]
        assert statuses == ["accepted", "accepted", "client_full"]
        assert publish(f"b{len(replies)}", "b") == "accepted"
        for told in queue.of(JobDelivered):
            world.tell("root/broker", AckJob(told.lease))
        queue.take()
