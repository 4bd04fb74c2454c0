"""The live tree on a terminal: once, or drawn anew each second."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from gateway.client import ServiceAwayError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from rich.console import Console, RenderableType

    from gateway.client import Client

EVERY_S = 1.0
HAPPENINGS_SHOWN = 5
_STYLES = {
    "idle": "green",
    "busy": "bold yellow",
    "scrubbing": "cyan",
    "starting": "blue",
    "restarting": "bold red",
    "paused": "bold red",
}
_OTHER_LINES = HAPPENINGS_SHOWN + 6
"""What stands above and below the tree."""

Document = dict[str, Any]
Row = tuple[Text, Text, str, str, Text]


def show_tree(client: Client, admin_key: str, console: Console) -> None:
    """Draw the tree once."""
    console.print(draw(client.system(admin_key)))


def watch_tree(
    client: Client,
    admin_key: str,
    console: Console,
    pause: Callable[[float], None] = time.sleep,
) -> None:
    """Draw the tree again and again, until somebody interrupts."""
    with Live(console=console, screen=console.is_terminal, auto_refresh=False) as live:
        while True:
            live.update(_look(client, admin_key, console.height), refresh=True)
            pause(EVERY_S)


def _look(client: Client, admin_key: str, height: int) -> RenderableType:
    try:
        return draw(client.system(admin_key), height)
    except ServiceAwayError as error:
        return Text(f"{error}\nwaiting for it", style="red")


def draw(document: Document, height: int | None = None) -> RenderableType:
    """Return the tree; containers share a line where there are not lines enough."""
    dense = height is not None and len(document["actors"]) + _OTHER_LINES > height
    table = Table("actor", "state", box=None, pad_edge=False, header_style="dim")
    for name in ("mailbox", "restarts"):
        table.add_column(name, justify="right")
    table.add_column("does")
    for row in _rows(document, dense=dense):
        table.add_row(*row)
    return Group(_headline(document), Text(), table, Text(), *_happenings(document))


def _headline(document: Document) -> Text:
    minute = document["last_minute"]
    line = Text("Warmbox", style="bold")
    line.append(f"  up {duration(document['uptime_s'])}  broker ", style="not bold")
    is_up = document["broker"] == "up"
    line.append(document["broker"], style="green" if is_up else "bold red")
    line.append(f"  last minute: {minute['jobs']} jobs", style="not bold")
    if minute["wait_p50_ms"] is not None:
        waits = (duration(minute[f"wait_{p}_ms"] / 1000) for p in ("p50", "p95"))
        line.append("  waited {} (p95 {})".format(*waits), style="not bold")
    if minute["internal_errors"]:
        line.append(f"  {minute['internal_errors']} of our own errors", style="red")
    return line


# ------------------------------------------------------------------------------ rows


def _rows(document: Document, *, dense: bool) -> Iterator[Row]:
    doings = dict(_doings(document, dense=dense))
    actors = [
        one
        for one in document["actors"]
        if not (dense and one["name"].rpartition("/")[2].isdecimal())
    ]
    guides = _guides([one["name"] for one in actors])
    for one in actors:
        name = one["name"]
        yield (
            Text.assemble((guides[name], "dim"), name.rpartition("/")[2]),
            Text(one["state"], style=_STYLES.get(one["state"], "")),
            str(one["mailbox"] or ""),
            str(one["restarts"] or ""),
            doings.get(name, Text(one["kind"], style="dim")),
        )


def _guides(names: Sequence[str]) -> dict[str, str]:
    """Return what is drawn before each name of a tree that is in its order."""
    last = {name.rpartition("/")[0]: name for name in names}
    guides: dict[str, str] = {}
    for name in names:
        parent, _, _ = name.rpartition("/")
        if not parent:
            guides[name] = ""
            continue
        is_last = last[parent] == name
        above = guides.get(parent, "").replace("├─ ", "│  ").replace("└─ ", "   ")
        guides[name] = above + ("└─ " if is_last else "├─ ")
    return guides


def _doings(document: Document, *, dense: bool) -> Iterator[tuple[str, Text]]:
    """Yield what queues, pools and containers do."""
    for down in document["down"]:
        yield down["name"], Text(f"{down['reason']}, for {duration(down['for_s'])}")
    for language in document["languages"]:
        path = f"root/languages/{language['name']}"
        yield f"{path}/queue", Text(_queue(language))
        yield f"{path}/pool", _pool(language, dense=dense)
        for box in language["containers"]:
            yield box["name"], Text(_container(box))


def _queue(language: Document) -> str:
    minute = language["last_minute"]
    words = [f"{language['waiting']} waiting" if language["waiting"] else "empty"]
    if language["next_waits_s"] is not None:
        words.append(f"the next for {duration(language['next_waits_s'])}")
    if minute["jobs"]:
        words.append(f"{minute['jobs']} jobs a minute")
    return ", ".join(words)


def _pool(language: Document, *, dense: bool) -> Text:
    pool = language["pool"]
    line = Text(f"{pool['ready']} of {pool['wanted']} ready, at most {pool['max']}")
    if pool["paused"]:
        again = duration(pool["resumes_in_s"])
        line.append(f"  {pool['paused']}, again in {again}", style="red")
    if dense:
        for box in language["containers"]:
            line.append("  ").append(_cell(box))
    return line


def _cell(box: Mapping[str, Any]) -> Text:
    number = box["name"].rpartition("/")[2]
    return Text(f"{number} {box['state']}", style=_STYLES.get(box["state"], ""))


def _container(box: Mapping[str, Any]) -> str:
    past = f", {box['jobs']} jobs so far" if box["jobs"] else ""
    return f"for {duration(box['for_s'])}{past}"


def _happenings(document: Document) -> Iterator[Text]:
    for one in document["happenings"][:HAPPENINGS_SHOWN]:
        again = f", attempt {one['attempt']}" if one["attempt"] else ""
        yield Text.assemble(
            (one["at"][11:19], "dim"),
            f"  {one['name']} {one['kind']}{again}: {one['reason']}",
        )


def duration(seconds: float) -> str:
    """Return a time as people say it."""
    if seconds < 1:
        milliseconds = seconds * 1000
        return f"{milliseconds:.{1 if milliseconds < 10 else 0}f} ms"  # noqa: PLR2004
    if seconds < 60:  # noqa: PLR2004 - a minute
        return f"{seconds:.1f} s"
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"
