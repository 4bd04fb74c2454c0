"""Where the engine keeps what the kernel bounds and counts of a container."""

from __future__ import annotations

from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")
_GROUPS = ("docker/{}", "system.slice/docker-{}.scope")
"""Without systemd, and with it."""


def places(controller: str, file: str) -> tuple[str, ...]:
    """Return where a file may be, with `{}` for the container's id.

    controller: its folder in version 1 of control groups; in version 2 there is none.
    """
    return tuple(str(Path(controller, group, file)) for group in _GROUPS)
