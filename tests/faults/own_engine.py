"""A Docker engine for the tests alone, on a small disk of its own.

Own folders, own socket, own containerd, no network: the machine's engine, and whoever
uses it, are not touched. Its disk is a tmpfs, so that it can be filled. Needs root.
"""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import docker
import requests
from stage import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

START_S = 40
STOP_S = 40
DISK_MB = 700
SPARE_BYTES = 16 << 10
"""So little is left on a disk that is full: not enough for one more container."""


class OwnEngine:
    """One dockerd. It keeps its images over `stop` and `start`."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="warmbox-engine-"))
        self._disk = self._folder / "disk"
        self._log = self._folder / "log"
        self._process: subprocess.Popen[bytes] | None = None
        self._disk.mkdir()
        size = f"size={DISK_MB}m"
        mount = ["mount", "-t", "tmpfs", "-o", size, "tmpfs", str(self._disk)]
        subprocess.run(mount, check=True)

    @property
    def address(self) -> str:
        return f"unix://{self._folder}/docker.sock"

    def client(self) -> Any:
        return docker.APIClient(base_url=self.address, timeout=60)

    def start(self) -> None:
        """Return when it answers."""
        command: list[str | Path] = [
            # Without a bridge of its own it removes the machine's engine's.
            *("unshare", "--net", "dockerd", "--data-root", self._disk / "data"),
            *("--exec-root", self._folder / "exec"),
            *("--pidfile", self._folder / "pid", "--host", self.address),
            *("--bridge=none", "--iptables=false", "--ip6tables=false"),
        ]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        wait_until(self._answers, START_S, "the engine answers")

    def _answers(self) -> bool:
        try:
            return bool(self.client().ping())
        except (docker.errors.DockerException, requests.RequestException):
            return False

    def stop(self, number: int = signal.SIGTERM) -> None:
        """Stop it; its containers end with it."""
        assert self._process is not None
        self._process.send_signal(number)
        self._process.wait(STOP_S)

    def end(self) -> None:
        """Stop it and remove all that was its own."""
        self.stop()
        for mount in self._mounts():
            subprocess.run(["umount", "-l", mount], check=False)
        subprocess.run(["rm", "-rf", "--one-file-system", self._folder], check=False)

    def _mounts(self) -> list[str]:
        lines = Path("/proc/self/mounts").read_text().splitlines()
        points = [line.split()[1] for line in lines]
        return [one for one in reversed(points) if one.startswith(str(self._folder))]

    def load(self, image: str) -> None:
        """Copy an image of the machine's engine."""
        with subprocess.Popen(
            ["docker", "save", image], stdout=subprocess.PIPE
        ) as save:
            load = ["docker", "--host", self.address, "load", "--quiet"]
            subprocess.run(load, stdin=save.stdout, check=True, capture_output=True)

    @contextmanager
    def full_disk(self) -> Iterator[None]:
        """Leave no room on the disk with the images and the containers."""
        hog = self._disk / "hog"
        free = os.statvfs(self._disk)
        with hog.open("wb") as file:
            os.posix_fallocate(
                file.fileno(), 0, free.f_bavail * free.f_bsize - SPARE_BYTES
            )
        try:
            yield
        finally:
            hog.unlink()

    @contextmanager
    def without(self, image: str) -> Iterator[None]:
        """Let the image not be there; containers that run keep what they have."""
        client = self.client()
        kept = "kept:latest"
        client.tag(image, *kept.split(":"))
        client.remove_image(image)
        try:
            yield
        finally:
            client.tag(kept, *image.split(":"))
            client.remove_image(kept)
            client.close()
