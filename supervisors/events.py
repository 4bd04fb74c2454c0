"""What a supervisor does about a failure, made known: log, metrics, the live tree."""

from __future__ import annotations

import logging

from metrics import instruments
from metrics.live import LIVE

log = logging.getLogger("warmbox.supervisor")


def note_restart(child: str, reason: str, attempt: int, delay_s: float) -> None:
    """Say that a child is started again.

    reason: why it ended. attempt: the how manieth of its restarts in a row this is.
    delay_s: how long it is or was down.
    """
    fact = {"child": child, "attempt": attempt, "delay_s": delay_s, "reason": reason}
    log.warning(
        "restart child=%(child)s attempt=%(attempt)d delay_s=%(delay_s).3f"
        " reason=%(reason)r",
        fact,
        extra={"restart": fact},
    )
    instruments.restarts_total.labels(metric_name(child)).inc()
    LIVE.restarted(child, reason, attempt, delay_s)


def note_abandoned(child: str, shutdown_s: float) -> None:
    """Say that a child was left behind, since nothing can end it."""
    log.error("%s did not stop in %s s and is abandoned", child, shutdown_s)
    instruments.abandoned_total.labels(metric_name(child)).inc()
    LIVE.abandoned(child, shutdown_s)


def metric_name(name: str) -> str:
    """Return the name as a label: numbered children share one."""
    return "/".join("n" if part.isdigit() else part for part in name.split("/"))
