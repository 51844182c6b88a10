"""
Which models there are on this machine, and what serving one needs to know.

The facts come from the model's own folder: ``config.json`` for the context
length, the chat template for how it writes tool calls.
"""

from __future__ import annotations

import difflib
import json
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ..errors import ConfigError

# What a chat template gives away about the form of tool calls, most specific
# first, and the vLLM parser that reads it (vLLM 0.32, --tool-call-parser).
_PARSERS = (
    ("<function=", "qwen3_coder"),
    ("<tool_call>", "hermes"),
    ("[TOOL_CALLS]", "mistral"),
    ("<|python_tag|>", "llama3_json"),
)

# For a model that is not here yet, its name has to do. vLLM 0.33, docs/features/tool_calling.md
_FAMILIES = (
    (r"llama-?4", "llama4_pythonic"),
    (r"llama-?3", "llama3_json"),
    (r"qwen3-coder", "qwen3_coder"),
    (r"qwen|hermes", "hermes"),
    (r"mistral|ministral", "mistral"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalModel:
    """
    A model whose weights are in a folder.

    Args:
        max_model_len: The longest context its configuration allows, tokens;
            ``None`` when the configuration does not say.

        tool_call_parser: vLLM's parser for its tool calls, or ``None``.
    """

    name: str
    path: Path
    max_model_len: int | None
    tool_call_parser: str | None


def local_models(models_dir: Path) -> list[str]:
    """Name the folders below *models_dir* that hold a model."""
    return sorted(path.parent.name for path in models_dir.glob("*/config.json"))


def find_model(name: str, *, models_dir: Path, others: Iterable[str] = ()) -> LocalModel:
    """
    Find a model by the name of its folder below *models_dir*, or by a path.

    A relative path begins at the project folder: a notebook's kernel has
    another folder than the shell that the same setting came from.

    Args:
        others: Further names that may have been meant, for a suggestion.

    Raises:
        ConfigError: There is none, or its ``config.json`` cannot be read.
    """
    home = Path(os.path.expanduser(name))  # noqa: PTH111  an unknown ~user is no exception here
    for path in (models_dir / name, models_dir.parent / home):
        if (path / "config.json").is_file():
            return _read(path)
    known = local_models(models_dir)
    # One of the catalogue whose folder is not here is no suggestion for itself.
    candidates = [each for each in (*known, *others) if each != name]
    close = difflib.get_close_matches(name, candidates, n=1)
    listing = ", ".join(known) or "none"
    raise ConfigError(
        f"There is no model {name!r}: no such folder, or no config.json in it. "
        f"In {models_dir}: {listing}.",
        hint=f"Did you mean {close[0]}?" if close else "Put its folder there, or give a path.",
        key="model",
        source=name,
    )


def _read(path: Path) -> LocalModel:
    try:
        config = json.loads((path / "config.json").read_text())
        text = config.get("text_config") or config
        longest = text.get("max_position_embeddings")
        if longest is not None and not (isinstance(longest, int) and longest > 0):
            raise ValueError(f"max_position_embeddings is {longest!r}")
        template = _chat_template(path)
    except (OSError, ValueError, AttributeError) as exc:
        raise ConfigError(
            f"The configuration of {path.name} cannot be read: {exc}",
            hint=f"Look into {path / 'config.json'}, or fetch the model again.",
            key="model",
            source=str(path),
        ) from exc
    return LocalModel(
        name=path.name,  # a link keeps the name it was given, whatever it leads to
        path=path.resolve(),
        max_model_len=longest,
        tool_call_parser=tool_call_parser(template),
    )


def tool_call_parser(template: str) -> str | None:
    """
    Tell from a chat template which vLLM parser reads the model's tool calls.

    Returns:
        The parser's name, or ``None`` when the template knows no tool calls.
    """
    return next((parser for mark, parser in _PARSERS if mark in template), None)


def parser_of_family(name: str) -> str | None:
    """Guess from a model's name which vLLM parser reads its tool calls; ``None``: no idea."""
    found = (parser for pattern, parser in _FAMILIES if re.search(pattern, name, re.IGNORECASE))
    return next(found, None)


def looks_like_hub_name(name: str, models_dir: Path) -> bool:
    """Tell a hub's ``organisation/model`` from a folder: no such folder, and the hub's letters."""
    is_there = (models_dir / name).exists() or Path(name).is_dir()
    return not is_there and bool(re.fullmatch(r"[\w-][\w.-]*/[\w.-]+", name, re.ASCII))


def _chat_template(path: Path) -> str:
    """Return the chat template, from either of the two places where it is kept."""
    own_file = path / "chat_template.jinja"
    if own_file.is_file():
        return own_file.read_text()
    try:
        tokenizer = json.loads((path / "tokenizer_config.json").read_text())
    except (OSError, ValueError):
        return ""
    return str(tokenizer.get("chat_template", "")) if isinstance(tokenizer, dict) else ""
