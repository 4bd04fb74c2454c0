"""Debian 13 from its own packages, for where no image registry answers."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SUITE = "trixie"
_PACKAGES = ("mmdebstrap", "debian-archive-keyring")
_TAIL_LINES = 20


class RootError(RuntimeError):
    """No root file system could be made; the text says what to do."""


def make_root(archive: Path, output: Callable[[str], None]) -> None:
    """Write a minimal Debian to the tar file `archive`, telling its progress."""
    if not shutil.which("mmdebstrap"):
        _install(output)
    _run(["mmdebstrap", "--variant=minbase", SUITE, str(archive)], output)


def _install(output: Callable[[str], None]) -> None:
    wanted = " ".join(_PACKAGES)
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise RootError(
            "No image registry answers, so the base image has to be made here: "
            f"install {wanted} (as root: apt-get install {wanted}), then try again."
        )
    _run(["apt-get", "update"], output)
    _run(["apt-get", "install", "-y", "--no-install-recommends", *_PACKAGES], output)


def _run(argv: list[str], output: Callable[[str], None]) -> None:
    last: deque[str] = deque(maxlen=_TAIL_LINES)
    with subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"},
        encoding="utf-8",
        errors="replace",
    ) as process:
        for line in process.stdout or ():
            last.append(line.rstrip())
            output(line.rstrip())
    if process.returncode:
        raise RootError(f"{argv[0]} failed:\n" + "\n".join(last))
