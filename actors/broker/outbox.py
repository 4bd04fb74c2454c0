"""What is to be published and not yet confirmed, in its order.

A plain object that outlives the actor that publishes, and its connections: a broker
that is away delays events and controls, but loses none.
"""

from __future__ import annotations

import secrets
from collections import OrderedDict, deque
from dataclasses import dataclass

from actors.broker.seen import SPREAD_MAX

CONTROL_BYTES_MAX = 80 << 20
"""Controls that wait for a broker that is away, in base64: more than clients may send
to jobs that have not ended (`http.stdins_mb_max`)."""
ACCEPTED_MAX = 10_000
"""Accepted jobs with an idempotency key that are remembered here."""


@dataclass(frozen=True, slots=True)
class Parcel:
    """One message that must arrive."""

    seq: int
    """Counts what this process publishes; a repetition keeps it."""
    kind: str
    exchange: str
    routing_key: str
    body: bytes
    reason: str = ""
    """Of a dead letter."""
    receipt: tuple[str, object] | None = None
    """Who is told what once it has arrived."""


class Outbox:
    """publisher: names this process in what it publishes; random if not given."""

    def __init__(self, publisher: str = "") -> None:
        self.publisher = publisher or secrets.token_hex(8)
        self._seq = 0
        self._unconfirmed: OrderedDict[int, Parcel] = OrderedDict()
        self._unsent: deque[Parcel] = deque()
        self._control_bytes = 0
        self._accepted: OrderedDict[str, str] = OrderedDict()

    # ----------------------------------------------------------------- parcels

    def add(
        self,
        kind: str,
        address: tuple[str, str],
        body: bytes,
        receipt: tuple[str, object] | None = None,
        reason: str = "",
    ) -> None:
        """Keep a message until it is confirmed. address: exchange and routing key."""
        self._seq += 1
        parcel = Parcel(self._seq, kind, *address, body, reason, receipt)
        self._unconfirmed[parcel.seq] = parcel
        self._unsent.append(parcel)

    def add_control(self, kind: str, exchange: str, body: bytes) -> bool:
        """Keep a control; False when there are too many to keep."""
        if self._control_bytes + len(body) > CONTROL_BYTES_MAX:
            return False
        self._control_bytes += len(body)
        self.add(kind, (exchange, ""), body)
        return True

    def take(self) -> Parcel | None:
        """Return the next to be sent, if any may be sent now."""
        if not self._unsent:
            return None
        oldest = next(iter(self._unconfirmed))
        if self._unsent[0].seq - oldest >= SPREAD_MAX:
            return None
        return self._unsent.popleft()

    def confirm(self, parcel: Parcel) -> None:
        """Forget a message that has arrived."""
        if self._unconfirmed.pop(parcel.seq, None) is not None and parcel.exchange:
            self._control_bytes -= len(parcel.body)

    def rewind(self) -> None:
        """Begin again with the oldest that is not confirmed."""
        self._unsent = deque(self._unconfirmed.values())

    @property
    def is_empty(self) -> bool:
        """Tell whether all has arrived."""
        return not self._unconfirmed

    # ------------------------------------------------------- jobs with a key

    def remember(self, job_id: str, fingerprint: str) -> None:
        """Know a job that was accepted: the stream may be slow to tell of it."""
        self._accepted[job_id] = fingerprint
        if len(self._accepted) > ACCEPTED_MAX:
            self._accepted.popitem(last=False)

    def fingerprint(self, job_id: str) -> str | None:
        """Return the fingerprint of a job that is remembered, else None."""
        return self._accepted.get(job_id)
