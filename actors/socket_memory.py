"""What the kernel may hold for a container's TCP and UDP sockets.

With version 2 of control groups that counts as the container's memory. With version 1
it has a bound of its own, or none but the whole host's: Docker takes one
(`KernelMemoryTCP`) and does not set it, so we do.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from actors.control_group import CGROUPS, places

if TYPE_CHECKING:
    from pathlib import Path

PLACES = places("memory", "memory.kmem.tcp.limit_in_bytes")
BYTES_MAX = 32 << 20


def bound_socket_memory(container_id: str, root: Path = CGROUPS) -> None:
    """Set the bound, where it is within our reach (see actors/cpu_weight.py)."""
    for place in PLACES:
        file = root / place.format(container_id)
        with suppress(OSError), file.open("r+") as limit:  # not there, or not ours
            limit.write(f"{BYTES_MAX}\n")
