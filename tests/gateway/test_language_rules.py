"""What one language asks of a request beyond what all of them do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from actors.messages import Limits
from gateway.config import GatewayConfig
from gateway.drafts import Draft, Drafter
from gateway.problems import Problem
from gateway.requests import parse_request
from gateway.slices import Slices
from gateway.texts import Texts
from images.catalog import load_catalog

CATALOG = load_catalog(Path(__file__).parents[2] / "images")
DRAFTER = Drafter(
    GatewayConfig(secret=b""), CATALOG, dict.fromkeys(CATALOG.languages, "")
)


def draft(language: str, **fields: Any) -> Draft:
    if "files" not in fields:
        fields["source"] = "x"
    request = parse_request({"language": language, **fields}, {"files": 64})
    return DRAFTER.draft(request, Texts(), Slices())


def files(*names: str) -> list[dict[str, str]]:
    return [{"name": name, "content": "x"} for name in names]


@pytest.mark.parametrize(
    ("language", "fields", "field", "words"),
    [
        ("c", {"compile_args": ["-O0", "-o/tmp/x"]}, "compile_args.1", "'-o/tmp/x' is"),
        ("c", {"compile_args": ["-Wl,-z,defs"]}, "compile_args.0", "-std="),
        ("cpp", {"compile_args": ["@file"]}, "compile_args.0", "not allowed"),
        ("java", {"compile_args": ["-J-Xmx9g"]}, "compile_args.0", "--enable-preview"),
        ("go", {"compile_args": ["-toolexec=x"]}, "compile_args.0", "-tags="),
        ("python", {"compile_args": ["-O"]}, "compile_args", "has no compiler"),
        ("javascript", {"limits": {"processes": 10}}, "limits.processes", "least 11"),
        ("javascript", {"limits": {"open_files": 23}}, "limits.open_files", "least 24"),
        ("java", {"limits": {"processes": 15}}, "limits.processes", "Java needs"),
        ("java", {"files": files("TestRun")}, "files", "called *.java; got TestRun"),
        ("c", {"files": files("a.h", "b")}, "files", "called *.c"),
        ("cpp", {"files": files("a.c")}, "files", "*.cpp or *.cc or *.cxx"),
        ("go", {"files": files("main", "sub/a.go")}, "files", "called *.go"),
    ],
)
def test_what_it_could_not_work_with_is_named(
    language: str, fields: dict[str, Any], field: str, words: str
) -> None:
    with pytest.raises(Problem) as caught:
        draft(language, **fields)
    (error,) = caught.value.errors
    assert error[0] == field
    assert words in error[1]


def test_what_is_allowed_is_handed_on_and_counts_for_a_key() -> None:
    words = ["-std=c++23", "-O0", "-fopenmp", "-lpthread", "-DX=a b", "-Wno-unused"]
    with_args = draft("cpp", compile_args=words)
    assert with_args.compile_args == tuple(words)
    plain = draft("cpp")
    assert with_args.fingerprint(Slices()) != plain.fingerprint(Slices())
    assert isinstance(draft("javascript", limits={"processes": 11}).limits, Limits)


@pytest.mark.parametrize(
    ("content", "mode", "executable"),
    [
        ("#!/bin/sh", None, True),
        ("#!/bin/sh", "644", False),
        ("x", None, False),
        ("x", "755", True),
    ],
)
def test_a_file_is_executable_by_its_first_line_or_as_it_is_said(
    content: str, mode: str | None, executable: bool
) -> None:
    file = {"name": "a", "content": content} | ({"mode": mode} if mode else {})
    (found,) = draft("bash", files=[file]).files
    assert found.executable is executable


def test_a_mode_that_there_is_not_is_refused() -> None:
    with pytest.raises(Problem):
        draft("bash", files=[{"name": "a", "content": "", "mode": "777"}])
