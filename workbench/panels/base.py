"""
What panels share: acts and their errors, work on a thread, looking while seen, a text form.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from ..errors import WorkbenchError
from ..records import Progress
from ..session import Session
from . import html
from .surface import Html, Surface

logger = logging.getLogger(__name__)

SEEN_FOR_S = 25.0
"""A view says every ten seconds that it is seen; one whose page was closed says nothing."""

JOIN_S = 5.0
"""How long what runs on a thread may take to notice that its panel is gone."""


class Panel:
    """
    A view of a session: it shows, and calls one verb for each act.

    Args:
        session: Finds the session of now; ``%wb`` goes on with another one after ``%wb up --port``.
    """

    NAME: ClassVar[str]
    TITLE: ClassVar[str]
    ACTS: ClassVar[frozenset[str]] = frozenset()
    """What the browser may ask for; each is a method ``do_NAME`` that takes the fields' values."""

    EVERY_S: ClassVar[float | None] = None
    """How often :meth:`look` is called while somebody sees the panel; ``None``: never."""

    def __init__(self, session: Callable[[], Session]) -> None:
        self._find_session = session
        self.surface = Surface(f"{self.TITLE} panel", self._heard)
        self._was_seen = False
        self._gone = threading.Event()
        self._seen_until_s: dict[str, float] = {}  # by the view in the browser
        self._wake = threading.Event()
        self._looking: threading.Thread | None = None
        self._working: threading.Thread | None = None
        self._stop_asked = threading.Event()
        self._lock = threading.RLock()

    @property
    def session(self) -> Session:
        """The session whose verbs are called."""
        return self._find_session()

    @property
    def is_busy(self) -> bool:
        """Whether a verb is at work."""
        return self._working is not None

    def show(self, part: str, made: Html) -> None:
        """Show a part of the panel, at most twenty times a second."""
        self.surface.show(part, made)

    def look(self) -> None:
        """Look at the server and show what is seen; called while the panel is visible."""

    def first_seen(self) -> None:
        """Do what is to be there when somebody looks for the first time."""

    def text(self) -> str:
        """Say what the panel shows, for a notebook that runs without a browser."""
        raise NotImplementedError

    def act(self, name: str, **values: Any) -> None:
        """
        Do what a button does.

        Raises:
            ValueError: The panel has no such act.
        """
        if name not in self.ACTS:
            raise ValueError(f"{self.NAME} has {', '.join(sorted(self.ACTS))}, and no {name!r}")
        self.guarded(lambda: getattr(self, f"do_{name}")(values))

    def work(
        self,
        verb: Callable[[], object],
        *,
        first: Callable[[], object] = lambda: None,
        then: Callable[[], object] = lambda: None,
    ) -> bool:
        """
        Call a verb on a thread, one at a time; :meth:`stop` is its Ctrl-C.

        Args:
            first: Called here, if it is begun at all, before the verb can show anything.

            then: Called on the thread, when more can be begun.

        Returns:
            Whether it was begun: not while another is at work, or after :meth:`dispose`.
        """

        def run() -> None:
            try:
                self.guarded(verb)
            except KeyboardInterrupt:
                self.guarded(self.stopped)
            self._working = None  # before what is shown then says that more can be done
            if not self._gone.is_set():
                self.guarded(then)

        with self._lock:
            if self.is_busy or self._gone.is_set():
                return False
            name = f"workbench-panel-{self.NAME}"
            self._working = working = threading.Thread(target=run, daemon=True, name=name)
            self._stop_asked.clear()
            first()
            working.start()
        return True

    def guarded(self, verb: Callable[[], object]) -> None:
        """Call a verb, and show its error where the panel has a place for it."""
        try:
            verb()
        except WorkbenchError as exc:
            self.show("error", html.error(exc.message, exc.hint))
        except Exception as exc:
            logger.exception("The %s panel failed.", self.NAME)
            told = f"{type(exc).__name__}: {exc}"
            self.show("error", html.error(told, "This is a fault of the panel; the log has more."))

    def no_error(self) -> None:
        """Take an earlier error away."""
        self.show("error", "")

    def progress(self, progress: Progress) -> None:
        """
        Show how far long work is.

        Raises:
            KeyboardInterrupt: Somebody asked to stop it. Once: what is taken back then is not
                stopped as well.
        """
        if self._stop_asked.is_set():
            self._stop_asked.clear()
            raise KeyboardInterrupt
        self.show("progress", lambda: html.progress(progress))

    def stop(self) -> None:
        """End the verb at work as Ctrl-C does, when it next says how far it is."""
        self._stop_asked.set()

    def stopped(self) -> None:
        """Say that a verb was stopped; what is left by that, some panels say too."""
        self.show("error", html.error("Stopped.", None))

    def dispose(self) -> None:
        """Stop looking, end what runs for this panel only, and leave the browser. Idempotent."""
        self._gone.set()
        self._wake.set()
        self.surface.shut()
        if self._looking is not None and self._looking is not threading.current_thread():
            self._looking.join(JOIN_S)

    def __str__(self) -> str:
        return self.text()

    def __repr__(self) -> str:
        return self.text()

    def _repr_mimebundle_(self, **_ignored: Any) -> dict[str, Any]:
        bundle: dict[str, Any] = self.surface.bundle()
        return bundle | {"text/plain": self.text()}

    def _heard(self, name: str, values: Mapping[str, Any]) -> None:
        if name in ("seen", "hidden"):
            self._watch(str(values.get("view", "")), seen=name == "seen")
        elif name in self.ACTS:
            self.act(name, **values)

    @property
    def is_seen(self) -> bool:
        """Whether a view of the panel is on somebody's screen."""
        now_s = time.monotonic()
        return any(until_s > now_s for until_s in self._seen_until_s.values())

    def _watch(self, view: str, *, seen: bool) -> None:
        """Note who sees the panel, and look while anybody does."""
        with self._lock:
            if seen and not self._was_seen:
                self._was_seen = True
                self.guarded(self.first_seen)
            self._seen_until_s.pop(view, None)
            if seen:
                self._seen_until_s[view] = time.monotonic() + SEEN_FOR_S
            looks = self._looking is not None and self._looking.is_alive()
            if not seen or not looks:
                self._wake.set()
            if self.EVERY_S is None or not self.is_seen or looks or self._gone.is_set():
                return
            name = f"workbench-panel-{self.NAME}-looks"
            self._looking = threading.Thread(target=self._look_on, daemon=True, name=name)
            self._looking.start()

    def _look_on(self) -> None:
        while True:
            with self._lock:
                self._wake.clear()
                if not self.is_seen or self._gone.is_set():
                    self._looking = None
                    return
            self.guarded(self.look)
            self._wake.wait(self.EVERY_S)
