"""Two sides of results."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from workbench.bench.compare import Change, Comparison, Finding, Test, compare
from workbench.bench.files import read_runs
from workbench.bench.result import Fingerprint, Lag, Request, Result, Settings
from workbench.bench.summary import summarize
from workbench.errors import ConfigError

NO_LAG = Lag(
    kernel_stamps=True,
    read_mean_s=None,
    read_p99_s=None,
    send_mean_s=None,
    send_p99_s=None,
    share=0.0,
)


def run(ttft_s: float = 0.1, *, count: int = 20, wide_s: float = 0.001, **mark: Any) -> Result:
    """A run of requests whose TTFT alternates around *ttft_s*; each has 11 tokens in 1 s."""
    requests = tuple(
        Request(
            number=number,
            start_s=float(number),
            ttft_s=ttft_s + (wide_s if number % 2 else -wide_s),
            e2el_s=1.0,
            input_tokens=10,
            output_tokens=11,
        )
        for number in range(count)
    )
    return Result(
        settings=Settings(num_prompts=count, concurrency=1),
        fingerprint=Fingerprint(
            **{"model": "m", "base_url": "http://h/v1", "workload_hash": "w"} | mark
        ),
        started_at=datetime(2026, 1, 1, tzinfo=UTC),
        metrics=summarize(requests, duration_s=float(count)),
        lag=NO_LAG,
        requests=requests,
    )


def of(comparison: Comparison, metric: str) -> Change:
    return next(each for each in comparison.changes if each.metric == metric)


def test_a_run_compared_with_itself_has_not_changed():
    """Nothing is refused, and no regression found."""
    found = compare([run()], [run()])

    assert found.refused == ()
    assert found.regressions == ()
    assert not found.is_unsure


def test_a_change_beyond_threshold_and_noise_is_a_regression():
    """
    Runs of 100, 101, 102 ms and 120, 121, 122 ms: 20 of 101 more, 19.8 %.

    Welch: error √(1/3 + 1/3) = 0.816 ms, 4 degrees, 2.776: ± 2.267 ms.
    """
    before = [run(0.100), run(0.101), run(0.102)]
    after = [run(0.120), run(0.121), run(0.122)]
    change = of(compare(before, after), "TTFT mean")

    assert change.finding is Finding.REGRESSION
    assert change.test is Test.WELCH
    assert change.change is not None
    assert change.change.value == pytest.approx(20 / 101)
    assert change.change.high - change.change.value == pytest.approx(2.267 / 101, rel=1e-3)


def test_what_noise_explains_is_unsure_and_no_regression():
    """100, 140 and 110, 150 ms: 8 % more, and runs differ by a third."""
    found = compare([run(0.1), run(0.14)], [run(0.11), run(0.15)])

    assert of(found, "TTFT mean").finding is Finding.UNSURE
    assert found.is_unsure
    assert found.regressions == ()


def test_a_clear_change_within_the_threshold_is_told_and_no_regression():
    """One per cent more, with a spread of a tenth of that, is worse and below five."""
    before = [run(0.1000), run(0.1001), run(0.1000)]
    after = [run(0.1010), run(0.1011), run(0.1010)]

    assert of(compare(before, after), "TTFT mean").finding is Finding.WORSE
    assert of(compare(before, after, threshold=0.005), "TTFT mean").finding is Finding.REGRESSION
    assert of(compare(after, before), "TTFT mean").finding is Finding.BETTER


def test_one_run_is_tested_against_the_spread_of_several():
    """Three of 100, 101, 102 ms, and one of 120: 4.303 × 1 ms × √(4/3) = 4.97 ms either way."""
    change = of(compare([run(0.1), run(0.101), run(0.102)], [run(0.12)]), "TTFT mean")

    assert change.test is Test.SPREAD
    assert change.finding is Finding.REGRESSION
    assert change.change is not None
    assert change.change.low == pytest.approx((19 - 4.969) / 101, rel=1e-3)


def test_one_run_a_side_is_drawn_anew_and_warned_of():
    """Requests of 100 ± 1 and 120 ± 1 ms tell the means apart, and nothing of runs."""
    found = compare([run(0.1)], [run(0.12)])

    assert of(found, "TTFT mean").test is Test.BOOTSTRAP
    assert of(found, "TTFT mean").finding is Finding.REGRESSION
    assert "One run a side" in found.warnings[0]


def test_without_requests_a_single_run_is_not_tested():
    """Twenty per cent slower, and nobody can say of what: unsure."""
    before, after = (replace(run(ttft_s), requests=()) for ttft_s in (0.1, 0.12))
    found = compare([before], [after])

    assert of(found, "TTFT mean").finding is Finding.UNSURE
    assert of(found, "TTFT mean").test is Test.NONE
    assert "--save-detailed" in found.warnings[1]


def test_every_difference_that_matters_is_listed():
    """Model, seed, card and load differ: all four are named, and nothing is compared."""
    other = run(model="n", seed=1, card="other")
    other = replace(other, settings=replace(other.settings, concurrency=2))
    found = compare([run(card="one")], [other])

    assert [differs.name for differs in found.refused] == ["model", "concurrency", "card", "seed"]
    assert found.refused[0].values == ("m", "n")
    assert found.changes == ()
    assert compare([run(card="one")], [other], anyway=True).changes


def test_runs_of_a_side_may_have_a_seed_each():
    """Seeds 0, 1 and 0, 1 match, and so do 0, 1 and 0; 0, 1 and 1, 2 do not."""
    zero, one, two = (run(seed=seed) for seed in range(3))

    assert compare([zero, one], [zero, one]).refused == ()
    assert compare([zero, one], [zero]).refused == ()
    assert [each.name for each in compare([zero, one], [one, two]).refused] == ["seed"]


def test_what_one_compares_may_differ():
    """Another version or other flags are told, and refuse nothing."""
    found = compare(
        [run(server_version="0.31", flags={"a": 1})], [run(server_version="0.32", flags={"a": 2})]
    )

    assert found.refused == ()
    assert [differs.name for differs in found.told] == ["version", "flags"]


def test_what_is_not_known_is_not_different():
    """A file of vLLM's own says nothing of card, seed or prompts."""
    assert (
        compare([run(card="one")], [run(card=None, base_url="", workload_hash=None)]).refused == ()
    )


