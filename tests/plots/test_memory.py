"""The picture of a card's memory."""

from __future__ import annotations

from pathlib import Path

import pytest

from workbench import plots
from workbench.session import Session


@pytest.fixture
def session(project: Path, monkeypatch) -> Session:
    """A session of an empty project."""
    monkeypatch.setenv("WORKBENCH_HOME", str(project))
    return Session()


def test_the_bars_are_the_plans(session: Session):
    """A bar for each, four parts that add up to the card, and a title that says something."""
    plans = [
        session.plan(name, gpu="7900xtx-wsl", max_model_len=8192)
        for name in ("Qwen/Qwen3-8B-AWQ", "Qwen/Qwen2.5-32B-Instruct-AWQ")
    ]

    (axes,) = plots.memory(plans).axes

    assert sum(bar.get_width() for bar in axes.patches) * 2**30 == 2 * plans[0].total_bytes
    assert "1 of 2 fit" in axes.get_title(loc="left")
    assert axes.get_xlabel() == "GiB of the card"


def test_a_cell_that_returns_it_shows_it(session: Session):
    """Without pyplot nobody else would; at twice the page's pixels, in the page's size."""
    png, size = plots.memory([session.plan("Qwen/Qwen3-8B-AWQ", gpu="7900xtx")])._repr_png_()

    assert png.startswith(b"\x89PNG")
    assert size == {"width": 900, "height": 230}


def test_a_plan_without_room_says_so(session: Session):
    """No cache, and no number for one."""
    answer = session.plan("Qwen/Qwen3-8B", gpu="7800xt", max_model_len=8192, enforce_eager=True)

    (axes,) = plots.memory([answer]).axes

    assert "does not fit" in axes.get_title(loc="left")
