"""What gives way while many jobs are being accepted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import gevent
import pytest
from gateway_client import Gateway, running, shown
from gevent.event import Event
from gevent.pool import Group

from actors.messages import PublishJob, PublishReply, TakeToken
from gateway.arrivals import MANY

if TYPE_CHECKING:
    from collections.abc import Iterator

JOB = {"language": "python", "source": "print()"}


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    with running() as one:
        yield one


class Crowd:
    """Clients whose jobs are all being accepted until `let_go`."""

    def __init__(self, gateway: Gateway, count: int, held: type) -> None:
        self._gateway = gateway
        self._messages: list[PublishJob | TakeToken] = []
        self._all_are_held = Event()
        self._clients = Group()
        self._tell = gateway.world.tell

        def hold(name: str, message: object) -> bool:
            if not isinstance(message, held):
                return self._tell(name, message)
            assert isinstance(message, PublishJob | TakeToken)
            self._messages.append(message)
            if len(self._messages) == count:
                self._all_are_held.set()
            return True

        gateway.world.tell = hold  # type: ignore[method-assign]
        for _ in range(count):
            self._clients.spawn(Gateway(gateway.world, gateway.port).post, JOB)
        assert self._all_are_held.wait(10)

    def let_go(self) -> None:
        self._gateway.world.tell = self._tell  # type: ignore[method-assign]
        for message in self._messages:
            if isinstance(message, TakeToken):
                message.reply(self._gateway.world.token)
            else:
                message.reply(PublishReply("accepted"))
        self._clients.join()


@pytest.mark.parametrize("held", [TakeToken, PublishJob])
def test_an_event_stream_opens_after_a_crowd_has_been_answered(
    gateway: Gateway, held: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.arrivals.GIVE_WAY_S", 60)
    job_id = gateway.submit()
    # Given many clients whose jobs are being accepted
    crowd = Crowd(gateway, MANY + 1, held)
    # When somebody follows a job
    opening = gevent.spawn(Gateway(gateway.world, gateway.port).follow, job_id)
    # Then others are answered meanwhile, and the stream waits
    assert gateway.get("/").status_code == 200
    assert gateway.get(f"/v1/jobs/{job_id}").status_code == 200
    assert not gateway.world.watched.is_set()
    # And it opens when they have been answered
    crowd.let_go()
    assert next(shown(opening.get(timeout=10)))[1] == "queued"


@pytest.mark.parametrize(
    ("count", "give_way_s"),
    [
        pytest.param(MANY, 60, id="only a few"),
        pytest.param(MANY + 1, 0.05, id="many, but its time is over"),
    ],
)
def test_who_are_never_answered_do_not_hold_a_stream_up_for_ever(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch, count: int, give_way_s: float
) -> None:
    monkeypatch.setattr("gateway.arrivals.GIVE_WAY_S", give_way_s)
    job_id = gateway.submit()
    crowd = Crowd(gateway, count, PublishJob)
    assert next(shown(gateway.follow(job_id)))[1] == "queued"
    crowd.let_go()


def test_clients_that_wait_for_their_results_hold_nothing_up(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.arrivals.GIVE_WAY_S", 60)
    job_id = gateway.submit()
    clients = Group()
    published = []
    all_are_published = Event()

    def note(job_id: str) -> None:
        published.append(job_id)
        if len(published) == MANY + 1:
            all_are_published.set()

    gateway.world.on_publish = note
    for _ in range(MANY + 1):
        client = Gateway(gateway.world, gateway.port)
        clients.spawn(client.post, JOB, Prefer="wait=20")
    assert all_are_published.wait(10)
    assert next(shown(gateway.follow(job_id)))[1] == "queued"
    clients.kill()
