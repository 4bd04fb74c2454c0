"""A container's memory limit, in both versions of control groups."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from actors.memory_limit import set_memory_limit

if TYPE_CHECKING:
    from pathlib import Path

MIB = 1 << 20


def plant(root: Path, folder: str, *names: str) -> Path:
    place = root / folder
    place.mkdir(parents=True)
    for name in names:
        (place / name).write_text(f"{100 * MIB}\n")
    return place


@pytest.mark.parametrize(
    ("folder", "names"),
    [
        ("docker/one", ("memory.max",)),
        ("system.slice/docker-one.scope", ("memory.max",)),
        ("memory/docker/one", ("memory.limit_in_bytes",)),
        ("memory/docker/one", ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes")),
    ],
)
def test_it_is_set_where_the_kernel_keeps_it(
    tmp_path: Path, folder: str, names: tuple[str, ...]
) -> None:
    place = plant(tmp_path, folder, *names)
    for limit in (200 * MIB, 50 * MIB):
        assert set_memory_limit("one", limit, tmp_path)
        for name in names:
            assert (place / name).read_text().split()[0] == str(limit)


def test_it_is_said_where_it_cannot_be_set(tmp_path: Path) -> None:
    assert not set_memory_limit("one", MIB, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_it_is_said_that_the_kernel_refuses(tmp_path: Path) -> None:
    place = plant(tmp_path, "docker/one")
    (place / "memory.max").mkdir()  # which can't be written either
    with pytest.raises(OSError, match="directory"):
        set_memory_limit("one", MIB, tmp_path)
