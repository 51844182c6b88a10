"""What stands beside a result."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.bench.results import request, result
from tests.conftest import PROJECT
from workbench.bench.beside import Power, bound_of, energy_of, lines
from workbench.bench.energy import Price
from workbench.bench.power import PowerMeter
from workbench.bench.result import Result
from workbench.bench.roofline import Roofline

MODELS = PROJECT / "models"


def beside(*results: Result, gpu: str | None = None, power: Power | None = None) -> list[str]:
    return lines(results, models_dir=MODELS, gpu=gpu, power=power or Power())


def test_of_nothing_known_nothing_is_said():
    """No card, no watts, one load."""
    assert beside(result()) == []


def test_three_loads_have_a_knee_line():
    """6, 12, 12.1 tokens a second at 1, 2, 4: 6²/1 = 36, 12²/2 = 72, 12.1²/4 = 36.6."""
    loads = [
        result(concurrency=at, duration_s=12 / tps) for at, tps in ((1, 6), (2, 12), (4, 12.1))
    ]
    (said,) = beside(*loads)

    assert said.startswith("knee: at concurrency 2 (between 1 and 4), with 99% of the greatest")


def test_a_knee_that_was_not_passed_is_no_knee():
    """6, 12, 24 at 1, 2, 4: each doubling doubles it."""
    loads = [result(concurrency=at, duration_s=12 / tps) for at, tps in ((1, 6), (2, 12), (4, 24))]

    assert beside(*loads) == [
        "knee: not reached at 4; throughput still pays for the waiting",
    ]


def test_each_of_several_says_which_it_is():
    """By its concurrency, where it takes longer and so more energy."""
    quick, slow = result(concurrency=1), result(concurrency=2)
    slow = replace(slow, metrics=replace(slow.metrics, duration_s=10 * quick.metrics.duration_s))
    said = beside(quick, slow, power=Power(watts=100))

    assert [line.split(": ")[0] for line in said] == ["concurrency 1", "concurrency 2"]


def test_what_holds_for_all_of_several_is_said_once():
    """The same energy beside both."""
    said = beside(result(concurrency=1), result(concurrency=2), power=Power(watts=100))

    assert [line.split(": ")[0] for line in said] == ["energy"]


def test_energy_is_watts_by_the_runs_seconds_for_its_tokens():
    """
    360 W for 2 s are 720 J or 0.2 Wh, for 12 tokens: 16.7 Wh for 1,000; at 0.30 for 1,000 Wh
    that is 0.005.
    """
    power = Power(watts=360, price=Price(0.30, "EUR"))

    assert beside(result(), power=power) == [
        "energy: 360 W (declared), 16.7 Wh for 1,000 output tokens, 0.005 EUR"
    ]


def test_a_meters_watts_are_those_of_the_run():
    """100 W before it, 300 W from its beginning to its end."""
    began_s = result().started_at.timestamp()
    meter = PowerMeter()
    meter.samples = [(began_s - 9, 100.0), (began_s, 300.0), (began_s + 2, 300.0)]
    meter.source = "measured: a card's own meter"
    found = energy_of(result(), Power(meter=meter))

    assert found is not None
    assert (found.watts, found.source) == (300.0, "measured: a card's own meter")


def test_a_meter_that_saw_nothing_says_nothing():
    """Unknown is not zero."""
    assert energy_of(result(), Power(meter=PowerMeter())) is None


def test_the_bound_is_of_the_models_shape_and_what_was_under_way():
    """
    Four answers of 40 ms of decoding in 2 s are 0.08 at once: one, since less than one is none.
    They hold ten tokens and half of three.
    """
    found = bound_of(result(), models_dir=MODELS, gpu="7900xtx")

    assert isinstance(found, Roofline)
    assert found.batch == 1.0
    assert found.measured_tps == pytest.approx(50)  # one in 20 ms
    assert found.bandwidth_bytes_s == 960e9
    assert 0 < found.share < 1


@pytest.mark.parametrize(
    ("changed", "gpu", "why"),
    [
        ({}, None, "the bandwidth of this server is not known here"),
        ({"card": "AMD EPYC, 2 cores"}, None, "the bandwidth of AMD EPYC, 2 cores is not known"),
        ({"model": "no-such-model"}, "7900xtx", "no share of what it allows: "),
    ],
)
def test_what_is_missing_for_the_bound_is_said(changed: dict[str, str], gpu: str | None, why: str):
    """A processor is no card, and a model that is not here has no shape."""
    mark = replace(result().fingerprint, **changed)
    found = bound_of(replace(result(), fingerprint=mark), models_dir=MODELS, gpu=gpu)

    assert isinstance(found, str)
    assert found.startswith(why)


@pytest.mark.parametrize(
    ("field", "why"), [("output_tokens", "no TPOT"), ("input_tokens", "tokens are not counted")]
)
def test_without_counted_tokens_there_is_no_bound(field: str, why: str, tmp_path: Path):
    """A server without usage."""
    bare = replace(request(0), **{field: None})  # type: ignore[arg-type]
    found = bound_of(result(requests=(bare,)), models_dir=tmp_path, gpu="7900xtx")

    assert isinstance(found, str)
    assert found.startswith(why)


def test_beside_nothing_stands_nothing():
    """A measurement that was ended before its first result."""
    assert beside(power=Power(watts=100)) == []
