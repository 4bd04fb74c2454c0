"""Attacks from their files, and what becomes of one: contained, leaked or unproven.

A file holds one language's attacks. `=== name` begins one; these lines may follow, the
values in JSON, before its source; `--- name` begins a further file of it.

ends: the outcome that it has to have, or a list of those that it may have; success,
    if it is not said.
says: texts that its output or its compiler's must hold: that it did what it is about.
recycled: true if the container has to be destroyed after it, null if it may be.
limits, env, args, stdin: as in a request.

Whoever reaches what it must not prints REACHED.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from probe import PROBE, PROBES
from runtime import is_gvisors_own

from images.catalog import load_catalog

if TYPE_CHECKING:
    from http_api import Api, Result
    from service_process import ServiceProcess

HERE = Path(__file__).parent
CATALOG = load_catalog(HERE.parents[1] / "images")
_BEGIN = re.compile(r"^=== ", re.MULTILINE)
_HEAD = re.compile(r"(ends|says|recycled|limits|env|args|stdin): (.+)")

_TIME_TO_FILL_MEMORY = {"wall_time_s": 20, "cpu_time_s": 20}
"""In a virtual machine that has been at rest each page is given anew by its host: to
fill 256 MB took 3 s instead of 0.2."""

Verdict = Literal["contained", "shown", "leaked", "unproven"]
"""shown: contained, but gVisor lets programs reach more of its own kernel."""


@dataclass(frozen=True)
class Attack:
    """One hostile program and how it has to end."""

    language: str
    name: str
    files: tuple[tuple[str, str], ...]
    ends: tuple[str, ...] = ("success",)
    says: tuple[str, ...] = ()
    recycled: bool | None = False
    fields: dict[str, Any] = field(default_factory=dict)

    @property
    def request(self) -> dict[str, Any]:
        """Return it as a job."""
        files = [{"name": name, "content": text} for name, text in self.files]
        return {"language": self.language, "files": files, **self.fields}


@dataclass(frozen=True)
class Report:
    """What became of an attack, and why this is thought of it."""

    verdict: Verdict
    recycled: bool
    reasons: tuple[str, ...] = ()


def read_attacks() -> list[Attack]:
    """Return all attacks of all languages."""
    return [
        _read_attack(path.stem, section.removesuffix("\n"))
        for path in sorted(HERE.glob("*.txt"))
        for section in _BEGIN.split(path.read_text(encoding="utf-8"))[1:]
    ]


def _read_attack(language: str, section: str) -> Attack:
    found = CATALOG.resolve(language)
    assert found is not None, language
    main, *others = section.split("\n--- ")
    name, *lines = main.split("\n")
    heads: dict[str, Any] = {}
    while lines and (head := _HEAD.fullmatch(lines[0])):
        heads[head[1]] = json.loads(head[2])
        lines.pop(0)
    files = [(found.main, "\n".join(lines))]
    for other in others:
        file, _, text = other.partition("\n")
        files.append((file, text))
    said = heads.pop("ends", "success")
    ends = (said,) if isinstance(said, str) else tuple(said)
    if "out_of_memory" in ends:
        heads.setdefault("limits", _TIME_TO_FILL_MEMORY)
    return Attack(
        language,
        name,
        tuple(files),
        ends,
        tuple(heads.pop("says", ())),
        heads.pop("recycled", False),
        heads,
    )


class Looks(NamedTuple):
    """What probes have seen, by language."""

    hosts: dict[str, str]
    """The name of the container that the last job of the language ran in."""
    as_new: dict[str, object]
    """What a program sees before any attack."""


def carry_out(service: ServiceProcess, attack: Attack, looks: Looks) -> Report:
    """Run an attack, then look in its container for what it has left."""
    before, as_new = looks.hosts[attack.language], looks.as_new[attack.language]
    result = run(service.api, attack.request)
    host, found = look_around(service.api, attack.language)
    looks.hosts[attack.language] = host
    hello = run(service.api, hello_of(attack.language))
    recycled = before != host
    shown = [line for line in reached(result) if is_gvisors_own(attack.name, line)]
    leaks = [line for line in reached(result) if line not in shown]
    leaks += differences(as_new, found)
    if hello.text != "Hello, world!\n":
        leaks.append(f"the next hello said {hello.text!r}")
    if leaks:
        return Report("leaked", recycled, tuple(leaks))
    doubts = tuple(doubts_about(attack, result))
    if doubts:
        return Report("unproven", recycled, doubts)
    return Report("shown" if shown else "contained", recycled, tuple(shown))


def run(api: Api, request: dict[str, Any]) -> Result:
    """Run a job to its end."""
    return api.run(**request)


def hello_of(language: str) -> dict[str, Any]:
    """Return the language's own hello as a job."""
    found = CATALOG.resolve(language)
    assert found is not None
    return {"language": language, "source": found.hello.source}


def look_around(api: Api, language: str) -> tuple[str, dict[str, Any]]:
    """Return the container's name, and all that a program can see in it."""
    source = PROBES[language]
    result = api.run(language, source, env={"PROBE": PROBE})
    assert result.outcome == "success", (result, result.stderr, result.compiled)
    found = json.loads(result.stdout)
    return found.pop("host"), found


def reached(result: Result) -> list[str]:
    """Return the lines in which the program says that it has reached something."""
    text = b"\n".join((result.stdout, result.stderr, result.compiled))
    return [
        line for line in text.decode(errors="replace").split("\n") if "REACHED" in line
    ]


def differences(as_new: object, found: dict[str, Any]) -> list[str]:
    """Name what is not as in a container that had no job before."""
    assert isinstance(as_new, dict)
    return [
        f"{key}: {as_new[key]} has become {found[key]}"
        for key in as_new
        if found[key] != as_new[key]
    ]


def doubts_about(attack: Attack, result: Result) -> list[str]:
    """Return why it is not certain that the attack did what it is about."""
    doubts = []
    if result.outcome not in attack.ends:
        doubts.append(f"ended as {result.outcome}, not as {' or '.join(attack.ends)}")
    said = (result.stdout + result.stderr + result.compiled).decode(errors="replace")
    doubts += [f"never said {text!r}" for text in attack.says if text not in said]
    if doubts:
        doubts.append(f"it said {said[-1500:]!r}")
    return doubts
