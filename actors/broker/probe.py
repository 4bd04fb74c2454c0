"""A look at a broker from outside, for the doctor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pika
from pika.exceptions import AMQPError, ChannelClosedByBroker

from actors.broker.wire import parameters, reason_of

if TYPE_CHECKING:
    from actors.broker.topology import Step, Topology

Finding = tuple[str, bool, str, str]

_START = "start RabbitMQ, or mend the address, user or password in `broker`"
_DECLARE = (
    "set `queue_max` and `result_ttl_s` as they were; or let the workers drain it and "
    "delete it: rabbitmqctl delete_queue {name}"
)


def probe(urls: tuple[str, ...], topology: Topology, timeout_s: float) -> list[Finding]:
    """Return findings: subject, whether it is well, evidence, and what mends it.

    Blocks for at most `timeout_s` for each address. What is not there is declared.
    """
    findings: list[Finding] = []
    declared = False
    for number, url in enumerate(urls, 1):
        subject = f"broker {number}" if len(urls) > 1 else "broker"
        try:
            found = parameters(url, "doctor")
            subject = f"broker {found.host}:{found.port}"
            found.socket_timeout = found.stack_timeout = timeout_s
            found.blocked_connection_timeout = timeout_s
            connection = pika.BlockingConnection(found)
        except (AMQPError, OSError, ValueError) as error:
            findings.append((subject, False, reason_of(error), _START))
            continue
        with connection:
            version = _version(connection)
            findings.append((subject, True, f"RabbitMQ {version}", ""))
            if not declared:  # what one node of a cluster holds, all hold
                declared = True
                findings += [_declare(connection, step) for step in topology.steps()]
    return findings


def _version(connection: Any) -> str:
    properties = connection._impl.server_properties or {}  # noqa: SLF001 - no other way
    return str(properties.get("version", "of an unknown version"))


def _declare(connection: Any, step: Step) -> Finding:
    name = step.subject.partition(" ")[2]
    channel = connection.channel()  # a refusal costs the channel
    try:
        getattr(channel, step.method)(**step.arguments)
    except ChannelClosedByBroker as error:
        return step.subject, False, error.reply_text, _DECLARE.format(name=name)
    except AMQPError as error:
        return step.subject, False, reason_of(error), _START
    channel.close()
    return step.subject, True, "as it should be", ""
