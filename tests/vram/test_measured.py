"""The plans agree with what a real vLLM said; see tests/data/vram/README.md."""

from __future__ import annotations

import pytest

from benchmarks.plan_accuracy import DATA, Run, error_percent, predicted_tokens, runs
from workbench.errors import PlanError

RUNS = [run for path in sorted(DATA.glob("measured*.json")) for run in runs(path)]

UNKNOWN = ("deepseek",)
"""Shared experts and latent attention were measured as well, and are not worked out."""


@pytest.mark.parametrize("run", [run for run in RUNS if not run.model.startswith(UNKNOWN)], ids=str)
def test_a_plan_is_within_3_percent_of_vllm(run: Run):
    """Tokens of KV cache, or the longest context where vLLM refused to start."""
    answer = run.plan()

    assert answer.fits == run.started
    assert abs(error_percent(run, predicted_tokens(run, answer))) < 3


@pytest.mark.parametrize("run", [run for run in RUNS if run.model.startswith(UNKNOWN)], ids=str)
def test_what_is_not_worked_out_is_not_guessed(run: Run):
    """The fact that is missing has a name."""
    with pytest.raises(PlanError) as caught:
        run.plan()

    assert caught.value.missing
