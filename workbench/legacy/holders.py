"""
Which names in a module hold an old model, a client or a server's address.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import libcst as cst
from libcst.metadata import MetadataWrapper, QualifiedNameProvider

from .arguments import code
from .shared import imported

LLAMA_MODULES = ("llama_cpp", "llama_cpp.llama", "workbench.compat.llama_cpp")
"""Where ``Llama`` comes from: the library, or the shim of a first step."""

OBJECTS = {
    **{f"{module}.Llama": "llama_cpp" for module in LLAMA_MODULES},
    **{f"{module}.Llama.from_pretrained": "llama_cpp" for module in LLAMA_MODULES},
    "ctransformers.AutoModelForCausalLM.from_pretrained": "ctransformers",
    "ollama.Client": "ollama",
    "ollama.AsyncClient": "ollama_async",
    "openai.OpenAI": "openai",
    "openai.AsyncOpenAI": "openai",
    "requests.Session": "http",
    "requests.session": "http",
    "httpx.Client": "http",
    "httpx.AsyncClient": "http_async",
    "aiohttp.ClientSession": "http_async",
    "llm_client.LLM": "moved",
}

_TYPES = {name: kind for name, kind in OBJECTS.items() if not name.endswith("from_pretrained")}
_TYPES["ctransformers.AutoModelForCausalLM"] = "ctransformers"


class Holders(cst.CSTVisitor):
    """
    Finds them, by how they are written: ``llm``, ``self.llm``, ``get_llm()``.

    Args:
        known: What an earlier look has found, so that ``llm = get_llm()`` counts too.

        shared: Models of other modules; see :mod:`~workbench.legacy.shared`.
    """

    def __init__(
        self,
        wrapper: MetadataWrapper,
        known: Mapping[str, str],
        shared: Mapping[str, str],
    ) -> None:
        super().__init__()
        self.shared = shared
        self.kinds = dict(known)
        self.texts: dict[str, cst.BaseExpression] = {}
        self._names = wrapper.resolve(QualifiedNameProvider)
        self._functions: list[str] = []

    def qualified(self, node: cst.CSTNode) -> set[str]:
        """Return what a name means, through the module's imports."""
        found = self._names.get(node, ())
        return {each.name for each in (found() if callable(found) else found)}

    def kind_of(self, value: cst.BaseExpression | None) -> str | None:
        """Tell what an expression gives: the kind of object, or ``None``."""
        if value is None:
            return None
        if isinstance(value, cst.Await):
            return self.kind_of(value.expression)
        if isinstance(value, cst.Call):
            for name in self.qualified(value.func):
                if name in OBJECTS:
                    return OBJECTS[name]
            called = code(value.func)
            return self.kinds.get(f"{called}()") if not value.args else None
        return self.kinds.get(code(value))

    def visit_ImportFrom(self, node: cst.ImportFrom) -> None:
        if isinstance(node.names, cst.ImportStar):
            return
        module = code(node.module) if node.module else ""
        for alias in node.names:
            name = code(alias.name)
            bound = code(alias.asname.name) if alias.asname else name
            for text, kind in imported(module, name, self.shared):
                self.kinds[bound + text.removeprefix(name)] = kind

    def visit_Import(self, node: cst.Import) -> None:
        for alias in node.names:
            name = code(alias.name)
            bound = code(alias.asname.name) if alias.asname else name
            stem = name.rpartition(".")[2]
            for text, kind in self.shared.items():
                if text.startswith(f"{stem}."):
                    self.kinds[bound + text.removeprefix(stem)] = kind

    def visit_Assign(self, node: cst.Assign) -> None:
        for target in node.targets:
            self._learn(target.target, node.value)

    def visit_AnnAssign(self, node: cst.AnnAssign) -> None:
        self._learn(node.target, node.value)
        self._annotated(code(node.target), node.annotation)

    def visit_NamedExpr(self, node: cst.NamedExpr) -> None:
        self._learn(node.target, node.value)

    def visit_WithItem(self, node: cst.WithItem) -> None:
        if node.asname:
            self._learn(node.asname.name, node.item)

    def visit_Param(self, node: cst.Param) -> None:
        if node.annotation:
            self._annotated(node.name.value, node.annotation)

    def visit_FunctionDef(self, node: cst.FunctionDef) -> None:
        self._functions.append(node.name.value)
        if node.returns:
            self._annotated(f"{node.name.value}()", node.returns)

    def leave_FunctionDef(self, original_node: cst.FunctionDef) -> None:
        self._functions.pop()

    def visit_Return(self, node: cst.Return) -> None:
        kind = self.kind_of(node.value)
        if kind and self._functions:
            self.kinds[f"{self._functions[-1]}()"] = kind

    def _learn(self, target: cst.CSTNode, value: cst.BaseExpression | None) -> None:
        name = code(target)
        if kind := self.kind_of(value):
            self.kinds[name] = kind
        if isinstance(value, (cst.SimpleString, cst.FormattedString, cst.BinaryOperation)):
            self.texts[name] = value

    def _annotated(self, name: str, annotation: cst.Annotation) -> None:
        """Look for the type anywhere in it: ``Llama | None``, ``Annotated[Llama, …]``."""
        for node in _names_in(annotation.annotation):
            for qualified in self.qualified(node):
                if qualified in _TYPES:
                    self.kinds[name] = _TYPES[qualified]


def _names_in(node: cst.CSTNode) -> Iterator[cst.CSTNode]:
    if isinstance(node, cst.Name | cst.Attribute):
        yield node
    for child in node.children:
        yield from _names_in(child)


def holders(wrapper: MetadataWrapper, shared: Mapping[str, str]) -> Holders:
    """Look until nothing new is found."""
    found = Holders(wrapper, {}, shared)
    wrapper.module.visit(found)
    while True:
        again = Holders(wrapper, found.kinds, shared)
        wrapper.module.visit(again)
        if again.kinds == found.kinds:
            return again
        found = again
