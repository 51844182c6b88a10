"""
Models that a module makes for others: ``from app.model import llm``.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import PurePath

from .urls_in_code import LOCAL

MADE_BY = {
    "Llama": "llama_cpp",
    "LLM": "moved",
    "Llama.from_pretrained": "llama_cpp",
    "AutoModelForCausalLM.from_pretrained": "ctransformers",
    "ollama.Client": "ollama",
    "ollama.AsyncClient": "ollama_async",
    "OpenAI": "openai",
    "AsyncOpenAI": "openai",
}
"""What makes a model, by the end of its name; who made it is then looked at in its imports."""

_LIBRARIES = {
    "llama_cpp": "llama_cpp",
    "moved": "llm_client",
    "ctransformers": "ctransformers",
    "ollama": "ollama",
    "ollama_async": "ollama",
    "openai": "openai",
}

_FROM_OLLAMA = re.compile(r"^from ollama import\b.*\b(?P<name>Client|AsyncClient)\b", re.MULTILINE)


def shared_models(path: PurePath, text: str) -> dict[str, str]:
    """
    Name the models at a module's top, as ``model.llm``, and the functions that return one.

    Python's own parser is enough for that, and a hundred times as fast as one that keeps layout.
    """
    kinds = {kind for kind, library in _LIBRARIES.items() if library in text}
    if path.suffix != ".py" or not kinds:
        return {}
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):  # its reader will say so
        return {}
    for found in _FROM_OLLAMA.finditer(text):
        # Other libraries have a Client too, so this one is called by its whole name.
        tree = _Named(found["name"]).visit(tree)
    return {f"{path.stem}.{name}": kind for name, kind in _models(tree) if kind in kinds}


class _Named(ast.NodeTransformer):
    """Writes ``ollama.Client`` for ``Client``."""

    def __init__(self, name: str) -> None:
        self.name = name

    def visit_Name(self, node: ast.Name) -> ast.expr:
        if node.id != self.name:
            return node
        return ast.Attribute(ast.Name("ollama", ast.Load()), self.name, ast.Load())


def _models(tree: ast.Module) -> Iterator[tuple[str, str]]:
    for node in tree.body:
        if isinstance(node, ast.Assign | ast.AnnAssign) and (kind := _kind(node.value)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            yield from ((each.id, kind) for each in targets if isinstance(each, ast.Name))
        elif isinstance(node, ast.FunctionDef):
            returned = node.returns and MADE_BY.get(_end(ast.unparse(node.returns)))
            values = (each.value for each in ast.walk(node) if isinstance(each, ast.Return))
            kind = returned or next(filter(None, map(_kind, values)), None)
            if kind:
                yield f"{node.name}()", kind


def _kind(value: ast.expr | None) -> str | None:
    if not isinstance(value, ast.Call):
        return None
    name = ast.unparse(value.func)
    kind = next(
        (MADE_BY[each] for each in (name, _end(name), _end(name, 2)) if each in MADE_BY), None
    )
    said = ast.unparse(value)
    if kind == "openai" and not (LOCAL.search(said) or ".SERVER" in said):
        return None
    return kind


def _end(name: str, parts: int = 1) -> str:
    return ".".join(name.split(".")[-parts:])


def imported(module: str, name: str, shared: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Tell what ``from module import name`` brings: a model, or a function that returns one."""
    stem = module.rpartition(".")[2]
    for text in (name, f"{name}()"):
        if kind := shared.get(f"{stem}.{text}"):
            yield text, kind
    # `from app import model`, and then `model.llm`.
    for known, kind in shared.items():
        if known.startswith(f"{name}."):
            yield known, kind
