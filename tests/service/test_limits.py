"""Limits that the kernel counts by process: seen, exceeded and refused, by the API."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from probing import check_all_clean

if TYPE_CHECKING:
    from http_api import Api
    from service_process import ServiceProcess

pytestmark = pytest.mark.docker

SIGSEGV, SIGXFSZ = 11, 25
MIB = 1 << 20

# ---------------------------------------------------------------------------- seen

GETRLIMIT = """
import resource
for name in ("FSIZE", "NOFILE", "STACK"):
    print(*resource.getrlimit(getattr(resource, "RLIMIT_" + name)))
"""
C_GETRLIMIT = """
#include <stdio.h>
#include <sys/resource.h>
int main(void) {
    int all[] = {RLIMIT_FSIZE, RLIMIT_NOFILE, RLIMIT_STACK};
    for (int n = 0; n < 3; n++) {
        struct rlimit one;
        getrlimit(all[n], &one);
        printf("%lu %lu\\n", one.rlim_cur, one.rlim_max);
    }
}
"""
# Neither has a call for it; what they start has what they have.
BY_A_SHELL = "ulimit -Sf; ulimit -Sn; ulimit -Ss; ulimit -Hf; ulimit -Hn; ulimit -Hs"
JS_GETRLIMIT = (
    "require('child_process').execFileSync('bash', ['-c', "
    f"'{BY_A_SHELL}'], {{stdio: 'inherit'}})"
)
JAVA_GETRLIMIT = f"""
class Main {{
    public static void main(String[] args) throws Exception {{
        new ProcessBuilder("bash", "-c", "{BY_A_SHELL}").inheritIO().start().waitFor();
    }}
}}
"""
SHOW = {"python": GETRLIMIT, "c": C_GETRLIMIT}
SHOW_BY_SHELL = {"javascript": JS_GETRLIMIT, "java": JAVA_GETRLIMIT}
ASKED = {"file_size_kb": 100, "open_files": 50, "stack_kb": 1000}


@pytest.mark.parametrize("language", SHOW)
def test_a_program_sees_its_limits(api: Api, language: str) -> None:
    result = api.run(language, SHOW[language], limits=ASKED)
    pairs = [(size, size) for size in (102_400, 50, 1_024_000)]
    assert result.text == "".join(f"{soft} {hard}\n" for soft, hard in pairs), result
    result = api.run(language, SHOW[language])
    pairs = [(size, size) for size in (64 * MIB, 1024, 8 * MIB)]
    assert result.text == "".join(f"{soft} {hard}\n" for soft, hard in pairs), result


@pytest.mark.parametrize("language", SHOW_BY_SHELL)
def test_what_a_program_starts_sees_its_limits(api: Api, language: str) -> None:
    source = SHOW_BY_SHELL[language]
    result = api.run(language, source, limits=ASKED)
    assert result.text.split() == ["100", "50", "1000"] * 2, result
    result = api.run(language, source)
    assert result.text.split() == ["65536", "1024", "8192"] * 2, result


# ------------------------------------------------------------------------ exceeded


@dataclass(frozen=True)
class Excess:
    """A program that wants more than it has, and what becomes of it."""

    language: str
    limits: dict[str, int]
    source: str
    outcome: str
    exit_code: int | None = None
    signal: int | None = None
    says: str = ""
    """Lines that are somewhere in its output."""


FILE_SIZE = {"file_size_kb": 2}
OPEN_FILES = {"open_files": 32}
STACK = {"stack_kb": 512}
OF_C = "#include <fcntl.h>\n#include <stdio.h>\n#include <unistd.h>\n"
OF_JAVA = (
    "import java.io.*;\nimport java.util.*;\nclass Main {{\n"
    "  static int deeper(int n) {{ return deeper(n + 1) + 1; }}\n"
    "  public static void main(String[] args) throws Exception {{ {body} }}\n}}\n"
)
EXCESSES = {
    "a long file in python": Excess(
        "python",
        FILE_SIZE,
        "file = open('/tmp/x', 'wb', buffering=0)\n"
        "print(file.write(bytes(3000)), flush=True)\n"
        "file.write(b'x')",
        "failure",
        1,
        says="2048\nFile too large",
    ),
    "a long file in javascript": Excess(
        "javascript",
        FILE_SIZE,
        "require('fs').writeFileSync('/tmp/x', Buffer.alloc(3000))",
        "failure",
        1,
        says="EFBIG",
    ),
    "a long file in java": Excess(
        "java",
        FILE_SIZE,
        OF_JAVA.format(body='new FileOutputStream("/tmp/x").write(new byte[3000]);'),
        "failure",
        1,
        says="File too large",
    ),
    "a long file in c": Excess(
        "c",
        FILE_SIZE,
        OF_C + "int main(void) {\n"
        '  int file = open("/tmp/x", O_CREAT | O_RDWR, 0600);\n'
        "  static char zeros[3000];\n"
        '  printf("%zd", write(file, zeros, 3000));\n'
        "  fflush(stdout);\n"
        "  return write(file, zeros, 1) == 1; }",
        "signalled",
        None,
        SIGXFSZ,
        says="2048",
    ),
    "a long file in c, the signal ignored": Excess(
        "c",
        FILE_SIZE,
        OF_C + "#include <signal.h>\nint main(void) {\n"
        '  int file = open("/tmp/x", O_CREAT | O_RDWR, 0600);\n'
        "  signal(SIGXFSZ, SIG_IGN);\n"
        "  lseek(file, 2048, SEEK_SET);\n"
        '  if (write(file, "x", 1) < 0) perror("write"); }',
        "success",
        0,
        says="File too large",
    ),
    "many files in python": Excess(
        "python",
        OPEN_FILES,
        "all = [open('/dev/null') for _ in range(40)]",
        "failure",
        1,
        says="Too many open files",
    ),
    "many files in javascript": Excess(
        "javascript",
        {"open_files": 64},
        "for (;;) require('fs').openSync('/dev/null')",
        "failure",
        1,
        says="EMFILE",
    ),
    "many files in java": Excess(
        "java",
        OPEN_FILES,
        OF_JAVA.format(
            body="var all = new ArrayList<Object>();\n"
            'for (;;) all.add(new FileInputStream("/dev/null"));'
        ),
        "failure",
        1,
        says="Too many open files",
    ),
    "many files in c": Excess(
        "c",
        OPEN_FILES,
        OF_C + "int main(void) {\n"
        "  int last = 0, file;\n"
        '  while ((file = open("/dev/null", O_RDONLY)) >= 0) last = file;\n'
        '  perror("open");\n'
        '  printf("last %d", last);\n'
        "  return 3; }",
        "failure",
        3,
        says="last 31\nToo many open files",
    ),
    "a deep stack in python": Excess(
        "python",
        STACK,
        "import sys\nsys.setrecursionlimit(10**6)\n"
        "def deeper(_): return sorted((1,), key=deeper)\ndeeper(1)",
        "signalled",
        None,
        SIGSEGV,
    ),
    "a deep stack in c": Excess(
        "c",
        STACK,
        "int main(void) { volatile char large[1 << 20]; return large[0] = 0; }",
        "signalled",
        None,
        SIGSEGV,
    ),
    # V8 stops at 984 KB of its own, which here is more than there is.
    "a deep stack in javascript": Excess(
        "javascript",
        STACK,
        "function deeper() { return deeper() + 1 }\ndeeper()",
        "signalled",
        None,
        SIGSEGV,
    ),
    # The JVM runs main in a thread of its own, whose stack is -Xss.
    "a deep stack in java": Excess(
        "java",
        STACK,
        OF_JAVA.format(body="deeper(0);"),
        "failure",
        1,
        says="StackOverflowError",
    ),
}


@pytest.mark.parametrize("excess", EXCESSES.values(), ids=EXCESSES)
def test_what_is_more_than_a_limit_ends_by_its_evidence(
    service: ServiceProcess, excess: Excess
) -> None:
    api = service.api
    result = api.run(excess.language, excess.source, limits=excess.limits)
    found = (result.outcome, result.exit_code, result.signal)
    assert found == (excess.outcome, excess.exit_code, excess.signal), result
    printed = (result.stdout + result.stderr).decode()
    assert all(words in printed for words in excess.says.split("\n")), printed
    assert result.document["attempt"] == 1


def test_more_than_usual_is_given_to_whom_asks_for_it(api: Api) -> None:
    source = (
        "int main(void) { volatile char large[100 << 20];\n"
        "  for (long n = 0; n < 100 << 20; n += 4096) large[n] = 1; return 0; }"
    )
    assert api.run("c", source).signal == SIGSEGV
    result = api.run("c", source, limits={"stack_kb": 131_072})
    assert result.outcome == "success", result


def test_a_stack_counts_as_memory(api: Api) -> None:
    source = (
        "int main(void) { volatile char large[200 << 20];\n"
        "  for (long n = 0; n < 200 << 20; n += 4096) large[n] = 1; return 0; }"
    )
    result = api.run("c", source, limits={"stack_kb": 262_144, "memory_mb": 64})
    assert result.outcome == "out_of_memory", result


@pytest.mark.parametrize("language", ["python", "javascript", "c"])
def test_no_container_keeps_what_a_job_asked_for(
    service: ServiceProcess, language: str
) -> None:
    api = service.api
    show = {**SHOW, **SHOW_BY_SHELL}[language]
    usual = api.run(language, show).text
    for _ in range(10):
        asked = api.submit(language, show, limits=ASKED)
        assert api.run(language, show).text == usual
        assert api.result(asked).text != usual
    check_all_clean(service, language)


# ----------------------------------------------------------------------- compilers

TWICE = """
#include <bits/stdc++.h>
using namespace std;
int main() { int n; cin >> n; cout << n * 2 << endl; }
"""
HEAVY = """
#pragma GCC optimize("O3")
#include <bits/stdc++.h>
using namespace std;
int main() {
    map<int, vector<string>> m;
    for (int i = 0; i < 5; i++) m[i].push_back(to_string(i));
    regex r("[a-z]+");
    cout << m.size() << regex_match("abc", r) << endl;
}
"""
"""More than half of a compiler's CPU time."""
SLOW_TO_COMPILE = (
    "#if __INCLUDE_LEVEL__ < 100\n#include __FILE__\n#include __FILE__\n#endif"
)


