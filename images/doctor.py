"""What protects here and what is missing, with the evidence and what mends it.

Only facts come in, so that every finding can be tested without an engine.
"""

from __future__ import annotations

import socket
import sys
from typing import TYPE_CHECKING, Any, Protocol

from images.build import list_images
from images.finding import Finding

if TYPE_CHECKING:
    from collections.abc import (
        Callable,
        Collection,
        Iterable,
        Iterator,
        Mapping,
        Sequence,
    )

    from images.build import ImageInfo
    from images.catalog import Catalog

OWNER_LABEL = "warmbox.service"
_PYTHON_MIN = (3, 11)
_DAEMON_JSON = "/etc/docker/daemon.json"
_RESTART = "sudo systemctl restart docker"
_BOOT_OPTIONS = (
    "sudo sed -i 's/^GRUB_CMDLINE_LINUX=\"/&cgroup_enable=memory swapaccount=1 /' "
    "/etc/default/grub && sudo update-grub && sudo reboot"
)
GVISOR = "runsc"
GVISOR_ARGUMENTS = ("--network=none", "--oci-seccomp")
"""By the second it keeps to the list of calls: else a job may leave IPC objects."""
_INSTALL_GVISOR = (
    "sudo apt-get install runsc && sudo runsc install -- "
    f"{' '.join(GVISOR_ARGUMENTS)} && {_RESTART}"
)


class Engine(Protocol):
    """As much of the Docker SDK's client as a diagnosis needs."""

    def info(self) -> dict[str, Any]:
        """Tell what the engine knows of itself and its host."""

    def containers(
        self,
        *,
        all: bool,  # noqa: A002 - the SDK's word
        filters: dict[str, str],
    ) -> Sequence[Any]:
        """List containers."""


def examine(
    address: tuple[str, int],
    runtimes: Collection[str],
    connect: Callable[[], Any],
    catalog: Catalog,
    *,
    serving: bool,
) -> Iterator[Finding]:
    """Yield all findings; without an engine, those that need none.

    `serving` tells that a service of ours answers at `address` already.
    """
    yield from examine_host(*address, serving=serving)
    yield from examine_folders(catalog)
    try:
        client = connect()
    except Exception as error:  # noqa: BLE001 - whatever it is, it is the finding
        yield Finding("Docker", ok=False, evidence=str(error), mend="make docker")
        return
    yield from examine_engine(client, runtimes, serving=serving)
    yield from examine_images(list_images(client, catalog))


def examine_host(host: str, port: int, *, serving: bool) -> Iterator[Finding]:
    """Look at what has nothing to do with Docker.

    `serving` tells that a service of ours answers at this address already.
    """
    version = ".".join(str(part) for part in sys.version_info[:3])
    yield Finding(
        "Python",
        sys.version_info >= _PYTHON_MIN,
        f"{version}, {sys.executable}",
        "sudo apt-get install python3 && make clean run",
    )
    trouble = "" if serving else _why_not_bind(host, port)
    state = "is where a service runs" if serving else trouble or "is free"
    yield Finding(
        "port",
        not trouble,
        f"{host}:{port} {state}",
        "stop what holds it, or: run.py serve --port ANOTHER",
    )


def examine_engine(
    engine: Engine, runtimes: Collection[str], *, serving: bool
) -> Iterator[Finding]:
    """Look at the engine, and at what the kernel lets it promise."""
    info = engine.info()
    yield Finding("Docker", True, f"{info['ServerVersion']}, {info['OperatingSystem']}")
    driver = info["Driver"]
    yield Finding(
        "storage driver",
        driver != "vfs",
        driver,
        f'"storage-driver": "overlay2" in {_DAEMON_JSON} && {_RESTART}',
    )
    cgroup = f"version {info.get('CgroupVersion', '1')}, {info['CgroupDriver']}"
    yield Finding("cgroups", info["CgroupDriver"] != "none", cgroup, _BOOT_OPTIONS)
    yield from _limits(info)
    yield from _optional(info)
    yield _seccomp(info.get("SecurityOptions") or [])
    for runtime in sorted(runtimes):
        yield _runtime(info["Runtimes"], runtime)
    yield _live_restore(bool(info.get("LiveRestoreEnabled")))
    yield _leftovers(engine, serving=serving)


