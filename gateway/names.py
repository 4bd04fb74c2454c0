"""Which file names a job may bring: relative paths that mean one thing everywhere."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

NAME_BYTES_MAX = 255

# The same rule for readers of /openapi.json; bytes can't be counted by a pattern.
PATTERN = (
    r"^(?!\.{1,2}(/|$))[^/\\\u0000-\u001f\u007f-\u009f]+"
    r"(/(?!\.{1,2}(/|$))[^/\\\u0000-\u001f\u007f-\u009f]+)*$"
)

_SLASH = re.compile("/")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def check_name(name: str) -> str:
    """Return the name, or raise a ValueError that says what is wrong with it."""
    if len(name.encode()) > NAME_BYTES_MAX:
        raise ValueError(f"is longer than {NAME_BYTES_MAX} bytes")
    if _CONTROL.search(name):
        raise ValueError("has a control character in it")
    if "\\" in name:
        raise ValueError("has a backslash in it; folders end with /")
    if name.startswith("/"):
        raise ValueError("is absolute")
    if any(part in {"", ".", ".."} for part in name.split("/")):
        raise ValueError("has a part that is empty, . or ..")
    return name


def find_clash(names: Iterable[str]) -> str | None:
    """Return a name that is there twice, or is also the folder of another."""
    files: set[str] = set()
    folders: set[str] = set()
    for name in names:
        if name in files:
            return name
        files.add(name)
        folders.update(name[: slash.start()] for slash in _SLASH.finditer(name))
    return next(iter(sorted(files & folders)), None)
