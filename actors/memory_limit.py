"""A container's memory limit, set where the kernel keeps it.

Docker's own way takes a few milliseconds and sends a request through three processes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.control_group import CGROUPS, places

if TYPE_CHECKING:
    from pathlib import Path

PLACES_V2 = places("", "memory.max")
PLACES_V1 = places("memory", "memory.limit_in_bytes")
WITH_SWAP = "memory.memsw.limit_in_bytes"


def set_memory_limit(container_id: str, limit: int, root: Path = CGROUPS) -> bool:
    """Set it, in bytes; False where it is not within our reach.

    Raises OSError if the kernel refuses it: more is in use. It waits while it makes
    room, for which there may be much to do.
    """
    for place in (*PLACES_V2, *PLACES_V1):
        file = root / place.format(container_id)
        try:
            _write(file, limit)
        except (FileNotFoundError, PermissionError):
            continue  # not there, or not ours
        return True
    return False


def _write(file: Path, limit: int) -> None:
    with_swap = file.with_name(WITH_SWAP)
    if not with_swap.exists():
        _put(file, limit)
        return
    # Neither may ever be above, or below, the other.
    both = [file, with_swap]
    if int(file.read_text()) < limit:
        both.reverse()
    for one in both:
        _put(one, limit)


def _put(file: Path, limit: int) -> None:
    with file.open("r+") as place:  # it is never made
        place.write(f"{limit}\n")
