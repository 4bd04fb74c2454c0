"""The images as the engine has them: what all of a container's look-ups depend on."""

from __future__ import annotations

from pathlib import Path

import docker
import pytest

from images.catalog import load_catalog

ROOT = Path(__file__).resolve().parents[2]
LANGUAGES = load_catalog(ROOT / "images").languages
OURS = 2
"""The base, and what runs the jobs."""

pytestmark = pytest.mark.docker


def layers_of_its_own(name: str) -> int:
    lines = (LANGUAGES[name].folder / "Dockerfile").read_text().splitlines()
    return sum(line.startswith(("RUN ", "COPY ")) for line in lines)


@pytest.mark.parametrize("name", LANGUAGES)
def test_an_image_has_no_layer_that_it_need_not_have(name: str) -> None:
    image = docker.from_env().images.get(f"warmbox/{name}:latest")
    layers = image.attrs["RootFS"]["Layers"]
    assert len(layers) == layers_of_its_own(name) + OURS
