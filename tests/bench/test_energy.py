"""What a run took of electricity."""

from __future__ import annotations

from pathlib import Path

import pytest

from workbench.bench.energy import Energy, Price, mean_watts, read_price
from workbench.bench.power import PowerMeter, RaplCounter, amd_watts
from workbench.errors import ConfigError


def test_energy_and_cost_of_a_thousand_tokens():
    """
    360 W for 100 s are 36,000 J; of 10,000 tokens 3.6 J each, 1 Wh a thousand, at 0.30 a
    kilowatt-hour 0.0003.
    """
    energy = Energy(
        watts=360, source="declared", duration_s=100, tokens=10_000, price=Price(0.3, "EUR")
    )

    assert energy.joules_per_token == pytest.approx(3.6)
    assert energy.wh_per_1000 == pytest.approx(1)
    assert energy.cost_per_1000 == pytest.approx(0.0003)


def test_what_is_not_counted_has_no_price():
    """Without tokens, or without a price, the cost is unknown and not zero."""
    uncounted = Energy(watts=1, source="", duration_s=1, tokens=None, price=Price(1))
    unpriced = Energy(watts=1, source="", duration_s=1, tokens=1)

    assert uncounted.cost_per_1000 is None
    assert uncounted.wh_per_1000 is None
    assert unpriced.cost_per_1000 is None


@pytest.mark.parametrize(
    ("text", "price"),
    [("0.30EUR", Price(0.3, "EUR")), ("0.3 €", Price(0.3, "€")), ("1", Price(1.0, ""))],
)
def test_a_price_has_a_currency(text: str, price: Price):
    """Or none: then it is a number of whatever was meant."""
    assert read_price(text) == price


@pytest.mark.parametrize("text", ["", "EUR", "-1", "1.2.3"])
def test_what_is_no_price_is_refused(text: str):
    """With an example."""
    with pytest.raises(ConfigError, match="no price"):
        read_price(text)


def test_power_is_averaged_over_the_run_alone():
    """
    100 W at 0 s, 200 W at 10 s, 200 W at 20 s; from 5 to 15 s: 150 rising to 200 over 5 s (175),
    then 200 for 5 s: 187.5 on average.
    """
    samples = [(0.0, 100.0), (10.0, 200.0), (20.0, 200.0)]

    assert mean_watts(samples, 5, 15) == pytest.approx(187.5)
    assert mean_watts([(3.0, 80.0)], 5, 15) == 80
    assert mean_watts([], 5, 15) is None


def test_amd_cards_are_read_in_microwatts(tmp_path: Path):
    """Two cards, one with the older file and one with the newer: 300 and 50 W."""
    for card, name, watts in (("card0", "power1_average", 300), ("card1", "power1_input", 50)):
        monitor = tmp_path / f"sys/class/drm/{card}/device/hwmon/hwmon3"
        monitor.mkdir(parents=True)
        (monitor / name).write_text(f"{watts * 1_000_000}\n")

    assert amd_watts(tmp_path) == (350, "measured: the AMD cards' own meters")


def test_a_processors_counter_may_go_round(tmp_path: Path):
    """From 9 of at most 9 to 4 µJ are five more; its parts are not counted twice."""
    zone = tmp_path / "sys/class/powercap/intel-rapl:0"
    for folder in (zone, tmp_path / "sys/class/powercap/intel-rapl:0:0"):
        folder.mkdir(parents=True)
        (folder / "energy_uj").write_text("9")
        (folder / "max_energy_range_uj").write_text("9")
    counter = RaplCounter(tmp_path)

    assert counter.watts() is None
    (zone / "energy_uj").write_text("4")
    reading = counter.watts()
    assert reading is not None
    assert 0 < reading[0] < 5e-6 / 1e-7


def test_a_meter_without_a_source_has_no_samples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """It says nothing rather than zero watts."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with PowerMeter(tmp_path) as meter:
        pass

    assert (meter.samples, meter.source) == ([], None)
