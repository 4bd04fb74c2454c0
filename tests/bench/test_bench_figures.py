"""What the benchmark computes from what it has measured."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import bench
import pytest
from burst import Plan, fairness, summary
from load import Loaded, rate
from report import BEGIN, END, write_report
from requirements import requirements
from rounds import Results, best
from sandbox_costs import Counts, retired_between, scrub_bound_ms
from spread import Spread, percentile, ratios, spread
from ways import BARE, STREAM, Site
from workloads import WORKLOADS

if TYPE_CHECKING:
    from pathlib import Path


def some_results() -> Results:
    """Return two rounds in which Warmbox took 4 and 6 ms, a process 10 each time."""
    results = Results(machine={"cores": "2"})
    for ours in (4.0, 6.0):
        results.latencies("python hello", STREAM).add([ours, ours, 9.0])
        results.latencies("python hello", BARE).add([10.0])
        results.rates("python hello", STREAM, 32).append(ours * 100)
        results.rates("python hello", BARE, 2).append(150.0)
        results.rates("python hello", BARE, 8).append(200.0)
    return results


@pytest.mark.parametrize(
    ("values", "share", "expected"),
    [
        ([3.0, 1.0, 2.0], 0.5, 2.0),
        ([float(n) for n in range(1, 101)], 0.99, 99.0),
        ([7.0], 0.99, 7.0),
    ],
)
def test_a_percentile_is_a_value_that_was_measured(
    values: list[float], share: float, expected: float
) -> None:
    assert percentile(values, share) == expected


def test_a_ratio_is_taken_within_each_round() -> None:
    assert spread(ratios([4, 30], [10, 60])) == Spread(0.45, 0.4, 0.5)


def test_a_round_that_was_interrupted_is_left_out() -> None:
    assert ratios([4, 30], [10]) == [0.4]


def test_latency_is_compared_by_the_medians() -> None:
    ratio = some_results().latency_ratio("python hello", STREAM, BARE)
    assert ratio == Spread(0.5, 0.4, 0.6)


def test_a_load_in_parts_has_one_rate() -> None:
    parts = [Loaded(30, 1.0, 0, 0, []), Loaded(30, 2.0, 0, 0, [])]
    assert rate(parts) == 20


def test_a_machine_that_gets_slower_does_so_for_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    left = 1000

    def throughput(*_: object) -> Loaded:
        nonlocal left
        left -= 10
        return Loaded(left, 1.0, 0.5, 0, [])

    monkeypatch.setattr(bench, "throughput", throughput)
    monkeypatch.setattr(bench, "await_quiet", lambda _: None)
    results = Results()
    bench.Bench(bench.QUICK, results, lambda: None).throughput(Site(""))
    hello = results.throughput["python hello"]
    assert set(hello[STREAM]) == {"1", "2", "8", "32"}
    found = [rates for ways in results.throughput.values() for rates in ways.values()]
    assert len({tuple(rates) for cells in found for rates in cells.values()}) == 1
    assert results.client_share[STREAM] == 0.5


def test_throughput_is_compared_with_the_others_best() -> None:
    ratio = some_results().throughput_ratio("python hello", STREAM, BARE, 32)
    assert ratio == Spread(2.5, 2.0, 3.0)


def test_one_lucky_round_is_not_the_best() -> None:
    assert best({"2": [10, 11, 10], "8": [5, 50, 5]}) == [10, 11, 10]


def test_requirements_tell_met_missed_and_not_measured_apart() -> None:
    verdicts = {one.figure: one.verdict for one in requirements(some_results())}
    assert verdicts["python hello, POST to end of SSE, p50"] == "NOT MET"
    assert verdicts["python hello, throughput at 32 clients"] in {"met", "not measured"}
    assert verdicts["java hello, POST to end of SSE, p50"] == "not measured"


def test_what_may_never_happen_is_judged_by_the_worst_round() -> None:
    results = some_results()
    results.burst[:] = [
        {"jobs": 10, "refused": 0, "failed": failed, "page_p99_ms": 1.0}
        for failed in (0, 0, 1)
    ]
    verdicts = {one.figure: one.verdict for one in requirements(results)}
    assert verdicts["burst of 10: refused, lost or failed"] == "NOT MET"
    assert verdicts["burst of 10: p99 of GET /"] == "met"


# ----------------------------------------------------------------------- burst


@pytest.mark.parametrize("plan", [Plan(10_000, 1000), Plan(1000, 100), Plan(203, 41)])
def test_the_shares_of_a_burst_are_all_its_jobs(plan: Plan) -> None:
    shares = plan.shares()
    assert len({source for source, _ in shares}) == plan.clients
    counts = [count for _, count in shares]
    assert min(counts) == 1
    assert max(counts) > plan.jobs // plan.clients
    assert abs(sum(counts) - plan.jobs) < 20


def job(source: str, ended: float, outcome: str = "success") -> dict[str, object]:
    return {
        "source": source,
        "posted": 1.0,
        "status": 202,
        "answered": 1.5,
        "ended": ended,
        "outcome": outcome,
    }


def test_a_job_whose_end_nobody_told_has_failed() -> None:
    found = summary([job("a", 3.0), job("a", 0.0, "")], started=1.0)
    assert (found["accepted"], found["failed"], found["last_result_s"]) == (2, 1, 2.0)


def test_fairness_is_when_a_client_has_all_of_its_own() -> None:
    jobs = [job("small", 2.0), job("large", 2.5), job("large", 9.0)]
    assert fairness(jobs, 1.0) == {
        "client_of_one_done_s": 1.0,
        "client_of_most_done_s": 8.0,
    }


# ------------------------------------------------------------------ containers


def test_the_scrubs_bound_lies_in_the_bucket_that_holds_it() -> None:
    before = Counts({0.005: 10, 0.01: 10, float("inf"): 10}, {})
    after = Counts({0.005: 100, 0.01: 110, float("inf"): 110}, {})
    assert scrub_bound_ms(before, after) == pytest.approx(7.5)


def test_only_what_was_retired_meanwhile_counts() -> None:
    before, after = (
        Counts({}, {"age": 2, "dirty": 1}),
        Counts({}, {"age": 2, "dirty": 4}),
    )
    assert retired_between(before, after) == {"dirty": 3}


# ---------------------------------------------------------------------- report


def test_the_report_leaves_the_rest_of_the_page_alone(tmp_path: Path) -> None:
    page = tmp_path / "performance.md"
    page.write_text(f"# Ours\n\n{BEGIN}\nold\n{END}\n\n## Written by hand\n")
    write_report(some_results(), tmp_path)
    text = page.read_text()
    assert text.startswith(f"# Ours\n\n{BEGIN}\n")
    assert text.endswith(f"{END}\n\n## Written by hand\n")
    assert "old" not in text
    assert "0.50 (0.40 to 0.60)" in text
    assert json.loads((tmp_path / "performance.json").read_text())["latency"]


def test_several_runs_of_a_burst_are_one_table(tmp_path: Path) -> None:
    results = some_results()
    results.burst += [
        {"jobs": 10, "refused": 0, "failed": 0, "page_p99_ms": float(ms)}
        for ms in (20, 30, 70)
    ]
    results.elastic += [
        {"containers": "always 2", "p95": 9.0},
        {"containers": "2 to 4", "p95": 3.0},
    ]
    write_report(results, tmp_path)
    text = " ".join((tmp_path / "performance.md").read_text().split())
    assert text.count("## The burst") == 1
    assert "| page p99 ms | 30 (20 to 70) |" in text
    assert "| containers | always 2 | 2 to 4 |" in text
    assert "| p95 | 9 | 3 |" in text


def test_pictures_are_drawn_of_what_there_is(tmp_path: Path) -> None:
    write_report(some_results(), tmp_path)
    for name in ("latency", "throughput"):
        assert (tmp_path / f"performance-{name}.png").stat().st_size > 10_000


def test_a_workload_that_says_something_else_is_an_error() -> None:
    with pytest.raises(AssertionError, match="python hello"):
        WORKLOADS["python hello"].check(b"Traceback", "somebody")