@pytest.mark.parametrize("limits", [{"memory_mb": 16}, {"processes": 1}])
def test_a_compiler_does_not_starve_on_its_programs_limits(
    api: Api, limits: dict[str, int]
) -> None:
    result = api.run("cpp", TWICE, stdin="5", limits=limits)
    assert (result.outcome, result.text) == ("success", "10\n"), result.document


def test_a_program_has_its_own_memory_and_not_its_compilers(api: Api) -> None:
    source = (
        "#include <string.h>\n#include <stdlib.h>\n"
        "int main(void) { return *(char *)memset(malloc(80 << 20), 1, 80 << 20) - 1; }"
    )
    for memory_mb, outcome in ((100, "success"), (16, "out_of_memory")):
        limits = {"memory_mb": memory_mb}
        result = api.run("c", source, limits=limits)
        assert result.outcome == outcome, result.document
        assert result.document["compile"]["outcome"] == "success"


def test_a_compiler_may_be_asked_to_do_with_less(api: Api) -> None:
    limits = {"compile": {"cpu_time_s": 0.5, "wall_time_s": 60}}
    result = api.run("c", SLOW_TO_COMPILE, limits=limits)
    said = "Ended at the limit of 0.5 s of CPU time while compiling."
    assert (result.outcome, result.document["message"]) == ("timed_out", said)


