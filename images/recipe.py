"""What goes into an image, as files and text: all that needs no engine to be known."""

from __future__ import annotations

import hashlib
import io
import tarfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

# What every image holds in /opt/warmbox, beside the folder's own `starter.*`.
RUNNER_FILES = (
    "runner.py",
    "runner_bill.py",
    "runner_children.py",
    "runner_cleaner.py",
    "runner_host.py",
    "runner_job.py",
    "runner_json.py",
    "runner_kernel.py",
    "runner_memory.py",
    "runner_step.py",
    "launcher.py",
    "wire.py",
)

BASE_FILES = {"Dockerfile": "base.Dockerfile", "nss_box.c": "nss_box.c"}

_TAIL = """\
ARG BASE
ARG TOOLS
FROM ${{BASE}} AS programs
COPY {names} /opt/warmbox/
# Compiled once, not by every container as it starts: that is time, and memory kept.
# What only readers need (docstrings, assertions, columns) is left out, and yet the
# names are the usual ones.
RUN cd /opt/warmbox \\
 && python3 -X no_debug_ranges -m compileall -q -o 2 \\
        --invalidation-mode unchecked-hash . \\
 && for name in __pycache__/*.opt-2.pyc; do \\
      mv "$name" "${{name%.opt-2.pyc}}.pyc" || exit; \\
    done \\
 && for name in *.py; do \\
      ln -s __pycache__/${{name%.py}}.cpython-*.pyc ${{name}}c || exit; \\
    done
# In one layer, for the reason that base.Dockerfile gives.
FROM ${{TOOLS}}
USER 0
WORKDIR /
# Memory that the runner has freed goes back to the kernel, where a scrub looks at it.
ENV MALLOC_MMAP_THRESHOLD_=131072 MALLOC_TRIM_THRESHOLD_=131072
COPY --from=programs /opt/warmbox/ /opt/warmbox/
ENTRYPOINT ["python3", "-I", "-S", "-B", "/opt/warmbox/runner.pyc"]
CMD []
"""


@dataclass(frozen=True, slots=True)
class File:
    """One file of a build context."""

    data: bytes
    executable: bool = False


@dataclass(frozen=True, slots=True)
class Recipe:
    """A build context with its Dockerfile."""

    files: Mapping[str, File]

    def digest(self, *beneath: str) -> str:
        """Return a hash over all files and over what the image stands on."""
        total = hashlib.sha256()
        for part in beneath:
            total.update(f"{part}\n".encode())
        for name, file in sorted(self.files.items()):
            data = hashlib.sha256(file.data).hexdigest()
            total.update(f"{name}\0{file.executable}\0{data}\n".encode())
        return total.hexdigest()

    def tar(self) -> io.BytesIO:
        """Return the context as the engine takes it: all files root's, none dated."""
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as archive:
            for name, file in sorted(self.files.items()):
                entry = tarfile.TarInfo(name)
                entry.size = len(file.data)
                entry.mode = 0o755 if file.executable else 0o644
                archive.addfile(entry, io.BytesIO(file.data))
        packed.seek(0)
        return packed


def base_recipe(root: Path) -> Recipe:
    """Return what the base image is made of."""
    return Recipe({name: _read(root / file) for name, file in BASE_FILES.items()})


def folder_recipe(folder: Path) -> Recipe:
    """Return a language's folder: its Dockerfile and what that may copy."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return Recipe(
        {
            path.relative_to(folder).as_posix(): _read(path)
            for path in paths
            if "__pycache__" not in path.parts
        }
    )


def tail_recipe(root: Path, folder: Path) -> Recipe:
    """Return what is laid over a language's tools: the programs that run the jobs."""
    programs = {name: _read(root / name) for name in RUNNER_FILES}
    programs |= {path.name: _read(path) for path in sorted(folder.glob("starter.*"))}
    dockerfile = _TAIL.format(names=" ".join(programs))
    return Recipe({"Dockerfile": File(dockerfile.encode()), **programs})


def language_digest(root: Path, folder: Path, base_id: str) -> str:
    """Return the hash that tells whether a language's image is current."""
    folder_digest = folder_recipe(folder).digest()
    return tail_recipe(root, folder).digest(base_id, folder_digest)


def _read(path: Path) -> File:
    return File(path.read_bytes(), executable=bool(path.stat().st_mode & 0o100))
