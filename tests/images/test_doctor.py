from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest

from images.build import ImageInfo
from images.catalog import Catalog, load_catalog
from images.doctor import (
    examine,
    examine_engine,
    examine_folders,
    examine_host,
    examine_images,
)
from images.finding import Finding

HEALTHY: dict[str, Any] = {
    "ServerVersion": "28.1",
    "OperatingSystem": "Debian",
    "Driver": "overlay2",
    "CgroupVersion": "2",
    "CgroupDriver": "systemd",
    "MemoryLimit": True,
    "SwapLimit": True,
    "PidsLimit": True,
    "CpuCfsQuota": True,
    "SecurityOptions": ["name=apparmor", "name=seccomp,profile=builtin"],
    "Runtimes": {
        "runc": {},
        "runsc": {"runtimeArgs": ["--network=none", "--oci-seccomp"]},
    },
    "LiveRestoreEnabled": False,
}


class Engine:
    def __init__(self, *containers: str, **info: object) -> None:
        self._info = {**HEALTHY, **info}
        self._containers = containers

    def info(self) -> dict[str, Any]:
        return self._info

    def containers(self, *, all: bool, filters: dict[str, str]) -> tuple[str, ...]:  # noqa: A002
        assert all
        assert filters == {"label": "warmbox.service"}
        return self._containers


def failed(engine: Engine, runtime: str = "runc", *, serving: bool = False) -> set[str]:
    findings = list(examine_engine(engine, {runtime}, serving=serving))
    assert all(one.evidence for one in findings)
    assert all(one.ok or one.mend for one in findings)
    return {one.subject for one in findings if not one.ok and not one.optional}


def test_a_healthy_engine_misses_nothing() -> None:
    assert failed(Engine()) == set()
    assert failed(Engine(LiveRestoreEnabled=True), "runsc") == set()


@pytest.mark.parametrize(
    ("info", "subject"),
    [
        ({"Driver": "vfs"}, "storage driver"),
        ({"CgroupDriver": "none"}, "cgroups"),
        ({"MemoryLimit": False}, "memory limit"),
        ({"SwapLimit": False}, "swap limit"),
        ({"PidsLimit": False}, "process limit"),
        ({"CpuCfsQuota": False}, "CPU limit"),
        ({"SecurityOptions": None}, "seccomp"),
        ({"SecurityOptions": ["name=seccomp,profile=unconfined"]}, "seccomp"),
        ({"Runtimes": {"crun": {}}}, "runtime"),
    ],
)
def test_a_missing_protection_is_named(info: dict[str, Any], subject: str) -> None:
    assert failed(Engine(**info)) == {subject}


def test_containers_are_leftovers_only_while_no_service_runs() -> None:
    assert failed(Engine("c1")) == {"leftovers"}
    assert failed(Engine("c1"), serving=True) == set()


def test_a_port_in_use_is_missing_unless_it_is_ours() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        _, taken = examine_host("127.0.0.1", port, serving=False)
        _, ours = examine_host("127.0.0.1", port, serving=True)
    _, free = examine_host("127.0.0.1", port, serving=False)

    assert (taken.ok, ours.ok, free.ok) == (False, True, True)
    assert "in use" in taken.evidence


def test_an_image_that_is_missing_or_old_is_named_with_its_command() -> None:
    images = [
        ImageInfo("c", "warmbox/c:latest", "current", version="gcc 14"),
        ImageInfo("c", "warmbox/c:latest", "stale"),
        ImageInfo("c", "warmbox/c:latest", "missing"),
    ]

    findings = list(examine_images(images))

    assert [one.ok for one in findings] == [True, False, False]
    assert findings[1].mend.endswith("run.py images build c")


def test_without_an_engine_the_rest_is_still_told() -> None:
    def connect() -> None:
        raise RuntimeError("no socket")

    catalog = load_catalog(Path(__file__).parents[2] / "images")
    *host, last = examine(("127.0.0.1", 0), {"runc"}, connect, catalog, serving=False)

    assert [one.ok for one in host] == [True, True]
    assert last == Finding("Docker", ok=False, evidence="no socket", mend="make docker")


def test_a_folder_that_is_no_language_is_told_of() -> None:
    catalog = Catalog(Path("images"), [], {"cobol": "cobol is incomplete: x missing"})

    (finding,) = examine_folders(catalog)

    assert (finding.subject, finding.ok) == ("language cobol", False)
    assert finding.evidence == "cobol is incomplete: x missing"
    assert "images/cobol" in finding.mend


def test_gvisor_is_missing_what_it_was_not_told() -> None:
    arguments = ["--network=none"]
    findings = examine_engine(
        Engine(Runtimes={"runsc": {"runtimeArgs": arguments}}),
        {"runsc"},
        serving=False,
    )
    (runtime,) = [one for one in findings if one.subject == "runtime"]
    assert not runtime.ok
    assert runtime.evidence.endswith("lack --oci-seccomp")
    assert "--oci-seccomp" in runtime.mend


def test_a_wall_more_is_no_need() -> None:
    findings = examine_engine(
        Engine(SecurityOptions=["name=seccomp"]), {"runc"}, serving=True
    )
    missing = {one.subject for one in findings if not one.ok}
    assert missing == {"AppArmor or SELinux", "user namespaces"}
