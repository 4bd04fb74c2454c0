"""A language's folder: which files make it one, and which of them are missing."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

SAMPLES = ("hello", "echo", "fail")
_MARKS = ("language.toml", "Dockerfile", "fail.toml", "hello.*")
"""One of them, and somebody wants the folder to be a language."""
_BESIDE = (".expected", ".toml")
"""What lies beside a sample has such a suffix, and no program has."""


def language_folders(root: Path) -> list[Path]:
    """Return the folders that are languages or are about to become some, by name."""
    folders = (path for path in root.iterdir() if path.is_dir())
    return sorted(one for one in folders if any(map(any, map(one.glob, _MARKS))))


def missing_files(folder: Path, table: Mapping[str, Any]) -> list[str]:
    """Return the names of all files that a language needs and this one has not.

    table: of its `language.toml`, as it was read; what its main file is called tells
    how its programs are.
    """
    main = table.get("main")
    suffix = PurePosixPath(main).suffix if isinstance(main, str) else ""
    return list(_missing(folder, suffix))


def _missing(folder: Path, suffix: str) -> Iterator[str]:
    needed = ("Dockerfile", "language.toml", "fail.toml")
    for name in (*needed, "hello.expected", "echo.expected"):
        if not (folder / name).is_file():
            yield name
    for stem in SAMPLES:
        if not _has_program(folder, stem, suffix):
            yield f"{stem}{suffix or '.*'}"


def _has_program(folder: Path, stem: str, suffix: str) -> bool:
    if suffix:
        return (folder / f"{stem}{suffix}").is_file()
    return any(path.suffix not in _BESIDE for path in folder.glob(f"{stem}.*"))
