"""The bound on what the kernel holds for a container's sockets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from actors.socket_memory import BYTES_MAX, PLACES, bound_socket_memory

if TYPE_CHECKING:
    from pathlib import Path

ID = "4f5e"


@pytest.mark.parametrize("place", PLACES)
def test_it_is_set_where_the_host_keeps_it(tmp_path: Path, place: str) -> None:
    file = tmp_path / place.format(ID)
    file.parent.mkdir(parents=True)
    file.write_text("9\n")
    bound_socket_memory(ID, tmp_path)
    assert int(file.read_text()) == BYTES_MAX


def test_a_host_without_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / PLACES[0].format(ID)).parent.mkdir(parents=True)
    bound_socket_memory(ID, tmp_path)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
