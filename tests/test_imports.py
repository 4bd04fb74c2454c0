"""Who may import whom, and what holds for all messages and all actors."""

from __future__ import annotations

import ast
import dataclasses
import importlib
import inspect
import sys
from enum import Enum
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pykka
import pytest

from actors import messages
from actors.actor import MESSAGE_MODULES, Actor, handler_name
from images.recipe import RUNNER_FILES

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
PACKAGES = ("actors", "supervisors", "gateway", "metrics", "images")
OURS = {*PACKAGES, "run"}


def modules() -> dict[str, Path]:
    """Return our modules by name; a language's samples are none."""
    paths = [path for package in PACKAGES for path in (ROOT / package).glob("*.py")]
    paths += (ROOT / "actors/broker").glob("*.py")
    paths.append(ROOT / "run.py")
    return {
        ".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in paths
    }


MODULES = modules()
IN_CONTAINERS = sorted(f"images.{Path(name).stem}" for name in RUNNER_FILES)


@cache
def imports(path: Path) -> set[str]:
    """Return what a file imports, for types too, as `package.module.name`."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} has a relative import"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def is_within(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


def our_imports(name: str) -> set[str]:
    found = imports(MODULES[name])
    return {one for one in found if one.split(".")[0] in OURS}


def importers(package: str) -> set[str]:
    """Return which of our modules import the package."""
    return {
        name
        for name, path in MODULES.items()
        if any(is_within(one, package) for one in imports(path))
    }


# ---------------------------------------------------------------------- directions

FACTS = ("metrics.instruments", "metrics.fill", "metrics.live")
"""Where the owners of facts write them."""
ALLOWED = {
    "actors": ("actors", "images.wire", "images.catalog", "images.heap", *FACTS),
    "supervisors": (
        *("supervisors", "actors", "images.catalog", *FACTS),
        "metrics.shared",
    ),
    "gateway": (
        "gateway",
        "actors.deadlines",
        "actors.messages",
        "actors.shares",
        "images.catalog",
        "metrics",
    ),
    "metrics": ("metrics",),
    "images": ("images",),
    "run": PACKAGES,
}
STANDING_ALONE = (
    *("images.wire", "actors.messages", "actors.shares"),
    "supervisors.backoff",
)


@pytest.mark.parametrize("name", sorted(MODULES))
def test_a_module_imports_only_what_its_package_may(name: str) -> None:
    package, _, _ = name.partition(".")
    allowed = () if name in STANDING_ALONE else ALLOWED[package]
    # `from images import wire` reads as `images.wire`, so names may stand last
    wrong = {
        one
        for one in our_imports(name)
        if not any(is_within(one, other) for other in allowed)
    }
    assert not wrong


def test_all_packages_are_looked_at() -> None:
    assert {name.split(".")[0] for name in MODULES} == OURS
    assert set(STANDING_ALONE) < set(MODULES)


def test_nothing_imports_run() -> None:
    assert importers("run") == set()


def test_a_pool_knows_its_containers_only_as_children() -> None:
    """Supervisors know child specs, not children; the tree knows all."""
    for name in ("supervisor", "pool_supervisor", "child_spec"):
        ours = our_imports(f"supervisors.{name}")
        modules = {one.rsplit(".", 1)[0] for one in ours if is_within(one, "actors")}
        assert modules <= {"actors.actor", "actors.directory", "actors.messages"}


# -------------------------------------------------------------------- outside things

HOMES = {
    "docker": ("actors.engine", "images"),
    "pika": ("actors.broker",),
    "bottle": ("gateway",),
    "gevent.pywsgi": ("gateway",),
    "gevent.monkey": ("run",),
    "prometheus_client": ("metrics",),
    "pykka": ("actors", "metrics.collector"),
    "pydantic": ("supervisors", "gateway", "images"),
    "rich": ("run", "images", "gateway"),
}


@pytest.mark.parametrize("library", sorted(HOMES))
def test_a_library_is_known_only_where_it_is_at_home(library: str) -> None:
    strangers = {
        name
        for name in importers(library)
        if not any(is_within(name, home) for home in HOMES[library])
    }
    assert not strangers


@pytest.mark.parametrize(
    "name", ["actors.engine", "images.build", "gateway.app", "metrics.collector", "run"]
)
def test_the_reading_of_imports_finds_what_is_there(name: str) -> None:
    assert any(name in importers(library) for library in HOMES)


def test_only_the_entry_and_the_tests_start_patch() -> None:
    patching = {
        path.relative_to(ROOT).as_posix()
        for path in [ROOT / "run.py", *(ROOT / "tests").rglob("*.py")]
        if any(is_within(one, "gevent.monkey") for one in imports(path))
    }
    assert {"run.py", "tests/conftest.py"} <= patching
    scripts = {one for one in patching if one.startswith("tests/bench/")}
    assert patching - scripts == {"run.py", "tests/conftest.py"}


@pytest.mark.parametrize("path", ["run.py", "tests/conftest.py"])
def test_patching_comes_first(path: str) -> None:
    statements = ast.parse((ROOT / path).read_text()).body[1:3]
    assert [ast.unparse(one) for one in statements] == [
        "from gevent import monkey",
        "monkey.patch_all()",
    ]


# -------------------------------------------------------------- inside the containers


@pytest.mark.parametrize("name", IN_CONTAINERS)
def test_what_runs_in_a_container_needs_python_alone(name: str) -> None:
    ours = our_imports(name)
    assert all(any(is_within(one, file) for file in IN_CONTAINERS) for one in ours)
    others = {one.split(".")[0] for one in imports(MODULES[name]) - ours}
    assert others <= sys.stdlib_module_names | {"sitecustomize"}


def test_the_launcher_imports_only_what_is_built_in_and_nothing_of_ours() -> None:
    """A program must not find in `sys.modules` what it would not have there itself."""
    built_in = {"gc", "marshal", "posix", "_signal", "_socket", "select", "resource"}
    by_site_anyway = {"sys", "os", "sitecustomize"}
    taken_out_again = {"ctypes"}
    for_types_only = {"typing"}
    allowed = built_in | by_site_anyway | taken_out_again | for_types_only
    found = imports(MODULES["images.launcher"])
    assert {one.split(".")[0] for one in found} <= allowed


def test_the_runners_files_are_what_an_image_gets() -> None:
    runners = {name for name in MODULES if name.startswith("images.runner")}
    assert {*runners, "images.launcher", "images.wire"} == set(IN_CONTAINERS)


# -------------------------------------------------------------------------- messages

VOCABULARY = [
    kind
    for name in sorted(MESSAGE_MODULES)
    for _, kind in inspect.getmembers(importlib.import_module(name), inspect.isclass)
    if kind.__module__ == name
]


def test_a_message_is_a_dataclass_or_a_set_of_words() -> None:
    others = [kind for kind in VOCABULARY if not dataclasses.is_dataclass(kind)]
    assert others == [messages.Outcome]
    assert all(issubclass(kind, Enum) for kind in others)


@pytest.mark.parametrize("kind", VOCABULARY, ids=lambda kind: kind.__name__)
def test_a_message_is_frozen_slotted_and_described(kind: type) -> None:
    assert kind.__doc__
    assert not kind.__doc__.startswith(f"{kind.__name__}("), "made by dataclass"
    if dataclasses.is_dataclass(kind):
        assert kind.__dataclass_params__.frozen  # type: ignore[attr-defined]
        assert "__slots__" in vars(kind)


# ---------------------------------------------------------------------------- actors

HOOKS = {
    "on_start",
    "on_receive",
    "on_stop",
    "on_failure",
    "_create_actor_inbox",  # what pykka's own kinds of actors differ in
    "_create_future",
    "_start_actor_loop",
    "_handle_receive",
}
OWN_HOOKS = {"boot", "clean_up", "settle", "time_out"}
INTERNALS = {*dir(pykka.Actor), *vars(Actor)} | {
    "actor_urn",
    "actor_inbox",
    "actor_stopped",
    "_actor_ref",
    "context",
    "directory",
    "name",
    "now",
    "_timers",
    "_timer_count",
    "_handlers",
}


def actor_classes() -> list[type[Actor]]:
    found = []
    for name in sorted(MODULES):
        if is_within(name, "actors") or is_within(name, "supervisors"):
            module = importlib.import_module(name)
            found += [
                kind
                for kind in vars(module).values()
                if inspect.isclass(kind)
                and issubclass(kind, Actor)
                and kind.__module__ == name
            ]
    return found


ACTORS = actor_classes()
SUBCLASSES = [kind for kind in ACTORS if kind is not Actor]


def attributes_set(kind: type) -> Iterator[str]:
    """Yield the names that the class's methods assign to `self`."""
    for node in ast.walk(ast.parse(inspect.getsource(kind))):
        targets = node.targets if isinstance(node, ast.Assign) else []
        if isinstance(node, ast.AnnAssign | ast.AugAssign):
            targets = [node.target]
        for target in targets:
            for one in ast.walk(target):
                # a name that is only read stands in a target too: `facts[self.name] =`
                if (
                    isinstance(one, ast.Attribute)
                    and isinstance(one.ctx, ast.Store)
                    and ast.unparse(one.value) == "self"
                ):
                    yield one.attr


