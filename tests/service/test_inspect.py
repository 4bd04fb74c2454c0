"""What Docker says of a pool's container: every option of the sandbox is in force."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from service_process import ROOT

if TYPE_CHECKING:
    from http_api import Api
    from service_process import ServiceProcess

pytestmark = pytest.mark.docker

MIB = 1 << 20
TMPFS_BYTES = {"/box": 64 * MIB, "/tmp": 64 * MIB, "/dev/shm": 16 * MIB}  # noqa: S108


@pytest.fixture(scope="module")
def inspected(service: ServiceProcess) -> dict[str, Any]:
    service.wait_settled("python")
    found: dict[str, Any] = service.docker.inspect_container(
        service.containers("python")[0]
    )
    return found


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("NetworkMode", "none"),
        ("ReadonlyRootfs", True),
        ("Privileged", False),
        ("CapDrop", ["ALL"]),
        ("IpcMode", "private"),
        ("PidMode", ""),
        ("UTSMode", ""),
        ("Runtime", "runc"),
        ("LogConfig", {"Type": "none", "Config": {}}),
        ("AutoRemove", True),
        ("Binds", None),
        ("Devices", None),
        ("DeviceRequests", None),
        ("VolumesFrom", None),
        ("GroupAdd", None),
        ("ExtraHosts", ["box:127.0.1.1"]),
        ("Dns", ["127.0.0.1"]),
        ("DnsSearch", ["."]),
        ("PortBindings", None),
        ("NanoCpus", 1_000_000_000),
        ("CpuShares", 0),  # the kernel's usual, so that all containers have the same
    ],
)
def test_an_option_is_as_promised(
    inspected: dict[str, Any], option: str, value: object
) -> None:
    assert (inspected["HostConfig"][option] or None) == (value or None)


def test_only_three_capabilities_come_back(inspected: dict[str, Any]) -> None:
    found = {name.removeprefix("CAP_") for name in inspected["HostConfig"]["CapAdd"]}
    assert found == {"SETUID", "SETGID", "KILL"}


def test_no_new_privileges_and_our_own_list_of_calls(inspected: dict[str, Any]) -> None:
    rights, calls = inspected["HostConfig"]["SecurityOpt"]
    assert rights == "no-new-privileges"
    own = json.loads((ROOT / "images/seccomp.json").read_text())
    assert json.loads(calls.removeprefix("seccomp=")) == own


def test_swap_adds_nothing_to_the_memory(inspected: dict[str, Any]) -> None:
    host = inspected["HostConfig"]
    assert 0 < host["Memory"] == host["MemorySwap"]
    assert 0 < host["PidsLimit"] <= 512


def test_every_mount_is_small_and_in_memory(inspected: dict[str, Any]) -> None:
    mounts = inspected["HostConfig"]["Tmpfs"]
    assert set(mounts) == set(TMPFS_BYTES)
    for path, options in mounts.items():
        found = set(options.split(","))
        assert {"nosuid", "nodev", f"size={TMPFS_BYTES[path] // MIB}m"} <= found
        assert any(option.startswith("nr_inodes=") for option in found)
    assert sum(TMPFS_BYTES.values()) < inspected["HostConfig"]["Memory"]
    assert inspected["Mounts"] == []


def test_what_tells_of_the_whole_host_is_masked(inspected: dict[str, Any]) -> None:
    masked = set(inspected["HostConfig"]["MaskedPaths"])
    assert {"/proc/kcore", "/proc/keys", "/proc/locks", "/sys/firmware"} <= masked
    assert {"/proc/sys", "/dev"} <= set(inspected["HostConfig"]["ReadonlyPaths"])


def test_connections_leave_nothing_to_be_read(inspected: dict[str, Any]) -> None:
    sysctls = inspected["HostConfig"]["Sysctls"]
    assert sysctls["net.ipv4.tcp_no_metrics_save"] == "1"
    assert sysctls["net.ipv4.tcp_max_tw_buckets"] == "0"


LISTED_MAX = 2000
LIST_ALL = """
import os
found = set()
for place in "/proc/sys", "/sys":
    for folder, _, names in os.walk(place):
        found |= {os.path.join(folder, name) for name in (".", *names)}
print(len(found))
"""


def test_few_names_are_there_to_leave_a_time_at(api: Api) -> None:
    """The kernel keeps for each when it was first looked for, in any job."""
    assert int(api.run("python", LIST_ALL).text) < LISTED_MAX


def test_hard_limits_stand_behind_our_own(inspected: dict[str, Any]) -> None:
    limits = {one["Name"]: one for one in inspected["HostConfig"]["Ulimits"]}
    stack = limits.pop("stack")  # a step's own is below
    assert (stack["Soft"], stack["Hard"]) == (8 * MIB, 256 * MIB)
    assert all(one["Soft"] == one["Hard"] for one in limits.values())
    assert {name: one["Hard"] for name, one in limits.items()} == {
        "core": 0,
        "nofile": 1024,
        "fsize": 64 * MIB,
        "memlock": 65536,
        "msgqueue": 0,
    }


def test_the_container_ends_with_its_stdin_and_bears_our_label(
    service: ServiceProcess, inspected: dict[str, Any]
) -> None:
    config = inspected["Config"]
    assert (config["OpenStdin"], config["StdinOnce"]) == (True, True)
    assert (config["Tty"], config["Volumes"]) == (False, None)
    assert "ExposedPorts" not in config
    assert config["Labels"]["warmbox.service"] == f"127.0.0.1:{service.port}"


def test_nothing_of_the_host_is_in_its_environment(inspected: dict[str, Any]) -> None:
    names = {entry.partition("=")[0] for entry in inspected["Config"]["Env"]}
    assert names <= {"PATH", "LANG", "MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_"}


def test_uids_are_the_containers_own(service: ServiceProcess) -> None:
    configs = [
        json.loads(service.docker.inspect_container(one)["Args"][-1])
        for one in service.containers()
    ]
    firsts = sorted(config["uid_first"] for config in configs)
    assert len(firsts) > 10
    gaps = [b - a for a, b in pairwise(firsts)]
    assert min(gaps) >= configs[0]["uid_count"] > 0
