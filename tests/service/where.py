"""Which container a job is in: its host name is the same in all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from docker.errors import NotFound

BEGAN = "open('/proc/1/stat').read().rpartition(')')[2].split()[19]"
"""In a job of Python's: when its container's first process began, in ticks."""
HERE = f"{BEGAN} + '.' + str(os.getuid())"
"""What tells a job's container from all others: several begin within one tick, and a
later one may have the same uids."""


def container_of(client: Any, label: str, here: str) -> str:
    """Return the container's id; nothing if it has gone.

    label: what all that come into question have. here: what `HERE` was in the job.
    """
    records = client.containers(all=True, filters={"label": label})
    found = [one["Id"] for one in records if _is(client, one["Id"], here)]
    return str(found[0]) if found else ""


def _is(client: Any, container: str, here: str) -> bool:
    began, uid = here.split(".")
    try:
        record = client.inspect_container(container)
        text = Path(f"/proc/{record['State']['Pid']}/stat").read_text()
    except (NotFound, OSError):
        return False
    config = json.loads(record["Config"]["Cmd"][0])
    is_its_uid = 0 <= int(uid) - config["uid_first"] < config["uid_count"]
    return is_its_uid and text.rpartition(")")[2].split()[19] == began
