"""
The notebook's way of showing: a boot and an answer that are redrawn in their cell.

Each drawing has an HTML form and a text form that says the same, for
notebooks that run headless. What a model or a log says is escaped.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from html import escape
from typing import Any, Unpack

from IPython.display import display

from . import typescript, units
from .client import Ask, Messages
from .client.tools import ToolLoop
from .errors import AnswerInterruptedError, BootInterruptedError, TypeScriptError
from .records import ChatMessage, Generation, Progress, SamplingParams, ToolRun, ToolStep
from .session import Session
from .views import phase_line, status_line, step_line

REDRAW_INTERVAL_S = 0.05
"""Twenty redraws a second are smooth; more only fill the browser's queue."""

COUNTED = ("checks", "files")
"""Units of work that is shown as a count, and not as time."""

ANSWER_STYLE = "white-space:pre-wrap;font-family:var(--jp-content-font-family,sans-serif)"
STEP_STYLE = "white-space:pre-wrap;font-family:var(--jp-code-font-family,monospace);opacity:.8"
FAINT_STYLE = "opacity:.7;font-variant-numeric:tabular-nums;font-size:90%"


class Canvas:
    """
    One place in a cell's output that is drawn again and again, but not too often.

    What came too soon after the last drawing is drawn a moment later, by a
    thread: the server may say nothing more for a while, and its reader sees
    all that came.
    """

    def __init__(self) -> None:
        self._handle: Any = None  # IPython's DisplayHandle, which is not typed
        self._drawn_s = 0.0
        self._lock = threading.Lock()
        self._waiting: tuple[str, str] | None = None
        self._timer: threading.Timer | None = None

    def draw(self, html: str, text: str, *, now: bool = False) -> None:
        """Replace what is shown: without *now* soon, and only if nothing newer comes before."""
        with self._lock:
            wait_s = self._drawn_s + REDRAW_INTERVAL_S - time.monotonic()
            if now or wait_s <= 0:
                self._put(html, text)
                return
            self._waiting = (html, text)
            if self._timer is None:
                self._timer = threading.Timer(wait_s, self._put_late)
                self._timer.daemon = True
                self._timer.start()

    def _put_late(self) -> None:
        with self._lock:
            if self._waiting is not None:
                self._put(*self._waiting)

    def _put(self, html: str, text: str) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._waiting = self._timer = None
        bundle = {"text/html": html, "text/plain": text}
        if self._handle is None:
            self._handle = display(bundle, raw=True, display_id=True)
        else:
            self._handle.update(bundle, raw=True)
        self._drawn_s = time.monotonic()


