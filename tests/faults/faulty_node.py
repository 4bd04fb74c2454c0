"""A process of the service with a door for faults."""

from __future__ import annotations

import json
import os
import socket
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import docker
from stage import ROOT, Node, wait_until

from actors.direct_socket import borrow

if TYPE_CHECKING:
    from collections.abc import Mapping

SMALL = {
    "pool.warm": 4,
    "pool.max": 4,
    "running_max": 4,
    "guests_max": 0,
    "client_share": 1,
    "result_ttl_s": 240,
    "attempts_max": 5,
}
"""A pool that does not breathe, so that what there is can be compared; and one client,
as whom all is played, that may have all there is."""
DOOR_S = 60.0
WHOLE_S = 90.0


class FaultyNode(Node):
    """One process. Its door is there as long as the process is."""

    PROGRAM = ("-m", "gevent.monkey", "tests/faults/door.py")

    def __init__(
        self, role: str, broker: str, docker_host: str = "", **settings: object
    ) -> None:
        super().__init__(role, broker, **{**SMALL, **settings})
        self._folder = tempfile.TemporaryDirectory(prefix="warmbox-door-")
        self._door = Path(self._folder.name) / "door"
        serve = self._command.index("serve")
        self._command.insert(serve, str(self._door))
        self.environ["PYTHONPATH"] = f"{ROOT}:{Path(__file__).parent}"
        if docker_host:
            self.environ["DOCKER_HOST"] = docker_host
        self.docker: Any = docker.APIClient(timeout=60, base_url=docker_host or None)

    def start(self) -> None:
        self._door.unlink(missing_ok=True)
        super().start()

    def order(self, method: str, **arguments: object) -> Any:
        """Have the process do something to itself; return what it answers."""
        with socket.socket(socket.AF_UNIX) as door:
            door.settimeout(DOOR_S)
            door.connect(str(self._door))
            with door.makefile("rw") as lines:
                lines.write(json.dumps([method, arguments]) + "\n")
                lines.flush()
                answer = json.loads(lines.readline())
        if "error" in answer:
            raise RuntimeError(f"{method} {arguments}: {answer['error']}")
        return answer["is"]

    def is_whole(self) -> bool:
        """Tell whether all parts are up and each pool is full, or has no need to be."""
        assert self.is_up, f"the {self.role} has ended"
        answer = self._ask("/readyz")
        if answer.get("ready") is not True or answer.get("restarting"):
            return False
        pools = answer.get("languages", {}).values()
        full = all(one["ready"] == SMALL["pool.warm"] for one in pools)
        return self.role == "gateway" or full

    def _ask(self, path: str) -> Mapping[str, Any]:
        try:
            document: dict[str, Any] = self.call("GET", path, timeout_s=5).document()
        except (OSError, ValueError):
            return {}
        return document

    def wait_whole(self) -> None:
        wait_until(self.is_whole, WHOLE_S, f"the {self.role} is whole")

    def containers(self) -> list[str]:
        """Return the ids of this process's containers, of those that have ended too."""
        if self.role == "gateway":
            return []
        label = f"warmbox.service=127.0.0.1:{self.port}"
        found = self.docker.containers(all=True, filters={"label": label})
        return [str(one["Id"]) for one in found]

    def runner_pid(self, container: str) -> int:
        """Return the container's first process, as this machine counts."""
        pid = int(self.docker.inspect_container(container)["State"]["Pid"])
        if not pid:  # to a signal, 0 is whoever sends it, and all its kin
            raise RuntimeError(f"{container} has ended")
        return pid

    def babble(self, container: str) -> None:
        """Write what is no frame where the container's runner writes frames."""
        fd = borrow(self.runner_pid(container), 1)
        assert fd is not None
        os.write(fd, b"\xff" * 64)
        os.close(fd)
