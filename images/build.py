"""Makes the images: the base, then one a language, several at a time.

Theory of operation. A language's image is made in two phases. Its folder's Dockerfile
lays the tools over the base (tagged `:tools`); those are asked for their version. Then
a generated tail lays the runner over them and labels the result with that version and
with a hash of all that went in, so that an image whose label still fits is left alone.
"""

from __future__ import annotations

import contextlib
import tempfile
import threading
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import docker
from docker.errors import DockerException, ImageNotFound

from images.catalog import CatalogError
from images.progress import Board, BuildState
from images.recipe import (
    base_recipe,
    folder_recipe,
    language_digest,
    tail_recipe,
)
from images.rootfs import SUITE, RootError, make_root

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from rich.console import Console

    from images.catalog import Catalog, Language
    from images.progress import Progress
    from images.recipe import Recipe

BASE = "warmbox/base:latest"
_ROOTS = (f"debian:{SUITE}-slim", f"warmbox/root:{SUITE}")
_BUILDS_AT_ONCE = 4
_LOG_LINES = 25
# A registry that lets us wait longer for its first word counts as absent.
_REGISTRY_S = 8
_PULL_S = 900
_VERSION_S = 60


class BuildError(RuntimeError):
    """A build that failed; the text is the reason, in the words of who refused."""


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


def image_tag(name: str) -> str:
    """Return the tag of a language's image."""
    return f"warmbox/{name}:latest"


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
    return 1 if failures else 0


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
    languages = _wanted(catalog, names)
    for name in ("base", *(language.name for language in languages)):
        progress.state(name, BuildState.WAITING)
    base = _Work(client, "base", BASE, progress).result(
        lambda work: _make_base(work, catalog)
    )
    if base.state is BuildState.FAILED:
        return [base]
    base_id = str(_inspect(client, BASE)["Id"])
    slots = threading.Semaphore(_BUILDS_AT_ONCE)
    results: dict[str, BuildResult] = {}

    def build(language: Language) -> None:
        work = _Work(client, language.name, image_tag(language.name), progress)
        with slots:
            results[language.name] = work.result(
                lambda work: _make_language(work, catalog, language, base_id)
            )

    _run_all(build, languages)
    return [base, *(results[language.name] for language in languages)]


def list_images(client: docker.APIClient, catalog: Catalog) -> list[ImageInfo]:
    """Return what is there of each language's image, in the catalog's order."""
    base_id = _current_base_id(client, catalog)
    return [_info(client, catalog, x, base_id) for x in catalog.languages.values()]


def _wanted(catalog: Catalog, names: Sequence[str] | None) -> list[Language]:
    if names is None:
        return list(catalog.languages.values())
    wanted: dict[str, Language] = {}
    for name in names:
        language = catalog.resolve(name)
        if language is None:
            near = " or ".join(catalog.closest(name) or catalog.languages)
            raise CatalogError(f"there is no language {name!r}; try {near}")
        wanted[language.name] = language
    return list(wanted.values())


