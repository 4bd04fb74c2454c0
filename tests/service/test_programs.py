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
CASES = {
    f"{group}: {name}": case
    for group, cases in GROUPS.items()
    for name, case in cases.items()
}


def check(result: Result, expect: dict[str, Any]) -> None:
    """Compare all that `expect` names.

    `stdout` and `stderr` are whole; what ends in `_has` is a part, or several.
    """
    expect = {"outcome": "success", **expect}
    found = {
        "outcome": result.outcome,
        "exit_code": result.exit_code,
        "signal": result.signal,
        "message": result.document["message"],
        "stdout": result.text,
        "stderr": result.stderr.decode(errors="replace"),
        "compiled": result.compiled.decode(errors="replace"),
    }
    for key, value in expect.items():
        name = key.removesuffix("_has")
        if name == key:
            assert found[name] == value, found
        for part in [value] if isinstance(value, str) else value:
            assert name == key or part in found[name], found


@pytest.mark.parametrize("name", CASES)
def test_a_program_behaves_as_in_a_plain_container(api: Api, name: str) -> None:
    request = {key: value for key, value in CASES[name].items() if key != "expect"}
    check(api.run(**request), CASES[name]["expect"])


@pytest.mark.parametrize("name", CASES)
def test_it_says_what_must_come_of_it(name: str) -> None:
    assert CASES[name]["expect"], "an empty expectation holds for anything"
