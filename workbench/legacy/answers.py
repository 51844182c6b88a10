"""
Where an answer goes: whether all that is read of it is known, and what is read instead.

A call that returns another shape from now on can be rewritten only if every
use of what it returned is in sight.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import libcst as cst
from libcst.metadata import Assignment, MetadataWrapper, ParentNodeProvider, ScopeProvider

from .arguments import code
from .parameters import Interface

Edit = Callable[[cst.CSTNode], cst.CSTNode | cst.RemovalSentinel]
Edits = dict[cst.CSTNode, Edit]


class UncertainError(Exception):
    """A use that is not known; the text says which."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step from a value to a part of it; *top* is the node that is the part."""

    text: str
    top: cst.BaseExpression
    depth: int


class Answers:
    """The uses of what calls returned, in one module."""

    def __init__(self, wrapper: MetadataWrapper) -> None:
        self.parents: Mapping[cst.CSTNode, cst.CSTNode] = wrapper.resolve(ParentNodeProvider)
        self.scopes = wrapper.resolve(ScopeProvider)

    def edits(self, call: cst.Call, interface: Interface, *, http: bool, streams: bool) -> Edits:
        """
        Say what has to be read instead.

        Args:
            http: What is called returns an HTTP response, whose ``json()`` has the answer.

        Raises:
            UncertainError: A use is not known.
        """
        if not interface.answer:
            return {}
        if isinstance(self.parents[call], cst.Await):
            raise UncertainError("it is awaited, and llm_client is not asynchronous")
        if http:
            if streams:
                raise UncertainError("its stream is read by hand")
            return dict(self._response(call, interface))
        paths = interface.chunk if streams else interface.answer
        return dict(self._chunks(call, paths) if streams else self._value(call, paths))

    def _response(
        self, value: cst.BaseExpression, interface: Interface
    ) -> Iterator[tuple[cst.CSTNode, Edit]]:
        """Follow an HTTP response to its ``json()``."""
        steps = self._steps(value)
        if not steps:
            for name in self._uses(value):
                yield from self._response(name, interface)
        elif steps[0].text == ".json()":
            top = steps[0].top
            yield top, _descend(steps[0].depth)
            same = all(old == new for old, new in interface.answer.items())
            if not same:
                yield from self._value(top, interface.answer)
        elif steps[0].text == ".raise_for_status()" and len(steps) == 1:
            statement = self.parents[steps[0].top]
            if not isinstance(statement, cst.Expr):
                raise UncertainError(f"`{code(steps[0].top)}` is read")
            yield self.parents[statement], lambda _updated: cst.RemoveFromParent()
        else:
            raise UncertainError(f"`{code(steps[0].top)}` is read")

    def _value(
        self, value: cst.BaseExpression, paths: Mapping[str, str]
    ) -> Iterator[tuple[cst.CSTNode, Edit]]:
        """Follow an answer to the parts of it that are read."""
        if list(paths) == [""]:
            return
        steps = self._steps(value)
        if not steps:
            for name in self._uses(value):
                yield from self._value(name, paths)
            return
        walked, last = "", None
        for step in steps:
            walked += _as_key(step.text)
            last = (step, paths[walked]) if walked in paths else last
        if last is None or "tool_calls" in walked:
            raise UncertainError(f"`{code(steps[-1].top)}` is read")
        step, path = last
        yield step.top, _instead(step.depth, path, self._quote(step.top))

    def _chunks(
        self, value: cst.BaseExpression, paths: Mapping[str, str]
    ) -> Iterator[tuple[cst.CSTNode, Edit]]:
        parent = self.parents[value]
        if isinstance(parent, cst.For) and parent.iter is value:
            if not isinstance(parent.target, cst.Name):
                raise UncertainError("its chunks are taken apart")
            for use in self._references(parent.target):
                yield from self._value(use, paths)
            return
        for name in self._uses(value):
            yield from self._chunks(name, paths)

    def _steps(self, value: cst.BaseExpression) -> list[Step]:
        """List the steps that code takes from a value: ``['message']``, ``.json()`` …"""
        steps: list[Step] = []
        node, depth = value, 0
        while True:
            parent = self.parents[node]
            if isinstance(parent, cst.Subscript) and parent.value is node:
                text, depth = code(parent)[len(code(node)) :], depth + 1
            elif isinstance(parent, cst.Attribute) and parent.value is node:
                text, depth = f".{parent.attr.value}", depth + 1
                called = self.parents[parent]
                if isinstance(called, cst.Call) and called.func is parent:
                    parent, depth = called, depth + 1
                    text = _call_step(text, called)
            else:
                return steps
            node = parent
            steps.append(Step(text, node, depth))

    def _quote(self, node: cst.CSTNode) -> str:
        """Return the quote to write with: inside an f-string it is the other one."""
        around = self.f_string(node)
        return "'" if around is not None and '"' in around.start else '"'

    def f_string(self, node: cst.CSTNode) -> cst.FormattedString | None:
        """Return the f-string that a node stands in."""
        while not isinstance(node, cst.BaseStatement | cst.Module):
            if isinstance(node, cst.FormattedString):
                return node
            node = self.parents[node]
        return None

    def _uses(self, value: cst.BaseExpression) -> list[cst.Name]:
        """Return the places that read the variable that a value is given to."""
        parent = self.parents[value]
        if isinstance(parent, cst.Expr):
            return []
        if (
            isinstance(parent, cst.Assign)
            and len(parent.targets) == 1
            and isinstance(parent.targets[0].target, cst.Name)
        ):
            return self._references(parent.targets[0].target)
        raise UncertainError("what it returns goes on from here")

    def _references(self, target: cst.Name) -> list[cst.Name]:
        scope = self.scopes[target]
        assignments = list(scope[target.value]) if scope else []
        if len(assignments) != 1 or not isinstance(assignments[0], Assignment):
            raise UncertainError(f"{target.value} is given values in more than one place")
        nodes = [access.node for access in assignments[0].references]
        return [node for node in nodes if isinstance(node, cst.Name)]


