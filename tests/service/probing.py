"""A job that looks for what another may have left, in every container of a language."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from where import HERE

if TYPE_CHECKING:
    from http_api import Api
    from service_process import ServiceProcess

ROUNDS_MAX = 10

# It stays until it is told to go, so that the others run elsewhere.
PROBE = """
import json, os, sys

def names(folder):
    try:
        return sorted(os.listdir(folder))
    except PermissionError:
        return "closed"

def used(folder):
    fs = os.statvfs(folder)
    return fs.f_files - fs.f_ffree

def parent(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return int(file.read().rpartition(")")[2].split()[1])
    except OSError:
        return 0

def uid(pid):
    try:
        return os.stat(f"/proc/{pid}").st_uid
    except FileNotFoundError:
        return None

def rows(kind):
    with open("/proc/sysvipc/" + kind) as file:
        return len(file.readlines()) - 1

family, pid = set(), os.getpid()
while pid > 1:
    family.add(pid)
    launcher, pid = pid, parent(pid)
others = {int(name): uid(int(name)) for name in os.listdir("/proc") if name.isdigit()}
# The next job's processes are made meanwhile.
for p, u in list(others.items()):
    if u in (0, os.getuid() + 1) and parent(p) == launcher:
        family.add(p)
print(json.dumps({
    "container": HERE,
    "places": {f: names(f) for f in ("/tmp", "/dev/shm", "/dev/mqueue")},
    "box": names("/box"),
    "home": names(os.environ["HOME"]),
    "inodes": {folder: used(folder) for folder in ("/tmp", "/dev/shm")},
    "foreign": {p: u for p, u in others.items() if p not in family and u},
    "roots": sum(u == 0 for p, u in others.items() if p not in family),
    "ipc": [rows("shm"), rows("sem"), rows("msg")],
}), flush=True)
sys.stdin.read()
""".replace("HERE", HERE)

# What can't run Python by itself becomes the image's own: the runner needs it there.
_BECOME = {
    "python": PROBE,
    "bash": 'exec python3 -c "$PROBE"',
    "c": "#include <stdlib.h>\n#include <unistd.h>\nint main(void) "
    '{ execlp("python3", "python3", "-c", getenv("PROBE"), (char *)0); return 9; }',
    "javascript": 'require("child_process").spawnSync("python3", '
    f'["-c", {json.dumps(PROBE)}], {{ stdio: "inherit" }});',
}


def check_all_clean(service: ServiceProcess, language: str) -> None:
    """Run probes until each container of the language has had one."""
    count = service.wait_settled(language)
    unseen = names_of(service, language)
    assert unseen
    source = _BECOME[language]
    # The first waits for the last, whose container may just be starting.
    fields: dict[str, Any] = {"stdin_open": True, "limits": {"wall_time_s": 30}}
    if "PROBE" in source:
        fields["env"] = {"PROBE": PROBE}
    for _ in range(ROUNDS_MAX):
        # Docker may also list one that the pool has given up: not one more probe,
        # which would wait for the others to end.
        for found in probe(service.api, count, language, source, fields):
            check_clean(found)
            unseen.discard(service.container_of(found["container"]))
        unseen &= names_of(service, language)
        if not unseen:
            return
    raise AssertionError(f"no probe reached {unseen}")


def probe(api: Api, count: int, *program: Any) -> list[dict[str, Any]]:
    """Return what as many probes find that are there at the same time."""
    language, source, fields = program
    ids = [api.submit(language, source, **fields) for _ in range(count)]
    for job_id in ids:
        with api.follow(job_id) as events:
            events.until("stdout")
    for job_id in ids:
        api.send_stdin(job_id, end=True)
    results = [api.result(job_id) for job_id in ids]
    for result in results:
        assert result.outcome == "success", result
    return [json.loads(result.stdout) for result in results]


def names_of(service: ServiceProcess, language: str) -> set[str]:
    """Return the ids of the language's containers."""
    return set(service.containers(language))


def check_clean(found: dict[str, Any]) -> None:
    assert set(map(tuple, found["places"].values())) == {()}
    assert found["box"] in ("closed", ["home", "work"])
    assert found["home"] == []
    assert set(found["inodes"].values()) == {1}
    assert found["foreign"] == {}
    assert found["roots"] <= 2  # the runner, and at times the launcher
    assert found["ipc"] == [0, 0, 0]
