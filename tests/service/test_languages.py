"""Every language: its samples, its version, and what a request can bring along."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pytest

from images.catalog import load_catalog

if TYPE_CHECKING:
    from http_api import Api, Result
    from service_process import ServiceProcess

    from images.catalog import Language, Sample

pytestmark = pytest.mark.docker

from service_process import ROOT  # noqa: E402

LANGUAGES = load_catalog(ROOT / "images").languages
EIGHT = {"bash", "c", "cpp", "go", "java", "javascript", "python", "ruby"}


@pytest.fixture(params=sorted(LANGUAGES))
def language(request: pytest.FixtureRequest) -> Language:
    return LANGUAGES[request.param]


def run_sample(api: Api, language: Language, sample: Sample) -> Result:
    return api.run(
        language.name, sample.source, args=list(sample.args), stdin=sample.stdin
    )


def test_all_eight_are_served(api: Api) -> None:
    served = {one["name"]: one for one in api.get("/v1/languages")["languages"]}
    assert set(served) >= EIGHT
    assert all(one["ready"] for one in served.values())


def test_hello_says_just_what_it_should(api: Api, language: Language) -> None:
    result = run_sample(api, language, language.hello)
    assert result.outcome == "success", result
    assert result.exit_code == 0
    assert result.signal is None
    assert result.text == language.hello.stdout
    assert result.stderr == b""
    assert result.compiled == b""
    assert (result.document["compile"] is None) == (language.compile is None)


def test_echo_gets_its_args_and_its_stdin(api: Api, language: Language) -> None:
    result = run_sample(api, language, language.echo)
    assert result.outcome == "success", result
    assert result.text == language.echo.stdout
    assert result.stderr == b""


def test_fail_fails_in_its_languages_way(api: Api, language: Language) -> None:
    sample = language.fail
    result = run_sample(api, language, sample)
    assert result.outcome == sample.outcome, result
    assert result.exit_code == sample.exit_code
    assert result.signal == sample.signal
    assert sample.stderr_contains in result.stderr.decode()
    assert sample.compile_contains in result.compiled.decode()


def test_the_version_shown_is_what_the_tool_prints(
    service: ServiceProcess, language: Language
) -> None:
    shown = {
        one["name"]: one["version"]
        for one in service.api.get("/v1/languages")["languages"]
    }
    container = service.docker.create_container(
        f"warmbox/{language.name}:latest",
        list(language.version_argv[1:]),
        entrypoint=language.version_argv[0],
        network_disabled=True,
    )
    try:
        service.docker.start(container)
        service.docker.wait(container)
        printed = service.docker.logs(container).decode()
    finally:
        service.docker.remove_container(container, force=True)
    assert shown[language.name]
    assert shown[language.name] in printed.splitlines()


# ------------------------------------------------------------ what a job brings

TWO_FILES: dict[str, dict[str, str]] = {
    "bash": {
        "main.sh": '. ./lib/words.sh\necho "$WORD"\n',
        "lib/words.sh": "WORD=together\n",
    },
    "c": {
        "main.c": '#include "lib/words.h"\nint main(void) { return say(); }\n',
        "lib/words.h": "int say(void);\n",
        "lib/words.c": (
            '#include <stdio.h>\nint say(void) { puts("together"); return 0; }\n'
        ),
    },
    "cpp": {
        "main.cpp": '#include "words.h"\nint main() { return say(); }\n',
        "words.h": "int say();\n",
        "words.cc": (
            '#include <iostream>\nint say() { std::cout << "together\\n"; return 0; }\n'
        ),
    },
    "go": {
        "main.go": "package main\n\nfunc main() { say() }\n",
        "words.go": (
            'package main\n\nimport "fmt"\n\nfunc say() { fmt.Println("together") }\n'
        ),
    },
    "java": {
        "Main.java": (
            "public class Main {\n"
            "  public static void main(String[] a) { words.Words.say(); }\n}\n"
        ),
        "words/Words.java": (
            "package words;\npublic class Words {\n  public static void say() "
            '{ System.out.println("together"); }\n}\n'
        ),
    },
    "javascript": {
        "main.js": 'console.log(require("./lib/words.js").word);\n',
        "lib/words.js": 'exports.word = "together";\n',
    },
    "python": {
        "main.py": "from lib.words import word\nprint(word)\n",
        "lib/words.py": 'word = "together"\n',
    },
    "ruby": {
        "main.rb": 'require_relative "lib/words"\nputs WORD\n',
        "lib/words.rb": 'WORD = "together"\n',
    },
}


@pytest.mark.parametrize("name", sorted(TWO_FILES))
def test_several_files(api: Api, name: str) -> None:
    files = [{"name": n, "content": text} for n, text in TWO_FILES[name].items()]
    result = api.run(name, files=files)
    assert result.outcome == "success", result
    assert result.text == "together\n"


OTHER_MAIN = {
    "bash": "other name.sh",
    "c": "-o.c",
    "cpp": "@odd.cpp",
    "go": "other.go",
    "java": "Other.java",
    "javascript": "sub/other.mjs",
    "python": "sub/other.py",
    "ruby": "ÿes.rb",
}


@pytest.mark.parametrize("name", sorted(OTHER_MAIN))
def test_the_main_file_may_have_any_name(api: Api, name: str) -> None:
    hello = LANGUAGES[name].hello
    source = hello.source.replace("class Main", "class Other")
    result = api.run(name, files=[{"name": OTHER_MAIN[name], "content": source}])
    assert result.outcome == "success", result
    assert result.text == hello.stdout


SHOW_ENV = {
    "bash": 'printf "%s\\n" "$GREETING"',
    "c": "#include <stdio.h>\n#include <stdlib.h>\n"
    'int main(void) { puts(getenv("GREETING")); }',
    "cpp": "#include <cstdlib>\n#include <iostream>\n"
    'int main() { std::cout << std::getenv("GREETING") << "\\n"; }',
    "go": 'package main\nimport ("fmt"; "os")\n'
    'func main() { fmt.Println(os.Getenv("GREETING")) }',
    "java": "public class Main { public static void main(String[] a) "
    '{ System.out.println(System.getenv("GREETING")); } }',
    "javascript": "console.log(process.env.GREETING)",
    "python": "import os\nprint(os.environ['GREETING'])",
    "ruby": 'puts ENV["GREETING"]',
}


@pytest.mark.parametrize("name", sorted(SHOW_ENV))
def test_the_environment_holds_what_the_job_asked_for(api: Api, name: str) -> None:
    result = api.run(name, SHOW_ENV[name], env={"GREETING": "a = b  'c'"})
    assert result.outcome == "success", result
    assert result.text == "a = b  'c'\n"


BROKEN = {
    "c": "int main(void) { return 0 }",
    "cpp": "int main() { return undeclared; }",
    "go": "package main\nfunc main() { x := 1 }",
    "java": 'public class Main { int x = "text"; }',
}


@pytest.mark.parametrize("name", sorted(BROKEN))
def test_a_program_that_does_not_compile(api: Api, name: str) -> None:
    result = api.run(name, BROKEN[name])
    document = result.document
    assert result.outcome == "compile_failed", result
    assert result.exit_code is None
    assert document["compile"]["outcome"] == "failure"
    assert document["compile"]["exit_code"] == 1
    assert LANGUAGES[name].main in result.compiled.decode()
    assert result.stdout == b""
    assert document["usage"]["wall_ms"] is None
    assert document["usage"]["compile_ms"] > 0
    assert "compile" in [event.name for event in result.events]


MATH = r"""
#include <math.h>
#include <stdio.h>
#include <string.h>
int main(int count, char **argv) {
    double sines[256], sum = 0;
    for (int i = 0; i < 256; i++) sines[i] = i * (double)count / 100;
    for (int i = 0; i < 256; i++) sines[i] = sin(sines[i]);
    for (int i = 0; i < 256; i++) sum += sines[i];
    printf("%.6f\n", sum);
    char line[4096];
    int vectors = 0;
    FILE *maps = fopen("/proc/self/maps", "r");
    while (fgets(line, sizeof line, maps)) vectors |= !!strstr(line, "libmvec");
    printf("%d\n", vectors);
}
"""


@pytest.mark.parametrize(
    ("head", "vectors"), [("", 0), ('#pragma GCC optimize("Ofast")\n', 1)]
)
def test_c_has_its_mathematics_without_being_asked(
    api: Api, head: str, vectors: int
) -> None:
    """Also as vectors, which are in a library of their own."""
    expected = sum(math.sin(n / 100) for n in range(256))
    result = api.run("c", head + MATH)
    assert (result.outcome, result.text) == ("success", f"{expected:.6f}\n{vectors}\n")


NEEDS_LIBGCC = {
    "a thread cancelled": r"""
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

