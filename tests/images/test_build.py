from __future__ import annotations

import io
import threading
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from rich.console import Console

from images.build import build_images, connect, list_images
from images.catalog import Catalog, load_catalog
from images.making import BASE, EngineError, Work, make_language
from images.progress import Board, BuildState
from images.recipe import BASE_FILES, RUNNER_FILES, language_digest, tail_recipe

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import docker

    from images.recipe import Recipe

IMAGES = Path(__file__).parents[2] / "images"

TINY = """
title = "Tiny"
main = "main.sh"
version = ["sh", "-c", "echo; echo tiny 1.0"]
[run]
argv = ["sh", "{main}", "{args}"]
"""
DOCKERFILE = "ARG BASE\nFROM ${BASE}\nRUN echo made > /made\n"


def write_language(root: Path, name: str, dockerfile: str = DOCKERFILE) -> Path:
    for file in ("defaults.toml", *BASE_FILES.values(), *RUNNER_FILES):
        (root / file).write_bytes((IMAGES / file).read_bytes())
    folder = root / name
    folder.mkdir()
    (folder / "language.toml").write_text(TINY)
    (folder / "Dockerfile").write_text(dockerfile)
    for program in ("hello", "echo", "fail"):
        (folder / f"{program}.sh").write_text("echo said\n")
        (folder / f"{program}.expected").write_text("said\n")
    (folder / "fail.toml").write_text('outcome = "failure"\n')
    return folder


class Told:
    """Remembers what it is told of builds."""

    def __init__(self) -> None:
        self.states: list[tuple[str, BuildState]] = []
        self.steps: list[tuple[str, str]] = []

    def state(self, name: str, state: BuildState) -> None:
        self.states.append((name, state))

    def step(self, name: str, step: str) -> None:
        self.steps.append((name, step))

    def output(self, name: str, line: str) -> None:
        pass


class TwinEngine:
    """Keeps images as records, and builds whatever it is asked to."""

    def __init__(self) -> None:
        self.images: dict[str, dict[str, Any]] = {}
        self.removed: list[str] = []
        self.says = "tiny 1.0\n"

    def inspect(self, image: str) -> dict[str, Any]:
        return self.images.get(image, {})

    def build(
        self, recipe: Recipe, tag: str, args: dict[str, str], labels: dict[str, str]
    ) -> Iterator[dict[str, Any]]:
        yield {"stream": f"Step 1/1 : made with {args}"}
        if b"RUN false" in recipe.files["Dockerfile"].data:
            yield {"stream": "the reason\n"}
            yield {"error": "it returned 1"}
        self.images[tag] = {"Id": uuid.uuid4().hex, "Config": {"Labels": labels}}

    def pull(self, image: str) -> Iterable[dict[str, Any]]:
        raise EngineError(image)

    def import_root(self, archive: Path, tag: str) -> None:
        raise NotImplementedError

    def output_of(self, image: str, argv: Sequence[str]) -> str:
        assert image in self.images
        assert argv
        return self.says

    def remove(self, image_id: str) -> None:
        self.removed.append(image_id)


def make(engine: TwinEngine, catalog: Catalog, base_id: str = "base") -> BuildState:
    work = Work(engine, "tiny", "warmbox/tiny:latest", Told())
    return make_language(work, catalog, catalog.languages["tiny"], base_id)


# --- what makes an image stale ------------------------------------------------------


def test_the_content_hash_changes_with_everything_that_goes_in(tmp_path: Path) -> None:
    folder = write_language(tmp_path, "tiny")
    hashes = [language_digest(tmp_path, folder, "base")]

    for path in (tmp_path / "wire.py", folder / "Dockerfile", folder / "language.toml"):
        path.write_text(path.read_text() + "# changed\n")
        hashes.append(language_digest(tmp_path, folder, "base"))
    (folder / "starter.js").write_text("new")
    hashes.append(language_digest(tmp_path, folder, "base"))
    (folder / "hello.sh").chmod(0o755)
    hashes.append(language_digest(tmp_path, folder, "base"))
    hashes.append(language_digest(tmp_path, folder, "another base"))

    assert len(set(hashes)) == len(hashes)


def test_the_content_hash_is_the_same_for_the_same_content(tmp_path: Path) -> None:
    folder = write_language(tmp_path, "tiny")
    before = language_digest(tmp_path, folder, "base")

    (folder / "hello.sh").touch()
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__" / "x.pyc").write_text("x")

    assert language_digest(tmp_path, folder, "base") == before


def test_the_tail_holds_the_runner_and_the_starter(tmp_path: Path) -> None:
    folder = write_language(tmp_path, "tiny")
    (folder / "starter.js").write_text("wait")

    files = tail_recipe(tmp_path, folder).files

    assert set(files) == {"Dockerfile", "starter.js", *RUNNER_FILES}


# --- one language -------------------------------------------------------------------


def test_an_image_is_made_once_and_again_when_stale(tmp_path: Path) -> None:
    folder = write_language(tmp_path, "tiny")
    catalog = load_catalog(tmp_path)
    engine = TwinEngine()

    assert make(engine, catalog) is BuildState.BUILT
    first = engine.images["warmbox/tiny:latest"]
    assert first["Config"]["Labels"]["warmbox.version"] == "tiny 1.0"
    assert make(engine, catalog) is BuildState.CURRENT
    (folder / "hello.sh").write_text("echo more\n")
    assert make(engine, catalog) is BuildState.BUILT
    assert engine.removed == [first["Id"]]
    assert make(engine, catalog, "another base") is BuildState.BUILT


