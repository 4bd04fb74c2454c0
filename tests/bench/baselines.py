"""The baselines' side of a run: their containers, the naive server, the files."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import docker
from docker.utils import kwargs_from_env
from ways import Site

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

HERE = Path(__file__).parent


def start_box(api: Any, language: str, folder: str) -> str:
    """Start a container in which `docker exec` will find its tools and the files.

    Read-only, or else Go would keep what it has compiled, and find it the next time:
    jobs are new programs.
    """
    made = api.create_container(
        f"warmbox/{language}:latest",
        entrypoint=["sleep", "infinity"],
        network_disabled=True,
        host_config=api.create_host_config(
            binds=[f"{folder}:{folder}"],
            tmpfs={"/box/home": "", "/tmp": ""},  # noqa: S108 - the container's
            read_only=True,
            init=True,
        ),
    )
    api.start(made["Id"])
    return str(made["Id"])


@contextmanager
def naive_server(site: Site) -> Iterator[Site]:
    """Start the naive server; yield the site with it."""
    process = subprocess.Popen(
        [sys.executable, str(HERE / "naive_server.py"), json.dumps(asdict(site))],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        yield replace(site, naive_port=port, naive_pid=process.pid)
    finally:
        process.kill()
        process.wait()


@contextmanager
def baselines(languages: Iterable[str]) -> Iterator[Site]:
    """Set up all that is not Warmbox; take it away again at the end."""
    api = docker.APIClient(timeout=60, **kwargs_from_env())
    site = Site(tempfile.mkdtemp(prefix="warmbox-bench-"))
    try:
        for language in languages:
            box = start_box(api, language, site.folder)
            site.boxes[language] = box
            site.insides[language] = api.inspect_container(box)["State"]["Pid"]
        with naive_server(site) as whole:
            yield whole
    finally:
        for box in site.boxes.values():
            api.remove_container(box, force=True)
        api.close()
        shutil.rmtree(site.folder, ignore_errors=True)
