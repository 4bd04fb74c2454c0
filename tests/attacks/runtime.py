"""What the suite's services have in common."""

from __future__ import annotations

import os
import re

RUNTIME = os.environ.get("WARMBOX_TEST_RUNTIME", "runc")

_ITS_OWN = {
    "devices": r"/dev/(net|net/tun|fuse)|mknod",
    "signals to processes of ours, by all ways": r"\d+ (renice|affinity)",
    "what our processes hold": r"\d+ (environ|maps|smaps|auxv|fd|fdinfo|task/\d+/fd"
    r"|ns/net|ns/user|fd/0|fd/1)",
    "what our command lines say": r"python3.*runner\.py.*",
    "the kernel's switches": r"/proc/cmdline",
    "more rights than it has": r"5 \('os', 'nice'\)|6 \('open', 'write'\)",
}
"""What a program reaches under gVisor of December 2022, by attack.

All of it belongs to the kernel that the sandbox has for itself: devices that it plays,
priorities and adjustments that it keeps and does not heed, and what it tells of the
runner, which has no user's data in it. A priority that was changed ends the container.
"""


def is_gvisors_own(attack: str, line: str) -> bool:
    """Tell whether a line that says REACHED speaks of gVisor's kernel alone."""
    known = _ITS_OWN.get(attack) if RUNTIME == "runsc" else None
    if known is None:
        return False
    return re.fullmatch(f"REACHED ({known})", line, re.DOTALL) is not None
