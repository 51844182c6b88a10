"""
A module's imports: what is not used any more goes, what is needed comes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import libcst as cst
from libcst.metadata import Assignment

from .answers import Edit
from .arguments import code
from .holders import LLAMA_MODULES
from .parameters import parameter_map
from .places import ADAPTER
from .python import Work

OLD = ("llama_cpp", "ollama", "ctransformers")

RENAMED = {f"{module}.Llama" for module in LLAMA_MODULES}


def imports(work: Work) -> None:
    """Rewrite the imports, and the names that they gave."""
    statements = [
        (line, statement)
        for line in _lines(work.wrapper.module)
        for statement in line.body
        if isinstance(statement, cst.Import | cst.ImportFrom)
    ]
    if not work.found:
        _ask_what_for(work, [statement for _line, statement in statements])
        return
    _rename(work)
    # An import below the first use of what it brings would come too late.
    used = min((work.line(node) for node in work.edits), default=0)
    early = [line for line, _statement in statements if work.line(line) < used]
    for line, statement in statements:
        _rewrite(work, line, statement, is_early=line in early)
    _insert(work, early)


def _ask_what_for(work: Work, statements: Sequence[cst.Import | cst.ImportFrom]) -> None:
    """Ask about an old library that is imported, and of which no use is known."""
    for statement in statements:
        libraries = {module.split(".")[0] for module in _modules(statement)} & {*OLD}
        for library in sorted(libraries):
            decide = [f"{library} is imported, and what is done with it is not in sight"]
            work.add(statement, f"imports {library}", None, items=(2,), decide=decide)


def _modules(statement: cst.Import | cst.ImportFrom) -> list[str]:
    if isinstance(statement, cst.Import):
        return [code(alias.name) for alias in statement.names]
    return [code(statement.module)] if statement.module and not statement.relative else []


def _lines(module: cst.Module) -> list[cst.SimpleStatementLine]:
    """Find all lines with simple statements, wherever they stand."""
    found: list[cst.SimpleStatementLine] = []

    class Find(cst.CSTVisitor):
        def visit_SimpleStatementLine(self, node: cst.SimpleStatementLine) -> None:
            found.append(node)

    module.visit(Find())
    return found


def _rename(work: Work) -> None:
    """``Llama`` in annotations is ``LLM`` too."""
    llm = work.llm

    class Rename(cst.CSTVisitor):
        def visit_Name(self, node: cst.Name) -> None:
            parent = work.answers.parents[node]
            if isinstance(parent, cst.Attribute) and parent.attr is node:
                return
            is_stand_in = isinstance(parent, cst.AssignTarget) and llm == "LLM"
            if is_stand_in and _is_imported(work, node):
                # `except ImportError: Llama = None`
                work.edits.setdefault(node, lambda _updated: cst.Name("LLM"))
            elif work.qualified(node) & RENAMED and not _in_import(work, node):
                work.edits.setdefault(node, lambda _updated: cst.parse_expression(llm))
                work.imports |= {ADAPTER} if llm != "LLM" else set()

        def visit_Attribute(self, node: cst.Attribute) -> None:
            if work.qualified(node) & RENAMED and not _in_import(work, node):
                work.imports.add(ADAPTER)
                work.edits.setdefault(node, lambda _updated: cst.parse_expression(f"{ADAPTER}.LLM"))

        def visit_Annotation(self, node: cst.Annotation) -> None:
            said = node.annotation
            if isinstance(said, cst.SimpleString) and _LLAMA.search(said.value) and _has(work):
                new = cst.SimpleString(_LLAMA.sub(llm, said.value))
                work.edits.setdefault(said, lambda _updated: new)

    work.wrapper.module.visit(Rename())


def _is_imported(work: Work, node: cst.Name) -> bool:
    """Tell whether a name that is given a value is one that ``Llama`` was imported by, too."""
    scope = work.answers.scopes.get(node)
    nodes = (
        [each.node for each in scope[node.value] if isinstance(each, Assignment)] if scope else ()
    )
    imported = (each for each in nodes if isinstance(each, cst.ImportFrom) and each.module)
    return node.value == "Llama" and any(code(each.module) in LLAMA_MODULES for each in imported)  # type: ignore[arg-type]


_LLAMA = re.compile(r"\bLlama\b")


def _has(work: Work) -> bool:
    """Tell whether the module imports ``Llama`` by its name."""
    return any(re.match(r"\s*from llama_cpp\b.*\bLlama\b", line) for line in work.lines)


def _in_import(work: Work, node: cst.CSTNode) -> bool:
    while not isinstance(node, cst.BaseSmallStatement | cst.BaseCompoundStatement):
        node = work.answers.parents[node]
    return isinstance(node, cst.Import | cst.ImportFrom)


def _rewrite(
    work: Work,
    line: cst.SimpleStatementLine,
    statement: cst.Import | cst.ImportFrom,
    *,
    is_early: bool,
) -> None:
    if isinstance(statement, cst.ImportFrom):
        _rewrite_from(work, line, statement, is_early=is_early)
        return
    rest = [alias for alias in statement.names if not _is_over(work, statement, alias)]
    if not rest:
        _remove(work, line, statement, is_early=is_early)
    elif len(rest) < len(statement.names):
        rest[-1] = rest[-1].with_changes(comma=cst.MaybeSentinel.DEFAULT)
        work.edits[statement] = lambda _updated: statement.with_changes(names=rest)


def _is_over(work: Work, statement: cst.Import, alias: cst.ImportAlias) -> bool:
    """Tell whether a module is imported for what has moved, and nothing else."""
    module = code(alias.name).split(".")[0]
    name = code(alias.asname.name) if alias.asname else module
    return module in (*OLD, "requests", "httpx") and _unused(work, statement, name)


def _rewrite_from(
    work: Work, line: cst.SimpleStatementLine, statement: cst.ImportFrom, *, is_early: bool
) -> None:
    module = code(statement.module) if statement.module else ""
    if isinstance(statement.names, cst.ImportStar):
        return
    names = [code(alias.name) for alias in statement.names]
    if module in LLAMA_MODULES:
        new = ["LLM"] if "Llama" in names and work.llm == "LLM" else []
        rest = [
            alias
            for alias in statement.names
            if code(alias.name) != "Llama" and not _unused(work, statement, _bound(alias))
        ]
        for name in [code(alias.name) for alias in rest if not _is_told(work, statement, alias)]:
            decide = [f"{name} of llama_cpp has no counterpart here"]
            work.add(statement, f"llama-cpp-python: {name}", None, items=(2,), decide=decide)
        _replace(work, line, statement, new, rest, is_early=is_early)
    elif module.split(".")[0] in OLD or any(
        f"{module}.{name}" in parameter_map().langchain for name in names
    ):
        rest = [each for each in statement.names if not _unused(work, statement, _bound(each))]
        if len(rest) < len(names):
            _replace(work, line, statement, [], rest, is_early=is_early)


def _is_told(work: Work, statement: cst.ImportFrom, alias: cst.ImportAlias) -> bool:
    """Tell whether each use of an imported name is in a place that was found."""
    nodes = {node for node, _place in work.found}
    return all(_within(work, use, nodes) for use in _uses(work, statement, _bound(alias)))


def _within(work: Work, node: cst.CSTNode, nodes: set[cst.CSTNode]) -> bool:
    while not isinstance(node, cst.Module):
        if node in nodes:
            return True
        node = work.answers.parents[node]
    return False


def _uses(work: Work, statement: cst.Import | cst.ImportFrom, name: str) -> list[cst.CSTNode]:
    scope = work.answers.scopes.get(statement)
    assignments = list(scope[name]) if scope else []
    return [access.node for each in assignments for access in each.references]


def _bound(alias: cst.ImportAlias) -> str:
    return code(alias.asname.name) if alias.asname else code(alias.name)


def _replace(
    work: Work,
    line: cst.SimpleStatementLine,
    statement: cst.ImportFrom,
    new: Sequence[str],
    rest: Sequence[cst.ImportAlias],
    *,
    is_early: bool,
) -> None:
    """Write ``from llm_client import LLM``, and what is left of the old import."""
    lines = []
    if new:
        lines.append(f"from {ADAPTER} import {', '.join(new)}")
    if rest and statement.module:
        kept = ", ".join(code(alias).rstrip(",") for alias in rest)
        lines.append(f"from {code(statement.module)} import {kept}")
    if not lines:
        _remove(work, line, statement, is_early=is_early)
        return
    parsed = [cst.parse_statement(text) for text in lines]

    def edit(updated: cst.CSTNode) -> cst.CSTNode:
        assert isinstance(updated, cst.SimpleStatementLine)
        first = parsed[0].with_changes(
            leading_lines=updated.leading_lines, trailing_whitespace=updated.trailing_whitespace
        )
        return cst.FlattenSentinel([first, *parsed[1:]])  # type: ignore[return-value]

    work.edits[line] = edit


def _remove(
    work: Work, line: cst.SimpleStatementLine, statement: cst.CSTNode, *, is_early: bool
) -> None:
    """Take an import away; what has to be imported instead takes its place."""
    is_alone = len(line.body) == 1 and _at_top(work, line)
    if work.imports and is_early and is_alone:
        wanted, work.imports = sorted(work.imports), set()
        parsed = [cst.parse_statement(f"import {name}") for name in wanted]

        def edit(updated: cst.CSTNode) -> cst.CSTNode:
            assert isinstance(updated, cst.SimpleStatementLine)
            first = parsed[0].with_changes(leading_lines=updated.leading_lines)
            return cst.FlattenSentinel([first, *parsed[1:]])  # type: ignore[return-value]

        work.edits[line] = edit
        return
    target = line if len(line.body) == 1 else statement
    work.edits[target] = _away


_away: Edit = lambda _updated: cst.RemoveFromParent()  # noqa: E731


def _unused(work: Work, statement: cst.Import | cst.ImportFrom, name: str) -> bool:
    """Tell whether every use of an imported name is in code that changes."""
    scope = work.answers.scopes.get(statement)
    assignments = list(scope[name]) if scope else []
    return all(isinstance(each, Assignment) for each in assignments) and all(
        _goes(work, use) for use in _uses(work, statement, name)
    )


def _goes(work: Work, node: cst.CSTNode) -> bool:
    """Tell whether a node is in what an edit replaces whole."""
    while not isinstance(node, cst.Module):
        if node in work.edits and isinstance(node, cst.Call | cst.Name | cst.Attribute):
            return True
        if isinstance(node, cst.Annotation) and work.answers.parents[node] in work.edits:
            return True
        if isinstance(node, cst.SimpleStatementLine | cst.BaseCompoundStatement):
            return False
        node = work.answers.parents[node]
    return False


def _at_top(work: Work, line: cst.CSTNode) -> bool:
    return isinstance(work.answers.parents[line], cst.Module)


def _insert(work: Work, lines: Sequence[cst.SimpleStatementLine]) -> None:
    """Add what is still to be imported, after the last import at the top of the module."""
    there = {code(statement) for line in lines for statement in line.body if _at_top(work, line)}
    wanted = sorted(name for name in work.imports if f"import {name}" not in there)
    if not wanted:
        return
    top = [line for line in lines if _at_top(work, line)]
    parsed = [cst.parse_statement(f"import {name}") for name in wanted]
    if top:
        before = work.edits.get(top[-1])

        def after(updated: cst.CSTNode) -> cst.CSTNode:
            node = before(updated) if before else updated
            if isinstance(node, cst.RemovalSentinel):
                return cst.FlattenSentinel(parsed)  # type: ignore[return-value]
            nodes = node if isinstance(node, cst.FlattenSentinel) else [node]
            return cst.FlattenSentinel([*nodes, *parsed])  # type: ignore[return-value]

        work.edits[top[-1]] = after
        return
    module = work.wrapper.module
    place = 1 if module.get_docstring() else 0

    def at_the_top(updated: cst.CSTNode) -> cst.CSTNode:
        assert isinstance(updated, cst.Module)
        return updated.with_changes(body=[*updated.body[:place], *parsed, *updated.body[place:]])

    work.edits[module] = at_the_top
