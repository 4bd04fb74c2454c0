"""Settings that can't work together, each as a sentence that names their keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from actors.sandbox import JOB_BYTES_MAX
from supervisors.broker_url import EMBEDDED
from supervisors.settings_model import DefaultLimits

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

UID_MAX = 2**32 - 2
"""The kernel's largest; the next one means that there is none."""
POOLS_OF_ALL = 8
"""What `languages` stands for when it is empty, about; who starts counts exactly."""
HEADER_KB = 1024
"""What a job's frame holds beside its files and its stdin: arguments, environment."""
NAME_KB = 2
"""What a file's name takes there: once for itself, and in each step's command."""

FITS: tuple[tuple[tuple[str, ...], str, int], ...] = (
    (("http.source_kb_max", "http.stdin_kb_max"), "http.body_kb_max", 1),
    (("http.source_kb_max", "http.stdin_kb_max"), "queue_mb_max", 1024),
    (("http.stdin_kb_max",), "http.job_stdin_kb_max", 1),
    (("http.job_stdin_kb_max",), "http.stdins_mb_max", 1024),
    (("http.body_kb_max",), "http.bodies_mb_max", 1024),
)
"""What must fit, together, into what; and how many of the first unit the second is."""


class Written:
    """The values in force by dotted key, and where each came from."""

    def __init__(self, flat: Mapping[str, Any], sources: Mapping[str, str]) -> None:
        self._flat = flat
        self._sources = sources

    def __getitem__(self, key: str) -> Any:
        return self._flat[key]

    def say(self, *keys: str) -> str:
        """Return each key with its value and where that was written."""
        return ", ".join(f"{key} = {self[key]}{self._source(key)}" for key in keys)

    def _source(self, key: str) -> str:
        source = self._sources.get(key)
        return f" ({source})" if source else ""


def contradictions(written: Written) -> Iterator[str]:
    """Yield what can't work, the likeliest first."""
    yield from _caps(written)
    yield from _roles(written)
    yield from _sizes(written)
    yield from _fits(written)
    pools = len(written["languages"]) or POOLS_OF_ALL
    yield from uids(written, pools)


def _caps(written: Written) -> Iterator[str]:
    pairs = [(f"limits.{name}", f"caps.{name}") for name in DefaultLimits.model_fields]
    pairs += [
        ("pool.warm", "pool.max"),
        ("http.source_kb_max", "http.body_kb_max"),
        ("http.stdin_kb_max", "http.body_kb_max"),
    ]
    for low, high in pairs:
        if written[low] is not None and written[low] > written[high]:
            yield f"{written.say(low)} is above {written.say(high)}"


def _roles(written: Written) -> Iterator[str]:
    if written["broker"] == EMBEDDED and written["role"] != "all":
        yield (
            f"{written.say('role')} needs a broker that it can share with others, "
            f"and {written.say('broker')}"
        )
    if written["gateways"] > 1 and written["role"] != "gateway":
        yield (
            f"{written.say('gateways')} is for processes that only take jobs, "
            f"and {written.say('role')}"
        )


def _sizes(written: Written) -> Iterator[str]:
    keys = "http.source_kb_max", "http.stdin_kb_max", "http.files_max"
    source_kb, stdin_kb, files = (written[key] for key in keys)
    needed_kb = source_kb + stdin_kb + HEADER_KB + NAME_KB * files
    if needed_kb > JOB_BYTES_MAX // 1024:
        yield (
            f"{written.say(*keys)} make a job of {needed_kb} KiB, "
            f"and no container takes one of more than {JOB_BYTES_MAX // 1024} KiB"
        )
    if written["caps.output_kb"] > written["results_mb_max"] * 1024:
        yield (
            f"{written.say('caps.output_kb')} is more than "
            f"{written.say('results_mb_max')} has room for: such a result would be "
            f"gone at once"
        )


def _fits(written: Written) -> Iterator[str]:
    for keys, into, scale in FITS:
        if sum(written[key] for key in keys) > written[into] * scale:
            yield f"{written.say(*keys)} do not fit into {written.say(into)}"


def uids(written: Written, pools: int) -> Iterator[str]:
    """Yield whether so many pools can't have uids of their own.

    As many containers again may be about to go, and the doctor has the last range.
    """
    ranges = 2 * pools * written["pool.max"] + 1
    last = written["uid_first"] + ranges * written["uids_per_container"] - 1
    if last > UID_MAX:
        keys = "uid_first", "uids_per_container", "pool.max"
        yield (
            f"{written.say(*keys)}: with {pools} languages, uids up to {last} "
            f"would be needed, and the largest is {UID_MAX}"
        )


def at_engine(written: Written, info: Mapping[str, Any]) -> Iterator[str]:
    """Yield what the engine, which tells this of itself, can't do for a container."""
    there = info["NCPU"]
    if written["cpus"] > there:
        yield f"{written.say('cpus')} is more than the {there} that Docker's host has"
    runtimes = [("runtime", written["runtime"])]
    runtimes += [("runtimes", entry.split("=")[1]) for entry in written["runtimes"]]
    for key, runtime in runtimes:
        if runtime not in info["Runtimes"]:
            known = ", ".join(sorted(info["Runtimes"]))
            yield f"{written.say(key)}: Docker knows no runtime {runtime}, but {known}"