def _run_all(build: Callable[[Language], None], languages: Iterable[Language]) -> None:
    # Daemons: after Ctrl-C the process may end, and the engine then drops the builds.
    threads = [
        threading.Thread(target=build, args=(language,), daemon=True)
        for language in languages
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


# --- the base -----------------------------------------------------------------------


def _make_base(work: _Work, catalog: Catalog) -> BuildState:
    if _current_base_id(work.client, catalog):
        return BuildState.CURRENT
    root = _local_root(work.client) or _fetch_root(work)
    root_id = str(_inspect(work.client, root)["Id"])
    recipe = base_recipe(catalog.root)
    labels = {
        "warmbox.content": recipe.digest(root_id),
        "warmbox.root": root_id,
    }
    work.build(recipe, BASE, {"ROOT": root}, labels)
    return BuildState.BUILT


def _current_base_id(client: docker.APIClient, catalog: Catalog) -> str | None:
    image = _inspect(client, BASE)
    if not image:
        return None
    root = _local_root(client)
    # A base outlives the removal of the root that it was made from.
    root_id = _inspect(client, root)["Id"] if root else _label(image, "root")
    wanted = base_recipe(catalog.root).digest(root_id)
    return str(image["Id"]) if _label(image, "content") == wanted else None


def _local_root(client: docker.APIClient) -> str | None:
    return next((tag for tag in _ROOTS if _inspect(client, tag)), None)


def _fetch_root(work: _Work) -> str:
    pulled, made = _ROOTS
    work.step(f"pull {pulled}")
    if _pull(work, pulled):
        return pulled
    work.step(f"no registry: make Debian {SUITE} from its packages")
    with tempfile.TemporaryDirectory(prefix="warmbox-") as folder:
        archive = Path(folder) / "root.tar"
        make_root(archive, work.output)
        work.step("import it")
        repository, tag = made.split(":")
        work.client.import_image_from_file(str(archive), repository, tag)
    return made


def _pull(work: _Work, image: str) -> bool:
    heard = threading.Event()

    def pull() -> None:
        repository, tag = image.split(":")
        try:
            stream: Any = work.client.pull(repository, tag, stream=True, decode=True)
            for entry in stream:
                heard.set()
                work.take(entry)
        except (BuildError, DockerException, OSError) as error:
            work.output(str(error))
        finally:
            heard.set()

    thread = threading.Thread(target=pull, daemon=True)
    thread.start()
    if heard.wait(_REGISTRY_S):
        thread.join(_PULL_S)
    return bool(_inspect(work.client, image))


# --- a language ---------------------------------------------------------------------


def _make_language(
    work: _Work, catalog: Catalog, language: Language, base_id: str
) -> BuildState:
    client = work.client
    old = _inspect(client, work.tag)
    content = language_digest(catalog.root, language.folder, base_id)
    if old and _label(old, "content") == content:
        work.version = _label(old, "version")
        return BuildState.CURRENT
    tools = f"warmbox/{language.name}:tools"
    work.build(folder_recipe(language.folder), tools, {"BASE": BASE}, {})
    work.step(" ".join(language.version_argv))
    work.version = _version(client, tools, language.version_argv)
    labels = {
        "warmbox.language": language.name,
        "warmbox.version": work.version,
        "warmbox.content": content,
    }
    tail = tail_recipe(catalog.root, language.folder)
    work.build(tail, work.tag, {"TOOLS": tools}, labels)
    if old:
        _remove_replaced(client, old["Id"])
    return BuildState.BUILT


def _version(client: Any, image: str, argv: tuple[str, ...]) -> str:
    """Return the first line that the tool prints about itself, on either stream."""
    container = client.create_container(
        image,
        entrypoint=[argv[0]],
        command=list(argv[1:]),
        environment={"HOME": "/tmp"},  # noqa: S108  # the container's, not ours
        labels={"warmbox.build": "version"},
        host_config=client.create_host_config(
            network_mode="none",
            # Whatever the engine's default is, this one can be read back.
            log_config={"Type": "json-file"},
        ),
    )
    try:
        client.start(container)
        code = client.wait(container, timeout=_VERSION_S)["StatusCode"]
        text = client.logs(container).decode(errors="replace")
    finally:
        client.remove_container(container, force=True)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if code or not lines:
        said = lines[0] if lines else "nothing"
        raise BuildError(f"{' '.join(argv)} exited with {code} and said: {said}")
    return str(lines[0])


def _remove_replaced(client: Any, image_id: str) -> None:
    # Containers may still stand on it; then it goes with `docker image prune`.
    with contextlib.suppress(DockerException):
        client.remove_image(image_id)


def _info(
    client: docker.APIClient, catalog: Catalog, language: Language, base_id: str | None
) -> ImageInfo:
    tag = image_tag(language.name)
    image = _inspect(client, tag)
    if not image:
        return ImageInfo(language.name, tag, "missing")
    current = base_id is not None and _label(image, "content") == language_digest(
        catalog.root, language.folder, base_id
    )
    return ImageInfo(
        language.name,
        tag,
        "current" if current else "stale",
        _label(image, "version"),
        image["Size"],
        image["Created"],
    )


# --- the engine ---------------------------------------------------------------------


def _inspect(client: Any, image: str) -> dict[str, Any]:
    """Return the engine's record of an image; empty if there is no such image."""
    try:
        return dict(client.inspect_image(image))
    except ImageNotFound:
        return {}


def _label(image: dict[str, Any], key: str) -> str:
    return str((image["Config"].get("Labels") or {}).get(f"warmbox.{key}", ""))


class _Work:
    """One image being made: where it reports to, and the end of its log."""

    def __init__(
        self, client: docker.APIClient, name: str, tag: str, progress: Progress
    ) -> None:
        self.client = client
        self.tag = tag
        self.version = ""
        self._name = name
        self._progress = progress
        self._log: deque[str] = deque(maxlen=_LOG_LINES)

    def result(self, make: Callable[[_Work], BuildState]) -> BuildResult:
        """Run `make` and tell how it ended, whatever the engine or the disk says."""
        self._progress.state(self._name, BuildState.BUILDING)
        error = ""
        try:
            state = make(self)
        except (BuildError, RootError, DockerException, OSError) as refusal:
            state, error = BuildState.FAILED, str(refusal)
        self._progress.state(self._name, state)
        log = tuple(self._log)
        return BuildResult(self._name, self.tag, state, self.version, error, log)

    def build(
        self, recipe: Recipe, tag: str, args: dict[str, str], labels: dict[str, str]
    ) -> None:
        """Have the engine build `recipe` as `tag`."""
        self._log.clear()
        stream = self.client.build(
            fileobj=recipe.tar(),
            custom_context=True,
            tag=tag,
            buildargs=args,
            labels=labels,
            rm=True,
            forcerm=True,
            decode=True,
        )
        for entry in stream:
            self.take(entry)

    def take(self, entry: dict[str, Any]) -> None:
        """Read one entry of the engine's answer to a build or a pull."""
        if "error" in entry:
            raise BuildError(str(entry["error"]).strip())
        text = entry.get("stream") or entry.get("status") or ""
        for line in text.splitlines():
            self.output(line)

    def step(self, step: str) -> None:
        """Tell what is done now."""
        self._progress.step(self._name, step)

    def output(self, line: str) -> None:
        """Keep a line of the log, and show it."""
        line = line.rstrip()
        if not line:
            return
        self._log.append(line)
        if line.startswith("Step "):
            self.step(line.removeprefix("Step "))
        else:
            self._progress.output(self._name, line)