def test_the_version_is_the_first_line_that_says_something(tmp_path: Path) -> None:
    write_language(tmp_path, "tiny")
    engine = TwinEngine()
    engine.says = "\n  \n tiny 2 (x)  \nmore\n"

    make(engine, load_catalog(tmp_path))

    labels = engine.images["warmbox/tiny:latest"]["Config"]["Labels"]
    assert labels["warmbox.version"] == "tiny 2 (x)"


def test_a_tool_without_a_version_is_an_error(tmp_path: Path) -> None:
    write_language(tmp_path, "tiny")
    engine = TwinEngine()
    engine.says = "\n"

    with pytest.raises(EngineError, match="printed nothing"):
        make(engine, load_catalog(tmp_path))


def test_an_error_keeps_the_end_of_the_log(tmp_path: Path) -> None:
    write_language(tmp_path, "tiny", "ARG BASE\nFROM ${BASE}\nRUN false\n")
    catalog = load_catalog(tmp_path)
    work = Work(TwinEngine(), "tiny", "warmbox/tiny:latest", Told())

    with pytest.raises(EngineError, match="it returned 1"):
        make_language(work, catalog, catalog.languages["tiny"], "base")

    assert work.log[-1] == "the reason"


# --- progress -----------------------------------------------------------------------


def test_without_a_terminal_each_step_is_a_line() -> None:
    text = io.StringIO()
    with Board(Console(file=text, width=40)) as board:
        board.state("go", BuildState.WAITING)
        board.state("go", BuildState.BUILDING)
        board.step("go", "1/3 : FROM [base] " + "long " * 20)
        board.output("go", "not shown")
        board.state("go", BuildState.BUILT)

    lines = text.getvalue().splitlines()

    assert [line.split()[3] for line in lines] == ["building", "1/3", "built"]
    assert "[base]" in lines[1]


def test_on_a_terminal_the_board_shows_every_language() -> None:
    text = io.StringIO()
    with Board(Console(file=text, force_terminal=True, width=80)) as board:
        board.state("go", BuildState.WAITING)
        board.state("java", BuildState.BUILDING)
        board.step("java", "2/3 : RUN [apt]")
        board.output("java", "Setting up")

    last = text.getvalue()

    assert "waiting" in last
    assert "2/3: Setting up" in last


# --- a real engine ------------------------------------------------------------------


@pytest.fixture
def client() -> Iterator[docker.APIClient]:
    client = connect()
    yield client
    client.close()


@pytest.fixture
def names(client: docker.APIClient) -> Iterator[tuple[str, str]]:
    stem = f"test-{uuid.uuid4().hex[:8]}"
    pair = (f"{stem}-good", f"{stem}-bad")
    yield pair
    engine: Any = client
    for image in engine.images(filters={"reference": f"warmbox/{stem}*"}):
        for tag in image["RepoTags"]:
            engine.remove_image(tag, force=True)


@pytest.mark.docker
def test_one_build_that_fails_does_not_stop_the_other(
    tmp_path: Path, client: docker.APIClient, names: tuple[str, str]
) -> None:
    good, bad = names
    folder = write_language(tmp_path, good)
    write_language(
        tmp_path, bad, "ARG BASE\nFROM ${BASE}\nRUN echo the reason; exit 3\n"
    )
    catalog = load_catalog(tmp_path)
    told = Told()

    base, failed, built = build_images(client, catalog, [bad, good], told)

    assert (base.tag, base.error) == (BASE, "")
    assert (built.state, built.version) == (BuildState.BUILT, "tiny 1.0")
    assert failed.state is BuildState.FAILED
    assert "returned a non-zero code: 3" in failed.error
    assert "the reason" in failed.log
    assert (good, BuildState.WAITING) in told.states
    states = {image.name: image.state for image in list_images(client, catalog)}
    assert states == {good: "current", bad: "missing"}
    (folder / "hello.sh").write_text("echo changed\n")
    states = {image.name: image.state for image in list_images(client, catalog)}
    assert states[good] == "stale"


@pytest.mark.docker
def test_a_current_image_is_left_alone(
    tmp_path: Path, client: docker.APIClient, names: tuple[str, str]
) -> None:
    name = names[0]
    write_language(tmp_path, name)
    catalog = load_catalog(tmp_path)
    engine: Any = client
    build_images(client, catalog, [name], Told())
    before = engine.inspect_image(f"warmbox/{name}:latest")

    results = build_images(client, catalog, None, Told())

    assert [result.state for result in results] == [BuildState.CURRENT] * 2
    assert engine.inspect_image(f"warmbox/{name}:latest")["Id"] == before["Id"]
    assert before["Config"]["Labels"]["warmbox.version"] == "tiny 1.0"
    assert before["Config"]["Entrypoint"][-1] == "/opt/warmbox/runner.pyc"


@pytest.mark.docker
def test_builds_run_side_by_side(
    tmp_path: Path, client: docker.APIClient, names: tuple[str, str]
) -> None:
    for name in names:
        write_language(tmp_path, name)
    both_building = threading.Barrier(2, timeout=60)

    class Waiting(Told):
        def state(self, name: str, state: BuildState) -> None:
            super().state(name, state)
            if name != "base" and state is BuildState.BUILDING:
                both_building.wait()

    results = build_images(client, load_catalog(tmp_path), None, Waiting())

    assert {result.state for result in results[1:]} == {BuildState.BUILT}
