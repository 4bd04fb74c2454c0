"""The figures of the attack suite, as they are printed at its end."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from attacking import Report
    from http_api import Api

RULE_OF_THREE = 3
"""No event in N trials: with 95 % confidence its probability is below 3/N."""
_BUCKET = "warmbox_scrub_seconds_bucket"


def attack_figures(reports: Sequence[Report], scrubs: str) -> list[str]:
    """Return what became of the attacks, in lines."""
    count = Counter(report.verdict for report in reports)
    tried = len(reports)
    recycled = sum(report.recycled for report in reports)
    became = ", ".join(
        f"{name} {count[name]}"
        for name in ("contained", "shown", "leaked", "unproven")
        if count[name] or name != "shown"
    )
    share = f"{recycled} of {tried} ({recycled / max(tried, 1):.0%})"
    lines = [
        f"attacks tried {tried}: {became}",
        f"containers recycled after an attack: {share}; {scrubs}",
    ]
    if not count["leaked"]:
        lines.append(bound(tried))
    return lines


def bound(trials: int) -> str:
    """Return what no leak in so many trials says of the next."""
    share = min(1.0, RULE_OF_THREE / max(trials, 1))
    return (
        f"no leak in {trials}: with 95 % confidence fewer than 3/N = {share:.2%} leak"
    )


def scrub_times(api: Api) -> str:
    """Return how long the service's scrubs took, from its histogram."""
    buckets = scrub_buckets(api)
    shares = (0.5, 0.95, 0.99)
    found = [f"p{share * 100:.0f} {quantile(buckets, share)}" for share in shares]
    return f"{buckets.get(float('inf'), 0):.0f} scrubs, {', '.join(found)}"


def scrub_buckets(api: Api) -> dict[float, float]:
    """Return how many scrubs took at most so many seconds."""
    found = {}
    for line in api.call("GET", "/metrics").body.decode().splitlines():
        head, _, value = line.rpartition(" ")
        if head.startswith(_BUCKET):
            found[float(head.split('"')[1])] = float(value)
    return found


def quantile(buckets: Mapping[float, float], share: float) -> str:
    """Return the bucket that holds this share of all."""
    total = max(buckets.values(), default=0)
    for limit, count in sorted(buckets.items()):
        if total and count >= share * total:
            return f"<= {limit * 1e3:g} ms"
    return "unknown"
