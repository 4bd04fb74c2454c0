from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from actors.messages import Limits
from images.catalog import CompilerLimits, Step, load_catalog
from images.heap import Heap
from images.language_file import CatalogError

IMAGES = Path(__file__).parents[2] / "images"

DEFAULTS = """
[limits]
memory_mb = 256
processes = 64
wall_time_s = 5
cpu_time_s = 5
output_kb = 1024
file_size_kb = 65536
open_files = 1024
stack_kb = 8192
[compile]
wall_time_s = 30
cpu_time_s = 10
output_kb = 1024
processes = 64
"""
TINY = """
title = "Tiny"
aliases = ["t", "T++"]
main = "main.tn"
version = ["tiny", "--version"]
[run]
argv = ["tiny", "{main}", "{args}"]
"""


def write_language(root: Path, name: str, text: str = TINY) -> Path:
    (root / "defaults.toml").write_text(DEFAULTS)
    folder = root / name
    folder.mkdir()
    (folder / "language.toml").write_text(text)
    (folder / "Dockerfile").write_text("FROM warmbox/base:latest\n")
    for program in ("hello", "echo", "fail"):
        (folder / f"{program}.tn").write_text(f"{program}\n")
        (folder / f"{program}.expected").write_text("said\n")
    (folder / "fail.toml").write_text('outcome = "failure"\nexit_code = 1\n')
    return folder


def test_every_language_of_the_repository_loads_with_its_samples() -> None:
    languages = load_catalog(IMAGES).languages

    assert list(languages) == sorted(
        ["bash", "c", "cpp", "go", "java", "javascript", "python", "ruby"]
    )
    for language in languages.values():
        assert language.hello.stdout == "Hello, world!\n"
        assert language.echo.stdout == "a\nb c\nWARM\nBOX\n"
        assert language.fail.outcome != "success"


def test_a_folder_is_a_language(tmp_path: Path) -> None:
    folder = write_language(tmp_path, "tiny")

    language = load_catalog(tmp_path).languages["tiny"]

    assert language.folder == folder
    assert language.run == Step(("tiny", "{main}", "{args}"))
    assert language.compile is None
    assert language.warm is None
    assert language.hello.source == "hello\n"
    assert language.fail.exit_code == 1


def test_the_defaults_are_what_a_job_has_that_does_not_name_them() -> None:
    limits = {field.name: field.default for field in fields(Limits)}
    added = ("file_size_kb", "open_files", "stack_kb")
    for language in load_catalog(IMAGES).languages.values():
        for name in added:
            assert getattr(language.limits, name) == limits[name]


def test_own_values_lie_over_the_defaults(tmp_path: Path) -> None:
    own = "[compile]\nargv = ['tc']\n[limits]\nmemory_mb = 512\n[env]\nA = 'b'\n"
    write_language(tmp_path, "tiny", TINY + own)

    language = load_catalog(tmp_path).languages["tiny"]

    assert language.limits.memory_mb == 512
    assert language.limits.processes == 64
    assert language.compile == Step(("tc",))
    # A compiler has a program's memory, and all else of its own.
    assert language.limits.compile == CompilerLimits(30, 10, 512, 1024, 64)
    assert language.env == (("A", "b"),)


@pytest.mark.parametrize("name", ["tiny", "TINY", "t", "t++"])
def test_names_and_aliases_resolve_in_any_case(tmp_path: Path, name: str) -> None:
    write_language(tmp_path, "tiny")

    language = load_catalog(tmp_path).resolve(name)

    assert language is not None
    assert language.name == "tiny"


def test_an_unknown_name_has_closest_ones() -> None:
    catalog = load_catalog(IMAGES)

    assert catalog.resolve("pyton") is None
    assert catalog.closest("pyton") == ["python"]
    assert catalog.closest("javascrpt")[0] == "javascript"
    assert catalog.closest("zzzzzz") == []


def test_picking_an_unknown_language_says_what_there_is() -> None:
    with pytest.raises(CatalogError, match="no language 'pyton'; try python"):
        load_catalog(IMAGES).pick(["c", "pyton"])


