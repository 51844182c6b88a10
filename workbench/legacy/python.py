"""
Python: what talks to a model, and the same code over ``llm_client``.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import libcst as cst
from libcst.metadata import (
    Assignment,
    CodeRange,
    MetadataWrapper,
    PositionProvider,
    QualifiedName,
)

from .answers import Answers, Edit, Edits, UncertainError
from .arguments import code
from .comments import comment_lines, comments_above, left_to_decide
from .holders import Holders, holders
from .places import ADAPTER, Place, Reading, State
from .urls_in_code import LOCAL

STATEMENTS = (cst.SimpleStatementLine, cst.BaseCompoundStatement)

MAX_SEEN = 120


@dataclass(slots=True)
class Work:
    """A module while it is read: what was found, and what is to be changed."""

    wrapper: MetadataWrapper
    lines: Sequence[str]
    names: Holders
    answers: Answers
    found: list[tuple[cst.CSTNode, Place]] = field(default_factory=list)
    edits: Edits = field(default_factory=dict)
    notes: list[tuple[cst.CSTNode, str]] = field(default_factory=list)
    adapters: set[str] = field(default_factory=set)
    imports: set[str] = field(default_factory=set)

    def qualified(self, node: cst.CSTNode) -> set[str]:
        """Return what a name means, through the module's imports."""
        return self.names.qualified(node)

    @property
    def llm(self) -> str:
        """How code says ``LLM``: by its module where the name is something else here."""
        return f"{ADAPTER}.LLM" if self.binding("LLM") else "LLM"

    def binding(self, name: str) -> cst.CSTNode | None:
        """Return what gives a name a value anywhere in the module, but for the adapter's import."""
        scopes = {scope for scope in self.answers.scopes.values() if scope}
        given = (each for scope in scopes for each in scope.assignments if each.name == name)
        nodes = (each.node for each in given if isinstance(each, Assignment))
        return next((node for node in nodes if not _is_of_adapter(node)), None)

    def statement(self, node: cst.CSTNode) -> cst.CSTNode:
        """Return the statement that a node is part of."""
        while not isinstance(node, STATEMENTS):
            node = self.answers.parents[node]
        return node

    def line(self, node: cst.CSTNode) -> int:
        """Return the line that a node begins on."""
        positions: dict[cst.CSTNode, CodeRange] = self.wrapper.resolve(PositionProvider)  # type: ignore[assignment]
        return positions[node].start.line

    def add(
        self,
        node: cst.CSTNode,
        what: str,
        edit: Edit | None,
        *,
        items: tuple[int, ...],
        changes: Sequence[str] = (),
        decide: Sequence[str] = (),
        notes: Sequence[str] = (),
    ) -> None:
        """Note a place, what it becomes, and what has to be said above it."""
        if edit is not None:
            self.edits[node] = edit
        # As it is read back: code over several lines is on one in a comment.
        decide, notes = ([" ".join(text.split()) for text in said] for said in (decide, notes))
        self.notes += [(node, text) for text in (*decide, *notes)]
        self.found.append(
            (
                node,
                Place(
                    line=self.line(node),
                    what=what,
                    seen=one_line(code(node)),
                    state=State.DECIDE if edit is None else State.WRITE,
                    changes=tuple(dict.fromkeys(changes)),
                    decide=tuple(dict.fromkeys(decide)),
                    items=items,
                ),
            )
        )


def _is_of_adapter(node: cst.CSTNode) -> bool:
    if isinstance(node, cst.ImportFrom):
        return node.module is not None and code(node.module) == ADAPTER
    return isinstance(node, cst.Import) and ADAPTER in {code(each.name) for each in node.names}


def one_line(text: str) -> str:
    """Write code on one line, and not too long a one. For reading, and not for writing."""
    bare = re.sub(r"  #.*$", "", text, flags=re.MULTILINE)
    flat = re.sub(r",? \)", ")", " ".join(bare.split()).replace("( ", "("))
    return flat if len(flat) <= MAX_SEEN else f"{flat[: MAX_SEEN - 1]}…"


NOTHING: Mapping[str, str] = {}

# What any place has in it. Reading a module takes a third of a second, and most have nothing.
_LIBRARY = re.compile(
    r"\b(?:llama_cpp|ctransformers|ollama|llm_client|create_chat_completion|llama-(?:server|cli))"
    r"|OpenAI\(|openai\.(?:base_url|api_base)|OPENAI_(?:BASE_URL|API_BASE)"
    r"|(?:import|from) (?:langchain|llama_index)|LlamaC[pP]{2}|# migrate: "
)
_BY_HAND = re.compile(r"\b(?:post|get|request|stream|urlopen|Request)\(")
_PATH = re.compile(
    r"n_predict|[\"']messages[\"']|/(?:v1|api|chat|completions?|infill|embedding|tokenize|detokenize|slots|props)\b"
)


# A plain search is ten times as fast, and most modules have none of these.
_WORDS = (
    *("llama", "Llama", "ctransformers", "llm_client", "create_chat_completion", "langchain"),
    *("openai", "OpenAI", "OPENAI", "# migrate: "),
)
_HTTP = re.compile(r"(?:import|from) (?:requests|httpx|aiohttp|urllib|http)\b")


def _is_worth_reading(text: str) -> bool:
    if any(word in text for word in _WORDS) and _LIBRARY.search(text):
        return True
    asks = _BY_HAND.search(text) and _PATH.search(text)
    return bool(asks and (_HTTP.search(text) or LOCAL.search(text)))