class Cell:
    """A notebook as a skin of the verbs; see :class:`workbench.verbs.Skin`."""

    def __init__(self) -> None:
        self.session = Session()
        self.last: Generation | None = None

    @contextmanager
    def configured(self, **arguments: Any) -> Iterator[Session]:
        """Try a session with these settings on top of those given before; keep it if it works."""
        given = {name: value for name, value in arguments.items() if value not in (None, "")}
        changed = self.session.arguments | given
        if changed == self.session.arguments:
            yield self.session
            return
        before, fresh = self.session, Session(**changed)
        fresh.take_over(before)
        try:
            yield fresh
        except BootInterruptedError:
            # It goes on starting, with these settings.
            before.close()
            self.session = fresh
            raise
        except BaseException:
            before.take_over(fresh)
            fresh.close()
            raise
        before.close()
        self.session = fresh

    @contextmanager
    def progress(self) -> Iterator[Callable[[Progress], None]]:
        """Draw the phases behind, the one at work, and how long it may take."""
        canvas = Canvas()
        latest: list[Progress] = []

        def draw(progress: Progress) -> None:
            latest[:] = [progress]
            canvas.draw(*_progress_forms(progress))

        yield draw
        if latest and latest[0].unit == "s":  # not when all that was to do was a download
            canvas.draw(*_finished_forms(latest[0]), now=True)
        if latest and latest[0].unit in (*COUNTED, "requests"):
            canvas.draw(*_line_forms(f"✓ {latest[0].done:.0f} {latest[0].unit}"), now=True)

    def forget(self) -> None:
        """Have no last answer any more."""
        self.last = None

    def answer(self, messages: Messages, params: SamplingParams, **ask: Unpack[Ask]) -> Generation:
        """
        Draw the answer as it comes, and how it came below it.

        Raises:
            AnswerInterruptedError: The cell was interrupted; the cells after it do not run.
        """
        canvas, self.last = Canvas(), None
        stream = self.session.stream(messages, params, **ask)
        text, interrupted = "", False
        try:
            with stream:
                for piece in stream:
                    text += piece
                    canvas.draw(*_answer_forms(text, "…"))
        except KeyboardInterrupt:
            interrupted = True
        finally:
            answer = stream.generation
            if answer.text or answer.finish_reason or interrupted:
                self.last = answer
                line = status_line(answer, interrupted=interrupted)
                canvas.draw(*_answer_forms(answer.text, line), now=True)
        if interrupted:
            raise AnswerInterruptedError(
                "The answer was interrupted; what arrived is kept.", generation=answer
            )
        return answer

    def answer_with_tools(
        self,
        messages: Sequence[ChatMessage],
        params: SamplingParams,
        functions: Sequence[Callable[..., object]],
    ) -> ToolRun:
        """
        Draw every answer and every call in between, until the model asks for none.

        Raises:
            ToolLoopError: It asks for tools without end.
        """
        loop = ToolLoop(messages, functions)
        return loop.drive(
            lambda: self.answer(
                loop.messages, params, tools=functions, tool_choice=loop.tool_choice
            ),
            lambda step: Canvas().draw(*_step_forms(step), now=True),
        )

    def lines(self, lines: Iterable[str]) -> None:
        """Write lines as they come, until the cell is interrupted."""
        try:
            for line in lines:
                sys.stdout.write(line + "\n")
        except KeyboardInterrupt:
            return

    def show(self, shown: object) -> None:
        """Display it, as if it were a cell's last line."""
        display(shown)

    def program(self, source: str) -> None:
        """
        Run TypeScript against the session's server, and write its lines as they come.

        Raises:
            TypeScriptError: It failed, or the cell was interrupted; the cells
                after it do not run.
        """
        with closing(typescript.of_session(self.session).run_source(source)) as lines:
            try:
                for line in lines:
                    sys.stdout.write(line + "\n")
            except KeyboardInterrupt:
                raise TypeScriptError(
                    "The program was interrupted; what it wrote is kept."
                ) from None


def generation_html(generation: Generation) -> str:
    """Show an answer that was kept as it was shown when it came."""
    return _answer_forms(generation.text, status_line(generation))[0]


def _answer_forms(text: str, line: str) -> tuple[str, str]:
    html = (
        f"<div style='{ANSWER_STYLE}'>{escape(text)}</div>"
        f"<div style='{FAINT_STYLE}'>{escape(line)}</div>"
    )
    return html, f"{text}\n{line}"


def _step_forms(step: ToolStep) -> tuple[str, str]:
    line = step_line(step)
    return f"<div style='{STEP_STYLE}'>{escape(line)}</div>", line


def _progress_forms(progress: Progress) -> tuple[str, str]:
    parts = [f"✓ {phase_line(phase)}" for phase in progress.phases[:-1]]
    share = "" if progress.fraction is None else f" {progress.fraction:.0%}"
    parts.append(f"{progress.label}{share} …")
    if progress.unit == "bytes" and progress.total:
        parts.append(f"{units.size(int(progress.done))} of {units.size(int(progress.total))}")
    if progress.unit in COUNTED and progress.total:
        parts.append(f"{progress.done:.0f} of {progress.total:.0f} {progress.unit}")
    if progress.detail is not None:
        of = "" if progress.total is None else f" of {progress.total:.0f}"
        parts += [f"{progress.done:.0f}{of} {progress.unit}", progress.detail]
    if progress.eta_s is not None:
        parts.append(f"about {progress.eta_s:.0f} s left")
    line = " · ".join(parts)
    return f"{_bar(progress)}<div style='{FAINT_STYLE}'>{escape(line)}</div>", line


def _finished_forms(progress: Progress) -> tuple[str, str]:
    parts = [f"✓ ready after {units.seconds(progress.done)}"]
    parts += [phase_line(phase) for phase in progress.phases if phase.ended_s is not None]
    return _line_forms(" · ".join(parts))


def _line_forms(line: str) -> tuple[str, str]:
    return f"<div style='{FAINT_STYLE}'>{escape(line)}</div>", line


def _bar(progress: Progress) -> str:
    if not progress.total:
        return ""
    share = min(1.0, progress.done / progress.total)
    return f"<progress value='{share:.3f}' max='1' style='width:24em'></progress>"