static void clean(void *what) { puts(what); }

static void *wait(void *unused) {
    pthread_cleanup_push(clean, "well");
    for (;;) pause();
    pthread_cleanup_pop(0);
    return unused;
}

int main(void) {
    pthread_t thread;
    void *ended;
    pthread_create(&thread, NULL, wait, NULL);
    pthread_cancel(thread);
    pthread_join(thread, &ended);
    printf("%d\n", ended == PTHREAD_CANCELED);
}
""",
    "the stack walked": r"""
#include <stdio.h>
#include <unwind.h>

static _Unwind_Reason_Code count(struct _Unwind_Context *frame, void *frames) {
    ++*(int *)frames;
    return _URC_NO_REASON;
}

int main(void) {
    int frames = 0;
    _Unwind_Backtrace(count, &frames);
    puts(frames > 1 ? "well\n1" : "none");
}
""",
    "wide numbers divided": r"""
#include <stdio.h>

int main(int argc, char **argv) {
    __int128 whole = ((__int128)1 << 100) / (argc + 1);
    _Float128 part = argc / 4.0f128;
    puts(whole >> 99 == 1 && part == 0.25f128 ? "well\n1" : "wrong");
}
""",
}
"""Programs that must link and run though libgcc is no shared one."""


@pytest.mark.parametrize("name", NEEDS_LIBGCC)
def test_c_has_what_its_compiler_brings(api: Api, name: str) -> None:
    result = api.run("c", NEEDS_LIBGCC[name])
    assert (result.outcome, result.stdout) == ("success", b"well\n1\n"), result


def test_a_warning_is_shown_and_the_program_runs(api: Api) -> None:
    source = '#include <stdio.h>\nint main(void) { int unused; puts("ran"); }'
    result = api.run("c", source)
    assert result.outcome == "success"
    assert result.text == "ran\n"
    assert "unused variable" in result.compiled.decode()
    names = [event.name for event in result.events]
    assert names.index("compile") < names.index("stdout")


def test_a_syntax_error_of_an_interpreted_language_is_its_own_failure(api: Api) -> None:
    result = api.run("python", "print(")
    assert result.outcome == "failure"
    assert result.exit_code == 1
    assert "SyntaxError: '(' was never closed" in result.stderr.decode()
    assert result.document["compile"] is None


HEARTS = "Zażółć ♥ 日本 \U0001f600"
SAY_UTF8 = {
    "bash": f"echo '{HEARTS}'",
    "c": f'#include <stdio.h>\nint main(void) {{ puts("{HEARTS}"); }}',
    "cpp": f'#include <iostream>\nint main() {{ std::cout << "{HEARTS}" << "\\n"; }}',
    "go": f'package main\nimport "fmt"\nfunc main() {{ fmt.Println("{HEARTS}") }}',
    "java": "public class Main { public static void main(String[] a) "
    f'{{ System.out.println("{HEARTS}"); }} }}',
    "javascript": f'console.log("{HEARTS}")',
    "python": f'print("{HEARTS}")',
    "ruby": f'puts "{HEARTS}"',
}


@pytest.mark.parametrize("name", sorted(SAY_UTF8))
def test_utf8_in_source_and_output(api: Api, name: str) -> None:
    result = api.run(name, SAY_UTF8[name])
    assert result.outcome == "success", result
    assert result.text == HEARTS + "\n"


# ------------------------------------------------------------------ streaming in

ANSWER_LINES = {
    "bash": 'while read -r line; do echo "<$line>"; done; echo end',
    "c": "#include <stdio.h>\n#include <string.h>\n"
    "int main(void) { char s[99]; while (fgets(s, 99, stdin)) "
    '{ s[strcspn(s, "\\n")] = 0; printf("<%s>\\n", s); fflush(stdout); } '
    'puts("end"); }',
    "cpp": "#include <iostream>\n#include <string>\n"
    "int main() { std::string s; while (std::getline(std::cin, s)) "
    'std::cout << "<" << s << ">" << std::endl; std::cout << "end\\n"; }',
    "go": 'package main\nimport ("bufio"; "fmt"; "os")\n'
    "func main() { s := bufio.NewScanner(os.Stdin)\n"
    'for s.Scan() { fmt.Println("<" + s.Text() + ">") }\nfmt.Println("end") }',
    "java": "import java.util.Scanner;\npublic class Main { "
    "public static void main(String[] a) { Scanner s = new Scanner(System.in); "
    'while (s.hasNextLine()) System.out.println("<" + s.nextLine() + ">"); '
    'System.out.println("end"); } }',
    "javascript": 'require("readline").createInterface({ input: process.stdin })'
    '.on("line", (line) => console.log(`<${line}>`))'
    '.on("close", () => console.log("end"));',
    "python": "import sys\nfor line in sys.stdin:\n"
    "    print(f'<{line[:-1]}>', flush=True)\nprint('end')",
    "ruby": '$stdout.sync = true\nwhile (line = gets); puts "<#{line.chomp}>"; end\n'
    'puts "end"',
}


@pytest.mark.parametrize("name", sorted(ANSWER_LINES))
def test_a_conversation(api: Api, name: str) -> None:
    job_id = api.submit(name, ANSWER_LINES[name], stdin="zero\n", stdin_open=True)
    with api.follow(job_id) as events:
        events.until("stdout", "<zero>\n")
        for word in ("one", "two"):
            api.send_stdin(job_id, f"{word}\n".encode())
            events.until("stdout", f"<{word}>\n")  # answered before the next is sent
        api.send_stdin(job_id, b"three\n", end=True)
        events.until("finished")
    result = api.result(job_id)
    assert result.outcome == "success"
    assert result.text == "<zero>\n<one>\n<two>\n<three>\nend\n"


def test_stdin_sent_before_the_program_runs_is_not_lost(api: Api) -> None:
    job_id = api.submit("cpp", ANSWER_LINES["cpp"], stdin_open=True)
    api.send_stdin(job_id, b"early\n")
    api.send_stdin(job_id, end=True)
    assert api.result(job_id).text == "<early>\nend\n"


def test_stdin_of_an_ended_job_is_refused(api: Api) -> None:
    job_id = api.submit("bash", "echo done")
    api.wait(job_id)
    answer = api.call("POST", f"/v1/jobs/{job_id}/stdin", b"late\n")
    assert answer.status == 409
    assert answer.document["code"] == "not_running"


def test_a_result_tells_what_was_used(api: Api) -> None:
    usage: dict[str, Any] = api.run("python", "sum(range(2_000_000))").document["usage"]
    assert usage["compile_ms"] is None
    assert usage["queue_ms"] >= 0
    assert usage["wall_ms"] > 0
    assert usage["cpu_ms"] > 0
    assert usage["memory_kb"] > 1000
