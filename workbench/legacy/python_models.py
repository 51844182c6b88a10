"""
Models that Python code makes: ``Llama(…)``, ``from_pretrained(…)``, ``ollama.Client(…)``.
"""

from __future__ import annotations

from collections.abc import Sequence

import libcst as cst

from .arguments import Given, Moved, call_items, code, move_server
from .parameters import parameter_map
from .places import ADAPTER
from .python import Work
from .urls_in_code import PUBLIC, address, is_public

MODELS = {"llama_cpp": "llama-cpp-python", "ctransformers": "ctransformers", "ollama": "Ollama"}

_SAYS = {
    "llama_cpp": ("llama_cpp_server", ("model_path", "filename")),
    "ctransformers": ("ctransformers_server", ("model_path_or_repo_id",)),
    "ollama": ("ollama_server", ("host",)),
}
"""Where the parameters of each are, and which come without a name."""


def model(work: Work, node: cst.Call) -> bool:
    """``Llama(…)``, ``Llama.from_pretrained(…)``, ``ollama.Client(…)``."""
    called = work.qualified(node.func)
    kind = work.names.kind_of(node) if called else None
    if kind not in MODELS or work.names.kinds.get(f"{code(node.func)}()") == kind:
        return False
    table, positional = _SAYS[kind]
    given = call_items(node, positional)
    moved = Moved(decide=["its arguments cannot be told"]) if given is None else Moved()
    if given is not None:
        moved = move_server([each for each in given if not _is_carried(kind, each)], table)
        moved.decide += _for_requests(work, given) if kind == "ctransformers" else ()
        host = next((each.value for each in given if each.name == "host"), None)
        if host is not None and is_public(where := address(host, work.names.texts)):
            moved.decide.append(f"{PUBLIC}: {where}")
    owner = node.func.value if isinstance(node.func, cst.Attribute) else node.func
    # `Llama(…)` and `Llama.from_pretrained(…)` of an imported class; else `llama_cpp.Llama(…)`.
    imported = kind == "llama_cpp" and isinstance(owner, cst.Name) and owner.value == "Llama"
    if isinstance(work.answers.parents[node], _OUT_OF_SIGHT):
        moved.decide.append(OUT_OF_SIGHT)
    name = work.llm if imported else f"{ADAPTER}.LLM"
    if name != "LLM":
        work.imports.add(ADAPTER)
    work.adapters.add(f"{ADAPTER}.py")
    work.add(
        node,
        f"{MODELS[kind]}: loads a model",
        lambda updated: _call(name, moved.all_arguments(), updated),
        items=(1, 2),
        changes=moved.changes,
        decide=moved.decide,
        notes=moved.notes,
    )
    return True


# A model in a list or a dictionary is called by names that are not its own.
_OUT_OF_SIGHT = (
    cst.Element,
    cst.DictElement,
    cst.ListComp,
    cst.DictComp,
    cst.GeneratorExp,
    cst.Lambda,
)
OUT_OF_SIGHT = (
    f"what is asked of this model from here on is not in sight: llm(…) is llm.complete(…) of an "
    f"{ADAPTER}.LLM, and llama.cpp's defaults have to be said"
)


def _call(name: str, given: Sequence[Given], like: cst.CSTNode) -> cst.Call:
    """Write a call without more in it than is said now."""
    arguments = ", ".join(f"{each.name}={code(each.value)}" for each in given)
    call = cst.parse_expression(f"{name}({arguments})")
    assert isinstance(call, cst.Call)
    assert isinstance(like, cst.Call)
    return call.with_changes(lpar=like.lpar, rpar=like.rpar)


# --- what ctransformers is told of requests when a model is made ----------------------------------


def said_when_made(work: Work) -> list[Given]:
    """List what ctransformers was told for all requests, where that is the same for all of them."""
    made = [node for node in _calls(work) if work.names.kind_of(node) == "ctransformers"]
    made = [node for node in made if work.qualified(node.func)]
    given = call_items(made[0], _SAYS["ctransformers"][1]) if len(made) == 1 else None
    return [each for each in given or () if _is_for_requests(each) and _is_constant(each.value)]


def _for_requests(work: Work, given: Sequence[Given]) -> list[str]:
    """Ask about what went with every request, and cannot be written into each."""
    known = {each.name for each in said_when_made(work)}
    return [
        f"{each.name}={code(each.value)} went with each request that did not say another: say it "
        f"where {ADAPTER} is asked"
        for each in given
        if _is_for_requests(each) and each.name not in known
    ]


def _is_carried(kind: str, each: Given) -> bool:
    """Tell whether a model was told it for its requests, and not for itself."""
    return kind == "ctransformers" and _is_for_requests(each)


def _is_for_requests(each: Given) -> bool:
    return each.name in parameter_map().rules["ctransformers"]


def _is_constant(value: cst.BaseExpression) -> bool:
    """Tell whether a value is the same wherever it is written."""
    if isinstance(value, cst.List | cst.Tuple):
        return all(_is_constant(each.value) for each in value.elements)
    if isinstance(value, cst.UnaryOperation):
        return _is_constant(value.expression)
    said = isinstance(value, cst.SimpleString | cst.BaseNumber)
    return said or code(value) in ("True", "False", "None")


def _calls(work: Work) -> list[cst.Call]:
    found: list[cst.Call] = []

    class Find(cst.CSTVisitor):
        def visit_Call(self, node: cst.Call) -> None:
            found.append(node)

    work.wrapper.module.visit(Find())
    return found
