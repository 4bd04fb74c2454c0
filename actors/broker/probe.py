"""A look at a broker from outside, for the doctor."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from actors.broker.topology import Topology


def probe(
    urls: tuple[str, ...], topology: Topology, timeout_s: float
) -> list[tuple[str, bool, str, str]]:
    """Return findings: subject, whether it is well, evidence, and what mends it."""
    raise NotImplementedError