def test_heavy_compiles_that_share_the_processors_all_end_well(api: Api) -> None:
    """What bounds them is CPU time, of which each takes as much as it does alone."""
    jobs = [api.submit("cpp", HEAVY) for _ in range(4)]
    results = [api.result(job_id) for job_id in jobs]
    told = [result.document["compile"] for result in results]
    assert [(one.outcome, one.text) for one in results] == [("success", "51\n")] * 4, (
        told
    )


def test_a_compilers_limits_are_shown_and_have_caps(api: Api) -> None:
    listed = api.get("/v1/languages")
    assert listed["caps"]["compile"] == {
        "wall_time_s": 60,
        "cpu_time_s": 30,
        "memory_mb": 1024,
    }
    own = {one["name"]: one["limits"]["compile"] for one in listed["languages"]}
    assert own["python"] is None
    assert own["cpp"] == {
        "wall_time_s": 30,
        "cpu_time_s": 10,
        "memory_mb": 512,
        "output_kb": 1024,
        "processes": 64,
    }
    limits = {"compile": {"memory_mb": 1025}}
    refused = api.post({"language": "c", "source": "x", "limits": limits})
    assert refused.status == 422
    (error,) = refused.document["errors"]
    assert error == {
        "field": "limits.compile.memory_mb",
        "message": "must be at most 1024",
    }


