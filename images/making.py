"""How one image is made, as steps on an engine that is given.

Theory of operation. A language's image is made in two phases. Its folder's Dockerfile
lays the tools over the base (tagged `:tools`); those are asked for their version. Then
a generated tail lays the runner over them and labels the result with that version and
with a hash of all that went in, so that an image whose label still fits is left alone.
The base is labelled likewise, over the root file system that it was made from.
"""

from __future__ import annotations

import tempfile
import threading
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from images.progress import BuildState
from images.recipe import (
    base_recipe,
    folder_recipe,
    language_digest,
    tail_recipe,
)
from images.rootfs import SUITE, make_root

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from images.catalog import Catalog, Language
    from images.progress import Progress
    from images.recipe import Recipe

BASE = "warmbox/base:latest"
_ROOTS = (f"debian:{SUITE}-slim", f"warmbox/root:{SUITE}")
_LOG_LINES = 25
# A registry that lets us wait longer for its first word counts as absent.
_REGISTRY_S = 8
_PULL_S = 900


class EngineError(RuntimeError):
    """The engine refused, or what it ran failed; the text is its own."""


class Engine(Protocol):
    """What making images needs of an engine. All but `inspect` raise EngineError."""

    def inspect(self, image: str) -> dict[str, Any]:
        """Return the engine's record of an image; empty if there is no such image."""

    def build(
        self, recipe: Recipe, tag: str, args: dict[str, str], labels: dict[str, str]
    ) -> Iterable[dict[str, Any]]:
        """Build, and yield the engine's messages meanwhile."""

    def pull(self, image: str) -> Iterable[dict[str, Any]]:
        """Pull, and yield the engine's messages meanwhile."""

    def import_root(self, archive: Path, tag: str) -> None:
        """Make a root file system's archive an image."""

    def output_of(self, image: str, argv: Sequence[str]) -> str:
        """Run a command in a container of its own; return what it printed."""

    def remove(self, image_id: str) -> None:
        """Remove an image that no container stands on."""


class Work:
    """One image being made: whom it tells, and the end of its log."""

    def __init__(self, engine: Engine, name: str, tag: str, progress: Progress) -> None:
        self.engine = engine
        self.name = name
        self.tag = tag
        self.version = ""
        self.log: deque[str] = deque(maxlen=_LOG_LINES)
        self._progress = progress

    def state(self, state: BuildState) -> None:
        """Tell where this stands."""
        self._progress.state(self.name, state)

    def step(self, step: str) -> None:
        """Tell what is done now."""
        self._progress.step(self.name, " ".join(step.split()))

    def output(self, line: str) -> None:
        """Keep a line of the log, and show it."""
        line = line.rstrip()
        if not line:
            return
        self.log.append(line)
        if line.startswith("Step "):
            self.step(line.removeprefix("Step "))
        else:
            self._progress.output(self.name, line)

    def follow(self, messages: Iterable[dict[str, Any]]) -> None:
        """Read the engine's messages to their end, or to the error among them."""
        for message in messages:
            if "error" in message:
                raise EngineError(str(message["error"]).strip())
            text = message.get("stream") or message.get("status") or ""
            for line in text.splitlines():
                self.output(line)

    def build(
        self, recipe: Recipe, tag: str, args: dict[str, str], labels: dict[str, str]
    ) -> None:
        """Have the engine build `recipe`, with a log of its own."""
        self.log.clear()
        self.follow(self.engine.build(recipe, tag, args, labels))


# --- the base -----------------------------------------------------------------------


def make_base(work: Work, catalog: Catalog) -> BuildState:
    """Make the base image, unless it is current."""
    if current_base_id(work.engine, catalog):
        return BuildState.CURRENT
    root = _local_root(work.engine) or _fetch_root(work)
    root_id = str(work.engine.inspect(root)["Id"])
    recipe = base_recipe(catalog.root)
    labels = {
        "warmbox.content": recipe.digest(root_id),
        "warmbox.root": root_id,
    }
    work.build(recipe, BASE, {"ROOT": root}, labels)
    return BuildState.BUILT


def current_base_id(engine: Engine, catalog: Catalog) -> str | None:
    """Return the base image's id; None if it is missing or stale."""
    image = engine.inspect(BASE)
    if not image:
        return None
    root = _local_root(engine)
    # A base outlives the removal of the root that it was made from.
    root_id = engine.inspect(root)["Id"] if root else label(image, "root")
    wanted = base_recipe(catalog.root).digest(root_id)
    return str(image["Id"]) if label(image, "content") == wanted else None


def _local_root(engine: Engine) -> str | None:
    return next((tag for tag in _ROOTS if engine.inspect(tag)), None)


def _fetch_root(work: Work) -> str:
    pulled, made = _ROOTS
    work.step(f"pull {pulled}")
    if _pull(work, pulled):
        return pulled
    work.step(f"no registry: make Debian {SUITE} from its packages")
    with tempfile.TemporaryDirectory(prefix="warmbox-") as folder:
        archive = Path(folder) / "root.tar"
        make_root(archive, work.output)
        work.step("import it")
        work.engine.import_root(archive, made)
    return made


def _pull(work: Work, image: str) -> bool:
    heard = threading.Event()

    def messages() -> Iterable[dict[str, Any]]:
        for message in work.engine.pull(image):
            heard.set()
            yield message

    def pull() -> None:
        try:
            work.follow(messages())
        except EngineError as error:
            work.output(str(error))
        finally:
            heard.set()

    thread = threading.Thread(target=pull, daemon=True)
    thread.start()
    if heard.wait(_REGISTRY_S):
        thread.join(_PULL_S)
    return bool(work.engine.inspect(image))


# --- a language ---------------------------------------------------------------------


def image_tag(name: str) -> str:
    """Return the tag of a language's image."""
    return f"warmbox/{name}:latest"


def make_language(
    work: Work, catalog: Catalog, language: Language, base_id: str
) -> BuildState:
    """Make a language's image, unless it is current."""
    old = work.engine.inspect(work.tag)
    content = language_digest(catalog.root, language.folder, base_id)
    if old and label(old, "content") == content:
        work.version = label(old, "version")
        return BuildState.CURRENT
    tools = f"warmbox/{language.name}:tools"
    work.build(folder_recipe(language.folder), tools, {"BASE": BASE}, {})
    work.step(" ".join(language.version_argv))
    work.version = _version(work.engine, tools, language.version_argv)
    labels = {
        "warmbox.content": content,
        "warmbox.language": language.name,
        "warmbox.version": work.version,
    }
    tail = tail_recipe(catalog.root, language.folder)
    work.build(tail, work.tag, {"BASE": BASE, "TOOLS": tools}, labels)
    if old and old["Id"] != work.engine.inspect(work.tag)["Id"]:
        work.engine.remove(old["Id"])
    return BuildState.BUILT


def _version(engine: Engine, image: str, argv: tuple[str, ...]) -> str:
    for line in engine.output_of(image, argv).splitlines():
        if line.strip():
            return line.strip()
    raise EngineError(f"{' '.join(argv)} printed nothing")


def label(image: dict[str, Any], key: str) -> str:
    """Return one of our labels of an image's record; empty if it has none."""
    return str((image["Config"].get("Labels") or {}).get(f"warmbox.{key}", ""))