def examine_folders(catalog: Catalog) -> Iterator[Finding]:
    """Look for folders that are no language yet, or none any more."""
    for name, reason in catalog.broken.items():
        mend = f"complete {catalog.root / name}, or remove it"
        yield Finding(f"language {name}", ok=False, evidence=reason, mend=mend)


def examine_images(images: Iterable[ImageInfo]) -> Iterator[Finding]:
    """Look at each language's image."""
    for image in images:
        yield Finding(
            f"image {image.name}",
            image.state == "current",
            f"{image.state} {image.version}".strip(),
            f".venv/bin/python run.py images build {image.name}",
        )


def _limits(info: Mapping[str, Any]) -> Iterator[Finding]:
    newer = "boot a kernel that has it: sudo apt-get install linux-image-amd64"
    for subject, key, mend in (
        ("memory limit", "MemoryLimit", _BOOT_OPTIONS),
        ("swap limit", "SwapLimit", _BOOT_OPTIONS),
        ("process limit", "PidsLimit", newer),
        ("CPU limit", "CpuCfsQuota", newer),
    ):
        supported = bool(info.get(key))
        yield Finding(subject, supported, "yes" if supported else "no", mend)


def _optional(info: Mapping[str, Any]) -> Iterator[Finding]:
    """Yield the walls that a host may have besides."""
    options = " ".join(info.get("SecurityOptions") or [])
    for subject, names, mend in (
        (
            "AppArmor or SELinux",
            ("apparmor", "selinux"),
            "sudo apt-get install apparmor",
        ),
        (
            "user namespaces",
            ("userns", "rootless"),
            f'"userns-remap": "default" in {_DAEMON_JSON} && {_RESTART}',
        ),
    ):
        found = [name for name in names if f"name={name}" in options]
        evidence = ", ".join(found) or "off"
        yield Finding(subject, bool(found), evidence, mend, optional=True)


def _seccomp(options: Sequence[str]) -> Finding:
    found = next((one for one in options if one.startswith("name=seccomp")), "")
    ok = bool(found) and "unconfined" not in found
    mend = f"remove seccomp-profile from {_DAEMON_JSON} && {_RESTART}"
    return Finding("seccomp", ok, found.removeprefix("name=seccomp,") or "off", mend)


def _runtime(known: Mapping[str, Any], wanted: str) -> Finding:
    mend = "run.py serve --set runtime=runc"
    missing: set[str] = set()
    if wanted.startswith(GVISOR):
        mend = _INSTALL_GVISOR
        given = known.get(wanted, {}).get("runtimeArgs") or ()
        missing = set(GVISOR_ARGUMENTS) - set(given)
    evidence = f"{wanted}, of {', '.join(sorted(known))}"
    if wanted in known and missing:
        evidence += "; its runtimeArgs lack " + " ".join(sorted(missing))
    return Finding("runtime", wanted in known and not missing, evidence, mend)


def _live_restore(enabled: bool) -> Finding:
    # Both are safe: our leftovers are removed by their label at the next start.
    if enabled:
        words = "on: after an engine's crash old containers live on for a while"
    else:
        words = "off: containers end with their engine"
    return Finding("live-restore", True, words)


def _leftovers(engine: Engine, *, serving: bool) -> Finding:
    count = len(engine.containers(all=True, filters={"label": OWNER_LABEL}))
    return Finding(
        "leftovers",
        serving or not count,
        f"{count} containers of the running service" if serving else str(count),
        f"docker rm -f $(docker ps -aq --filter label={OWNER_LABEL})",
    )


def _why_not_bind(host: str, port: int) -> str:
    """Return what keeps a service from listening there; empty when nothing does."""
    try:
        family, kind, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM
        )[0]
        with socket.socket(family, kind) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
    except OSError as error:
        return f"can't be used: {error.strerror or error}"
    return ""
