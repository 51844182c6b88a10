"""
Prompts and answers as text, for those who asked to keep them. Pure.

Everything is redacted before it is written anywhere: the words of messages and
answers, reasoning, names, ids and arguments of tool calls, and addresses. So are
the strings that end an answer, which are kept in any case.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from ..records import ChatMessage, Choice, Content, Generation, Image, ToolCall

Redact: TypeAlias = Callable[[str], str]

REDACTED = "[redacted]"
MAX_URL = 200
"""A picture in a ``data:`` URL is a million characters; its beginning says what it is."""


class Contents:
    """
    Writes prompts and answers.

    Args:
        redact: Called with every text; what it returns is kept.

        kept: Whether prompts and answers are.
    """

    def __init__(self, redact: Redact = str, *, kept: bool = True) -> None:
        self.kept = kept
        self._redact = redact

    def prompt(self, messages: Sequence[ChatMessage]) -> str | None:
        """Write the turns in the form of OpenAI's API, without what is not set."""
        return json.dumps([self._turn(message) for message in messages]) if self.kept else None

    def answer(self, answer: Generation) -> str | None:
        """Write the answers: text, reasoning, tool calls and finish reason of each."""
        choices: list[Generation | Choice] = [answer, *answer.alternatives]
        return json.dumps([self._choice(choice) for choice in choices]) if self.kept else None

    def stop(self, texts: Sequence[str]) -> str:
        """Write the strings that end an answer: they are settings, of few characters."""
        return json.dumps([self._redact(text) for text in texts])

    def words(self, texts: Sequence[str]) -> list[str] | int:
        """Return what may not be said, or only how many there are."""
        return [self._redact(text) for text in texts] if self.kept else len(texts)

    def _turn(self, message: ChatMessage) -> dict[str, Any]:
        return _set(
            role=message.role,
            content=self._content(message.content),
            tool_calls=self._calls(message.tool_calls),
            tool_call_id=message.tool_call_id and self._redact(message.tool_call_id),
        )

    def _choice(self, choice: Generation | Choice) -> dict[str, Any]:
        return _set(
            text=self._redact(choice.text),
            reasoning=None if choice.reasoning is None else self._redact(choice.reasoning),
            tool_calls=self._calls(choice.tool_calls),
            finish_reason=choice.finish_reason,
        )

    def _content(self, content: Content | None) -> object:
        if isinstance(content, tuple):
            return [self._part(part) for part in content]
        return None if content is None else self._redact(content)

    def _part(self, part: str | Image) -> Mapping[str, Any]:
        if isinstance(part, str):
            return {"type": "text", "text": self._redact(part)}
        return {"type": "image_url", "image_url": {"url": self._redact(part.url)[:MAX_URL]}}

    def _calls(self, calls: Sequence[ToolCall]) -> list[dict[str, Any]]:
        return [
            {name: self._redact(getattr(call, name)) for name in ("id", "name", "arguments")}
            for call in calls
        ]


NO_CONTENTS = Contents(kept=False)
HIDDEN = Contents(lambda _: REDACTED, kept=False)


def redacting(pattern: str) -> Redact:
    """
    Return what puts ``[redacted]`` in the place of all that *pattern* matches.

    Raises:
        re.error: It is no regular expression.
    """
    found = re.compile(pattern)
    return lambda text: found.sub(REDACTED, text)


def _set(**fields: object) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value not in (None, [])}
