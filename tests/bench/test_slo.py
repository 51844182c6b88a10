"""What an answer must keep to."""

from __future__ import annotations

import pytest

from workbench.bench.slo import PRESETS, Slo, read_slo
from workbench.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "slo"),
    [
        ("ttft=200ms,tpot=50ms", Slo(ttft_s=0.2, tpot_s=0.05)),
        ("e2el=3s", Slo(e2el_s=3.0)),
        ("ttft:200, TPOT:50", Slo(ttft_s=0.2, tpot_s=0.05)),
        ("ttft = 1.5 s", Slo(ttft_s=1.5)),
    ],
)
def test_limits_are_read_with_their_units(text: str, slo: Slo):
    """A number alone is milliseconds, and a colon will do: ``vllm bench serve`` has both."""
    assert read_slo(text) == slo


@pytest.mark.parametrize("text", ["", "ttft", "ttft=0", "itl=3ms", "ttft=1.2.3", "ttft=1,ttft=2"])
def test_what_is_no_limit_is_named(text: str):
    """The message has what was typed, the hint an example."""
    with pytest.raises(ConfigError, match="not a limit") as caught:
        read_slo(text)

    assert "ttft=200ms" in str(caught.value.hint)


def test_a_good_answer_meets_every_limit():
    """One that misses one of two is not good; a limit itself is still met."""
    slo = Slo(ttft_s=0.2, tpot_s=0.05)

    assert slo.is_met(ttft_s=0.2, tpot_s=0.05, e2el_s=9)
    assert not slo.is_met(ttft_s=0.21, tpot_s=0.01, e2el_s=1)
    assert not slo.is_met(ttft_s=0.01, tpot_s=0.06, e2el_s=1)


def test_an_answer_of_one_token_has_no_tpot_to_miss():
    """vLLM counts its TPOT as 0 for goodput."""
    assert Slo(tpot_s=0.001).is_met(ttft_s=1, tpot_s=None, e2el_s=1)


def test_an_slo_says_what_it_is():
    """As it stands above a table."""
    assert str(Slo(ttft_s=0.2, e2el_s=3)) == "TTFT ≤ 200 ms, E2EL ≤ 3.00 s"


def test_presets_have_the_published_limits():
    """guidellm's guide: chat 200/50, RAG 300/100, code generation 500/150, each for 99 %."""
    limits = {
        name: (preset.slo.ttft_s, preset.slo.tpot_s, preset.goodput)
        for name, preset in PRESETS.items()
    }

    assert limits == {
        "chat": (0.2, 0.05, 0.99),
        "rag": (0.3, 0.1, 0.99),
        "code": (0.5, 0.15, 0.99),
    }
