"""Programs that behave as in a plain container: what each prints, and how it ends.

Most were found in public reports of what other services got wrong. `programs.toml`
holds them, grouped by what they have in common; a request stands as it is posted, and
`expect` tells what must come of it.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from http_api import Api, Result

pytestmark = pytest.mark.docker

GROUPS: dict[str, dict[str, Any]] = tomllib.loads(
    Path(__file__).with_suffix("").with_name("programs.toml").read_text("utf-8")
)
PATIENCE: dict[str, Any] = {"wall_time_s": 30, "cpu_time_s": 30}
COMPILERS_PATIENCE = {"wall_time_s": 60, "cpu_time_s": 30}
COMPILED = {"c", "cpp", "go", "java"}
"""For machines with other work; a program that must not have it says so."""
CASES = {
    f"{group}: {name}": case
    for group, cases in GROUPS.items()
    for name, case in cases.items()
}


def check(result: Result, expect: dict[str, Any]) -> None:
    """Compare all that `expect` names.

    `stdout` and `stderr` are whole; what ends in `_has` is a part, or several.
    """
    found = {
        "outcome": result.outcome,
        "exit_code": result.exit_code,
        "signal": result.signal,
        "message": result.document["message"],
        "stdout": result.text,
        "stderr": result.stderr.decode(errors="replace"),
        "compiled": result.compiled.decode(errors="replace"),
    }
    for key, value in {"outcome": "success", **expect}.items():
        name = key.removesuffix("_has")
        if name == key:
            assert found[name] == value, found
        else:
            parts = [value] if isinstance(value, str) else value
            assert [part for part in parts if part not in found[name]] == [], found


@pytest.mark.parametrize("name", CASES)
def test_a_program_behaves_as_in_a_plain_container(api: Api, name: str) -> None:
    request = {key: value for key, value in CASES[name].items() if key != "expect"}
    limits = {**PATIENCE, **request.pop("limits", {})}
    if request["language"] in COMPILED:
        limits.setdefault("compile", COMPILERS_PATIENCE)
    check(api.run(**request, limits=limits), CASES[name]["expect"])


@pytest.mark.parametrize("name", CASES)
def test_it_says_what_must_come_of_it(name: str) -> None:
    assert CASES[name]["expect"], "an empty expectation holds for anything"
