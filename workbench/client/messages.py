"""
The ways to write a conversation, made one. Pure.

A prompt is a string, our own records, or the dictionaries people copy from
OpenAI's documentation. What a :class:`~workbench.records.ChatMessage` cannot
carry is refused here, before a request, and never dropped in silence.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias, cast, get_args

from ..records import ChatMessage, Content, Image, Role, ToolCall

Messages: TypeAlias = str | ChatMessage | Sequence[ChatMessage | Mapping[str, object]]

# What a server adds to its own turn, and does not expect back.
_ECHOES = {"reasoning", "reasoning_content", "annotations"}
_FIELDS = {"role", "content", "tool_calls", "tool_call_id"}


def as_messages(messages: Messages, *, system: str | None = None) -> tuple[ChatMessage, ...]:
    """
    Return *messages* as records; a string is one user turn.

    Args:
        system: The system prompt, put in front.

    Raises:
        TypeError: A message is neither a record nor a mapping.

        ValueError: There is no message; one has a role, a kind of content or a
            field that cannot be sent; or there is a system prompt that is not
            the first message or not the only one, which chat templates refuse.
    """
    if isinstance(messages, str):
        messages = (ChatMessage("user", messages),)
    elif isinstance(messages, ChatMessage):
        messages = (messages,)
    turns = tuple(_as_message(message) for message in messages)
    if not turns:
        raise ValueError("a chat needs at least one message")
    if system is not None:
        turns = (ChatMessage("system", system), *turns)
    if any(turn.role == "system" for turn in turns[1:]):
        raise ValueError("a chat has one system prompt, and it is the first message")
    return turns


def _as_message(message: object) -> ChatMessage:
    if isinstance(message, ChatMessage):
        return message
    if not isinstance(message, Mapping):
        raise TypeError(f"a message is a ChatMessage or a dict, not {type(message).__name__}")
    unknown = {key for key, value in message.items() if value} - _FIELDS - _ECHOES
    if unknown:
        raise ValueError(f"a message has no {', '.join(sorted(map(str, unknown)))} here")
    role = message.get("role")
    if role not in get_args(Role):
        raise ValueError(f"a role is one of {', '.join(get_args(Role))}, not {role!r}")
    call_id = message.get("tool_call_id")
    return ChatMessage(
        cast(Role, role),
        _as_content(message.get("content")),
        tool_calls=tuple(_as_tool_call(call) for call in _items(message.get("tool_calls"))),
        tool_call_id=None if call_id is None else str(call_id),
    )


def _as_content(content: object) -> Content | None:
    if content is None or isinstance(content, str):
        return content
    parts = tuple(_as_part(part) for part in _items(content))
    if all(isinstance(part, str) for part in parts):
        return "".join(cast(tuple[str, ...], parts))
    return parts


def _as_part(part: object) -> str | Image:
    if isinstance(part, (str, Image)):
        return part
    kind = part.get("type") if isinstance(part, Mapping) else None
    if not isinstance(part, Mapping) or kind not in ("text", "image_url"):
        raise ValueError("content is text: a string, or parts of type 'text' and 'image_url'")
    if kind == "text":
        return str(part.get("text", ""))
    picture = part.get("image_url")
    if not isinstance(picture, Mapping) or not isinstance(picture.get("url"), str):
        raise ValueError("a picture is {'type': 'image_url', 'image_url': {'url': …}}")
    return Image(picture["url"], picture.get("detail"))


def _as_tool_call(call: object) -> ToolCall:
    if isinstance(call, ToolCall):
        return call
    function = call.get("function") if isinstance(call, Mapping) else None
    if not isinstance(call, Mapping) or not isinstance(function, Mapping):
        raise ValueError("a tool call is {'id': …, 'function': {'name': …, 'arguments': …}}")
    return ToolCall(
        id=str(call.get("id") or ""),
        name=str(function.get("name") or ""),
        arguments=str(function.get("arguments") or ""),
    )


def _items(value: object) -> Iterable[object]:
    if value is None:
        return ()
    if isinstance(value, Sequence) and not isinstance(value, str):
        return value
    raise ValueError(f"expected a list, not {type(value).__name__}")
