"""
LangChain's wrappers of old libraries, which become its model over OpenAI's API.
"""

from __future__ import annotations

from collections.abc import Sequence

import libcst as cst

from .answers import Edit
from .arguments import Given, call_items, code, move
from .arguments import written as layout
from .parameters import Interface, parameter_map
from .places import ADAPTER
from .python import Work

MODULE = "llm_langchain"

TEMPLATE = (
    "Ollama put a prompt into the model's chat template, and a completion does not: take "
    "chat_model(…), whose answer is a message, or write the template into the prompt"
)


def _is_unlimited(given: Sequence[Given], whose: str) -> bool:
    """Tell whether an answer might be as long as fits; LlamaCpp's own limit is LangChain's."""
    limits = [code(each.value) for each in given if each.name in ("num_predict", "max_tokens")]
    return limits[0] in ("-1", "-2", "None") if limits else whose == "ollama"


def langchain(work: Work, node: cst.Call) -> bool:
    """``LlamaCpp(…)``, ``ChatOllama(…)`` and their like."""
    kinds = parameter_map().langchain
    named = next((name for name in work.qualified(node.func) if name in kinds), None)
    given = call_items(node, ()) if named else None
    if named is None or given is None:
        return False
    kind, whose = kinds[named]
    interface = Interface(
        name=named, title=named, becomes=f"{kind}_model", table="langchain", default=whose
    )
    moved = move(interface, given)
    if (kind, whose) == ("completion", "ollama"):
        moved.decide.append(TEMPLATE)
    if kind == "completion" and _is_unlimited(given, whose):
        # Left out, LangChain's own limit goes along: 256.
        moved.extra.append(("max_tokens", cst.Name("None")))
    function = cst.Attribute(cst.Name(MODULE), cst.Name(interface.becomes))
    edit: Edit = lambda updated: updated.with_changes(  # noqa: E731
        func=function, **layout(moved.all_arguments(), node)
    )
    work.imports.add(MODULE)
    work.adapters |= {f"{ADAPTER}.py", f"{MODULE}.py"}
    work.add(
        node,
        f"LangChain: {named.rpartition('.')[2]}",
        edit,
        items=(1, 2, 4, 6, 7),
        changes=moved.changes,
        decide=moved.decide,
    )
    return True
