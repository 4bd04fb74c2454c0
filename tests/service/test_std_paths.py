"""Standard streams by path: the same as in a plain `docker run -i` of the same image.

All 200 programs run with WARMBOX_STD_PATHS=all; else some of each language.
"""

from __future__ import annotations

import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from plain_run import Ended
from service_process import ROOT
from std_paths import SPELLINGS, StdProgram, programs

from images.catalog import load_catalog

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Future

    from http_api import Api

pytestmark = pytest.mark.docker

FEW = 2
"""Of each language: what stands at the front has all ways in."""
PROGRAMS = programs()
if os.environ.get("WARMBOX_STD_PATHS") != "all":
    PROGRAMS = PROGRAMS[: FEW * len(SPELLINGS)]
UID = 4_242_424
TRIES = 3
"""Docker now and then loses what a quick program has written."""
RUN_S = 60
AT_ONCE = 2
SECONDS = 30
PLAINLY = {
    "javascript": ([], ["node", "main.js"]),
    "java": (["javac", "Main.java"], ["java", "-cp", ".", "Main"]),
}
"""Ours are for a compiler of ours, and say what heap there is."""
CATALOG = load_catalog(ROOT / "images")

# Makes the program ready, then becomes it: $1 is its source, $2 its file, $3 what
# compiles it, and the rest what runs it.
_MAKE_AND_RUN = """
mkdir -p /box/work /box/home && cd /box/work && printf %s "$1" > "$2" || exit 120
eval "$3" < /dev/null > /dev/null 2>&1 || exit 121
shift 3
exec "$@"
"""


def run_by_docker(program: StdProgram) -> Ended:
    """Run a program by `docker run -i`, as the uid that it names."""
    language = CATALOG.languages[program.language]
    main = language.main
    compiler = language.compile.expand(main, [main], []) if language.compile else []
    run = language.run.expand(main, [main], [])
    compiler, run = PLAINLY.get(language.name, (compiler, run))
    words = " ".join(f"'{word}'" for word in compiler) or ":"
    docker = ["docker", "run", "-i", "--rm", "--network", "none", "--user", str(UID)]
    docker += ["--tmpfs", "/box:exec,mode=1777", "--env", "HOME=/box/home"]
    for name, value in language.env:
        docker += ["--env", f"{name}={value}"]
    docker += ["--entrypoint", "sh", f"warmbox/{language.name}:latest"]
    docker += ["-c", _MAKE_AND_RUN, "sh", program.source, main, words]
    docker += run
    stdin = program.stdin.encode()
    ended = subprocess.run(
        docker, input=stdin, capture_output=True, timeout=RUN_S, check=False
    )
    return Ended(ended.returncode, ended.stdout, ended.stderr)


@pytest.fixture(scope="module")
def plain_ends() -> Iterator[dict[str, Future[Ended]]]:
    """Run them all by Docker, while others run as jobs."""
    with ThreadPoolExecutor(AT_ONCE) as threads:
        yield {one.name: threads.submit(run_by_docker, one) for one in PROGRAMS}


@pytest.mark.parametrize("program", PROGRAMS, ids=[one.name for one in PROGRAMS])
def test_a_stream_by_its_path_is_what_it_is_in_a_plain_container(
    api: Api, plain_ends: dict[str, Future[Ended]], program: StdProgram
) -> None:
    result = api.run(
        program.language,
        program.source,
        stdin=program.stdin,
        limits={"wall_time_s": SECONDS, "cpu_time_s": SECONDS},
    )
    assert result.exit_code is not None, result.document
    found = Ended(result.exit_code, result.stdout, result.stderr)
    plain = plain_ends[program.name].result()
    for _ in range(TRIES):
        if plain == found:
            return
        plain = run_by_docker(program)
    assert (found.code, found.stdout[:2000], found.stderr[:2000]) == (
        plain.code,
        plain.stdout[:2000],
        plain.stderr[:2000],
    )
