"""
What is done before a switch touches what runs: the plan, and the download.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from .. import units
from ..errors import SwitchError, WorkbenchError
from ..planning import planned_to_serve
from ..records import Progress, SwitchReport, SwitchStep, Verdict
from ..serving import to_fetch

if TYPE_CHECKING:
    from ..session import Session
    from ..vram import Plan

Steps = tuple[SwitchStep, ...]


def before_it_is_touched(
    session: Session,
    target: Session,
    model: str,
    *,
    force: bool,
    on_progress: Callable[[Progress], None],
) -> Steps:
    """
    See that a model fits and is here, while the old one serves.

    Raises:
        SwitchError: It does not fit, and nobody insists.

        FetchError: It cannot be had.
    """
    steps = planned(target, model, force=force)
    name = to_fetch(target.settings)
    if name is None:
        return steps
    began_s = time.monotonic()
    fetched = session.fetch(name, on_progress=on_progress)
    seen = f"{fetched.repo}, {units.size(fetched.size_bytes)} in models/{fetched.folder.name}"
    return (*steps, _step("fetch", Verdict.PASS, seen, began_s))


def planned(target: Session, model: str, *, force: bool) -> Steps:
    """
    See whether it fits, as far as that can be foreseen.

    Raises:
        SwitchError: It does not, and nobody insists.
    """
    began_s = time.monotonic()
    try:
        plan = planned_to_serve(target.settings, model)
    except WorkbenchError as exc:
        # What cannot be foreseen is tried; vLLM says it in its own words.
        return (_step("plan", Verdict.SKIP, exc.message.splitlines()[0], began_s),)
    if plan.fits:
        return (_step("plan", Verdict.PASS, _room(plan), began_s),)
    verdict = Verdict.WARN if force else Verdict.FAIL
    steps = (_step("plan", verdict, plan.why_not or "", began_s),)
    if not force:
        raise _does_not_fit(target, model, plan, steps)
    return steps


def _room(plan: Plan) -> str:
    return (
        f"a context of {units.count(plan.asked_model_len, 'token')}, and room for "
        f"{units.count(plan.kv_cache_tokens, 'token')} on {plan.gpu}"
    )


def _does_not_fit(target: Session, model: str, plan: Plan, steps: Steps) -> SwitchError:
    shorter = f"workbench use {model} --max-model-len {plan.max_model_len}"
    return SwitchError(
        f"{model} does not fit, and nothing was touched: {plan.why_not}",
        hint=(f"A shorter context does: {shorter} · " if plan.max_model_len else "")
        + "Try it all the same: --force",
        report=SwitchReport(
            model=model,
            before=None,
            steps=steps,
            switched=False,
            duration_s=sum(step.duration_s for step in steps),
        ),
    )


def _step(name: str, verdict: Verdict, seen: str, began_s: float) -> SwitchStep:
    took_s = time.monotonic() - began_s
    return SwitchStep(name=name, verdict=verdict, seen=seen, duration_s=took_s)
