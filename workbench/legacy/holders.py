"""
Which names in a module hold an old model, a client or a server's address.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import libcst as cst
from libcst.metadata import (
    ClassScope,
    MetadataWrapper,
    ParentNodeProvider,
    QualifiedNameProvider,
    Scope,
    ScopeProvider,
)

from .arguments import code
from .shared import imported
from .urls_in_code import LOCAL, address

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
    "http.client.HTTPConnection": "connection",
    "http.client.HTTPSConnection": "connection",
    "llm_client.LLM": "moved",
}

_TYPES = {name: kind for name, kind in OBJECTS.items() if not name.endswith("from_pretrained")}
_TYPES["ctransformers.AutoModelForCausalLM"] = "ctransformers"


Place = tuple[Scope | cst.CSTNode | None, str]


class Holders(cst.CSTVisitor):
    """
    Finds them, by how they are written: ``llm``, ``self.llm``, ``get_llm()``.

    Args:
        earlier: What an earlier look has found, so that ``llm = get_llm()`` counts too.

        shared: Models of other modules; see :mod:`~workbench.legacy.shared`.
    """

    def __init__(
        self,
        wrapper: MetadataWrapper,
        earlier: Holders | None,
        shared: Mapping[str, str],
    ) -> None:
        super().__init__()
        self.shared = shared
        self.kinds: dict[str, str] = dict(earlier.kinds) if earlier else {}
        self.given: dict[Place, list[str]] = dict(earlier.given) if earlier else {}
        self.texts: dict[str, cst.BaseExpression] = {}
        self.functions: dict[str, cst.FunctionDef] = dict(earlier.functions) if earlier else {}
        self._names = wrapper.resolve(QualifiedNameProvider)
        self._parents = wrapper.resolve(ParentNodeProvider)
        self._scopes = wrapper.resolve(ScopeProvider)
        self._functions: list[str] = []

    def qualified(self, node: cst.CSTNode) -> set[str]:
        """Return what a name means, through the module's imports."""
        if not isinstance(node, cst.Name | cst.Attribute):
            return set()  # libcst calls `Llama(…)` and `Llama[0]` by the name `Llama`, too
        found = self._names.get(node, ())
        return {each.name for each in (found() if callable(found) else found)}

    def kind_of(self, value: cst.BaseExpression | None) -> str | None:
        """Tell what an expression gives: the kind of object, or ``None``."""
        if value is None:
            return None
        if isinstance(value, cst.Await):
            return self.kind_of(value.expression)
        if isinstance(value, cst.IfExp):
            return self.kind_of(value.body) or self.kind_of(value.orelse)
        if isinstance(value, cst.BooleanOperation):
            return self.kind_of(value.left) or self.kind_of(value.right)
        if isinstance(value, cst.Call):
            return self._kind_of_call(value)
        here = self.given.get(self._place(value))
        return self.kinds.get(code(value)) if here is None else next(iter(here), None)

    def _kind_of_call(self, call: cst.Call) -> str | None:
        for name in self.qualified(call.func):
            if name in OBJECTS:
                kind = OBJECTS[name]
                return kind if kind != "openai" or self._is_local(call) else "openai_elsewhere"
        return self.kinds.get(f"{code(call.func)}()") if not call.args else None

    def _is_local(self, call: cst.Call) -> bool:
        """Tell whether OpenAI's client asks this machine or a neighbour."""
        for each in call.args:
            if each.star == "**" and code(each.value).endswith(".SERVER"):
                return True
            if each.keyword and each.keyword.value == "base_url":
                return bool(LOCAL.search(address(each.value, self.texts)))
        return False

    def _place(self, node: cst.CSTNode) -> Place:
        """
        Say whose name it is: the scope's that gives it a value, the class's whose ``self`` has it.

        The same name somewhere else may hold something else.
        """
        text = code(node)
        if isinstance(node, cst.Name):
            scope = self._scopes.get(node)
            assigned = list(scope[text]) if scope else []
            return (assigned[0].scope if assigned else None), text
        return self._class_of(node) if text.startswith(("self.", "cls.")) else None, text

    def _class_of(self, node: cst.CSTNode) -> cst.ClassDef | None:
        while not isinstance(node, cst.ClassDef | cst.Module):
            node = self._parents[node]
        return node if isinstance(node, cst.ClassDef) else None

    def _give(self, target: cst.CSTNode, kind: str | None) -> None:
        """Note what a name is given; what is no model makes it none here, but not elsewhere."""
        places = [self._place(target)]
        owner = self._class_of(target)
        if owner and isinstance(places[0][0], ClassScope):
            places += [(owner, f"{whose}.{places[0][1]}") for whose in ("self", "cls")]
            if kind:
                self.kinds[f"{owner.name.value}.{places[0][1]}"] = kind
        for place in places:
            known = self.given.setdefault(place, [])
            if kind and kind not in known:
                known.append(kind)

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
        self._annotated(node.target, node.annotation)

    def visit_NamedExpr(self, node: cst.NamedExpr) -> None:
        self._learn(node.target, node.value)

    def visit_WithItem(self, node: cst.WithItem) -> None:
        if node.asname:
            self._learn(node.asname.name, node.item)

    def visit_Param(self, node: cst.Param) -> None:
        if node.annotation:
            self._annotated(node.name, node.annotation)
        if isinstance(node.default, cst.SimpleString):
            self.texts[node.name.value] = node.default

    def visit_Call(self, node: cst.Call) -> None:
        """``go(llm, prompt)``: a parameter holds what it is called with."""
        function = self.functions.get(code(node.func))
        for parameter, value in _matched(function, node) if function else ():
            if kind := self.kind_of(value):
                self._give(parameter.name, kind)

    def visit_FunctionDef(self, node: cst.FunctionDef) -> None:
        owner = self._class_of(node)
        if not self._functions and owner is None:
            self.functions[node.name.value] = node
        elif owner is not None:
            is_made = node.name.value == "__init__"
            self.functions[owner.name.value if is_made else f"self.{node.name.value}"] = node
        self._functions.append(node.name.value)
        if node.returns and (kind := self._type(node.returns)):
            self.kinds[f"{node.name.value}()"] = kind

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
        if value is not None and code(value) != "None":
            self._give(target, kind)
        if isinstance(value, _ADDRESSES):
            self.texts[name] = value

    def _annotated(self, target: cst.BaseExpression, annotation: cst.Annotation) -> None:
        if kind := self._type(annotation):
            self.kinds[code(target)] = kind
            self._give(target, kind)

    def _type(self, annotation: cst.Annotation) -> str | None:
        """Look for the type anywhere in it: ``Llama | None``, ``Annotated[Llama, …]``."""
        names = (each for node in _names_in(annotation.annotation) for each in self.qualified(node))
        return next((_TYPES[name] for name in names if name in _TYPES), None)