def _call_step(attribute: str, call: cst.Call) -> str:
    """Write ``.json()``; ``.get("response", "")`` is the key itself."""
    if not call.args:
        return f"{attribute}()"
    if attribute == ".get" and isinstance(call.args[0].value, cst.SimpleString):
        return f"[{call.args[0].value.value}]"
    return f"{attribute}(…)"


def _as_key(step: str) -> str:
    """Write ``.message`` and ``["message"]`` alike: Ollama's answers have both."""
    if step.startswith("."):
        return f"['{step[1:]}']"
    return step.replace('"', "'")


def inner(node: cst.CSTNode, depth: int) -> cst.BaseExpression:
    """Return what an expression began with, *depth* steps inside it."""
    for _ in range(depth):
        node = node.func if isinstance(node, cst.Call) else node.value  # type: ignore[attr-defined]
    assert isinstance(node, cst.BaseExpression)
    return node


def _descend(depth: int) -> Edit:
    return lambda updated: inner(updated, depth)


def _instead(depth: int, path: str, quote: str) -> Edit:
    return lambda updated: with_path(inner(updated, depth), path, quote)


def with_path(value: cst.BaseExpression, path: str, quote: str = '"') -> cst.BaseExpression:
    """Write ``value['choices'][0]`` and the like."""
    expression = cst.parse_expression("_" + path.replace("'", quote))
    return expression.visit(_Put(value))  # type: ignore[return-value]


class _Put(cst.CSTTransformer):
    """Puts a value where ``_`` stands; its white space stays as it is."""

    def __init__(self, value: cst.BaseExpression) -> None:
        super().__init__()
        self.value = value

    def leave_Name(self, original_node: cst.Name, updated_node: cst.Name) -> cst.BaseExpression:
        return self.value if original_node.value == "_" else updated_node
