"""What a look from inside says of each protection, and that it sees what is open."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from runner_harness import CATALOG, CONFIG, IMAGES, make_engine

from actors.engine import Engine, EngineError
from actors.inside import look_inside
from images.protections import LOOK_FILE, judge
from supervisors.languages import language_defaults

PYTHON = language_defaults(CATALOG.languages["python"])
SOURCE = (IMAGES / LOOK_FILE).read_bytes()
SOUND: dict[str, Any] = {
    "kernel": "6.18",
    "uid": 100_000,
    "groups": [],
    "status": {"CapEff": "0", "CapBnd": "e0", "NoNewPrivs": "1", "Seccomp": "2"},
    "calls": [],
    "families": [],
    "writable": [],
    "runner": [],
    "interfaces": ["lo"],
    "core": 0,
    "files": 1024,
    "file_size": 64 << 20,
    "processes": 64,
    "stack": 8 << 20,
    "memory": str(300 << 20),
    "swap": str(300 << 20),
    "pids": "288",
    "places": {"/tmp": [64 << 20, 16384]},  # noqa: S108 - a container's own
}
STATUS = SOUND["status"]


def missing(facts: dict[str, Any]) -> set[str]:
    findings = list(judge(facts))
    assert all(one.evidence for one in findings)
    return {one.subject for one in findings if not one.ok}


def test_a_sound_sandbox_misses_nothing() -> None:
    assert missing(SOUND) == set()
    assert missing({**SOUND, "memory": "", "swap": "", "pids": ""}) == set()
    assert missing({**SOUND, "swap": "0"}) == set()  # cgroups 2 count swap alone


@pytest.mark.parametrize(
    ("changes", "subject"),
    [
        ({"uid": 0}, "own user"),
        ({"groups": [990]}, "own user"),
        ({"status": {**STATUS, "CapEff": "1"}}, "no privileges"),
        ({"status": {**STATUS, "CapBnd": "200000"}}, "no privileges"),
        ({"status": {**STATUS, "NoNewPrivs": "0"}}, "no privileges"),
        ({"calls": ["bpf"]}, "system calls"),
        ({"families": ["AF_ALG"]}, "system calls"),
        ({"writable": ["/etc"]}, "read-only root"),
        ({"runner": ["mem"]}, "closed runner"),
        ({"interfaces": ["lo", "eth0"]}, "no network"),
        ({"memory": "max", "swap": "max"}, "bounded memory"),
        ({"swap": "max"}, "no swap"),
        ({"pids": "max"}, "bounded processes"),
        ({"processes": -1}, "bounded processes"),
        ({"stack": -1}, "bounded stack"),
        ({"stack": 2 << 30}, "bounded stack"),
        ({"files": 20_000}, "bounded files"),
        ({"core": -1}, "bounded files"),
        ({"file_size": -1}, "bounded files"),
        ({"places": {"/tmp": [1 << 40, 0]}}, "bounded files"),  # noqa: S108
    ],
)
def test_what_is_open_is_named(changes: dict[str, Any], subject: str) -> None:
    assert missing({**SOUND, **changes}) == {subject}


@pytest.mark.docker
def test_a_look_into_a_real_sandbox() -> None:
    engine = make_engine()
    try:
        facts = look_inside(engine, PYTHON, SOURCE)
    finally:
        assert engine.close(60) == 0
    assert missing(facts) == set(), facts
    assert set(facts) == set(SOUND)
    assert json.loads(json.dumps(facts)) == facts


@pytest.mark.docker
def test_a_look_sees_what_the_engines_own_list_lets_through() -> None:
    engine = Engine(replace(CONFIG, seccomp=None))
    try:
        facts = look_inside(engine, PYTHON, SOURCE)
    finally:
        assert engine.close(60) == 0
    assert missing(facts) == {"system calls"}
    assert "ptrace" in facts["calls"]


@pytest.mark.docker
def test_a_look_that_fails_says_why() -> None:
    engine = make_engine()
    try:
        with pytest.raises(EngineError, match="no such thing"):
            look_inside(engine, PYTHON, b"raise SystemExit('no such thing')")
        missing_image = replace(PYTHON, image="warmbox/none:latest")
        with pytest.raises(EngineError):
            look_inside(engine, missing_image, SOURCE)
    finally:
        assert engine.close(60) == 0