def test_picking_takes_each_language_once() -> None:
    picked = load_catalog(IMAGES).pick(["c++", "CPP", "c"])

    assert [language.name for language in picked] == ["cpp", "c"]


WAITING_COMPILER = "[warm]\nkind = 'exec'\nstep = 'compile'\nargv = ['a']"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (TINY + "colour = 1", "tiny/language.toml: run.colour: Extra inputs"),
        ("colour = 1\n" + TINY, "tiny/language.toml: colour: Extra inputs"),
        (TINY.replace('"Tiny"', "7"), "tiny/language.toml: title: Input should be"),
        (TINY + "[limits]\nmemory_mb = '9'", "tiny/language.toml: limits.memory_mb:"),
        (TINY + "[limits]\nmemory_mb = 0", "tiny/language.toml: limits.memory_mb:"),
        ("limits = 3\n" + TINY, "tiny/language.toml: limits:"),
        (TINY + "[compile]\nwall_time_s = 1", "tiny/language.toml: compile.argv:"),
        (TINY + "[warm]\nkind = 'x'\nargv = ['a']", "tiny/language.toml: warm.kind:"),
        (TINY + WAITING_COMPILER, "tiny/language.toml: warm.step: no compiler"),
        (TINY.replace("{args}", "{arg}"), "tiny/language.toml: run.argv: can't expand"),
        (TINY.replace("{args}", "-{args}"), "tiny/language.toml: run.argv: can't"),
        (TINY.replace("main.tn", "../x.tn"), "tiny/language.toml: main:"),
        ("title =", "tiny/language.toml:"),
    ],
)
def test_a_wrong_file_is_an_error_that_names_file_and_key(
    tmp_path: Path, text: str, message: str
) -> None:
    write_language(tmp_path, "tiny", text)

    assert message in load_catalog(tmp_path).broken["tiny"]


def test_all_that_is_missing_is_named_at_once_and_the_others_work(
    tmp_path: Path,
) -> None:
    write_language(tmp_path, "whole")
    folder = write_language(tmp_path, "tiny", TINY.replace('"t", "T++"', ""))
    for name in ("Dockerfile", "echo.tn", "hello.expected", "fail.toml"):
        (folder / name).unlink()

    catalog = load_catalog(tmp_path)

    assert list(catalog.languages) == ["whole"]
    reason = catalog.broken["tiny"]
    assert reason == (
        "tiny is incomplete: Dockerfile, fail.toml, hello.expected, echo.tn missing"
    )
    with pytest.raises(CatalogError, match=reason):
        catalog.pick(["whole", "tiny"])


def test_a_folder_that_is_about_to_become_a_language_is_told_what_it_needs(
    tmp_path: Path,
) -> None:
    write_language(tmp_path, "whole")
    (tmp_path / "new").mkdir()
    (tmp_path / "new/Dockerfile").write_text("")
    (tmp_path / "new/hello.nw").write_text("")
    (tmp_path / "__pycache__").mkdir()

    assert load_catalog(tmp_path).broken == {
        "new": "new is incomplete: language.toml, fail.toml, hello.expected, "
        "echo.expected, echo.*, fail.* missing"
    }


def test_an_alias_belongs_to_one_language(tmp_path: Path) -> None:
    write_language(tmp_path, "tiny")
    write_language(tmp_path, "wee")

    catalog = load_catalog(tmp_path)

    assert list(catalog.languages) == ["tiny"]
    assert catalog.broken["wee"].endswith("'t' already means tiny")


def test_a_folder_must_be_named_as_an_image_can_be(tmp_path: Path) -> None:
    write_language(tmp_path, "Tiny")

    assert "the folder's name" in load_catalog(tmp_path).broken["Tiny"]


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (("x", "{main}"), ["x", "main.c"]),
        (("x", "{args}", "y"), ["x", "a", "b c", "y"]),
        (("{sources:.c}",), ["main.c", "util.c"]),
        (("{sources:.c,.h}",), ["main.c", "util.c", "util.h"]),
        (("-o{stem}.o",), ["-omain.o"]),
        (("{ not one }",), ["{ not one }"]),
    ],
)
def test_placeholders_expand(argv: tuple[str, ...], expected: list[str]) -> None:
    files = ["main.c", "util.c", "util.h"]

    assert Step(argv).expand("main.c", files, ["a", "b c"]) == expected


