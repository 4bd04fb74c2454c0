"""The page in a real browser, with real jobs behind it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from service_process import ADMIN_KEY

if TYPE_CHECKING:
    from service_process import ServiceProcess

pytestmark = [pytest.mark.docker, pytest.mark.browser]

SCRIPT = Path(__file__).with_name("browser_script.py")
SCENARIOS = (
    "languages",
    "job",
    "streaming",
    "stopped",
    "timed_out",
    "compile_error",
    "problem",
    "markup",
    "interactive",
    "system",
    "system_on_a_phone",
    "system_from_elsewhere",
)
LIMIT_S = 150

Seen = dict[str, Any]


def without_proxies() -> dict[str, str]:
    """Return the environment; a proxy in it does not lead to our own loopback."""
    return {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")}


def browse(service: ServiceProcess, *names: str) -> Seen:
    url = f"http://127.0.0.1:{service.port}/"
    ended = subprocess.run(
        [sys.executable, str(SCRIPT), url, *names],
        capture_output=True,
        timeout=LIMIT_S,
        check=False,
        env={**without_proxies(), "ADMIN_KEY": ADMIN_KEY},
    )
    assert ended.returncode == 0, ended.stderr.decode()
    seen: Seen = json.loads(ended.stdout)
    return seen


@pytest.fixture(scope="module")
def everything(service: ServiceProcess) -> Seen:
    return browse(service, *SCENARIOS)


@pytest.fixture
def seen(everything: Seen, request: pytest.FixtureRequest) -> Seen:
    """Return what was seen in the scenario that the test is named for."""
    one: Seen = everything[request.function.__name__.removeprefix("test_")]
    return one


def test_languages(service: ServiceProcess, seen: Seen) -> None:
    for language in service.api.get("/v1/languages")["languages"]:
        shown = seen[language["name"]]
        assert shown["version"] == language["version"]
        assert shown["source"] == language["hello"]


def test_job(seen: Seen) -> None:
    assert seen["source"] == (
        "import sys\nif True:\n    print('out', sys.argv[1:], input())\n"
        "    print('err', file=sys.stderr)"
    )
    assert sorted(map(tuple, seen["spans"])) == [
        ("stderr", "err\n"),
        ("stdout", "out ['one', 'two words'] typed\n"),
    ]
    assert seen["outcome"] == "success"
    assert "ms" in seen["usage"]
    assert seen["run_enabled"]
    assert not seen["stop_enabled"]


def test_streaming(seen: Seen) -> None:
    assert seen["seen"] == [f"line {number}" for number in range(4)]
    assert seen["outcome"] == "success"


def test_stopped(seen: Seen) -> None:
    assert seen["outcome"] == "cancelled"
    assert seen["output"] == "up\n"
    assert not seen["run_enabled_meanwhile"]
    assert seen["run_enabled"]


def test_timed_out(seen: Seen) -> None:
    assert seen["outcome"] == "timed_out"


def test_compile_error(seen: Seen) -> None:
    assert seen["outcome"] == "compile_failed"
    (stream, text), *others = seen["spans"]
    assert others == []
    assert stream == "compile"
    assert "undeclared (first use in this function)" in text


def test_problem(seen: Seen) -> None:
    assert seen["problem"]
    assert seen["output"] == "mended\n"
    assert not seen["problem_visible"]


def test_markup(seen: Seen) -> None:
    assert seen["output"] == "<img src=x onerror=alert(1)><b>bold</b>&amp;\n"
    assert seen["elements"] == 0


def test_interactive(seen: Seen) -> None:
    assert seen["outcome"] == "success"
    streams = [text for stream, text in seen["spans"] if stream == "stdout"]
    assert "".join(streams) == "Hello, Ada\nHello, Grace\nrest ''\n"


def test_system(service: ServiceProcess, seen: Seen) -> None:
    served = {one["name"] for one in service.api.get("/v1/languages")["languages"]}
    assert set(seen["cells"]) == served
    assert all(count >= 5 for count in seen["cells"].values())
    assert "busy for" in seen["said"]
    assert seen["colours"]["busy"] != seen["colours"]["idle"]
    assert "c/pool/" in seen["happening"]
    assert int(seen["jobs"].replace(",", "")) > 0
    assert seen["bars"] == 60
    assert seen["broker"] == "up"
    assert seen["actors"] > 5 * len(served)


def test_system_on_a_phone(everything: Seen, seen: Seen) -> None:
    assert seen["theme"] == "dark"
    assert seen["width"] == 390
    assert seen["idle"] != everything["system"]["colours"]["idle"]


def test_system_from_elsewhere(seen: Seen) -> None:
    assert seen["hidden"]
    assert not seen["gate"]


def test_no_request_goes_to_another_host(
    service: ServiceProcess, everything: Seen
) -> None:
    requests = {url for one in everything.values() for url in one["requests"]}
    own = (f"http://127.0.0.1:{service.port}/", "data:")
    assert len(requests) > 10
    assert [url for url in requests if not url.startswith(own)] == []


def test_the_browser_has_nothing_to_complain_of(everything: Seen) -> None:
    # A refused request is told in the console too: some scenarios are about those.
    refused = {"problem": "status of 422", "system_from_elsewhere": "status of 404"}
    complaints = {
        name: [
            text
            for text in one["complaints"]
            if refused.get(name, "nothing") not in text
        ]
        for name, one in everything.items()
    }
    assert complaints == {name: [] for name in SCENARIOS}
