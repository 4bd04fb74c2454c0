"""What all requests of a gateway share: who is being answered, and with how much."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.answers import Answers
from gateway.arrivals import Arrivals
from gateway.bodies import Bodies
from gateway.encodings import Encodings
from gateway.ledger import Ledger
from gateway.reads import Reads
from gateway.streams import Streams

if TYPE_CHECKING:
    from gateway.config import GatewayConfig
    from gateway.turns import Turns


@dataclass(frozen=True, slots=True)
class Desk:
    """Plain objects of the gateway's process: its end is theirs, and loses nothing."""

    arrivals: Arrivals
    reads: Reads
    ledger: Ledger
    turns: Turns
    bodies: Bodies
    streams: Streams
    encodings: Encodings
    answers: Answers


def make_desk(config: GatewayConfig, turns: Turns) -> Desk:
    """Return a desk at which nobody stands."""
    ledger = Ledger(config.answers_mb_max << 20, config.answers_per_client_mb_max << 20)
    bodies = Bodies(config.bodies_mb_max << 20, config.client_share)
    answers = Answers(ledger, turns)
    return Desk(
        Arrivals(),
        Reads(config),
        ledger,
        turns,
        bodies,
        Streams(config),
        Encodings(),
        answers,
    )
