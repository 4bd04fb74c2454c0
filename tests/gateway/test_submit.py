from __future__ import annotations

import argparse
import base64
import io
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from fake_service import Script, event, finished, serving

from gateway.client import Client, ClientError, JobEndedError, ServiceAwayError
from gateway.stdin_source import RETRIES_MAX, Descriptor, feed
from gateway.submit_options import (
    add_submit_options,
    request_of,
    take_late_arguments,
)
from gateway.terminal import Terminal
from images.catalog import load_catalog

if TYPE_CHECKING:
    from collections.abc import Iterator

CATALOG = load_catalog(Path(__file__).parents[2] / "images")

# ------------------------------------------------------------------- the words


def parse(*words: str) -> argparse.Namespace:
    """Parse as `run.py submit` does."""
    parser = argparse.ArgumentParser()
    add_submit_options(parser)
    args, late = parser.parse_known_args(words)
    take_late_arguments(parser, args, late)
    return args


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "lib").mkdir()
    (tmp_path / "main.py").write_text("import lib.a")
    (tmp_path / "lib/a.py").write_bytes(b"\xff")
    return tmp_path


def request(folder: Path, *words: str) -> dict[str, Any]:
    return request_of(parse(str(folder / "main.py"), *words), CATALOG)


@pytest.mark.parametrize(
    ("words", "args"),
    [
        ((), []),
        (("a", "b c"), ["a", "b c"]),
        (("a", "--env", "X=1", "b", "c"), ["a", "b", "c"]),
        (("--", "-v", "--env"), ["-v", "--env"]),
        (("a", "--json", "b", "--", "-v"), ["a", "b", "-v"]),
        (("--arg=-v", "a"), ["-v", "a"]),
    ],
)
def test_what_stands_behind_the_file_are_the_programs_arguments(
    folder: Path, words: tuple[str, ...], args: list[str]
) -> None:
    assert request(folder, *words)["args"] == args


def test_an_unknown_option_is_no_argument(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        parse(str(folder / "main.py"), "a", "-v")
    assert "unrecognized arguments: -v (`--` before" in capsys.readouterr().err


def test_files_are_named_as_seen_from_the_program(folder: Path) -> None:
    beside = folder.parent / "beside.txt"
    beside.write_text("text")
    files = request(folder, "--file", f"{folder}/lib/a.py", "--file", str(beside))

    assert files["files"] == [
        {"name": "main.py", "content": "import lib.a"},
        {
            "name": "lib/a.py",
            "content": base64.b64encode(b"\xff").decode(),
            "encoding": "base64",
        },
        {"name": "beside.txt", "content": "text"},
    ]


def test_variables_and_limits_are_passed_on(folder: Path) -> None:
    words = ("--env", "A=1=2", "--env", "B=", "--limit", "memory_mb=64")
    made = request(folder, *words, "--limit", "wall_time_s=1.5")

    assert made["env"] == {"A": "1=2", "B": ""}
    assert made["limits"] == {"memory_mb": 64, "wall_time_s": 1.5}
    assert "env" not in request(folder)
    assert "limits" not in request(folder)


@pytest.mark.parametrize(
    "words", [("--env", "A"), ("--env", "=1"), ("--limit", "memory_mb=much")]
)
def test_what_is_no_variable_or_limit_is_told(
    folder: Path, words: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        parse(str(folder / "main.py"), *words)
    assert words[0] in capsys.readouterr().err


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("public class Main {}", "Main.java"),
        ("import java.util.*;\npublic final  class App {}", "App.java"),
        ("public record R(int x) {}", "R.java"),
        ("class Main {}", "hello.java"),
        ("// public class No\nclass A {}", "hello.java"),
    ],
)
def test_a_file_of_java_is_named_as_javac_wants_it(
    tmp_path: Path, source: str, name: str
) -> None:
    file = tmp_path / "hello.java"
    file.write_text(source)
    (entry,) = request_of(parse(str(file)), CATALOG)["files"]

    assert entry == {"name": name, "content": source}


def test_the_language_is_told_by_the_suffix_or_by_hand(folder: Path) -> None:
    (folder / "x.txt").write_text("")

    assert request(folder)["language"] == "python"
    assert request(folder, "--language", "ruby")["language"] == "ruby"
    with pytest.raises(ClientError, match=r"language of x\.txt can't be guessed"):
        request_of(parse(f"{folder}/x.txt"), CATALOG)


# ------------------------------------------------------------------- a service


@pytest.fixture
def script() -> Iterator[Script]:
    script = Script()
    with serving(script) as script.url:
        yield script


def piped(data: bytes) -> Descriptor:
    """Return a stream that holds these bytes and has ended."""
    reader, writer = os.pipe()
    os.write(writer, data)
    os.close(writer)
    return Descriptor(reader)


def told(script: Script, data: bytes) -> list[str]:
    """Hand the bytes to the job; return what was said of it, and the pauses."""
    said: list[str] = []
    client = Client(script.url)
    feed(client, "j1", piped(data), said.append, lambda s: said.append(f"{s} s"))
    return said


def test_a_stream_goes_to_the_program_and_ends_there(script: Script) -> None:
    assert told(script, b"one\ntwo\xff") == []
    assert (script.stdin, script.stdin_ended) == (b"one\ntwo\xff", True)


def test_a_piece_that_is_refused_for_now_is_sent_again(script: Script) -> None:
    script.stdin_statuses = [503, 429]

    assert told(script, b"one") == ["1.0 s", "1.0 s"]
    assert (script.stdin, script.stdin_ended) == (b"one", True)


def test_so_is_the_end_without_which_a_program_would_wait(script: Script) -> None:
    script.stdin_statuses = [202, 503]

    assert told(script, b"one") == ["1.0 s"]
    assert (script.stdin, script.stdin_ended) == (b"one", True)


@pytest.mark.parametrize("status", [409, 410])
def test_a_program_that_has_ended_needs_no_more(script: Script, status: int) -> None:
    script.stdin_statuses = [status]

    assert told(script, b"one") == []
    assert len(script.asked) == 1


@pytest.mark.parametrize("statuses", [[413], [503] * RETRIES_MAX])
def test_what_can_not_be_handed_on_is_told(script: Script, statuses: list[int]) -> None:
    script.stdin_statuses = [*statuses]
    *_, last = told(script, b"one")

    assert last.startswith(f"stdin is cut off: {statuses[0]}")
    assert not script.stdin_ended


def test_a_descriptor_that_is_not_open_is_at_its_end() -> None:
    assert Descriptor(1 << 20).read() == b""  # no process has so many


def test_the_result_is_one_document_where_that_is_asked_for(script: Script) -> None:
    script.streams = [event(1, "stdout", text="a") + finished(2, "success")]
    script.document = {"id": "j1", "stdout": "ä"}
    out, err = io.StringIO(), io.StringIO()
    code = Terminal(out, err, as_json=True).run(Client(script.url), {}, b"")

    assert (code, err.getvalue()) == (0, "")
    assert json.loads(out.getvalue()) == script.document
    assert "ä" in out.getvalue()


def test_refusals_are_told_apart(script: Script) -> None:
    client = Client(script.url)
    script.stdin_statuses = [409, 429, 413]
    with pytest.raises(JobEndedError):
        client.send_stdin("j1", b"x")
    with pytest.raises(ServiceAwayError):
        client.send_stdin("j1", b"x")
    with pytest.raises(ClientError) as refused:
        client.send_stdin("j1", b"x")
    assert type(refused.value) is ClientError
