"""Three hundred jobs at once, over all languages and from ten clients."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import cycle
from typing import TYPE_CHECKING

import gevent
import pytest
from gevent.pool import Pool
from http_api import Api
from service_process import wait_until

if TYPE_CHECKING:
    from http_api import Result
    from service_process import ServiceProcess

pytestmark = pytest.mark.docker

JOBS = 300
CLIENTS = 10
AT_ONCE = 30
"""Connections that this test opens at once; the jobs are all in the service."""

# Each says its number, so that no answer can be another job's.
PROGRAMS = {
    "bash": 'echo "bash $1"; exit 3',
    "c": "#include <stdio.h>\nint main(int n, char **a) "
    '{ printf("c %s\\n", a[1]); return 3; }',
    "cpp": "#include <cstdio>\nint main(int, char **a) "
    '{ std::printf("cpp %s\\n", a[1]); return 3; }',
    "go": 'package main\nimport "os"\n'
    'func main() { os.Stdout.WriteString("go " + os.Args[1] + "\\n"); os.Exit(3) }',
    "java": "public class Main { public static void main(String[] a) "
    '{ System.out.println("java " + a[0]); System.exit(3); } }',
    "javascript": 'console.log("javascript", process.argv[2]); process.exitCode = 3;',
    "python": "import sys\nprint('python', sys.argv[1])\nsys.exit(3)",
    "ruby": 'puts "ruby #{ARGV[0]}"; exit 3',
}
# Compiled ones are dear: of 300 jobs, every tenth is one, of each kind in turn.
CHEAP = ("python", "bash", "javascript", "python", "bash", "ruby", "python", "bash")
DEAR = ("c", "cpp", "go", "java")


def languages() -> list[str]:
    cheap, dear = cycle(CHEAP), cycle(DEAR)
    return [next(dear) if n % 10 == 9 else next(cheap) for n in range(JOBS)]


@dataclass(frozen=True)
class Asked:
    """One job of this test."""

    api: Api
    language: str
    word: str
    job_id: str


def check(asked: Asked, result: Result) -> None:
    assert result.outcome == "failure", result
    assert result.exit_code == 3
    assert result.text == f"{asked.language} {asked.word}\n"
    assert result.document["attempt"] == 1
    names = [event.name for event in result.events]
    assert names.count("finished") == names.count("started") == 1


PATIENT = {"wall_time_s": 30}
"""Where many run on few cores, and how long each takes is not what is asked."""


def test_300_jobs_from_ten_clients(service: ServiceProcess) -> None:
    clients = [Api(service.port, f"127.0.0.{n + 2}") for n in range(CLIENTS)]

    def ask(turn: tuple[int, str]) -> Asked:
        number, language = turn
        api = clients[number % CLIENTS]
        word = f"job-{number}"
        return Asked(
            api,
            language,
            word,
            api.submit(language, PROGRAMS[language], args=[word], limits=PATIENT),
        )

    depths: list[float] = []
    watching = gevent.spawn(watch_depth, service.api, depths)
    pool = Pool(AT_ONCE)
    asked = pool.map(ask, enumerate(languages()))
    results = pool.map(lambda one: one.api.result(one.job_id), asked)
    watching.kill()
    for one, result in zip(asked, results, strict=True):
        check(one, result)
    assert max(depths) > 20
    assert service.api.metric("warmbox_queue_depth") == 0
    for language in PROGRAMS:
        service.wait_settled(language)


def watch_depth(api: Api, depths: list[float]) -> None:
    while True:
        depths.append(api.metric("warmbox_queue_depth"))
        gevent.sleep(0.05)


def test_one_job_does_not_wait_for_anothers_backlog(service: ServiceProcess) -> None:
    greedy, modest = Api(service.port, "127.0.0.50"), Api(service.port, "127.0.0.51")
    nap = "sleep 0.1; echo $1"
    backlog = [greedy.submit("bash", nap, args=[str(n)]) for n in range(60)]
    mine = modest.submit("bash", nap, args=["mine"])
    assert modest.look(mine).get("position", 1) <= 2
    assert modest.result(mine).text == "mine\n"
    states = [greedy.look(job_id)["state"] for job_id in backlog]
    assert states.count("queued") > 20, states
    for number, job_id in enumerate(backlog):
        assert greedy.result(job_id).text == f"{number}\n"


def test_jobs_are_accepted_while_every_container_is_busy(
    service: ServiceProcess,
) -> None:
    api = service.api
    sleep = {"limits": {"wall_time_s": 30}}
    busy = [api.submit("ruby", "sleep 28", **sleep) for _ in range(5)]
    try:
        wait_until(
            lambda: (
                api.metric("warmbox_containers", language="ruby", state="busy") == 5
            ),
            20,
            "all are busy",
        )
        waiting = [api.submit("ruby", f"puts {n}") for n in range(20)]  # each a 202
        assert b"<!doctype html>" in api.call("GET", "/").body
        assert api.call("GET", "/readyz").status == 200
        assert api.metric("warmbox_queue_depth", language="ruby") == 20
        # Nothing of what was answered meanwhile had to wait for a container.
        assert all(api.look(job_id)["state"] == "running" for job_id in busy)
        assert api.run("python", "print(1)").text == "1\n"
    finally:
        for job_id in busy:
            api.cancel(job_id)
    for number, job_id in enumerate(waiting):
        assert api.result(job_id).text == f"{number}\n"
    assert api.metric("warmbox_queue_depth", language="ruby") == 0


def test_the_waiting_answer_brings_the_whole_result(service: ServiceProcess) -> None:
    request = {"language": "python", "source": "print(6 * 7)"}
    answer = service.api.post(request, Prefer="wait=20")
    assert answer.status == 200
    assert answer.headers["Preference-Applied"] == "wait=20"
    assert answer.document["state"] == "done"
    assert answer.document["stdout"] == "42\n"
    slow = {"language": "bash", "source": "sleep 3; echo slept"}
    answer = service.api.post(slow, Prefer="wait=1")
    assert answer.status == 202
    assert service.api.result(answer.document["id"]).text == "slept\n"


def test_the_same_key_gives_the_same_job(service: ServiceProcess) -> None:
    request = {"language": "python", "source": "print(1)"}
    key = {"Idempotency-Key": "test-many-1"}
    pool = Pool(8)
    answers = pool.map(lambda _: service.api.post(request, **key), range(8))
    assert len({answer.document["id"] for answer in answers}) == 1
    assert service.api.result(answers[0].document["id"]).text == "1\n"
    other = service.api.post({**request, "source": "print(2)"}, **key)
    assert other.status == 422
    assert other.document["code"] == "idempotency_mismatch"