def _imports_any(text: str, shared: Mapping[str, str]) -> bool:
    names = {part for each in shared for part in each.removesuffix("()").split(".")}
    return any(re.search(rf"import .*\b{re.escape(name)}\b", text) for name in names)


def read_python(text: str, shared: Mapping[str, str] = NOTHING) -> Reading:
    """
    Read a module.

    Args:
        shared: Models of the application's other modules; see ``shared_models``.

    Raises:
        libcst.ParserSyntaxError: It is no Python.
    """
    if not (_is_worth_reading(text) or _imports_any(text, shared)):
        return Reading(text=text)
    from .python_calls import Calls
    from .python_imports import imports

    wrapper = MetadataWrapper(cst.parse_module(text))
    work = Work(wrapper, text.split("\n"), holders(wrapper, shared), Answers(wrapper))
    wrapper.module.visit(Calls(work))
    if ADAPTER in work.imports and (taken := work.binding(ADAPTER)):
        work = _only_asked(work, taken)
    imports(work)
    changed = wrapper.module.visit(_Editor(work))
    places = [_finished(work, node, place) for node, place in work.found]
    return Reading(
        places=tuple(
            sorted(
                [*places, *left_to_decide(work.lines, places, _concerns)],
                key=lambda each: each.line,
            )
        ),
        text=changed.code,
        adapters=tuple(sorted(work.adapters)),
    )


def _only_asked(work: Work, taken: cst.CSTNode) -> Work:
    """Ask about a name that is taken, before anything can be rewritten."""
    asked = Work(work.wrapper, work.lines, work.names, work.answers)
    decide = f"{ADAPTER} is a name here already, and the adapter's: give this another one first"
    asked.add(taken, f"a name: {ADAPTER}", None, items=(1,), decide=[decide])
    return asked


def _finished(work: Work, node: cst.CSTNode, place: Place) -> Place:
    """Fill in the code that a place becomes, with what changes inside it."""
    if place.state is not State.WRITE:
        return place
    after = node.visit(_Editor(work, with_notes=False))
    if not isinstance(after, cst.CSTNode):
        return replace(place, becomes="")
    return replace(place, becomes=one_line(code(after)))


def _concerns(text: str) -> tuple[int, ...]:
    return (7,) if "records" in text else (4,)


class _Editor(cst.CSTTransformer):
    """Makes the changes, and puts comments above their statements."""

    def __init__(self, work: Work, *, with_notes: bool = True) -> None:
        super().__init__()
        self.work = work
        self.above: dict[cst.CSTNode, list[str]] = {}
        self.kept: dict[cst.CSTNode, list[str]] = {}
        for node, text in work.notes if with_notes else ():
            statement = work.statement(node)
            there = comments_above(work.lines, work.line(statement))
            if text not in there and text not in self.above.get(statement, ()):
                self.above.setdefault(statement, []).append(text)

    def on_leave(  # type: ignore[override]
        self, original_node: cst.CSTNode, updated_node: cst.CSTNode
    ) -> object:
        edit = self.work.edits.get(original_node)
        after = edit(updated_node) if edit else updated_node
        if edit:
            self._keep(original_node, lost_comments(updated_node, after))
        written = [*self.kept.pop(original_node, ())]
        written += [
            line for text in self.above.get(original_node, ()) for line in comment_lines(text)
        ]
        return _with_lines(after, written) if written else after

    def _keep(self, node: cst.CSTNode, comments: Sequence[str]) -> None:
        """Keep comments of code that goes: above its statement, or above the next one."""
        if not comments:
            return
        statement = self.work.statement(node)
        if node is statement:
            block = self.work.answers.parents[statement]
            body = getattr(block, "body", ())
            later = body[body.index(statement) + 1 :] if statement in body else ()
            statement = later[0] if later else block
        self.kept.setdefault(statement, []).extend(comments)


def _with_lines(node: object, written: Sequence[str]) -> object:
    """Write comments above a statement, or at the end of a block."""
    lines = [cst.EmptyLine(comment=cst.Comment(line)) for line in written]
    if isinstance(node, cst.FlattenSentinel):
        first, *rest = node
        return cst.FlattenSentinel([_with_lines(first, written), *rest])
    if isinstance(node, cst.Module | cst.IndentedBlock):
        return node.with_changes(footer=[*lines, *node.footer])
    if not isinstance(node, STATEMENTS):
        return node  # it goes too, with what was to be said of it
    return node.with_changes(leading_lines=[*node.leading_lines, *lines])


def lost_comments(before: cst.CSTNode, after: object) -> list[str]:
    """List the comments that an edit would take away; those for tools go with their code."""
    rest = Counter(_comments(after))
    lost = []
    for comment in _comments(before):
        rest[comment] -= 1
        if rest[comment] < 0 and not _FOR_TOOLS.match(comment):
            lost.append(comment)
    return lost


_FOR_TOOLS = re.compile(r"#\s*(?:type:|noqa|pragma|pylint|fmt:|pyright|mypy|ruff|isort)")


def _comments(node: object) -> Iterator[str]:
    if isinstance(node, cst.Comment):
        yield node.value
    children = node.children if isinstance(node, cst.CSTNode) else ()
    for child in node if isinstance(node, cst.FlattenSentinel) else children:
        yield from _comments(child)


__all__ = ["QualifiedName", "UncertainError", "Work", "one_line", "read_python"]
