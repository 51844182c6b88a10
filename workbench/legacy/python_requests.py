"""
A request in Python, moved: its arguments, and what is read of its answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum, auto

import libcst as cst

from .answers import Edit, UncertainError, with_path
from .arguments import Given, call_items, code, dict_items, move, written
from .parameters import Interface
from .places import ADAPTER
from .python import Work
from .python_models import said_when_made

ASYNC = (
    f"{ADAPTER} waits for its answers: await openai.AsyncOpenAI(**{ADAPTER}.SERVER)"
    ".chat.completions.create(model=…) in code that must not"
)


class Asked(Enum):
    """Whom a call asks: the object before the dot, the object that is called, or the module."""

    OWNER = auto()
    ITSELF = auto()
    ADAPTER = auto()


def request(
    work: Work,
    node: cst.Call,
    interface: Interface,
    asked_of: Asked,
    *,
    body: cst.Dict | None = None,
    more: Sequence[Given] = (),
    decide: Sequence[str] = (),
) -> bool:
    """Move a request: its arguments, and what is read of its answer. Tell whether that is sure."""
    given = dict_items(body) if body else call_items(node, interface.positional)
    if given is None:
        untold = f"{interface.becomes}(…) takes its arguments by name; these cannot be told"
        work.add(node, interface.title, None, items=(2, 4), decide=[untold])
        return False
    streams = any(each.name == "stream" and code(each.value) != "False" for each in given)
    if body is not None and interface.table == "ollama":
        # Ollama's own default, over HTTP.
        streams = streams or all(each.name != "stream" for each in given)
    items = items_touched(given, streams)
    try:
        if work.answers.f_string(node):
            raise UncertainError("it stands inside an f-string")
        if streams and "" in interface.chunk and not _streams_surely(given):
            raise UncertainError("whether it streams is not in sight")
        if interface.table == "ollama" and (names := _functions(work, given)):
            raise UncertainError(f"{names}: functions of Python go as JSON schemas in tools=")
        edits = work.answers.edits(node, interface, http=body is not None, streams=streams)
    except UncertainError as unsure:
        why = f"{ADAPTER}.{interface.becomes}(…) asks it, but {unsure}"
        if asked_of is not Asked.ADAPTER:
            why += "; as it stands it fails"
        work.add(node, interface.title, None, items=items, decide=[why])
        return False
    work.edits |= edits
    if interface.table == "ctransformers":
        said = {each.name for each in given}
        given += [each for each in said_when_made(work) if each.name not in said]
    moved = move(interface, given)
    work.adapters.add(f"{ADAPTER}.py")
    if asked_of is Asked.ADAPTER:
        work.imports.add(ADAPTER)
    work.add(
        node,
        interface.title,
        _asks(interface, asked_of, [*moved.all_arguments(), *more], body or node, streams=streams),
        items=items,
        changes=[*moved.changes, *([interface.change] if interface.change else [])],
        decide=[*moved.decide, *decide],
    )
    return True


def _functions(work: Work, given: Sequence[Given]) -> str:
    """Name the functions of Python among Ollama's tools."""
    tools = next((each.value for each in given if each.name == "tools"), None)
    elements = tools.elements if isinstance(tools, cst.List) else ()
    return ", ".join(code(each.value) for each in elements if _is_function(work, each.value))


def _is_function(work: Work, value: cst.BaseExpression) -> bool:
    scope = work.answers.scopes.get(value) if isinstance(value, cst.Name) else None
    given = scope[value.value] if scope and isinstance(value, cst.Name) else ()
    return any(isinstance(getattr(each, "node", None), cst.FunctionDef) for each in given)


def _streams_surely(given: Sequence[Given]) -> bool:
    return any(each.name == "stream" and code(each.value) == "True" for each in given)


def _asked(asked_of: Asked, call: cst.Call) -> cst.BaseExpression:
    """Return what is asked, as it is after changes inside it: ``Llama(…).create_embedding(…)``."""
    if asked_of is Asked.ADAPTER:
        return cst.Name(ADAPTER)
    if asked_of is Asked.OWNER:
        assert isinstance(call.func, cst.Attribute)
        return call.func.value
    return call.func


def _asks(
    interface: Interface,
    asked_of: Asked,
    arguments: Sequence[Given],
    like: cst.Call | cst.Dict,
    *,
    streams: bool,
) -> Edit:
    def edit(updated: cst.CSTNode) -> cst.CSTNode:
        assert isinstance(updated, cst.Call)
        func = cst.Attribute(_asked(asked_of, updated), cst.Name(interface.becomes))
        call = updated.with_changes(func=func, **written(arguments, like))
        if "" not in interface.answer:
            return call
        if streams:
            # What gave pieces of text gives them still.
            return with_path(call, f"piece{interface.chunk['']} for piece in _")
        return with_path(call, f"_{interface.answer['']}")

    return edit


def items_touched(given: Sequence[Given], streams: bool) -> tuple[int, ...]:
    """Name the points of the checklist that a request touches."""
    names = {each.name for each in given}
    tools = names & {"tools", "functions", "tool_choice", "function_call", "messages", "system"}
    return (2, *((3,) if streams else ()), 4, *((5,) if tools else ()), 6, 7)