def _matched(
    function: cst.FunctionDef, call: cst.Call
) -> Iterator[tuple[cst.Param, cst.BaseExpression]]:
    """Pair a function's parameters with what a call gives them."""
    parameters = [*function.params.posonly_params, *function.params.params]
    if parameters and parameters[0].name.value in ("self", "cls"):
        parameters = parameters[1:]
    named = {each.name.value: each for each in [*parameters, *function.params.kwonly_params]}
    for place, argument in enumerate(call.args):
        if argument.star:
            return
        if argument.keyword:
            found = named.get(argument.keyword.value)
        else:
            found = parameters[place] if place < len(parameters) else None
        if found:
            yield found, argument.value


# What may say an address: text, another name, a variable with a default.
_ADDRESSES = (
    cst.SimpleString,
    cst.FormattedString,
    cst.ConcatenatedString,
    cst.BinaryOperation,
    cst.Name,
    cst.Attribute,
    cst.Call,
)


def _names_in(node: cst.CSTNode) -> Iterator[cst.CSTNode]:
    if isinstance(node, cst.Name | cst.Attribute):
        yield node
    for child in node.children:
        yield from _names_in(child)


def holders(wrapper: MetadataWrapper, shared: Mapping[str, str]) -> Holders:
    """Look until nothing new is found."""
    found = Holders(wrapper, None, shared)
    wrapper.module.visit(found)
    while True:
        again = Holders(wrapper, found, shared)
        wrapper.module.visit(again)
        if again.kinds == found.kinds and again.given == found.given:
            return again
        found = again
