"""The report's pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib as mpl
from spread import spread
from ways import BARE, WAYS

mpl.use("Agg")  # files only: there need be no screen
from matplotlib import pyplot as plt

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from matplotlib.axes import Axes
    from rounds import Results

_COLOURS = dict(
    zip(
        WAYS,
        ("#c2410c", "#fb923c", "#1e3a8a", "#60a5fa", "#737373", "#a3a3a3"),
        strict=True,
    )
)
_INCHES = (10.0, 4.5)
_WORKLOADS_MAX = 8


def draw_plots(results: Results, folder: Path) -> list[str]:
    """Draw what there are figures for; return the lines that show it on the page."""
    plots: tuple[tuple[str, str, Callable[[Axes, Results], bool]], ...] = (
        ("latency", "Latency against a bare process", _latency),
        ("throughput", "Throughput by number of clients", _throughput),
    )
    lines = []
    for name, title, draw in plots:
        figure, axes = plt.subplots(figsize=_INCHES, layout="constrained")
        if draw(axes, results):
            axes.spines[["top", "right"]].set_visible(False)
            columns = len(WAYS) // 2  # all in one line are wider than the picture
            figure.legend(loc="outside lower center", ncols=columns, frameon=False)
            file = f"performance-{name}.png"
            # without metadata, a run that measures the same draws the same file
            figure.savefig(folder / file, dpi=110, metadata={"Software": None})
            lines.append(f"![{title}]({file})")
        plt.close(figure)
    return lines


def _latency(axes: Axes, results: Results) -> bool:
    names = list(results.latency)[:_WORKLOADS_MAX]
    ways = [way for way in WAYS if way != BARE]
    width = 0.8 / len(ways)
    for place, way in enumerate(ways):
        found = [results.latency_ratio(name, way, BARE) for name in names]
        bars = [(n + place * width, one) for n, one in enumerate(found) if one]
        axes.bar(
            [x for x, _ in bars],
            [one.median for _, one in bars],
            width,
            yerr=[
                [one.median - one.low for _, one in bars],
                [one.high - one.median for _, one in bars],
            ],
            label=way,
            color=_COLOURS[way],
        )
    axes.axhline(1, color=_COLOURS[BARE], linewidth=1, label=BARE)
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter("{x:g}")
    labels = [name.replace(" ", "\n", 1) for name in names]
    axes.set_xticks([n + 0.4 - width / 2 for n in range(len(names))], labels)
    axes.set_ylabel("p50, multiple of a bare process")
    return bool(names)


def _throughput(axes: Axes, results: Results) -> bool:
    ways = results.throughput.get("python hello", {})
    for way, found in ways.items():
        counts = sorted(map(int, found))
        rates = [spread(found[str(count)]) for count in counts]
        axes.plot(
            counts,
            [one.median for one in rates],
            marker="o",
            label=way,
            color=_COLOURS[way],
        )
        axes.fill_between(
            counts,
            [one.low for one in rates],
            [one.high for one in rates],
            color=_COLOURS[way],
            alpha=0.15,
        )
    axes.set_xscale("log", base=2)
    axes.set_xticks([1, 2, 8, 32, 128], ["1", "2", "8", "32", "128"])
    axes.set_xlabel("clients")
    axes.set_ylabel("Python hellos a second")
    axes.set_ylim(bottom=0)
    return bool(ways)
