"""
Checks of answers in a given form. What is asked for is nothing that a model says by itself.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from ..errors import ConfigError, OutputFormatError
from ..records import OutputFormat
from .base import GREEDY, THINKS, Found, Target, fails, short, skips, warns, works

NAMES = ("alpha", "beta")
SCHEMA = {
    "type": "object",
    "properties": {"name": {"enum": list(NAMES)}, "sure": {"type": "boolean"}},
    "required": ["name", "sure"],
    "additionalProperties": False,
}
PATTERN = "[0-9]{3}-[a-f]{2}"

PASSED_OVER = "The server passes over the form that was asked for: answers must be checked."


def json_schema(target: Target) -> Found:
    """Ask for an object whose values the model would not choose."""
    asked = f"name of {'|'.join(NAMES)}, sure: boolean"
    try:
        answer = target.client.chat("Give me a JSON object.", GREEDY, output=SCHEMA)
    except OutputFormatError as exc:
        seen = f"{asked} → {short(exc.partial.text)}"
        if exc.partial.finish_reason == "length":
            return warns(seen, THINKS)
        return fails(seen, PASSED_OVER)
    seen = f"{asked} → {short(answer.text)}"
    if not _fits(answer.parsed):
        return fails(seen, PASSED_OVER)
    return works(seen, "Answers keep to a schema: output=… gives objects.")


def regex(target: Target) -> Found:
    """Ask for a text that a pattern describes; vLLM only."""
    try:
        answer = target.client.chat(
            "Name a number.", GREEDY, output=OutputFormat(kind="regex", value=PATTERN)
        )
    except ConfigError as exc:
        return skips(exc.message, exc.hint or "")
    seen = f"{PATTERN} → {short(answer.text)}"
    if answer.finish_reason == "length":
        return warns(seen, THINKS)
    if not re.fullmatch(PATTERN, answer.text):
        return fails(seen, PASSED_OVER)
    return works(seen, "Answers keep to a pattern.")


def _fits(value: object) -> bool:
    return (
        isinstance(value, Mapping)
        and value.keys() == {"name", "sure"}
        and value["name"] in NAMES
        and isinstance(value["sure"], bool)
    )
