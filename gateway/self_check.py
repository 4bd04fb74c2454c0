"""Each language's hello through the HTTP API, as any client would run it."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from gateway.client import ClientError, ServiceAwayError

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console

    from gateway.client import Client
    from images.catalog import Catalog, Language

READY_S_MAX = 120
"""Eight pools of five containers start in some ten seconds on two cores."""
_POLL_S = 0.2


@dataclass(frozen=True, slots=True)
class Checked:
    """How one language's hello went."""

    language: str
    version: str
    output: str
    milliseconds: float
    ok: bool


def self_check(
    client: Client,
    catalog: Catalog,
    console: Console,
    pause: Callable[[float], None] = time.sleep,
) -> bool:
    """Run every served language's hello and print how it went; False if one is wrong.

    A language whose containers don't become ready in time is checked all the same:
    what it answers then is the best explanation there is.
    """
    try:
        served = _wait_until_ready(client, console, pause)
    except ClientError as error:
        console.print(f"self-check: {error}", markup=False, style="red")
        return False
    results = []
    with console.status("running each language's hello"):
        for one in served:
            language = catalog.languages[one["name"]]
            results.append(_check(client, language, str(one["version"])))
    console.print(_table(results))
    return bool(results) and all(result.ok for result in results)


def _wait_until_ready(
    client: Client, console: Console, pause: Callable[[float], None]
) -> list[dict[str, Any]]:
    with console.status("waiting for the service") as status:
        for _ in range(int(READY_S_MAX / _POLL_S)):
            try:
                served = client.languages()
            except ServiceAwayError:
                served = []
            ready = sum(bool(one["ready"]) for one in served)
            if served and ready == len(served):
                return served
            status.update(f"waiting for warm containers: {ready} of {len(served)}")
            pause(_POLL_S)
    return client.languages()


def _check(client: Client, language: Language, version: str) -> Checked:
    began = time.perf_counter()
    try:
        output, result = _run(client, language)
    except ClientError as error:
        output, result = str(error), {"outcome": "internal_error"}
    milliseconds = (time.perf_counter() - began) * 1000
    ok = result["outcome"] == "success" and output == language.hello.stdout
    if not ok:
        output = f"{result['outcome']}: {output or result.get('message', '')}"
    return Checked(language.name, version, output, milliseconds, ok)


def _run(client: Client, language: Language) -> tuple[str, dict[str, Any]]:
    """Return all that the hello wrote, on any stream, and how it ended."""
    job_id = client.submit({"language": language.name, "source": language.hello.source})
    texts: list[str] = []
    result: dict[str, Any] = {}
    for event in client.follow(job_id):
        result = json.loads(event.data)
        if event.name == "restarted":
            texts.clear()
        elif "text" in result:
            texts.append(result["text"])
    return "".join(texts), result


def _table(results: list[Checked]) -> Table:
    table = Table("language", "version", "output", title="self-check")
    table.add_column("ms", justify="right")
    table.add_column("ok")
    for result in results:
        table.add_row(
            result.language,
            Text(result.version),
            Text(result.output.strip()),
            f"{result.milliseconds:.1f}",
            Text("ok", style="green") if result.ok else Text("wrong", style="bold red"),
        )
    return table
