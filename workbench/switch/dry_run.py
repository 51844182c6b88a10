"""
What a switch would do, without doing any of it: ``workbench use NAME --dry-run``.
"""

from __future__ import annotations

import shlex
import statistics
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..boot import History
from ..catalogue import Entry, find_entry
from ..chosen import USED
from ..doctor.secrets import Secrets
from ..records import SwitchPlan, SwitchStep, Verdict
from ..servers.metrics_page import requests_under_way
from ..serving import adapter_as_seen, hub_access, to_fetch, wanted_of_hub
from ..units import seconds, size
from ..urls import root_url
from .beforehand import planned
from .probed import probed
from .quicker import quicker, refuse_adapter
from .use import DRAIN_TIMEOUT_S, OF_THE_MODEL, refuse_if_remote, served_name, what_is_under_way

if TYPE_CHECKING:
    from ..session import Session

Step = tuple[str, str]


def dry_run(
    session: Session,
    model: str,
    *,
    drain_timeout_s: float = DRAIN_TIMEOUT_S,
    force: bool = False,
    **arguments: Any,
) -> SwitchPlan:
    """
    Say what :func:`.use.use` with the same arguments would do.

    Raises:
        WorkbenchError: It would fail at once, with the same words.
    """
    entry = find_entry(model, models_dir=session.settings.models_dir)
    is_adapter = entry is not None and entry.adapter_of is not None
    asked = {} if is_adapter else {"model": model}
    target = session.like_this(without=OF_THE_MODEL, **asked, **arguments)
    try:
        refuse_if_remote(target)
        look = _Look(target, model)
        return (
            look.adapter(entry)
            if entry and is_adapter
            else look.switch(drain_timeout_s, force=force)
        )
    finally:
        session.take_over(target)


class _Look:
    """What is there now, and what would come of it."""

    def __init__(self, target: Session, model: str) -> None:
        self.target, self.model = target, model
        self.server = target.server
        runs = self.server.recipe() is not None
        self.before = served_name(target) if runs else None
        self.requests = self._requests() if runs else 0

    def switch(self, drain_timeout_s: float, *, force: bool) -> SwitchPlan:
        """Plan another start."""
        fits = [_said(step) for step in planned(self.target, self.model, force=force)]
        name = to_fetch(self.target.settings)
        # What is not here yet has no folder to be started from.
        command = None if name else _hidden(self.server.would_run())
        if self.before and not name and self.server.is_as_asked():
            return self._plan([*fits, ("keep", "it runs already"), self._commit()], command=None)
        fetch_bytes, fetch = self._fetch(name)
        steps = [*self._unfinished(), *fits, fetch, *self._stop(drain_timeout_s), self._ready(name)]
        steps += [*self._probed(), ("check", "a chat of a few tokens"), self._commit()]
        back = f"{self.before}, as it runs now" if self.before else "nothing, as now"
        return self._plan(
            [*steps, ("if it fails", f"back to {back}")], command=command, fetch_bytes=fetch_bytes
        )

    def adapter(self, entry: Entry) -> SwitchPlan:
        """Plan loading an adapter."""
        where = adapter_as_seen(entry, self.target.settings)
        refuse_adapter(self.target, entry)
        steps = [
            ("load", f"POST /v1/load_lora_adapter, {entry.name} from {where}"),
            ("check", f'a chat with model="{entry.name}"; {entry.adapter_of} serves on'),
        ]
        return self._plan(steps, command=None)

    def _plan(self, steps: list[Step], *, command: str | None, fetch_bytes: int = 0) -> SwitchPlan:
        return SwitchPlan(
            model=self.model,
            before=self.before,
            fetch_bytes=fetch_bytes,
            requests=self.requests,
            steps=tuple(steps),
            command=command,
            noted_in=self._noted_in,
            quicker=quicker(self.server, runs=self.before is not None),
        )

    @property
    def _noted_in(self) -> Path:
        return self.target.settings.state_dir / USED

    def _requests(self) -> int | None:
        root = root_url(self.server.base_url)
        return requests_under_way(root, api_key=self.server.api_key)

    def _unfinished(self) -> list[Step]:
        left = what_is_under_way(self.target.settings.state_dir)
        return [("first", left)] if left else []

    def _fetch(self, name: str | None) -> tuple[int, Step]:
        if name is None:
            return 0, ("fetch", "nothing: it is here")
        from ..hub import facts

        settings = self.target.settings
        wanted = wanted_of_hub(name, None, models_dir=settings.models_dir)
        found = facts(wanted.repo, wanted.revision, **hub_access(settings))
        what = f"{size(found.size_bytes)} of {wanted.repo} into models/{wanted.folder}"
        return found.size_bytes, ("fetch", what)

    def _stop(self, drain_timeout_s: float) -> list[Step]:
        if self.before is None:
            return [("replace", "nothing runs; it starts")]
        now = "unknown" if self.requests is None else self.requests
        drain = f"requests under way now: {now}; they get {drain_timeout_s:g} s"
        replace = f"{self.before} ends, and the other starts at {self.server.base_url}"
        return [("drain", drain), ("replace", replace)]

    def _ready(self, name: str | None) -> Step:
        took_s = [] if name else self._earlier_s()
        when = f"about {seconds(statistics.median(took_s))}, as before" if took_s else "unknown"
        return ("ready", f"when it decodes a token: {when}")

    def _earlier_s(self) -> list[float]:
        path = self.target.settings.state_dir / "boots.jsonl"
        boots = History(path=path, key=self.server.kind).earlier()
        return [boot[-1].ended_s for boot in boots if boot and boot[-1].ended_s]

    def _probed(self) -> list[Step]:
        found = probed(
            self.target.settings.state_dir,
            base_url=self.server.base_url,
            before=self.before,
            after=self.model,
        )
        return [_said(found)] if found else []

    def _commit(self) -> Step:
        return ("commit", f"{self.model} noted in {self._noted_in.parent.name}/{USED}")


def _said(step: SwitchStep) -> Step:
    passed = step.verdict is Verdict.PASS
    return (step.name, step.seen if passed else f"{step.verdict.upper()} {step.seen}")


def _hidden(words: tuple[str, ...]) -> str:
    """Write a command line; a reader's extra arguments may have a key among them."""
    text = shlex.join(words)
    return Secrets(frozenset(Secrets.in_text(text))).hide(text)
