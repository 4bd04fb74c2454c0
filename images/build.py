"""Makes the images on a Docker engine: the base, then several languages at a time."""

from __future__ import annotations

import contextlib
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import docker
from docker.errors import DockerException, ImageNotFound

from images.making import (
    BASE,
    EngineError,
    Work,
    current_base_id,
    image_tag,
    label,
    make_base,
    make_language,
)
from images.progress import Board, BuildState
from images.recipe import language_digest
from images.rootfs import RootError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from rich.console import Console

    from images.catalog import Catalog, Language
    from images.progress import Progress
    from images.recipe import Recipe

_BUILDS_AT_ONCE = 4
_VERSION_S = 60


@dataclass(frozen=True, slots=True)
class BuildResult:
    """How one image's build ended. `log` is the end of what it printed."""

    name: str
    tag: str
    state: BuildState
    version: str = ""
    error: str = ""
    log: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ImageInfo:
    """One language's image as it is on the engine now."""

    name: str
    tag: str
    state: Literal["current", "stale", "missing"]
    version: str = ""
    size_bytes: int = 0
    created: str = ""


def connect() -> docker.APIClient:
    """Return a client of the engine that the environment names, else the default."""
    return docker.from_env(version="auto").api


def build_command(
    client: docker.APIClient,
    catalog: Catalog,
    names: Sequence[str] | None = None,
    console: Console | None = None,
) -> int:
    """Build with progress on the console; return the exit code."""
    board = Board(console)
    with board:
        results = build_images(client, catalog, names, board)
    failures = [result for result in results if result.state is BuildState.FAILED]
    for failure in failures:
        board.failure(failure.name, failure.error, failure.log)
    broken = catalog.broken if names is None else {}
    for name, reason in broken.items():
        board.failure(name, reason, ())
    return 1 if failures or broken else 0


def build_images(
    client: docker.APIClient,
    catalog: Catalog,
    names: Sequence[str] | None,
    progress: Progress,
) -> list[BuildResult]:
    """Make the base and the images of `names` (None: of all), where not current.

    One that fails does not stop the others. A base that fails stops all, and is the
    only result then.
    """
    engine = _DockerEngine(client)
    base = Work(engine, "base", BASE, progress)
    works = [
        (Work(engine, language.name, image_tag(language.name), progress), language)
        for language in catalog.pick(names)
    ]
    for work in (base, *(work for work, _ in works)):
        work.state(BuildState.WAITING)
    first = _result(base, lambda: make_base(base, catalog))
    if first.state is BuildState.FAILED:
        return [first]
    base_id = str(engine.inspect(BASE)["Id"])

    def build(work: Work, language: Language) -> BuildResult:
        return _result(work, lambda: make_language(work, catalog, language, base_id))

    return [first, *_side_by_side(build, works)]


def _side_by_side(
    build: Callable[[Work, Language], BuildResult], works: list[tuple[Work, Language]]
) -> list[BuildResult]:
    slots = threading.Semaphore(_BUILDS_AT_ONCE)
    results: dict[str, BuildResult] = {}

    def run(work: Work, language: Language) -> None:
        with slots:
            results[work.name] = build(work, language)

    # Daemons: after Ctrl-C the process may end, and the engine then drops the builds.
    threads = [threading.Thread(target=run, args=pair, daemon=True) for pair in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [results[work.name] for work, _ in works]


def _result(work: Work, make: Callable[[], BuildState]) -> BuildResult:
    """Run `make` and tell how it ended, whatever the engine or the disk says."""
    work.state(BuildState.BUILDING)
    error = ""
    try:
        state = make()
    except (EngineError, RootError, DockerException, OSError) as refusal:
        state, error = BuildState.FAILED, str(refusal)
    work.state(state)
    return BuildResult(work.name, work.tag, state, work.version, error, tuple(work.log))


def list_images(client: docker.APIClient, catalog: Catalog) -> list[ImageInfo]:
    """Return what is there of each language's image, in the catalog's order."""
    engine = _DockerEngine(client)
    base_id = current_base_id(engine, catalog)
    return [
        _info(engine.inspect(image_tag(language.name)), catalog, language, base_id)
        for language in catalog.languages.values()
    ]


def _info(
    image: dict[str, Any], catalog: Catalog, language: Language, base_id: str | None
) -> ImageInfo:
    tag = image_tag(language.name)
    if not image:
        return ImageInfo(language.name, tag, "missing")
    current = base_id is not None and label(image, "content") == language_digest(
        catalog.root, language.folder, base_id
    )
    return ImageInfo(
        language.name,
        tag,
        "current" if current else "stale",
        label(image, "version"),
        image["Size"],
        image["Created"],
    )


class _DockerEngine:
    """The engine port on the Docker SDK's low-level client."""

    def __init__(self, client: docker.APIClient) -> None:
        # Half of its methods have no types.
        self._client: Any = client

    def inspect(self, image: str) -> dict[str, Any]:
        try:
            return dict(self._client.inspect_image(image))
        except ImageNotFound:
            return {}

    def build(
        self, recipe: Recipe, tag: str, args: dict[str, str], labels: dict[str, str]
    ) -> Iterator[dict[str, Any]]:
        with _as_engine_errors():
            yield from self._client.build(
                fileobj=recipe.tar(),
                custom_context=True,
                tag=tag,
                buildargs=args,
                labels=labels,
                rm=True,
                forcerm=True,
                decode=True,
            )

    def pull(self, image: str) -> Iterator[dict[str, Any]]:
        with _as_engine_errors():
            yield from self._client.pull(image, stream=True, decode=True)

    def import_root(self, archive: Path, tag: str) -> None:
        repository, _, suffix = tag.partition(":")
        with _as_engine_errors():
            self._client.import_image_from_file(str(archive), repository, suffix)

    def output_of(self, image: str, argv: Sequence[str]) -> str:
        client = self._client
        with _as_engine_errors():
            container = client.create_container(
                image,
                entrypoint=[argv[0]],
                command=list(argv[1:]),
                environment={"HOME": "/tmp"},  # noqa: S108  # inside the container
                # Whatever the engine's default driver is, this one can be read back.
                host_config=client.create_host_config(
                    network_mode="none", log_config={"Type": "json-file"}
                ),
            )
            try:
                client.start(container)
                code = client.wait(container, timeout=_VERSION_S)["StatusCode"]
                text = str(client.logs(container), "utf-8", "replace")
            finally:
                client.remove_container(container, force=True)
        if code:
            raise EngineError(f"{' '.join(argv)} exited with {code}: {text.strip()}")
        return text

    def remove(self, image_id: str) -> None:
        # Containers may still stand on it; then it goes with `docker image prune`.
        with contextlib.suppress(DockerException, OSError):
            self._client.remove_image(image_id)


@contextlib.contextmanager
def _as_engine_errors() -> Iterator[None]:
    try:
        yield
    except (DockerException, OSError) as error:
        raise EngineError(str(error)) from error
