"""The real service as a process of its own, on a port of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import docker
from docker.utils import kwargs_from_env
from http_api import Api
from ports import free_port
from where import container_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

ROOT = Path(__file__).resolve().parents[2]
ADMIN_KEY = "the-key-of-our-admin"
READY_S = 150
STOP_S = 180
SETTLE_S = 30
POLL_S = 0.05


def wait_until(
    true: Callable[[], object], timeout_s: float, what: str, poll_s: float = POLL_S
) -> None:
    """Poll for a state that no event announces, for a bounded time."""
    deadline = time.monotonic() + timeout_s
    while not true():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout_s} s: {what}")
        time.sleep(poll_s)


class ServiceProcess:
    """`run.py serve`, ready when entered and, unless told otherwise, stopped after."""

    program: tuple[str, ...] = ("run.py",)

    def __init__(self, **settings: object) -> None:
        self.port = free_port()
        # Tests on one machine share its kernel, which counts processes by uid.
        uid_first = 200_000_000 + self.port * 20_000
        given: dict[str, object] = {
            "rate.per_second": 100_000,
            "rate.burst": 100_000,
            "uid_first": uid_first,
            **{key.replace("__", "."): value for key, value in settings.items()},
        }
        options = [f"--set={key}={value}" for key, value in given.items()]
        self.command = [sys.executable, *self.program, "serve"]
        self.command += ["--port", str(self.port)]
        self.command += options
        self.api = Api(self.port)
        self.docker: Any = docker.APIClient(timeout=30, **kwargs_from_env())
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - closed by stop
        self.process = subprocess.Popen(
            self.command,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            env={k: v for k, v in os.environ.items() if not k.startswith("WARMBOX_")},
        )

    def __enter__(self) -> Self:
        try:
            wait_until(self._is_ready, READY_S, "every language is ready")
        except BaseException:  # an interrupt, too, leaves no process
            print(self.log())  # noqa: T201 - pytest shows it with the failure
            self.kill()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None:
            print(self.log())  # noqa: T201 - pytest shows it with the failure
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                self.kill()
        self.docker.close()

    def _is_ready(self) -> bool:
        assert self.process.poll() is None, "the service has ended"
        try:
            return self.is_ready()
        except OSError:
            return False

    def is_ready(self) -> bool:
        """Tell whether each language has all the containers that it keeps warm."""
        answer = self.api.call("GET", "/readyz")
        pools = answer.document["languages"].values()
        return answer.status == 200 and not any(pool["starting"] for pool in pools)

    def log(self) -> str:
        """Return what the service has printed, its last part."""
        size = os.fstat(self._log.fileno()).st_size
        return self.log_from(max(0, size - 20_000)).decode(errors="replace")

    def log_from(self, start: int) -> bytes:
        """Return what the service has printed, from that byte on."""
        size = os.fstat(self._log.fileno()).st_size
        return os.pread(self._log.fileno(), size - start, start)

    def terminate(self) -> int:
        """Send SIGTERM; return the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(STOP_S)

    def kill(self) -> None:
        """Let the process die without a word."""
        self.process.kill()
        self.process.wait(STOP_S)

    def containers(self, language: str | None = None) -> list[str]:
        """Return the ids of our containers, also of those that have stopped."""
        labels = [f"warmbox.service=127.0.0.1:{self.port}"]
        if language:
            labels.append(f"warmbox.language={language}")
        found = self.docker.containers(all=True, filters={"label": labels})
        return [str(one["Id"]) for one in found]

    def container_of(self, here: str) -> str:
        """Return the container of ours where a job's `HERE` is this."""
        label = f"warmbox.service=127.0.0.1:{self.port}"
        return container_of(self.docker, label, here)

    def wait_settled(self, language: str, count: int = 5) -> int:
        """Wait until all containers of the language are idle, and enough of them.

        Return how many they are.
        """
        idle = 0

        def settled() -> bool:
            nonlocal idle
            name = "warmbox_containers"
            idle = round(self.api.metric(name, language=language, state="idle"))
            return count <= idle == self.api.metric(name, language=language)

        wait_until(settled, SETTLE_S, f"{count} idle containers of {language}")
        return idle
