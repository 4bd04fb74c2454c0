"""A program can't tell that its interpreter, or compiler, was up before it came.

Each program runs as a job, and plainly in the same image; all that it writes and the
way it ends must be the same, byte for byte, but for what differs between any two runs.
Not compared, and different: in Python what `gc.get_freeze_count()` says, and how often
the interpreter says that objects of its own are referred to; in Node and in
Ruby, in /proc, when the process began and its command line; in Ruby also the
numbers of descriptors.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from plain_run import Program, read_programs, run_plainly, run_warm
from service_process import wait_until

if TYPE_CHECKING:
    from plain_run import Ended
    from service_process import ServiceProcess

pytestmark = pytest.mark.docker

START_S = 10
HERE = Path(__file__).parent

# What would not survive a text file of its own.
ODD_PYTHON = [
    Program("null in source", "print(1)\n\0\nprint(2)\n"),
    Program("empty", ""),
    Program("byte order mark", "\ufeffprint('after a mark')"),
    Program("carriage returns", "print(1)\r\nprint('''a\r\nb''')\r\n"),
    Program("no final newline", "if True:\n    print(1)"),
    Program("much stdin", "import sys\nprint(len(sys.stdin.read()))", "x" * 200_000),
]
ODD_JAVASCRIPT = [
    Program("empty", ""),
    Program("byte order mark", "\ufeffconsole.log('after a mark')"),
    Program("no final newline", "console.log(1) // the end"),
]
ODD_RUBY = [
    Program("empty", ""),
    Program("byte order mark", "\ufeffputs 'after a mark'"),
    Program("carriage returns", "puts 1\r\nputs %q(a\r\nb)\r\n"),
    Program("null in source", "puts 1\n\0\nputs 2\n"),
    Program("no final newline", "puts 1 # the end"),
    Program("a first line only", "#!/usr/bin/env ruby"),
    Program("long", "x = 1\n" * 20_000 + "puts x, __LINE__\n"),
    Program("much stdin", "puts STDIN.read.size", "x" * 200_000),
]
PYTHON = {
    one.name: one for one in read_programs(HERE / "programs_python.txt") + ODD_PYTHON
}
JAVASCRIPT = {
    one.name: one
    for one in read_programs(HERE / "programs_javascript.txt") + ODD_JAVASCRIPT
}
RUBY = {one.name: one for one in read_programs(HERE / "programs_ruby.txt") + ODD_RUBY}

UTIL = """package tools;
public class Util {
    public static int two() { return 2; }
}
"""
JAVA = {
    "hello": {"Main.java": 'class Main { void main() { IO.println("hello"); } }'},
    "packages": {
        "Main.java": "import tools.Util;\n"
        "class Main { void main() { IO.println(Util.two()); } }",
        "tools/Util.java": UTIL,
    },
    "wrong types": {
        "Main.java": 'class Main {\n    int x = "a";\n    String s = 3;\n}'
    },
    "wrong far away": {
        "Main.java": "class Main { void main() {} }",
        "tools/Util.java": UTIL.replace("2;", "'two';"),
    },
    "no syntax": {"Main.java": "class Main {\n  void main( {\n}"},
    "many errors": {"Main.java": "class Main {" + "\n  int x = y;" * 150 + "}"},
    "a note": {
        "Main.java": "import java.util.*;\nclass Main { void main() "
        "{ List l = new ArrayList(); l.add(1); IO.println(l); } }"
    },
    "another class": {"Main.java": "class Other { void main() { } }"},
    "other letters": {"Main.java": "class Main { int zähler = größe; // ☃\n}"},
    "an empty file": {"Main.java": ""},
    "too deep": {"Main.java": "class Main { int x = " + "(" * 9000 + ")" * 9000 + ";}"},
    "ends with 3": {"Main.java": "class Main { void main() { System.exit(3); } }"},
    "throws": {
        "Main.java": "class Main { void main() { throw new RuntimeException(); } }"
    },
}

# What differs from one run to the next in any case.
MASKS = [
    (r"0x[0-9a-f]{6,16}", "0xADDRESS"),
    (r"\(node:\d+\)", "(node:PID)"),
    (r"(?m)^\tat .*\n", ""),  # a stack is full now here, now there
    (r"(Thread\(.*?, started(?: daemon)?) \d+", r"\1 ID"),
]


def shown(ended: Ended) -> tuple[int, str, str]:
    return ended.code, masked(ended.stdout), masked(ended.stderr)


def masked(data: bytes) -> str:
    text = data.decode("utf-8", "backslashreplace")
    for pattern, instead in MASKS:
        text = re.sub(pattern, instead, text)
    return text


@pytest.fixture(scope="module")
def plain_python(service: ServiceProcess) -> dict[str, Ended]:
    # The environment that a job has, asked for by one that starts cold.
    show = "import json, os\nprint(json.dumps(dict(os.environ)))"
    cold = service.api.run("python", files=[{"name": "cold.py", "content": show}])
    env = json.loads(cold.stdout)
    command = ["python3", "main.py"]
    return run_plainly(service, "python", command, env, list(PYTHON.values()))


@pytest.fixture(scope="module")
def plain_javascript(service: ServiceProcess) -> dict[str, Ended]:
    show = "console.log(JSON.stringify(process.env))"
    cold = service.api.run("javascript", show, limits={"processes": 65})
    env = json.loads(cold.stdout)
    command = ["node", "main.js"]
    return run_plainly(service, "javascript", command, env, list(JAVASCRIPT.values()))


@pytest.fixture(scope="module")
def plain_ruby(service: ServiceProcess) -> dict[str, Ended]:
    cold = service.api.run("ruby", "p ENV.to_h", limits={"processes": 65})
    pairs = re.findall(rb'"(.*?)"=>"(.*?)"', cold.stdout)
    env = {name.decode(): value.decode() for name, value in pairs}
    return run_plainly(service, "ruby", ["ruby", "main.rb"], env, list(RUBY.values()))


@pytest.mark.parametrize("name", PYTHON)
def test_python(
    service: ServiceProcess, plain_python: dict[str, Ended], name: str
) -> None:
    warm = run_warm(service, "python", "main.py", PYTHON[name])
    assert shown(warm) == shown(plain_python[name])


@pytest.mark.parametrize("name", JAVASCRIPT)
def test_javascript(
    service: ServiceProcess, plain_javascript: dict[str, Ended], name: str
) -> None:
    warm = run_warm(service, "javascript", "main.js", JAVASCRIPT[name])
    assert shown(warm) == shown(plain_javascript[name])


@pytest.mark.parametrize("name", RUBY)
def test_ruby(service: ServiceProcess, plain_ruby: dict[str, Ended], name: str) -> None:
    warm = run_warm(service, "ruby", "main.rb", RUBY[name])
    assert shown(warm) == shown(plain_ruby[name])


def test_a_compiler_waits_in_each_container(service: ServiceProcess) -> None:
    service.wait_settled("java")

    def wait() -> bool:
        tops = [service.docker.top(one) for one in service.containers("java")]
        return all("CompileStarter" in str(top["Processes"]) for top in tops)

    wait_until(wait, START_S, "each container has a compiler that waits")


LIBRARY = """
import java.nio.file.*;
import java.util.Base64;
class Main {
    void main() throws Exception {
        byte[] helper = Files.readAllBytes(Path.of("Helper.class"));
        System.out.print(Base64.getEncoder().encodeToString(helper));
    }
}
class Helper { static int answer() { return 42; } }
"""


def test_a_waiting_compiler_finds_the_jobs_classes(service: ServiceProcess) -> None:
    helper = service.api.run("java", LIBRARY).stdout.decode()
    main = "class Main { void main() { IO.println(Helper.answer()); } }"
    files = [
        {"name": "Main.java", "content": main},
        {"name": "Helper.class", "content": helper, "encoding": "base64"},
    ]
    for env in ({}, {"A": "1"}):
        assert service.api.run("java", files=files, env=env).stdout == b"42\n"


def test_a_compiler_that_waits_in_vain_costs_the_job_nothing(
    service: ServiceProcess,
) -> None:
    hello = JAVA["hello"]["Main.java"]
    for _ in range(6):
        found = service.api.run("java", hello, limits={"processes": 20})
        assert found.outcome == "success", found.compiled


@pytest.mark.parametrize("name", JAVA)
def test_javac(service: ServiceProcess, name: str) -> None:
    files = [{"name": path, "content": text} for path, text in JAVA[name].items()]
    waiting = service.api.run("java", files=files)
    # One that starts with its job: the one that waits has another environment.
    cold = service.api.run("java", files=files, env={"A": "1"})
    keys = ("outcome", "exit_code", "signal")
    assert [waiting.document[key] for key in keys] == [
        cold.document[key] for key in keys
    ]
    assert masked(waiting.compiled) == masked(cold.compiled)
    assert (waiting.stdout, waiting.stderr) == (cold.stdout, cold.stderr)
