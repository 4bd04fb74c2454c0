"""Layers of settings: defaults, the file, `WARMBOX_*` variables, the command line.

Each written value is checked by itself, so that an error can name the key, the
value and where it was written. Only the sum is looked at for contradictions.
"""

from __future__ import annotations

import difflib
import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError

from supervisors.broker_url import HIDDEN, masked
from supervisors.contradictions import (
    Written,
    at_engine,
    contradictions,
    uids,
)
from supervisors.settings_model import Settings

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

__all__ = [
    "LoadedSettings",
    "Settings",
    "SettingsError",
    "flatten",
    "load_settings",
    "to_text",
]

VARIABLE_PREFIX = "WARMBOX_"
SECRETS = frozenset({"secret", "admin_key"})
"""Keys whose values nobody is shown."""
OWN_OPTIONS = frozenset({"host", "port", "role", "broker"})
"""Keys with an option of their own; all others are written with `--set`."""


class SettingsError(ValueError):
    """Settings that can't be used; the message says which, why and from where."""


@dataclass(frozen=True, slots=True)
class LoadedSettings:
    """The settings in force and, by dotted key, where each value came from."""

    settings: Settings
    sources: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _Written:
    key: str
    value: Any
    source: str
    is_text: bool = True
    """Only the file has types; everywhere else a value is text to be parsed."""


def flatten(settings: BaseModel, prefix: str = "") -> dict[str, Any]:
    """Return every value under its dotted key, in the order of the models."""
    flat: dict[str, Any] = {}
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        if isinstance(value, BaseModel):
            flat |= flatten(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = value
    return flat


def to_text(settings: Settings) -> dict[str, str]:
    """Return every value under its dotted key, as a variable would say it.

    Only what is secret is not said.
    """
    return {key: _text(key, value) for key, value in flatten(settings).items()}


def _text(key: str, value: Any) -> str:
    if isinstance(value, tuple):
        return ",".join(value)
    return str(_shown(key, "" if value is None else value))


def _shown(key: str, value: Any) -> Any:
    """Return a value as it may be printed."""
    if key == "broker":
        return masked(str(value))
    return HIDDEN if key in SECRETS and value else value


KEYS = tuple(flatten(Settings()))
VARIABLES = {VARIABLE_PREFIX + key.upper().replace(".", "_"): key for key in KEYS}


def load_settings(
    config: Path | None, environ: Mapping[str, str], options: Mapping[str, str]
) -> LoadedSettings:
    """Merge the layers, the later over the earlier; raise SettingsError.

    `config` None means no file; `options` are the command line's, by dotted key.
    """
    values: dict[str, Any] = {}
    sources = dict.fromkeys(KEYS, "default")
    for layer in (_from_file(config), _from_variables(environ), _from_options(options)):
        for written in layer:
            values[written.key] = _checked(written)
            sources[written.key] = written.source
    settings = Settings.model_validate(_nest(values))
    _refuse_contradictions(flatten(settings), sources)
    return LoadedSettings(settings, sources)


def refuse_uids(settings: Settings, pools: int) -> None:
    """Raise SettingsError when so many languages can't have uids of their own."""
    for sentence in uids(Written(flatten(settings), {}), pools):
        raise SettingsError(sentence)


def refuse_at_engine(settings: Settings, info: Mapping[str, Any]) -> None:
    """Raise SettingsError when Docker, by what it tells, can make no such container."""
    for sentence in at_engine(Written(flatten(settings), {}), info):
        raise SettingsError(sentence)


# ------------------------------------------------------------------- layers


def _from_file(path: Path | None) -> Iterator[_Written]:
    if path is None:
        return
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SettingsError(f"{path}: {error}") from error
    for key, value in _leaves(tables):
        _refuse_unknown(key, KEYS, str(path))
        yield _Written(key, value, str(path), is_text=False)


def _from_variables(environ: Mapping[str, str]) -> Iterator[_Written]:
    for name, text in environ.items():
        if name.startswith(VARIABLE_PREFIX):
            _refuse_unknown(name, VARIABLES, "the environment")
            yield _Written(VARIABLES[name], text, name)


def _from_options(options: Mapping[str, str]) -> Iterator[_Written]:
    for key, text in options.items():
        _refuse_unknown(key, KEYS, "the command line")
        yield _Written(key, text, f"--{key}" if key in OWN_OPTIONS else f"--set {key}")


def _leaves(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in table.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def _nest(values: Mapping[str, Any]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for key, value in values.items():
        *groups, name = key.split(".")
        table = tree
        for group in groups:
            table = table.setdefault(group, {})
        table[name] = value
    return tree


# ------------------------------------------------------------------- checks


def _checked(written: _Written) -> Any:
    key, value = written.key, written.value
    if written.is_text and value == "" and flatten(Settings())[key] is None:
        return None  # an empty text takes back what a lower layer has set
    try:
        if written.is_text:
            settings = Settings.model_validate_strings(_nest({key: value}))
        else:
            settings = Settings.model_validate(_nest({key: value}), strict=True)
    except ValidationError as error:
        reason = error.errors()[0]["msg"].removeprefix("Value error, ")
        message = f"{key} = {_shown(key, value)!r} ({written.source}): {reason}"
        # pydantic's error holds the value, which may be secret
        raise SettingsError(message) from None
    return flatten(settings)[key]


def _refuse_unknown(name: str, known: Iterable[str], source: str) -> None:
    known = list(known)
    if name in known:
        return
    members = [key for key in known if key.startswith(f"{name}.")]
    if members:
        keys = ", ".join(members)
        raise SettingsError(f"`{name}` in {source} is a group, set its keys: {keys}")
    closest = difflib.get_close_matches(name, known, n=1, cutoff=0)[0]
    raise SettingsError(
        f"unknown setting `{name}` in {source}; the closest is `{closest}`"
    )


def _refuse_contradictions(flat: Mapping[str, Any], sources: Mapping[str, str]) -> None:
    shown = {key: _shown(key, value) for key, value in flat.items()}
    for sentence in contradictions(Written(shown, sources)):
        raise SettingsError(sentence)
