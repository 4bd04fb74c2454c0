"""What is run: programs, how a bare process runs each, and what each must say."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
HELLO = b"Hello, world!"
MEGABYTE = 1_000_000

# `{folder}` is where the program's files lie. The flags are those of `language.toml`
# where they change what the compiler does; Java's baseline is what a user would type.
STEPS: dict[str, tuple[tuple[str, ...], ...]] = {
    "python": (("python3", "{folder}/main.py"),),
    "javascript": (("node", "{folder}/main.js"),),
    "java": (
        ("javac", "-d", "{folder}", "{folder}/Main.java"),
        ("java", "-cp", "{folder}", "Main"),
    ),
    "c": (
        ("gcc", "-O2", "-pipe", "-Wall", "{folder}/main.c", "-o", "{folder}/a.out"),
        ("{folder}/a.out",),
    ),
    "cpp": (
        (
            *("g++", "-std=c++20", "-O2", "-pipe", "-Wall"),
            *("{folder}/main.cpp", "-o", "{folder}/a.out"),
        ),
        ("{folder}/a.out",),
    ),
    "go": (
        ("go", "build", "-ldflags=-w", "-o", "{folder}/a.out", "{folder}/main.go"),
        ("{folder}/a.out",),
    ),
    "ruby": (("ruby", "{folder}/main.rb"),),
    "bash": (("bash", "{folder}/main.sh"),),
}
MAIN = {
    "bash": "main.sh",
    "c": "main.c",
    "cpp": "main.cpp",
    "go": "main.go",
    "java": "Main.java",
    "javascript": "main.js",
    "python": "main.py",
    "ruby": "main.rb",
}


@dataclass(frozen=True, slots=True)
class Workload:
    """One program, as every way of running it gets it."""

    name: str
    language: str
    files: dict[str, str]
    """By name; the first is the main one."""
    says: bytes = HELLO
    """What its output, or its compiler's, holds."""
    bytes_min: int = 0
    """How long the output is at least."""
    outcome: str = "success"
    """What Warmbox calls its end."""

    @property
    def request(self) -> dict[str, Any]:
        """The job as Warmbox and the naive server are asked for it."""
        named = [{"name": name, "content": text} for name, text in self.files.items()]
        return {"language": self.language, "files": named}

    def write_to(self, folder: Path) -> None:
        for name, text in self.files.items():
            (folder / name).write_text(text)

    def check(self, output: bytes, who: str) -> None:
        """Raise unless this is what the program says: what fails fast is not fast."""
        if self.says not in output or len(output) < self.bytes_min:
            raise AssertionError(f"{who}, {self.name}: {output[:1000]!r}")


def steps(language: str, folder: str) -> list[list[str]]:
    """Return the commands that compile and run what lies in the folder."""
    return [
        [part.replace("{folder}", folder) for part in step] for step in STEPS[language]
    ]


def _hello(language: str) -> Workload:
    name = MAIN[language]
    source = next((ROOT / "images" / language).glob(f"hello{Path(name).suffix}"))
    return Workload(f"{language} hello", language, {name: source.read_text()})


# Big numbers' arithmetic is C inside the interpreter, much the same in all versions:
# the baseline's interpreter may be another one than the image's.
_CPU = """\
pow(3, (1 << 830) - 1, (1 << 6000) - 159)
print("Hello, world!")
"""
_OUTPUT = f"""\
import sys
sys.stdout.write(("x" * 99 + "\\n") * {MEGABYTE // 100})
"""
_WRONG = "int main(void) {\n    int broken = ;\n    return 0;\n}\n"


def _project(count: int) -> dict[str, str]:
    """Return a main file and modules, each of which imports the next."""
    files = {"main.py": "import part1\nprint('Hello, world!', part1.total)\n"}
    for number in range(1, count):
        body = "\n".join(
            f"def f{n}(x):\n    return [x + {n} for _ in range(3)]" for n in range(10)
        )
        following = (
            f"import part{number + 1}\ntotal = 1 + part{number + 1}.total\n"
            if number + 1 < count
            else "total = 1\n"
        )
        files[f"part{number}.py"] = f"{body}\n{following}"
    return files


_ALL = (
    *(_hello(language) for language in STEPS),
    Workload("python 50 ms of CPU", "python", {"main.py": _CPU}),
    Workload(
        *("python 1 MB of output", "python", {"main.py": _OUTPUT}),
        says=b"xxx",
        bytes_min=MEGABYTE,
    ),
    Workload("python 20 files", "python", _project(20)),
    *(
        Workload(
            *(f"{language} compile error", language, {MAIN[language]: _WRONG}),
            says=b"error",
            outcome="compile_failed",
        )
        for language in ("c", "cpp")
    ),
)
WORKLOADS = {workload.name: workload for workload in _ALL}
