"""
Asks all questions in turn. What goes wrong in one is its verdict, and the others go on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from ..client import Client, Retries
from ..client.refusals import said
from ..errors import ClientError, RequestRejectedError, ServerFailureError
from ..records import Check, Progress, ServedModel, Verdict
from .access import REFUSALS
from .base import TIMEOUTS, Found, Question, Target, fails, short, skips
from .matrix import QUESTIONS

CANNOT = (400, 404, 405, 422, 501)
"""How servers say that they do not know a request: of what they have, the requests are right."""

LIMIT_S = 300.0
"""For all together. A server that stalls would otherwise hold every question to its own limit."""

BREAKS = "The server does not do what its API promises."
TOO_SLOW = f"The questions before took {LIMIT_S:.0f} s: see which of them stalled."


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """The matrix of one server and model at one time."""

    at: datetime
    base_url: str
    model: str
    vllm_version: str | None
    checks: tuple[Check, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing failed; what the server lacks is no failure."""
        return all(check.verdict is not Verdict.FAIL for check in self.checks)


def probe(
    base_url: str,
    *,
    api_key: str | None = None,
    model: str | None = None,
    questions: Sequence[Question] = QUESTIONS,
    on_progress: Callable[[Progress], None] = lambda _: None,
) -> Probe:
    """
    Ask a running server everything that a program may want of it.

    Its requests are the workbench's own and nobody's: they are not recorded,
    and none is sent twice.

    Args:
        base_url: With ``/v1``.

        model: The served model to ask; without it the first one that is listed.

        questions: What to ask; everything unless somebody wants to know less.

    Raises:
        ClientError: It is down, refuses the key, or no model can be found.
    """
    client = Client(
        base_url, api_key=api_key, model=model, timeouts=TIMEOUTS, retries=Retries(times=0)
    )
    with client:
        target = Target(client=client, model=_model(client, model), api_key=api_key)
        return Probe(
            at=datetime.now(UTC),
            base_url=target.base_url,
            model=target.model.name,
            vllm_version=_version(client),
            checks=tuple(_checks(questions, target, on_progress)),
        )


def _checks(
    questions: Sequence[Question], target: Target, on_progress: Callable[[Progress], None]
) -> Iterator[Check]:
    total = len(questions)
    deadline_s = time.perf_counter() + LIMIT_S
    for done, question in enumerate(questions):
        on_progress(Progress(label=question.id, done=done, total=total, unit="checks"))
        began_s = time.perf_counter()
        found = _found(question, target) if began_s < deadline_s else skips("not asked", TOO_SLOW)
        yield Check(
            group=question.group,
            id=question.id,
            verdict=found.verdict,
            seen=_line(found.seen, target.api_key),
            means=found.means,
            duration_s=time.perf_counter() - began_s,
        )
    on_progress(Progress(label="probed", done=total, total=total, unit="checks"))


def _model(client: Client, wanted: str | None) -> ServedModel:
    """Find the model; a server that does not list any may still answer for one that is named."""
    try:
        served = client.models()
    except (RequestRejectedError, ServerFailureError) as exc:
        if wanted is None or getattr(exc, "status_code", None) in REFUSALS:
            raise
        served = ()
    for model in served:
        if wanted in (None, model.name):
            return model
    if wanted is None:
        raise ServerFailureError(
            f"{client.base_url} serves no model.",
            hint="Name one: WORKBENCH_MODEL, or --model.",
            base_url=client.base_url,
        )
    return ServedModel(name=wanted)


def _version(client: Client) -> str | None:
    try:
        return client.vllm_version()
    except ClientError:
        return None


def _found(question: Question, target: Target) -> Found:
    try:
        return question.ask(target)
    except RequestRejectedError as exc:
        seen = f"{exc.status_code}: {said(exc.body)}"
        if question.without is not None and exc.status_code in CANNOT:
            return skips(seen, question.without)
        return fails(seen, exc.hint or BREAKS)
    except ClientError as exc:
        return fails(f"{type(exc).__name__}: {exc.message}", exc.hint or BREAKS)
    except Exception as exc:  # whatever a strange server makes of a check: the others go on
        return fails(f"{type(exc).__name__}: {short(str(exc))}", "The check itself broke here.")


def _line(text: str, api_key: str | None) -> str:
    """Write evidence on one line that is safe to show."""
    # A server may quote anything, the key that it was sent too.
    whole = text.replace(api_key, "***") if api_key else text
    # A terminal obeys escape sequences, whoever wrote them.
    return "".join(sign if sign.isprintable() else "�" for sign in " ".join(whole.split()))
