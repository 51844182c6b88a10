"""
What code said to llama-cpp-python, in the server's words.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..errors import UnsupportedArgumentError
from ..legacy.parameters import parameter_map
from ..records import OutputFormat, SamplingParams
from .grammar import LlamaGrammar

NOT_HERE = (
    "typical_p",
    "tfs_z",
    "mirostat_mode",
    "logits_processor",
    "stopping_criteria",
    "suffix",
)
"""What changes an answer and cannot be sent."""


def refuse(said: Mapping[str, Any], names: Sequence[str], table: str = "llama_cpp") -> None:
    """
    Refuse what the server has nothing for, unless it says that it does nothing.

    Raises:
        UnsupportedArgumentError: With what to do instead.
    """
    for name in names:
        rule = parameter_map().rules[table][name]
        if name in said and said[name] is not None and repr(said[name]) not in rule.off:
            raise unsupported(f"{name}={said[name]!r:.60}", rule.decide or rule.server)


def unsupported(what: str, instead: str | None) -> UnsupportedArgumentError:
    """Make the error."""
    return UnsupportedArgumentError(
        f"A server has nothing like llama.cpp's {what}.",
        hint=instead,
        argument=what.partition("=")[0],
    )


def sampling(said: Mapping[str, Any], *, seed: int | None) -> SamplingParams:
    """
    Write the sampling of a request; what it does not say are llama.cpp's defaults.

    Raises:
        UnsupportedArgumentError: A parameter has no counterpart.
    """
    refuse(said, NOT_HERE)
    if said["temperature"] < 0:
        raise unsupported(
            f"temperature={said['temperature']}", "temperature=1.0, top_p=1.0 and top_k=0 do it"
        )
    stop = said["stop"] or ()
    # llama.cpp kept the likeliest token then; vLLM refuses a top_p of 0.
    greedy = said["top_p"] <= 0
    return SamplingParams(
        temperature=0.0 if greedy else said["temperature"],
        top_p=1.0 if greedy else said["top_p"],
        top_k=said["top_k"],
        min_p=said["min_p"],
        repetition_penalty=said["repeat_penalty"],
        presence_penalty=said["presence_penalty"],
        frequency_penalty=said["frequency_penalty"],
        max_tokens=limit(said["max_tokens"]),
        stop=(stop,) if isinstance(stop, str) else tuple(stop) or None,
        seed=seed,
        logit_bias=said["logit_bias"] or None,
    )


def limit(max_tokens: int | None) -> int | None:
    """Return how many tokens an answer may have; ``None``: as many as fit."""
    return max_tokens if max_tokens and max_tokens > 0 else None


def tools_of(said: Mapping[str, Any]) -> dict[str, Any]:
    """Write tools and the choice among them, from either of the two forms that there were."""
    tools, choice = said["tools"], said["tool_choice"]
    if said["functions"]:
        tools = [{"type": "function", "function": each} for each in said["functions"]]
        choice = said["function_call"]
    if not tools:
        return {}
    if isinstance(choice, Mapping):
        choice = choice.get("function", choice)["name"]
    return {"tools": tools, "tool_choice": choice}


def format_of(response_format: Mapping[str, Any] | None) -> dict[str, Any]:
    """Write ``{"type": "json_object", "schema": …}`` in OpenAI's form."""
    if not response_format or response_format.get("type") == "text":
        return {}
    schema = response_format.get("schema")
    if schema is None:
        return {"response_format": dict(response_format)}
    return {"response_format": _json_schema(schema)}


def _json_schema(schema: Any) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}


def grammar_of(grammar: LlamaGrammar | str | None) -> tuple[OutputFormat | None, dict[str, Any]]:
    """Write a grammar: the format to ask for, or further fields of the request."""
    if grammar is None:
        return None, {}
    if isinstance(grammar, str):
        return OutputFormat(kind="grammar", value=grammar), {}
    if grammar.grammar is None:
        return None, {"response_format": _json_schema(grammar.schema)}
    return OutputFormat(kind="grammar", value=grammar.grammar), {}
