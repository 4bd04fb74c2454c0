"""A container's weight, in control groups of either version."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from actors.cpu_weight import LEAST, PLACES, PREFERRED, YIELDING, CpuWeight

ID = "4f5e"


@pytest.fixture(params=PLACES)
def file(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """The file where this kind of host keeps the weight."""
    place: Path = tmp_path / request.param.format(ID)
    place.parent.mkdir(parents=True)
    place.write_text("100\n")
    return place


def now(file: Path) -> int:
    """Return the weight; the kernel's file is never longer than its number."""
    return int(file.read_text().splitlines()[0])


def descriptors(file: Path) -> int:
    """Return how often we have the file open."""
    links = Path("/proc/self/fd").iterdir()
    return sum(os.path.realpath(link) == str(file.resolve()) for link in links)


def test_it_is_raised_and_comes_back_to_what_it_was(file: Path, tmp_path: Path) -> None:
    weight = CpuWeight(ID, tmp_path)
    weight.prefer()
    assert now(file) == 100 * PREFERRED
    weight.reset()
    assert now(file) == 100


def test_it_is_lowered_and_comes_back_to_what_it_was(
    file: Path, tmp_path: Path
) -> None:
    weight = CpuWeight(ID, tmp_path)
    weight.prefer()
    weight.give_way()
    assert now(file) == 100 * YIELDING
    weight.reset()
    assert now(file) == 100


def test_it_is_never_lower_than_the_kernel_takes(file: Path, tmp_path: Path) -> None:
    file.write_text("3\n")
    weight = CpuWeight(ID, tmp_path)
    weight.give_way()
    assert now(file) == LEAST


def test_a_weight_that_is_as_usual_is_left_alone(file: Path, tmp_path: Path) -> None:
    weight = CpuWeight(ID, tmp_path)
    file.write_text("7")  # an admin's
    weight.reset()
    assert file.read_text() == "7"
    weight.prefer()
    weight.reset()
    file.write_text("8")
    weight.reset()
    assert file.read_text() == "8"


def test_it_is_this_containers(file: Path, tmp_path: Path) -> None:
    weight = CpuWeight("4f5", tmp_path)
    weight.prefer()
    assert file.read_text() == "100\n"


def test_out_of_reach_nothing_changes(tmp_path: Path) -> None:
    weight = CpuWeight(ID, tmp_path)
    weight.prefer()
    weight.reset()
    assert list(tmp_path.iterdir()) == []


def test_it_may_go_with_its_container(file: Path, tmp_path: Path) -> None:
    weight = CpuWeight(ID, tmp_path)
    weight.prefer()
    file.unlink()
    file.parent.rmdir()
    weight.reset()
    weight.prefer()
    assert not file.exists()


def test_what_is_no_number_is_left_alone(file: Path, tmp_path: Path) -> None:
    file.write_text("idle\n")
    weight = CpuWeight(ID, tmp_path)
    weight.prefer()
    assert file.read_text() == "idle\n"


def test_closed_it_stays_as_it_is(file: Path, tmp_path: Path) -> None:
    weight = CpuWeight(ID, tmp_path)
    weight.prefer()
    assert descriptors(file) == 1
    weight.close()
    weight.close()
    assert descriptors(file) == 0
    weight.reset()
    assert now(file) == 100 * PREFERRED
