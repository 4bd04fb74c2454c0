"""What a broker connection says to itself: pika's callbacks, each as one message.

All carry the generation of the pika connection that they are of. One that has been
given up may still call back: what it says is stale.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class ConnectionOpened:
    """The server has let us in."""

    generation: int


@dataclass(frozen=True, slots=True)
class ConnectionLost:
    """The connection is gone, or did not come about."""

    generation: int
    reason: str


@dataclass(frozen=True, slots=True)
class ChannelOpened:
    """The one channel of the connection is there."""

    generation: int


@dataclass(frozen=True, slots=True)
class ChannelLost:
    """The server has closed the channel; its words name what it did not like."""

    generation: int
    reason: str


@dataclass(frozen=True, slots=True)
class StepDone:
    """The server has done what was asked last in the set-up."""

    generation: int
    message_count: int = 0
    """What is in the queue, if it was one that was declared."""


@dataclass(frozen=True, slots=True)
class ConnectionBlocked:
    """The server is low on memory or disk and reads nothing from us."""

    generation: int
    reason: str


@dataclass(frozen=True, slots=True)
class ConnectionUnblocked:
    """The server reads again."""

    generation: int


@dataclass(frozen=True, slots=True)
class PublishSettled:
    """The server has taken (or refused) a message, or all up to it."""

    generation: int
    tag: int
    multiple: bool
    taken: bool


@dataclass(frozen=True, slots=True)
class PublishUnroutable:
    """There is no queue for the message; a `PublishSettled` follows all the same."""

    generation: int
    message_id: str


@dataclass(frozen=True, slots=True)
class MessageArrived:
    """A delivery to one of our consumers."""

    generation: int
    consumer: str
    tag: int
    kind: str
    """The message's type property; "" when it has none."""
    headers: Mapping[str, Any]
    body: bytes
    sent_at: float = 0.0
    """In seconds since the epoch, by its publisher's clock; 0 when it does not say."""


@dataclass(frozen=True, slots=True)
class ConsumerCancelled:
    """The server has ended a consumer of ours: its queue was deleted or moved."""

    generation: int
    consumer: str