def test_what_the_compiler_used_is_told_apart(api: Api) -> None:
    result = api.run("cpp", TWICE, stdin="5")
    used, compilers = result.document["usage"], result.document["compile"]["usage"]
    assert used["compile_ms"] == compilers["wall_ms"]
    assert compilers["memory_kb"] > 100_000 > used["memory_kb"] * 5
    assert compilers["cpu_ms"] > 10 * used["cpu_ms"]


# ------------------------------------------------------------------------ messages

A_LONG_FILE = (
    OF_C
    + """
int main(void) {
    static char kb[3072];
    int file = open("/tmp/x", O_CREAT | O_WRONLY, 0600);
    return write(file, kb, 3072) - write(file, kb, 1);
}
"""
)
MESSAGES = {
    "wall time": (
        "python",
        "import time; time.sleep(9)",
        {"wall_time_s": 0.5},
        "0.5 s of wall time",
    ),
    "CPU time": (
        "python",
        "while True: pass",
        {"cpu_time_s": 0.5, "wall_time_s": 30},
        "0.5 s of CPU time",
    ),
    "memory": ("python", "bytearray(200 << 20)", {"memory_mb": 64}, "64 MB of memory"),
    "output": ("bash", "yes", {"output_kb": 3}, "3 KB of output"),
    "a file": (
        "c",
        A_LONG_FILE,
        {"file_size_kb": 2},
        "2 KB a file",
    ),
    "compiling": (
        "c",
        SLOW_TO_COMPILE,
        {"compile": {"wall_time_s": 0.5}},
        "0.5 s of wall time while compiling",
    ),
}


@pytest.mark.parametrize(
    ("language", "source", "limits", "limit"), MESSAGES.values(), ids=MESSAGES
)
def test_the_message_says_which_limit_it_was(
    api: Api, language: str, source: str, limits: dict[str, Any], limit: str
) -> None:
    result = api.run(language, source, limits=limits)
    assert result.document["message"] == f"Ended at the limit of {limit}."
    assert result.outcome not in {"success", "failure"}


# ------------------------------------------------------------------------- refused


@pytest.mark.parametrize(
    ("name", "least", "most"),
    [
        ("file_size_kb", 1, 65_536),
        ("open_files", 8, 1024),
        ("stack_kb", 128, 262_144),
    ],
)
def test_less_than_the_minimum_and_more_than_the_cap_are_refused(
    api: Api, name: str, least: int, most: int
) -> None:
    def answer(value: int) -> Any:
        limits = {name: value}
        return api.post({"language": "bash", "source": "exit 0", "limits": limits})

    for value in (least - 1, most + 1):
        refused = answer(value)
        assert refused.status == 422
        assert refused.document["code"] == "invalid"
        (error,) = refused.document["errors"]
        assert error["field"] == f"limits.{name}"
        assert str(least if value < least else most) in error["message"]
    for value in (least, most):
        accepted = answer(value)
        assert accepted.status == 202
        assert api.result(accepted.document["id"]).outcome == "success"
    listed = api.get("/v1/languages")
    assert listed["caps"][name] == most
    assert all(least <= one["limits"][name] <= most for one in listed["languages"])
