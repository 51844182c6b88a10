"""``workbench tune`` as it is typed, where no server is needed, and how it looks."""

from __future__ import annotations

import io
import json
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import pytest

from tests.tune.trials import SETUP, flag, run, trial
from workbench import verbs
from workbench.errors import ServerStateError
from workbench.session import Session
from workbench.tune.candidates import Skipped
from workbench.tune.search import Search
from workbench.tune.trial import GOALS, Failure, Role
from workbench.tune.tune import Tuned
from workbench.verbs.tune import Duration
from workbench.views.tune import tune_view


@contextmanager
def quiet():
    yield lambda _progress: None


def typed(session: Session, *words: str) -> Any:
    skin = SimpleNamespace(session=session, progress=quiet)
    return verbs.workbench.main(["tune", *words], obj=skin, standalone_mode=False)


def tuned(*trials: Any, left_out: tuple[Any, ...] = (), **fields: Any) -> Tuned:
    search = Search(None, GOALS["throughput"], (), earlier=trials, start_s=1.0)
    search.left_out = left_out
    search.why = "the budget is spent" if left_out else search.why
    made: dict[str, Any] = {
        "setup": SETUP,
        "found": search.found(),
        "skipped": (),
        "keep": (),
        "interrupted": False,
        "took_s": 600.0,
        "budget_s": 1200.0,
        "folder": Path("/tmp/tune"),
    }
    return Tuned(**made | fields)


BEFORE = trial(None, (99, 100, 101))
AFTER = trial(None, (99, 100, 101), role=Role.AFTER)


@pytest.mark.parametrize("dry", [(), ("--dry-run",)])
def test_somebody_elses_server_is_not_started_anew(tmp_path: Path, dry: tuple[str, ...]):
    """It says what can be done instead."""
    with (
        Session(base_url="http://127.0.0.1:9/v1", state_dir=str(tmp_path)) as session,
        pytest.raises(ServerStateError, match="run by somebody else") as caught,
    ):
        typed(session, *dry)

    assert "workbench bench" in caught.value.hint


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90.0), ("20m", 1200.0), ("1.5h", 5400.0), ("20", 1200.0)]
)
def test_a_budget_has_a_unit(text: str, seconds: float):
    """Minutes, if none is said."""
    assert Duration().convert(text, None, None) == seconds


@pytest.mark.parametrize("text", ["soon", "0m", "-5m", "5 days"])
def test_a_budget_that_is_none_is_a_mistake(text: str):
    """With examples of what is one."""
    with pytest.raises(click.BadParameter, match="20m"):
        Duration().convert(text, None, None)


def test_a_recommendation_has_its_evidence():
    """The gain with its interval, how to keep it, what it costs, and the noise."""
    again = trial(flag("x"), (119, 120, 121), role=Role.AGAIN)
    view = tune_view(
        tuned(BEFORE, again, AFTER, keep=("in .env:", "WORKBENCH_EXTRA_ARGS=--x", "then: …"))
    )

    shown = str(view)
    assert "Recommended: --x\noutput throughput better by 20.0% (+18." in shown
    assert "To keep it, in .env:\n  WORKBENCH_EXTRA_ARGS=--x" in shown
    assert "nothing that was measured got worse" in shown
    assert "Two starts with the same flags differed by 0.0%" in shown
    assert (view.ok, view.unsure) == (True, False)
    assert view.data["recommended"]["name"] == "--x"
    json.dumps(view.data, allow_nan=False)


def test_a_picture_has_each_gain_and_says_the_finding():
    """And one of nothing says so."""
    again = trial(flag("x"), (119, 120, 121), role=Role.AGAIN)
    after = trial(None, (103, 104, 105), role=Role.AFTER)

    picture = tune_view(tuned(BEFORE, trial(flag("y"), (99, 100, 101)), again, after)).pictures()
    picture["gains"].savefig(io.BytesIO(), format="png")

    names = [label.get_text() for label in picture["gains"].axes[0].get_yticklabels()]
    assert names == ["--x, once more", "--y"]
    assert picture["gains"].get_suptitle().startswith("--x: +17.6% throughput")
    tune_view(tuned(BEFORE)).pictures()["gains"].savefig(io.BytesIO(), format="png")


def test_what_was_not_confirmed_is_unsure():
    """The exit status is 4 then."""
    view = tune_view(tuned(BEFORE, trial(flag("x"), (119, 120, 121))))

    assert "not measured once more" in str(view)
    assert view.unsure


def test_what_was_not_tried_is_said_and_why():
    """For want of time, and because it would not tell; what did not start with its log's line."""
    refused = trial(
        flag("nope"), (), boot_s=None, failure=Failure(cause="Unknown.", line="error: --nope")
    )
    view = tune_view(
        tuned(
            BEFORE,
            refused,
            left_out=(flag("late"),),
            skipped=(Skipped("--cache", "nothing is shared"),),
        )
    )

    shown = str(view)
    assert "Keep the flags as they are" in shown
    assert "--nope: Unknown.\n  error: --nope" in shown
    assert "not tried, the budget is spent: --late" in shown
    assert "not tried: --cache: nothing is shared" in shown


def test_an_interrupted_tune_says_so():
    """And is no success for a script."""
    view = tune_view(tuned(BEFORE, interrupted=True))

    assert "INTERRUPTED" in str(view)
    assert not view.ok


def test_a_run_of_known_speed_has_it():
    """Twelve tokens in a tenth of a second are 120 a second."""
    assert run(120).metrics.output_throughput_tps == pytest.approx(120)
