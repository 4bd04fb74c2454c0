"""Gateways and workers as real processes, on one RabbitMQ."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from calls import Call, call
from ports import free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).resolve().parents[1]
READY_S = 60
STOP_S = 60
SMALL = {
    "languages": "python",
    "pool.warm": 3,
    "pool.max": 6,
    "running_max": 6,
    "rate.per_second": 100_000,
    "rate.burst": 100_000,
    "http.streams_per_client_max": 20_000,
    "http.streams_per_job_max": 20_000,
}


def wait_until(true: Callable[[], object], timeout_s: float, what: str) -> None:
    """Poll for a state of another process that no event announces."""
    deadline = time.monotonic() + timeout_s
    while not true():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout_s} s: {what}")
        time.sleep(0.05)


class Node:
    """One process; the same one when it is started again."""

    PROGRAM: tuple[str, ...] = ("run.py",)

    def __init__(self, role: str, broker: str, **settings: object) -> None:
        self.role = role
        self.port = free_port()
        given = {**SMALL, "uid_first": 300_000_000 + self.port * 20_000, **settings}
        self._command = [sys.executable, *self.PROGRAM, "serve"]
        self._command += ["--role", role, "--port", str(self.port)]
        self._command += [f"--set={key}={value}" for key, value in given.items()]
        inherited = {k: v for k, v in os.environ.items() if k[:8] != "WARMBOX_"}
        self.environ = {**inherited, "WARMBOX_BROKER": broker}
        if role == "gateway":
            self.environ["DOCKER_HOST"] = "tcp://127.0.0.1:1"  # nobody answers there
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(
            self._command,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            env=self.environ,
        )

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def is_up(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def kill(self) -> None:
        """Let it die without a word."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(STOP_S)

    def send_stop(self, number: int = signal.SIGTERM) -> None:
        if self.is_up and self._process is not None:
            self._process.send_signal(number)

    def wait(self) -> int:
        """Return the exit code, after an end that was asked for."""
        assert self._process is not None
        try:
            return self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.kill()
            return -9

    def call(self, method: str, path: str, **options: Any) -> Call:
        return call(self.port, method, path, **options)

    def readiness(self) -> dict[str, Any]:
        """Return what /readyz says; nothing while nobody answers."""
        assert self.is_up, f"a {self.role} has ended: {self.log()}"
        try:
            document: dict[str, Any] = self.call("GET", "/readyz").document()
        except OSError:
            return {}
        return document

    def broker_reason(self) -> str:
        """Return what /readyz says of the broker; nothing while all is well."""
        return str(self.readiness().get("broker_reason", ""))

    def metric(self, name: str) -> float:
        """Return the sum of all samples of this name."""
        total = 0.0
        for line in self.call("GET", "/metrics").body.decode().splitlines():
            head, _, value = line.rpartition(" ")
            if head.partition("{")[0] == name:
                total += float(value)
        return total

    def log(self) -> str:
        size = os.fstat(self._log.fileno()).st_size
        start = max(0, size - 8000)
        return os.pread(self._log.fileno(), size, start).decode(errors="replace")


class Stage:
    """All processes of a test."""

    def __init__(
        self, broker: str, gateways: int, workers: int, **options: object
    ) -> None:
        self.gateways = [Node("gateway", broker, **options) for _ in range(gateways)]
        self.workers = [Node("worker", broker, **options) for _ in range(workers)]

    @property
    def nodes(self) -> list[Node]:
        return [*self.gateways, *self.workers]

    def start(self) -> None:
        for node in self.nodes:
            node.start()

    def wait_ready(self) -> None:
        """Wait until every gateway has heard of all workers, and these are warm."""
        wait_until(self._is_ready, READY_S, "all gateways know all workers")

    def _is_ready(self) -> bool:
        workers = [node.readiness().get("ready") for node in self.workers if node.is_up]
        known = [node.readiness() for node in self.gateways if node.is_up]
        return all(workers) and all(
            one.get("ready") and one["workers"] == len(workers) for one in known
        )

    def stop(self) -> list[int]:
        """Stop all that are up, in the order of their way; return their exit codes."""
        living = [node for node in self.nodes if node.is_up]
        for node in living:
            node.send_stop()
        return [node.wait() for node in living]


@contextmanager
def stage(
    broker: str, gateways: int = 2, workers: int = 2, **settings: object
) -> Iterator[Stage]:
    """Run the processes; show what they said if something is wrong."""
    one = Stage(broker, gateways, workers, **settings)
    try:
        one.start()
        yield one
        assert set(one.stop()) <= {0}
    except BaseException:  # an interrupt, too, leaves no process
        for node in one.nodes:
            print(f"---- {node.role} {node.port}\n{node.log()}")  # noqa: T201
        one.stop()
        raise