def test_the_heap_has_its_size_by_the_jobs_memory() -> None:
    step = Step(("vm", "-Xmx{heap_mb}m", "{main}", "{args}"))
    heap = Heap(runtime_mb=48, share=0.75)
    assert step.expand("m", ["m"], [], heap, 248) == ["vm", "-Xmx150m", "m"]
    # Half, where little would be left; and a job's own words are not looked at.
    small = step.expand("m", ["m"], ["{heap_mb}"], heap, 64)
    assert small == ["vm", "-Xmx32m", "m", "{heap_mb}"]


def test_a_size_of_the_heap_needs_its_table(tmp_path: Path) -> None:
    text = TINY.replace('["tiny", "{main}"', '["tiny", "-m{heap_mb}", "{main}"')
    write_language(tmp_path, "tiny", text)
    assert "tiny/language.toml: heap" in load_catalog(tmp_path).broken["tiny"]


def test_what_a_full_heap_says_is_an_expression(tmp_path: Path) -> None:
    heap = "[heap]\nruntime_mb = 1\nshare = 1.0\n[heap.full]\nstderr = '('\n"
    write_language(tmp_path, "tiny", TINY + heap)
    assert "heap.full.stderr" in load_catalog(tmp_path).broken["tiny"]


JAVA_SAYS = "java.lang.OutOfMemoryError: Java heap space\n\tat Main.main(Main.java:2)\n"
NO_THREAD = "java.lang.OutOfMemoryError: unable to create native thread: ..."
NODE_SAYS = (
    "\n<--- Last few GCs --->\n\n[7:0x5]  137 ms: Mark-Compact\n\nFATAL ERROR: Reached "
    "heap limit Allocation failed - JavaScript heap out of memory\n"
    "----- Native stack trace -----\n\n 1: 0x7f node::OOMErrorHandler\n"
)


@pytest.mark.parametrize(
    ("language", "said", "exit_code", "signal", "full"),
    [
        ("java", 'Exception in thread "main" ' + JAVA_SAYS, 1, None, True),
        ("java", "x\nCaused by: " + JAVA_SAYS, 1, None, True),
        ("java", 'Exception in thread "main" ' + JAVA_SAYS, 0, None, False),
        ("java", JAVA_SAYS, 1, None, False),
        (
            "java",
            'Exception in thread "main" ' + NO_THREAD,
            1,
            None,
            False,
        ),
        ("javascript", NODE_SAYS, None, 6, True),
        ("javascript", NODE_SAYS, 1, None, False),
        ("javascript", "Error: JavaScript heap out of memory", None, 6, False),
    ],
)
def test_a_runtimes_own_report_of_a_full_heap(
    language: str, said: str, exit_code: int | None, signal: int | None, *, full: bool
) -> None:
    heap = load_catalog(IMAGES).languages[language].heap
    assert heap is not None
    assert heap.was_full(exit_code, signal, said.encode()) is full


def test_a_file_name_never_becomes_an_option() -> None:
    step = Step(("cc", "{main}", "{sources:.c}"))

    assert step.expand("-o.c", ["-o.c", "@x.c"], []) == [
        "cc",
        "./-o.c",
        "./-o.c",
        "./@x.c",
    ]


def test_arguments_that_look_like_placeholders_stay_themselves() -> None:
    assert Step(("x", "{args}")).expand("m", ["m"], ["{main}"]) == ["x", "{main}"]


def test_siblings_are_the_files_beside_the_main_one() -> None:
    step = Step(("go", "build", "{siblings:.go}"))
    files = ["main.go", "util.go", "sub/other.go", "go.mod"]
    assert step.expand("main.go", files, []) == ["go", "build", "main.go", "util.go"]
