"""What the TOML files of a language may say, and errors that help."""

from __future__ import annotations

import re
import tomllib
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


class CatalogError(ValueError):
    """A language's folder that can't be used; the text names the file and the key."""


class Table(BaseModel):
    """A TOML table in which an unknown key or a wrong type is an error."""

    model_config = ConfigDict(extra="forbid", strict=True)


class StepTable(Table):
    """`[run]`."""

    argv: list[str] = Field(min_length=1)


class CompileTable(StepTable):
    """`[compile]`, after the defaults were laid under it.

    memory_mb: the same as a program's, unless it is said. allow: regular expressions
    of words that a job may add.
    """

    wall_time_s: float = Field(gt=0)
    cpu_time_s: float = Field(gt=0)
    memory_mb: int | None = Field(default=None, gt=0)
    output_kb: int = Field(gt=0)
    processes: int = Field(gt=0)
    allow: list[str] = []

    @field_validator("allow")
    @classmethod
    def _are_expressions(cls, patterns: list[str]) -> list[str]:
        for pattern in patterns:
            try:
                re.compile(pattern)
            except re.error as error:
                raise ValueError(f"{pattern!r}: {error}") from error
        return patterns


class WarmTable(Table):
    """`[warm]`."""

    kind: Literal["fork", "exec"]
    step: Literal["compile", "run"] = "run"
    argv: list[str] = Field(min_length=1)


class FullTable(Table):
    """`[heap.full]`: the end of a program whose heap was full."""

    exit_code: int | None = None
    signal: int | None = None
    stderr: str = Field(min_length=1)

    @field_validator("stderr")
    @classmethod
    def _is_expression(cls, text: str) -> str:
        try:
            re.compile(text)
        except re.error as error:
            raise ValueError(f"no regular expression: {error}") from error
        return text


class HeapTable(Table):
    """`[heap]`."""

    runtime_mb: int = Field(gt=0)
    share: float = Field(gt=0, le=1)
    full: FullTable


class LimitsTable(Table):
    """`[limits]`, after the defaults were laid under it."""

    memory_mb: int = Field(gt=0)
    processes: int = Field(gt=0)
    wall_time_s: float = Field(gt=0)
    cpu_time_s: float = Field(gt=0)
    output_kb: int = Field(gt=0)
    file_size_kb: int = Field(gt=0)
    open_files: int = Field(gt=0)
    stack_kb: int = Field(gt=0)


class LeastTable(Table):
    """`[least]`: with less of it than this not even an empty program runs."""

    processes: int = Field(default=1, gt=0)
    open_files: int = Field(default=8, gt=0)


class LanguageTable(Table):
    """The whole of a `language.toml`."""

    title: str = Field(min_length=1)
    aliases: list[str] = []
    main: str = Field(pattern=r"^\w[\w.-]*\.\w+$")
    version: list[str] = Field(min_length=1)
    compile: CompileTable | None = None
    run: StepTable
    warm: WarmTable | None = None
    heap: HeapTable | None = None
    env: dict[str, str] = {}
    least: LeastTable = LeastTable()
    limits: LimitsTable


class DefaultsTable(Table):
    """The whole of `defaults.toml`: what is laid under each language's tables."""

    limits: dict[str, int | float]
    compile: dict[str, int | float]


class FailTable(Table):
    """The whole of a `fail.toml`."""

    outcome: str
    exit_code: int | None = None
    signal: int | None = None
    stderr_contains: str = ""
    compile_contains: str = ""


_T = TypeVar("_T", bound=Table)


def check(kind: type[_T], table: Mapping[str, Any], file: str) -> _T:
    """Return the table as `kind`, or say which key of `file` is wrong."""
    try:
        return kind.model_validate(table)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise CatalogError(f"{file}: {key}: {first['msg']}") from error


def read_toml(path: Path) -> dict[str, Any]:
    """Return the file's table, or say what is wrong with it."""
    try:
        return tomllib.loads(read_text(path))
    except tomllib.TOMLDecodeError as error:
        raise CatalogError(f"{path.parent.name}/{path.name}: {error}") from error


def read_text(path: Path) -> str:
    """Return the file's text exactly, or say why it can't be read."""
    try:
        return path.read_bytes().decode()
    except (OSError, UnicodeDecodeError) as error:
        raise CatalogError(f"{path.parent.name}/{path.name}: {error}") from error
