from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

from fake_service import Script, event, finished, serving
from rich.console import Console

from gateway.client import Client
from gateway.self_check import self_check
from images.catalog import Catalog, Language, load_catalog

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pytest

CATALOG = load_catalog(Path(__file__).parents[2] / "images")


def hello(language: Language, outcome: str = "success") -> bytes:
    text = event(1, "stdout", text=language.hello.stdout)
    return text + finished(2, outcome, message="what went wrong")


def checked(catalog: Catalog, streams: Sequence[bytes | int]) -> tuple[bool, str]:
    names = list(catalog.languages)
    script = Script(
        streams=list(streams),
        languages=[{"name": name, "version": "9.9", "ready": True} for name in names],
    )
    console = Console(file=io.StringIO(), width=100)
    with serving(script) as url:
        client = Client(url, pause=lambda _: None)
        ok = self_check(client, catalog, console, pause=lambda _: None)
    assert isinstance(console.file, io.StringIO)
    return ok, console.file.getvalue()


def test_all_hellos_right_is_a_pass() -> None:
    streams = [hello(language) for language in CATALOG.languages.values()]

    ok, printed = checked(CATALOG, streams)

    assert ok
    assert all(name in printed for name in CATALOG.languages)
    assert "9.9" in printed


def test_one_wrong_answer_or_outcome_fails_and_is_shown() -> None:
    streams = [hello(language) for language in CATALOG.languages.values()]
    wrong = event(1, "stdout", text="[bold]") + finished(2, "success")
    failed = hello(next(iter(CATALOG.languages.values())), "internal_error")

    for first, words in ((wrong, "[bold]"), (failed, "internal_error"), (410, "410")):
        ok, printed = checked(CATALOG, [first, *streams[1:]])

        assert not ok
        assert words in printed
        assert printed.count("wrong") >= 1


def test_what_a_dead_container_wrote_does_not_count() -> None:
    streams = [hello(language) for language in CATALOG.languages.values()]
    void = event(1, "stdout", text="void") + event(2, "restarted", attempt=2)

    ok, _ = checked(CATALOG, [void + streams[0], *streams[1:]])

    assert ok


def test_a_service_that_never_answers_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.self_check.READY_S_MAX", 1)
    console = Console(file=io.StringIO(), width=200)
    client = Client("http://127.0.0.1:1", pause=lambda _: None)

    assert not self_check(client, CATALOG, console, pause=lambda _: None)
