"""
A conversation written down: as code that holds it again, and as a notebook.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .records import ChatMessage, SamplingParams


def as_code(messages: Sequence[ChatMessage], params: SamplingParams) -> str:
    """
    Write a cell that asks the same again.

    Questions are asked anew, so that the answers are those of the model that
    serves then. Turns of tools are left out: their functions are not known here.
    """
    system = next((message.content for message in messages if message.role == "system"), None)
    given = ", ".join(f"{name}={value!r}" for name, value in params.given().items())
    opening = f"system={system!r}, " if system else ""
    asked = [message.content for message in messages if message.role == "user"]
    lines = [
        "from workbench import SamplingParams, Session",
        "",
        "session = Session()",
        f"talk = session.conversation({opening}params=SamplingParams({given}))",
        *(f"print(talk.say({content!r}).text)" for content in asked),
    ]
    return "\n".join(lines)


def as_notebook(messages: Sequence[ChatMessage], params: SamplingParams) -> dict[str, Any]:
    """Write what was said as cells to read, and a last one that asks it again; nbformat 4.5."""
    cells = [_cell("markdown", _said(message)) for message in messages]
    cells.append(_cell("code", as_code(messages, params)))
    for number, cell in enumerate(cells):
        cell["id"] = f"turn-{number}"
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return {
        "cells": cells,
        "metadata": {"kernelspec": kernel},
        "nbformat": 4,
        "nbformat_minor": 5,
    }


def save_notebook(path: Path, messages: Sequence[ChatMessage], params: SamplingParams) -> Path:
    """
    Write the notebook of a conversation.

    Raises:
        OSError: It cannot be written, or is there already.
    """
    with path.open("x", encoding="utf-8") as file:
        json.dump(as_notebook(messages, params), file, ensure_ascii=False, indent=1)
        file.write("\n")
    return path


def _said(message: ChatMessage) -> str:
    content = message.content
    parts = content if isinstance(content, tuple) else (content or "",)
    calls = [f"`{call.name}({call.arguments})`" for call in message.tool_calls]
    return "\n\n".join([f"**{message.role}**", *map(str, parts), *calls])


def _cell(kind: str, source: str) -> dict[str, Any]:
    cell: dict[str, Any] = {"cell_type": kind, "metadata": {}, "source": source}
    return cell | ({"execution_count": None, "outputs": []} if kind == "code" else {})
