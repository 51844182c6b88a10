"""
Prompts and answers in the form of OpenTelemetry's GenAI conventions, 1.41.0. Pure.

Only a record that was asked to keep its contents has them.

Source:
    gen-ai-input-messages.json and gen-ai-output-messages.json in docs/gen-ai of
    https://github.com/open-telemetry/semantic-conventions/tree/v1.41.0
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any


def input_messages(turns: Sequence[Mapping[str, Any]]) -> str:
    """Write the turns of a prompt, as JSON: spans have no attribute with structure."""
    return json.dumps([{"role": turn["role"], "parts": _of_turn(turn)} for turn in turns])


def output_messages(answers: Sequence[Mapping[str, Any]]) -> str:
    """Write the answers, as JSON."""
    return json.dumps([_output(answer) for answer in answers])


def _output(answer: Mapping[str, Any]) -> dict[str, Any]:
    parts = [
        *_texts("reasoning", answer.get("reasoning")),
        *_texts("text", answer.get("text")),
        *map(_call, answer.get("tool_calls", ())),
    ]
    # The form demands a reason; an answer that broke off has none.
    reason = answer.get("finish_reason", "error")
    return {"role": "assistant", "parts": parts, "finish_reason": reason}


def _of_turn(turn: Mapping[str, Any]) -> list[dict[str, Any]]:
    content = turn.get("content")
    if "tool_call_id" in turn:
        return [{"type": "tool_call_response", "id": turn["tool_call_id"], "response": content}]
    given = [_part(part) for part in content] if isinstance(content, list) else []
    said = _texts("text", content) if isinstance(content, str) else given
    return [*said, *map(_call, turn.get("tool_calls", ()))]


def _texts(kind: str, content: str | None) -> list[dict[str, Any]]:
    return [{"type": kind, "content": content}] if content else []


def _part(part: Mapping[str, Any]) -> dict[str, Any]:
    if part["type"] == "image_url":
        return {"type": "uri", "modality": "image", "uri": part["image_url"]["url"]}
    return {"type": "text", "content": part["text"]}


def _call(call: Mapping[str, Any]) -> dict[str, Any]:
    try:
        arguments = json.loads(call["arguments"])
    except ValueError:  # a model writes what it likes, and a redaction breaks it
        arguments = call["arguments"]
    return {"type": "tool_call", "id": call["id"], "name": call["name"], "arguments": arguments}