def test_all_actors_are_found() -> None:
    assert len(ACTORS) >= 11
    assert Actor in ACTORS


def test_the_base_shadows_nothing_of_pykka_but_its_hooks() -> None:
    defined = {name for name in vars(Actor) if not name.startswith("__")}
    assert defined & set(dir(pykka.Actor)) <= HOOKS | {"_abc_impl"}


@pytest.mark.parametrize("kind", SUBCLASSES, ids=lambda kind: kind.__name__)
def test_an_actor_shadows_no_internal(kind: type[Actor]) -> None:
    defined = {name for name in vars(kind) if not name.startswith("__")}
    assert defined & INTERNALS <= OWN_HOOKS | {"_abc_impl"}
    assert not set(attributes_set(kind)) & INTERNALS


@pytest.mark.parametrize("kind", SUBCLASSES, ids=lambda kind: kind.__name__)
def test_what_an_actor_offers_are_handlers_named_like_their_messages(
    kind: type[Actor],
) -> None:
    offered = {name for name in vars(kind) if not name.startswith("_")}
    handlers = {handler_name(message) for message in VOCABULARY}
    assert offered <= handlers | OWN_HOOKS


@pytest.mark.parametrize("kind", ACTORS, ids=lambda kind: kind.__name__)
def test_no_message_reaches_a_method_that_is_not_for_it(kind: type[Actor]) -> None:
    """A handler takes one argument: the message that it is named after."""
    for message in VOCABULARY:
        method = getattr(kind, handler_name(message), None)
        if method is not None:
            parameters = list(inspect.signature(method).parameters.values())
            assert [one.name for one in parameters] == ["self", "message"]
            assert parameters[1].annotation == message.__name__
