"""Which container a job is in: its host name is the same in all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from docker.errors import NotFound

_BEGAN = "open('/proc/1/stat').read().rpartition(')')[2].split()[19]"
HERE = f"{_BEGAN} + '.' + os.readlink('/proc/self/ns/pid')"
"""What tells a job's container from all others: several begin within one tick, with the
same uids if they are of several workers, and a namespace's number comes again."""


def container_of(client: Any, label: str, here: str) -> str:
    """Return the container's id; nothing if it has gone.

    label: what all that come into question have. here: what `HERE` was in the job.
    """
    records = client.containers(all=True, filters={"label": label})
    found = [one["Id"] for one in records if _is(client, one["Id"], here)]
    return str(found[0]) if found else ""


def _is(client: Any, container: str, here: str) -> bool:
    try:
        pid = client.inspect_container(container)["State"]["Pid"]
        process = Path("/proc", str(pid))
        fields = (process / "stat").read_text().rpartition(")")[2].split()
        return f"{fields[19]}.{(process / 'ns/pid').readlink()}" == here
    except (NotFound, OSError):
        return False