def test_prompts_of_other_lengths_are_no_match():
    """10 and 12 tokens a request, where no hash says that they are others."""
    other = run()
    other = replace(other, metrics=replace(other.metrics, input_tokens=240))
    found = compare([run()], [other])

    assert [differs.name for differs in found.refused] == ["input tokens a request"]


def test_seeds_of_a_side_may_differ_in_length_if_both_sides_have_them():
    """10 and 12 tokens a request, in the two runs of each side."""
    longer = run(seed=2)
    longer = replace(longer, metrics=replace(longer.metrics, input_tokens=240))
    side = [run(seed=1), longer]

    assert compare(side, side).refused == ()


def test_more_failures_are_a_regression_whatever_the_threshold():
    """Averages leave failures out: a server that fails quickly would look quick."""
    failing = run()
    failing = replace(failing, metrics=replace(failing.metrics, failed=1, sent=21))
    found = compare([run()], [failing])

    assert [change.metric for change in found.regressions] == ["failed"]


def test_a_folder_is_all_runs_in_it(tmp_path: Path):
    """And one without results is an error that says how to get one."""
    from workbench.bench import files

    for number in range(2):
        files.save(run(), tmp_path / f"run{number}.json", detailed=True)

    assert len(read_runs([tmp_path])) == 2
    assert len(read_runs([tmp_path / "run*.json"])) == 2
    assert read_runs([tmp_path])[0].metrics.ttft == run().metrics.ttft
    (tmp_path / "none").mkdir()
    with pytest.raises(ConfigError, match="no result"):
        read_runs([tmp_path / "none"])


def test_files_of_vllm_itself_are_read(tmp_path: Path):
    """Its summary alone has means to compare."""
    path = tmp_path / "vllm.json"
    values = {f"{kind}_{name}_ms": 1.0 for kind in ("mean", "median", "std") for name in ("ttft",)}
    written = {
        "date": "20260101-000000",
        "model_id": "m",
        "num_prompts": 3,
        "request_rate": "inf",
        "max_concurrency": 1,
        "duration": 2.0,
        "completed": 3,
        "failed": 0,
        "total_input_tokens": 30,
        "total_output_tokens": 33,
    }
    path.write_text(json.dumps(written | values))
    found = compare(read_runs([path]), read_runs([path]))

    assert of(found, "output throughput").before == pytest.approx(16.5)
    assert of(found, "TTFT mean").before == pytest.approx(0.001)
