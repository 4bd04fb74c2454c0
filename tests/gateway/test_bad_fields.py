"""Every field that is wrong is named, and no job is made of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from gateway_client import Gateway, assert_problem, running

if TYPE_CHECKING:
    from collections.abc import Iterator

GOOD: dict[str, Any] = {"language": "python", "source": "print(1)"}


@pytest.fixture(scope="module")
def gateway() -> Iterator[Gateway]:
    with running() as one:
        yield one


def fields(gateway: Gateway, document: Any) -> set[str]:
    problem = assert_problem(gateway.post(document), 422, "invalid")
    assert all(error["message"] for error in problem["errors"])
    assert gateway.world.jobs == {}
    return {error["field"] for error in problem["errors"]}


def files(*names: str) -> dict[str, Any]:
    listed = [{"name": name, "content": "x"} for name in names]
    return {"language": "python", "files": listed}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"colour": "red"}, "colour"),
        ({"limits": {"colour": 1}}, "limits.colour"),
        ({"language": 3}, "language"),
        ({"language": "\ud800"}, "language"),
        ({"source": ["print(1)"]}, "source"),
        ({"source": None}, "source"),
        ({"source": ""}, "source"),
        ({"source": "\udfff"}, "source"),
        ({"stdin": 1}, "stdin"),
        ({"stdin": "\ud800"}, "stdin"),
        ({"stdin_open": "yes"}, "stdin_open"),
        ({"stdin_open": 1}, "stdin_open"),
        ({"args": "-v"}, "args"),
        ({"args": [1]}, "args.0"),
        ({"args": ["a\0b"]}, "args.0"),
        ({"args": ["\ud800"]}, "args.0"),
        ({"args": ["x"] * 65}, "args"),
        ({"args": [1] * 65}, "args"),
        ({"args": ["x" * 70_000]}, "args"),
        ({"env": []}, "env"),
        ({"env": {"A": 1}}, "env.A"),
        ({"env": {"A": "\0"}}, "env.A"),
        ({"env": {"A=B": "x"}}, "env.A=B"),
        ({"env": {"": "x"}}, "env."),
        ({"env": {f"A{number}": "" for number in range(65)}}, "env"),
        ({"limits": []}, "limits"),
        ({"limits": {"wall_time_s": 31}}, "limits.wall_time_s"),
        ({"limits": {"wall_time_s": 0}}, "limits.wall_time_s"),
        ({"limits": {"wall_time_s": -1}}, "limits.wall_time_s"),
        ({"limits": {"cpu_time_s": 1e308}}, "limits.cpu_time_s"),
        ({"limits": {"cpu_time_s": "5"}}, "limits.cpu_time_s"),
        ({"limits": {"memory_mb": 10**400}}, "limits.memory_mb"),
        ({"limits": {"memory_mb": 1.5}}, "limits.memory_mb"),
        ({"limits": {"memory_mb": 1}}, "limits.memory_mb"),
        ({"limits": {"output_kb": 8193}}, "limits.output_kb"),
        ({"limits": {"processes": True}}, "limits.processes"),
        ({"limits": {"processes": 0}}, "limits.processes"),
        ({"limits": {"file_size_kb": 0}}, "limits.file_size_kb"),
        ({"limits": {"file_size_kb": 65_537}}, "limits.file_size_kb"),
        ({"limits": {"open_files": 7}}, "limits.open_files"),
        ({"limits": {"open_files": 1025}}, "limits.open_files"),
        ({"limits": {"stack_kb": 127}}, "limits.stack_kb"),
        ({"limits": {"stack_kb": 262_145}}, "limits.stack_kb"),
        ({"limits": {"stack_kb": "8192"}}, "limits.stack_kb"),
        ({"files": [{"name": "a.py", "content": ""}]}, "source"),
    ],
)
def test_fields_that_are_wrong(
    gateway: Gateway, change: dict[str, Any], field: str
) -> None:
    assert field in fields(gateway, {**GOOD, **change})


def test_infinity_by_a_large_exponent(gateway: Gateway) -> None:
    body = b'{"language":"python","source":"x","limits":{"wall_time_s":1e999}}'
    headers = {"Content-Type": "application/json"}
    answer = gateway.request("POST", "/v1/jobs", data=body, headers=headers)
    assert_problem(answer, 422, "invalid")


def test_neither_source_nor_files(gateway: Gateway) -> None:
    assert fields(gateway, {"language": "python"}) == {"source"}
    assert fields(gateway, {"language": "python", "files": []}) == {"files"}


CROWD: dict[str, Any] = {f"A{number}": 0 for number in range(65)}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (CROWD, ""),
        ({"files": [{}] * 65}, "files"),
        ({"files": [{}, CROWD]}, "files.1"),
        ({"args": [0] * 65}, "args"),
        ({"env": CROWD}, "env"),
        ({"limits": CROWD}, "limits"),
    ],
)
def test_of_a_crowd_nobody_is_named(
    gateway: Gateway, change: dict[str, Any], field: str
) -> None:
    assert fields(gateway, {"language": 1, **change}) == {field}


def test_every_wrong_field_is_named_at_once(gateway: Gateway) -> None:
    found = fields(gateway, {"language": 1, "args": [2], "colour": 3})
    assert found == {"language", "args.0", "colour"}


@pytest.mark.parametrize(
    "name",
    [
        "",
        "/etc/passwd",
        "../a.py",
        "a/../../b.py",
        "a/..",
        ".",
        "./a.py",
        "a//b.py",
        "a/",
        "a\0.py",
        "a\n.py",
        "a\x7f.py",
        "a\x9f.py",
        "a\\b.py",
        "\ud800.py",
        "x" * 300,
        "ü" * 128,
        "a/" * 127 + "ab",
    ],
)
def test_file_names(gateway: Gateway, name: str) -> None:
    assert fields(gateway, files(name)) == {"files.0.name"}


@pytest.mark.parametrize(
    "names", [("a.py", "a.py"), ("a", "a/b.py"), ("a/b/c.py", "a/b")]
)
def test_file_names_that_clash(gateway: Gateway, names: tuple[str, ...]) -> None:
    assert fields(gateway, files(*names)) == {"files"}


def test_too_many_files(gateway: Gateway) -> None:
    assert fields(gateway, files(*(f"{n}.py" for n in range(65)))) == {"files"}


@pytest.mark.parametrize("content", ["%", "YQ=", "YQ==\n", "ü", "YQ==YQ=="])
def test_what_is_not_base64(gateway: Gateway, content: str) -> None:
    file = {"name": "a.py", "content": content, "encoding": "base64"}
    document = {"language": "python", "files": [file]}
    assert fields(gateway, document) == {"files.0.content"}


def test_an_encoding_that_is_none_of_ours(gateway: Gateway) -> None:
    file = {"name": "a.py", "content": "", "encoding": "latin-1"}
    found = fields(gateway, {"language": "python", "files": [file]})
    assert found == {"files.0.encoding"}
