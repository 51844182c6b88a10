"""
Chat: a conversation that is watched while it is written, stopped, told otherwise, taken away.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from .. import transcript
from ..client.tools import ToolLoop
from ..errors import ConfigError, WorkbenchError
from ..records import ChatMessage, Generation, SamplingParams
from ..session import Session
from . import chat_html, html
from .base import Panel
from .branches import Branches, Turn, TurnState
from .sampling import CONTROLS, read_params

if TYPE_CHECKING:
    from ..client import Stream


class ChatPanel(Panel):
    """
    A conversation with the session's server.

    Args:
        tools: Functions that the model may call, and nothing else.
    """

    NAME, TITLE = "chat", "Chat"
    ACTS = frozenset(
        {"send", "stop", "again", "edit", "cancel", "branch", "clear", "as_code", "save"}
    )

    def __init__(
        self, session: Callable[[], Session], tools: Sequence[Callable[..., object]] = ()
    ) -> None:
        super().__init__(session)
        self.branches = Branches()
        self.params = SamplingParams()
        self.system: str | None = None
        self._tools = tuple(tools)
        self._editing: Turn | None = None
        self._stream: Stream | None = None
        self._stopping = threading.Event()
        self._shown_turns = 0
        self.show("bar", chat_html.bar())
        self.show("controls", chat_html.controls(CONTROLS))
        self.show("turns", chat_html.frame())
        self.show("error", "")
        self._show_all()

    @property
    def messages(self) -> tuple[ChatMessage, ...]:
        """All that was said on the path that is shown, the system prompt first."""
        front = (ChatMessage("system", self.system),) if self.system else ()
        path = self.branches.path
        if not path:
            return front
        last = path[-1]
        said = (ChatMessage("user", last.question), *last.messages) if last.messages else ()
        return (*front, *self.branches.messages_before(last), *said)

    def text(self) -> str:
        """Write the conversation as text, with a line for how each answer came."""
        if not self.branches.path:
            return "Chat panel: nothing was said yet."
        return "\n\n".join(map(chat_html.turn_text, self.branches.path))

    def say(self, question: str) -> None:
        """Ask, after the last turn that is shown or instead of the one that is being edited."""
        path = self.branches.path
        after = path[-1] if path else None
        if self._editing is not None:
            after, self._editing = self._editing.parent, None
        self._ask(question, after=after)

    def do_send(self, values: Mapping[str, Any]) -> None:
        """Send what stands in the field."""
        question = str(values.get("prompt", "")).strip()
        if not question:
            return
        if self.is_busy:
            self.surface.tell(fill={"prompt": question})  # the browser has emptied the field
            return
        try:
            self._read(values)
        except ConfigError:
            self.surface.tell(fill={"prompt": question})
            raise
        self.say(question)

    def do_stop(self, _values: Mapping[str, Any]) -> None:
        """Stop the answer that is coming; the server's slot is free when this returns."""
        self._stopping.set()
        if (stream := self._stream) is not None:
            stream.close()

    def do_again(self, values: Mapping[str, Any]) -> None:
        """Ask a turn's question once more, beside it."""
        turn = self._turn(values)
        if not self.is_busy:
            self._read(values)
            self._ask(turn.question, after=turn.parent)

    def do_edit(self, values: Mapping[str, Any]) -> None:
        """Put a turn's question into the field; what is sent next stands beside it."""
        self._editing = self._turn(values)
        self.surface.tell(fill={"prompt": self._editing.question})
        self._show_compose()

    def do_cancel(self, _values: Mapping[str, Any]) -> None:
        """Edit nothing after all."""
        self._editing = None
        self.surface.tell(fill={"prompt": ""})
        self._show_compose()

    def do_branch(self, values: Mapping[str, Any]) -> None:
        """Show another of the turns beside one."""
        if not self.is_busy:
            turn = self._turn(values)
            self.branches.choose(turn, turn.number + int(values.get("by", 1)))
            self._show_all()

    def do_clear(self, _values: Mapping[str, Any]) -> None:
        """Begin a new conversation."""
        if not self.is_busy:
            self.branches, self._editing = Branches(), None
            self.no_error()
            self._show_all()

    def do_as_code(self, values: Mapping[str, Any]) -> None:
        """Copy a cell that asks the same again."""
        self._read(values)
        self.surface.tell(copy=transcript.as_code(self.messages, self.params))

    def do_save(self, values: Mapping[str, Any]) -> None:
        """Write the conversation as a notebook into the project folder."""
        self._read(values)
        name = f"chat-{datetime.now():%Y-%m-%d-%H%M%S}.ipynb"
        path = self.session.settings.home / name
        transcript.save_notebook(path, self.messages, self.params)
        self.show("note", html.faint(f"Saved as {name}"))

    def dispose(self) -> None:
        """End the answer that is coming, too."""
        self.do_stop({})
        super().dispose()

    def _read(self, values: Mapping[str, Any]) -> None:
        self.params = read_params(values, self.params)
        if "system" in values:
            self.system = str(values["system"]).strip() or None

    def _turn(self, values: Mapping[str, Any]) -> Turn:
        path = self.branches.path
        number = int(values.get("turn", len(path) - 1))
        if not 0 <= number < len(path):
            raise ConfigError(f"There is no turn {number + 1} any more.")
        return path[number]

    def _ask(self, question: str, *, after: Turn | None) -> None:
        self.no_error()
        self._stopping.clear()
        turn = self.branches.add(question, after=after)
        front = (ChatMessage("system", self.system),) if self.system else ()
        before = self.branches.messages_before(turn)
        sent = (*front, *before, ChatMessage("user", question))
        self._show_all()
        self.work(lambda: self._answer(turn, sent), then=self._show_last)

    def _answer(self, turn: Turn, sent: tuple[ChatMessage, ...]) -> None:
        """Stream the answer into its turn, with the calls of tools in between."""
        loop = ToolLoop(sent, self._tools)

        def took(step: Any) -> None:
            turn.steps.append(step)
            turn.text = turn.reasoning = ""
            self._show_turn(turn)

        try:
            if self._tools:
                turn.messages = loop.drive(lambda: self._one(turn, loop), took).messages[
                    len(sent) :
                ]
            else:
                turn.messages = (self._one(turn, loop).message,)
            turn.state = TurnState.WHOLE
        except _StoppedError:
            turn.state = TurnState.STOPPED
            turn.messages = (ChatMessage("assistant", turn.text),) if turn.text else ()
        except WorkbenchError as exc:
            turn.state, turn.error = TurnState.FAILED, (exc.message, exc.hint)
        except BaseException:
            turn.state = TurnState.FAILED
            raise

    def _one(self, turn: Turn, loop: ToolLoop) -> Generation:
        """Stream one answer of the model."""
        tools = {"tools": self._tools, "tool_choice": loop.tool_choice} if self._tools else {}
        stream = self.session.stream(loop.messages, self.params, **tools)  # type: ignore[arg-type]
        self._stream = stream
        try:
            if self._stopping.is_set():  # before there was a stream to close
                raise _StoppedError
            for delta in stream.deltas():
                turn.text += delta.text if delta.choice == 0 else ""
                turn.reasoning += delta.reasoning if delta.choice == 0 else ""
                self._show_turn(turn)
        finally:
            self._stream = None
            stream.close()
            turn.generation = stream.generation
        if self._stopping.is_set() and stream.generation.finish_reason is None:
            raise _StoppedError
        return stream.generation

    def _show_turn(self, turn: Turn) -> None:
        path = self.branches.path
        if turn in path:
            number = path.index(turn)
            self.show(f"turns/{number}", lambda: chat_html.turn(turn, number))

    def _show_last(self) -> None:
        if path := self.branches.path:
            self._show_turn(path[-1])
        self._show_compose()

    def _show_all(self) -> None:
        path = self.branches.path
        self.show("turns/empty", None if path else chat_html.nothing())
        for number in range(len(path), self._shown_turns):
            self.show(f"turns/{number}", None)
        self._shown_turns = len(path)
        for turn in path:
            self._show_turn(turn)
        self.show("note", "")
        self._show_compose()

    def _show_compose(self) -> None:
        # What is at work is asked when it is drawn: by then the thread has begun, or ended.
        self.show("compose", self._compose)

    def _compose(self) -> str:
        path = self.branches.path
        coming = bool(path) and path[-1].state is TurnState.COMING
        return chat_html.compose(coming=coming, editing=self._editing is not None)


class _StoppedError(Exception):
    """The reader stopped the answer."""
