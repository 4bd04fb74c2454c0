"""The bucket supervisor: a rate bucket for each client that is not at rest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.actor import Actor, Context
from actors.directory import send
from actors.rate_bucket import RateBucket

if TYPE_CHECKING:
    from actors.directory import AnyRef
    from actors.messages import BucketFull, ChildExited, TakeToken

OVERFLOW = "overflow"
"""The bucket that all share who come when there are too many."""


class BucketSupervisor(Actor):
    """Starts buckets on demand and lets those go that are full again.

    per_second, burst: of each bucket. clients_max: how many buckets there may be;
    clients beyond share one, so that a flood of addresses costs no memory.
    """

    def __init__(
        self, context: Context, per_second: float, burst: int, clients_max: int
    ) -> None:
        super().__init__(context)
        self._per_second = per_second
        self._burst = burst
        self._clients_max = clients_max
        self._buckets: dict[str, AnyRef] = {}
        self._passed: dict[str, int] = {}
        self._clients: dict[str, str] = {}
        """By the urns of their buckets."""

    def take_token(self, message: TakeToken) -> None:
        """Pass the request to the client's bucket."""
        client = message.client
        if client not in self._buckets and len(self._buckets) >= self._clients_max:
            client = OVERFLOW
        if not send(self._bucket(client), message):
            self._forget(client)  # it crashed; its notice is on the way
            send(self._bucket(client), message)
        self._passed[client] += 1

    def _bucket(self, client: str) -> AnyRef:
        ref = self._buckets.get(client)
        if ref is None:
            context = self.context.of_child(f"{self.name}/bucket", self.actor_ref)
            ref = RateBucket.start(context, client, self._per_second, self._burst)
            self._buckets[client] = ref
            self._clients[ref.actor_urn] = client
            self._passed[client] = 0
        return ref

    def _forget(self, client: str) -> None:
        ref = self._buckets.pop(client)
        del self._passed[client], self._clients[ref.actor_urn]

    def bucket_full(self, message: BucketFull) -> None:
        """Let it go, unless a request has been passed to it meanwhile."""
        ref = self._buckets.get(message.client)
        if ref is not None and self._passed[message.client] == message.asked:
            ref.stop(block=False)
            self._forget(message.client)

    def child_exited(self, message: ChildExited) -> None:
        """Forget a bucket that crashed; the next request starts a full one."""
        client = self._clients.get(message.urn)
        if client is not None:  # one that has left in an orderly way is forgotten
            self._forget(client)

    def clean_up(self, *, crashed: bool) -> None:
        """Stop all buckets; they hold nothing that could be lost."""
        for ref in self._buckets.values():
            ref.stop(block=False)
