"""The languages: one folder each, `language.toml` laid over `defaults.toml`."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from images.folder import SAMPLES, language_folders, missing_files
from images.heap import PLACEHOLDER, Heap, fill_in
from images.language_file import (
    CatalogError,
    DefaultsTable,
    FailTable,
    LanguageTable,
    check,
    read_text,
    read_toml,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from images.language_file import CompileTable, StepTable

# Docker allows no more in the name of an image, and the folder's name becomes one.
_NAME = re.compile(r"[a-z][a-z0-9_-]*")
_FILES = re.compile(r"\{(sources|siblings):(\.[\w+]+(?:,\.[\w+]+)*)\}")
_WHOLE_ARGUMENT = re.compile(r"\{(main|args|compile_args)\}|" + _FILES.pattern)
_COMPILE_ARGS = "{compile_args}"
_LOOKS_LIKE_PLACEHOLDER = re.compile(r"\{\w+(:[^}]*)?\}")
_INSIDE = {"{stem}", PLACEHOLDER}


@dataclass(frozen=True, slots=True)
class Step:
    """A command inside the container, with placeholders."""

    argv: tuple[str, ...]
    # Regular expressions, each of a whole word that a job may add.
    allow: tuple[str, ...] = ()

    def expand(
        self,
        main: str,
        files: Sequence[str],
        args: Sequence[str],
        heap: Heap | None = None,
        memory_mb: int = 0,
        compile_args: Sequence[str] = (),
    ) -> list[str]:
        """Return the command for a job of these `files`, the first of them `main`.

        `{main}`, `{args}`, `{compile_args}`, `{sources:.c,.h}` (all files with such a
        suffix) and `{siblings:.go}` (those in the main file's own folder) stand as
        whole arguments and may become several or none; `{stem}` may stand inside one,
        and so may `{heap_mb}`: the size of the `heap` under a limit of `memory_mb`.
        """
        return [
            word
            for argument in fill_in(self.argv, heap, memory_mb)
            for word in (
                compile_args
                if argument == _COMPILE_ARGS
                else _expand_argument(argument, main, files, args)
            )
        ]

    def refuses(self, word: str) -> bool:
        """Tell whether a job may not add this word."""
        return not any(re.fullmatch(pattern, word) for pattern in self.allow)

    def lacks(self, main: str, files: Sequence[str]) -> str:
        """Return the suffixes of which there must be a file, if there is none."""
        for argument in self.argv:
            chosen = _FILES.fullmatch(argument)
            if chosen and not _choose(chosen, main, files):
                return chosen[2].replace(",", " or *")
        return ""


def _expand_argument(
    argument: str, main: str, files: Sequence[str], args: Sequence[str]
) -> Iterable[str]:
    if argument == "{main}":
        return [_not_an_option(main)]
    if argument == "{args}":
        return args
    if chosen := _FILES.fullmatch(argument):
        return [_not_an_option(name) for name in _choose(chosen, main, files)]
    if "{stem}" in argument:
        return [argument.replace("{stem}", str(PurePosixPath(main).with_suffix("")))]
    return [argument]


def _choose(chosen: re.Match[str], main: str, files: Sequence[str]) -> list[str]:
    which, suffixes = chosen[1], tuple(chosen[2].split(","))
    folder = PurePosixPath(main).parent
    return [
        name
        for name in files
        if name.endswith(suffixes)
        and (which == "sources" or PurePosixPath(name).parent == folder)
    ]


def _not_an_option(name: str) -> str:
    """Keep a file called `-o.c` from being read as an option by the compiler."""
    return f"./{name}" if name.startswith(("-", "@")) else name


@dataclass(frozen=True, slots=True)
class Warm:
    """How a child is made ready before its job is there.

    `fork`: a fork of an interpreter that is already up. `exec`: a program of its own
    that starts, then waits for the job on a file descriptor. It is there for one of the
    job's steps.
    """

    kind: Literal["fork", "exec"]
    argv: tuple[str, ...]
    step: Literal["compile", "run"] = "run"

    def sizes_heap(self) -> bool:
        """Tell whether what waits was given the size of its heap when it started."""
        return any(PLACEHOLDER in argument for argument in self.argv)


@dataclass(frozen=True, slots=True)
class CompilerLimits:
    """What a compile step gets when its job asks for nothing."""

    wall_time_s: float
    cpu_time_s: float
    memory_mb: int
    output_kb: int
    processes: int


@dataclass(frozen=True, slots=True)
class LanguageLimits:
    """What a job gets when it asks for nothing, and what a container is made with."""

    memory_mb: int
    processes: int
    wall_time_s: float
    cpu_time_s: float
    output_kb: int
    file_size_kb: int
    open_files: int
    stack_kb: int
    compile: CompilerLimits | None = None
    # None: there is no such step.


@dataclass(frozen=True, slots=True)
class LeastLimits:
    """The least that a language's own start needs of what a job may ask for."""

    processes: int = 1
    open_files: int = 8


@dataclass(frozen=True, slots=True)
class Sample:
    """A program that comes with its language, and what must come of it."""

    # Where it lies; a job gets it under the name of the language's main file.
    path: Path
    source: str
    args: tuple[str, ...] = ()
    stdin: str = ""
    outcome: str = "success"
    # None: anything will do.
    stdout: str | None = None
    exit_code: int | None = None
    signal: int | None = None
    stderr_contains: str = ""
    compile_contains: str = ""


@dataclass(frozen=True, slots=True)
class Language:
    """All that is known of one language."""

    name: str
    title: str
    aliases: tuple[str, ...]
    main: str
    version_argv: tuple[str, ...]
    compile: Step | None
    run: Step
    warm: Warm | None
    heap: Heap | None
    env: tuple[tuple[str, str], ...]
    least: LeastLimits
    limits: LanguageLimits
    hello: Sample
    echo: Sample
    fail: Sample
    folder: Path


class Catalog:
    """The languages by name, in alphabetical order.

    broken: folders that can't be used, by name, each with a sentence that says why.
    """

    def __init__(
        self,
        root: Path,
        languages: Iterable[Language],
        broken: Mapping[str, str] | None = None,
    ) -> None:
        by_name = {language.name: language for language in languages}
        self.root = root
        self.broken: Mapping[str, str] = MappingProxyType(dict(broken or {}))
        self.languages: Mapping[str, Language] = MappingProxyType(by_name)
        self._by_any_name: dict[str, Language] = {}
        for language in by_name.values():
            for name in (language.name, *language.aliases):
                self._enter(name.casefold(), language)

    def _enter(self, name: str, language: Language) -> None:
        holder = self._by_any_name.setdefault(name, language)
        if holder is not language:
            raise CatalogError(
                f"{language.name}/language.toml: aliases: "
                f"{name!r} already means {holder.name}"
            )

    def resolve(self, name_or_alias: str) -> Language | None:
        """Return the language of this name or alias, whatever the case."""
        return self._by_any_name.get(name_or_alias.casefold())

    def pick(self, names: Sequence[str] | None) -> list[Language]:
        """Return the languages of these names or aliases, each once; all for None."""
        if names is None:
            return list(self.languages.values())
        picked: dict[str, Language] = {}
        for name in names:
            language = self.resolve(name)
            if name in self.broken:
                raise CatalogError(self.broken[name])
            if language is None:
                near = " or ".join(self.closest(name) or self.languages)
                raise CatalogError(f"there is no language {name!r}; try {near}")
            picked[language.name] = language
        return list(picked.values())

    def closest(self, name: str) -> list[str]:
        """Return names of languages that may have been meant, the likeliest first."""
        near = difflib.get_close_matches(name.casefold(), self._by_any_name, cutoff=0.5)
        return list(dict.fromkeys(self._by_any_name[match].name for match in near))


def load_catalog(root: Path) -> Catalog:
    """Read every folder of `root` that is a language.

    One that can't be used takes nothing from the others: it is among the `broken`.
    """
    path = root / "defaults.toml"
    defaults = check(DefaultsTable, read_toml(path), path.name)
    languages: list[Language] = []
    broken: dict[str, str] = {}
    for folder in language_folders(root):
        try:
            language = _load_language(folder, defaults)
            Catalog(root, [*languages, language])  # refuses a name that is taken
            languages.append(language)
        except CatalogError as error:
            broken[folder.name] = str(error)
    return Catalog(root, languages, broken)


def _load_language(folder: Path, defaults: DefaultsTable) -> Language:
    file = f"{folder.name}/language.toml"
    if not _NAME.fullmatch(folder.name):
        raise CatalogError(f"{file}: the folder's name must match {_NAME.pattern}")
    is_there = (folder / "language.toml").is_file()
    table = read_toml(folder / "language.toml") if is_there else {}
    if missing := missing_files(folder, table):
        names = ", ".join(missing)
        raise CatalogError(f"{folder.name} is incomplete: {names} missing")
    table["limits"] = _lay_over(table.get("limits", {}), defaults.limits)
    if "compile" in table:
        table["compile"] = _lay_over(table["compile"], defaults.compile)
    checked = check(LanguageTable, table, file)
    warm = checked.warm
    compiles = warm is not None and warm.step == "compile"
    if warm and compiles and (warm.kind == "fork" or not checked.compile):
        raise CatalogError(f"{file}: warm.step: no compiler can wait in this way")
    limits = checked.limits.model_dump()
    return Language(
        name=folder.name,
        title=checked.title,
        aliases=tuple(checked.aliases),
        main=checked.main,
        version_argv=tuple(checked.version),
        compile=_compile_step(checked.compile, file) if checked.compile else None,
        run=_step(checked.run, f"{file}: run"),
        warm=Warm(warm.kind, tuple(warm.argv), warm.step) if warm else None,
        heap=_heap(checked, file),
        env=tuple(checked.env.items()),
        least=LeastLimits(**checked.least.model_dump()),
        limits=LanguageLimits(**limits, compile=_compiler_limits(checked)),
        **_samples(folder, PurePosixPath(checked.main).suffix),
        folder=folder,
    )


def _lay_over(own: Any, defaults: Mapping[str, Any]) -> Any:
    # A wrong type is left as it is, for the check to name it.
    return {**defaults, **own} if isinstance(own, dict) else own


def _compiler_limits(checked: LanguageTable) -> CompilerLimits | None:
    if checked.compile is None:
        return None
    own = checked.compile.model_dump(exclude={"argv", "allow"}, exclude_none=True)
    return CompilerLimits(**{"memory_mb": checked.limits.memory_mb, **own})


def _compile_step(table: CompileTable, file: str) -> Step:
    if bool(table.allow) != (_COMPILE_ARGS in table.argv):
        raise CatalogError(f"{file}: compile.allow: needs {_COMPILE_ARGS} in argv")
    step = _step(table, f"{file}: compile")
    return replace(step, allow=tuple(table.allow))


def _step(table: StepTable, where: str) -> Step:
    for argument in table.argv:
        for match in _LOOKS_LIKE_PLACEHOLDER.finditer(argument):
            whole = _WHOLE_ARGUMENT.fullmatch(argument)
            if match[0] not in _INSIDE and not whole:
                raise CatalogError(f"{where}.argv: can't expand {argument!r}")
    return Step(tuple(table.argv))


def _heap(table: LanguageTable, file: str) -> Heap | None:
    heap = table.heap
    if heap is not None:
        return Heap(
            heap.runtime_mb,
            heap.share,
            heap.full.exit_code,
            heap.full.signal,
            heap.full.stderr,
        )
    steps = (table.compile, table.run, table.warm)
    argv = [argument for step in steps if step for argument in step.argv]
    if any(PLACEHOLDER in argument for argument in argv):
        raise CatalogError(f"{file}: heap: {PLACEHOLDER} needs this table")
    return None


def _samples(folder: Path, suffix: str) -> dict[str, Sample]:
    hello, echo, fail = (folder / f"{stem}{suffix}" for stem in SAMPLES)
    expected = check(
        FailTable, read_toml(folder / "fail.toml"), f"{folder.name}/fail.toml"
    )
    return {
        "hello": Sample(hello, read_text(hello), stdout=_expected(hello)),
        "echo": Sample(
            echo,
            read_text(echo),
            args=("a", "b c"),
            stdin="warm\nbox\n",
            stdout=_expected(echo),
        ),
        "fail": Sample(fail, read_text(fail), **expected.model_dump()),
    }


def _expected(program: Path) -> str:
    return read_text(program.with_suffix(".expected"))
