"""
Where an answer goes: whether all that is read of it is known, and what is read instead.

A call that returns another shape from now on can be rewritten only if every
use of what it returned is in sight.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import libcst as cst
from libcst.metadata import (
    Assignment,
    CodeRange,
    MetadataWrapper,
    ParentNodeProvider,
    PositionProvider,
    ScopeProvider,
)

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
        self.positions: Mapping[cst.CSTNode, CodeRange] = wrapper.resolve(PositionProvider)
        self._untyped: list[cst.AnnAssign] = []

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
        if http and streams:
            raise UncertainError("its stream is read by hand")
        self._untyped = []
        if http:
            found = dict(self._response(call, interface))
        elif streams:
            found = dict(self._chunks(call, interface.chunk))
        else:
            found = dict(self._value(call, interface.answer))
        return found | dict.fromkeys(self._untyped, _without_type)

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
            if same:
                self._refuse_timings(top)
            else:
                yield from self._value(top, interface.answer, plain=True)
        elif steps[0].text == ".raise_for_status()" and len(steps) == 1:
            statement = self.parents[steps[0].top]
            if not isinstance(statement, cst.Expr):
                raise UncertainError(f"`{code(steps[0].top)}` is read")
            yield self.parents[statement], lambda _updated: cst.RemoveFromParent()
        else:
            raise UncertainError(f"`{code(steps[0].top)}` is read")

    def _refuse_timings(self, answer: cst.BaseExpression) -> None:
        """Refuse what is llama.cpp's own in an answer that is OpenAI's else."""
        try:
            read: list[cst.BaseExpression] = (
                [answer] if self._steps(answer) else list(self._uses(answer))
            )
        except UncertainError:
            return  # it goes on as the same dictionary
        for steps in map(self._steps, read):
            if steps and _as_key(steps[0].text) == "['timings']":
                raise UncertainError(f"`{code(steps[0].top)}` is read")

    def _value(
        self, value: cst.BaseExpression, paths: Mapping[str, str], *, plain: bool = False
    ) -> Iterator[tuple[cst.CSTNode, Edit]]:
        """
        Follow an answer to the parts of it that are read.

        Args:
            plain: It is a dictionary; else an object, whose parts may be attributes too.
        """
        if list(paths) == [""]:
            return
        steps = self._steps(value)
        if not steps:
            for name in self._uses(value):
                yield from self._value(name, paths, plain=plain)
            return
        walked, last = "", None
        for step in steps:
            walked += _as_key(step.text)
            last = (step, walked) if walked in paths else last
        if last is None or "tool_calls" in walked:
            raise UncertainError(f"`{code(steps[-1].top)}` is read")
        step, known = last
        yield step.top, _instead(step.depth, paths[known], self._quote(step.top))
        below = _below(known, paths)
        if below and step is not steps[-1]:
            raise UncertainError(f"`{code(steps[-1].top)}` is read")
        if below and not plain:
            yield from self._part(step.top, below)

    def _part(
        self, value: cst.BaseExpression, paths: Mapping[str, str]
    ) -> Iterator[tuple[cst.CSTNode, Edit]]:
        """Follow a part of an answer that has parts itself, and is a dictionary from now on."""
        if isinstance(self.parents[value], cst.Element | cst.StarredElement):
            return
        if isinstance(self.parents[value], cst.Arg):
            call = self.parents[self.parents[value]]
            if isinstance(call, cst.Call) and code(call.func).endswith(".append"):
                return  # to the messages of the next request
        for name in self._uses(value):
            steps = self._steps(name)
            known = _as_key(steps[0].text) if steps else None
            if known is None:
                yield from self._part(name, paths)
            elif known in paths:
                path, top = paths[known], steps[0].top
                yield top, _instead(steps[0].depth, path, self._quote(top))
            else:
                raise UncertainError(f"`{code(steps[-1].top)}` is read")

    def _chunks(
        self, value: cst.BaseExpression, paths: Mapping[str, str]
    ) -> Iterator[tuple[cst.CSTNode, Edit]]:
        if list(paths) == [""]:
            return
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
        if isinstance(parent, cst.AnnAssign) and isinstance(parent.target, cst.Name):
            self._untyped.append(parent)
            return self._references(parent.target)
        raise UncertainError("what it returns goes on from here")

    def _references(self, target: cst.Name) -> list[cst.Name]:
        scope = self.scopes[target]
        assignments = list(scope[target.value]) if scope else []
        if len(assignments) != 1 or not isinstance(assignments[0], Assignment):
            raise UncertainError(f"{target.value} is given values in more than one place")
        nodes = [access.node for access in assignments[0].references]
        names = [node for node in nodes if isinstance(node, cst.Name)]
        # They come in any order, and the first that is not known is named.
        return sorted(names, key=self._place)

    def _place(self, node: cst.CSTNode) -> tuple[int, int]:
        begins = self.positions[node].start
        return begins.line, begins.column


def _without_type(updated: cst.CSTNode) -> cst.CSTNode:
    """``response = …`` of ``response: ChatResponse = …``, which it is no more."""
    assert isinstance(updated, cst.AnnAssign)
    assert updated.value is not None
    return cst.Assign([cst.AssignTarget(updated.target)], updated.value)


def _below(known: str, paths: Mapping[str, str]) -> dict[str, str]:
    """Return the paths from a part of an answer on, from where it is now."""
    return {
        path.removeprefix(known): now.removeprefix(paths[known])
        for path, now in paths.items()
        if path != known and path.startswith(known)
    }


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
    return lambda updated: with_path(inner(updated, depth), f"_{path}", quote)


def with_path(value: cst.BaseExpression, path: str, quote: str = '"') -> cst.BaseExpression:
    """Write ``_['choices'][0]`` and the like, with a value where ``_`` stands."""
    written = path.replace("'", quote)
    expression = cst.parse_expression(f"({written})" if " for " in written else written)
    return expression.visit(_Put(value))  # type: ignore[return-value]


class _Put(cst.CSTTransformer):
    """Puts a value where ``_`` stands; its white space stays as it is."""

    def __init__(self, value: cst.BaseExpression) -> None:
        super().__init__()
        self.value = value

    def leave_Name(self, original_node: cst.Name, updated_node: cst.Name) -> cst.BaseExpression:
        return self.value if original_node.value == "_" else updated_node
