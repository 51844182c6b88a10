"""
What is done, step by step: how long each took, and what came of it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import TypeAlias

from ..errors import ServerError, WorkbenchError
from ..records import SwitchStep, Verdict

Seen: TypeAlias = tuple[Verdict, str]


class Steps:
    """The steps so far; the last one may be what failed."""

    def __init__(self, done: Iterable[SwitchStep] = ()) -> None:
        self.done = [*done]

    def do(self, name: str, work: Callable[[], str | Seen]) -> None:
        """Do one, and keep what it says; what it raises is kept as its cause, and goes on."""
        began_s = time.monotonic()
        seen: str | Seen = (Verdict.FAIL, "interrupted")
        try:
            seen = work()
        except WorkbenchError as exc:
            seen = (Verdict.FAIL, cause(exc))
            raise
        finally:
            verdict, text = (Verdict.PASS, seen) if isinstance(seen, str) else seen
            took_s = time.monotonic() - began_s
            self.done.append(SwitchStep(name=name, verdict=verdict, seen=text, duration_s=took_s))


def cause(exc: BaseException) -> str:
    """Say in a line why something failed."""
    if isinstance(exc, ServerError) and exc.diagnosis:
        return exc.diagnosis.cause
    return (getattr(exc, "message", None) or str(exc) or type(exc).__name__).splitlines()[0]
