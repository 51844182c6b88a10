"""
Notebooks: the code cells as one module, so that a model of one cell is known in the next.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from .places import Place, Reading, State
from .python import read_python
from .shell import read_shell

# Lines of their own in the joined text. A notebook has none like these.
_BORDER = "#<workbench-cell>"
_KEPT = "...  #<workbench-line>"

_NOT_PYTHON = re.compile(r"\s*[%!?]|\s*[\w.]+\?\??\s*$|\s*[\w.,\s]+=\s*[%!]")

# What is behind it is Python: `%time x = llm(…)`.
_TIMED = re.compile(
    rf"(\s*){re.escape(_KEPT)}\s*%(?:time|timeit|prun|memit)\s+(?:-\w+(?: \d+)?\s+)*"
)

# Magics whose cell is Python all the same.
_PYTHON_CELL = re.compile(r"\s*%%(?:time|timeit|capture|prun|memit|python3?|px)\b")


def read_notebook(text: str) -> Reading:
    """
    Read a notebook; outputs and all else stay as they are.

    Raises:
        ValueError: It is no notebook.
    """
    notebook = json.loads(text)
    cells = _python_cells(notebook)
    installs = [place for number, cell in cells for place in _installs(number, cell)]
    asides = [place for number, cell in _all_code(notebook) for place in _in_shell(number, cell)]
    joined = "".join(f"{_BORDER}\n{_masked(_source(cell))}\n" for _number, cell in cells)
    reading = read_python(joined)
    places = _placed([*reading.places, *_in_magics(joined)], joined, cells)
    if reading.text == joined and not installs:
        return replace(reading, places=(*asides, *places), text=text)
    pieces = _pieces(reading.text)
    if len(pieces) != len(cells):
        raise ValueError("its cells could not be told apart afterwards")
    for (_number, cell), piece in zip(cells, pieces, strict=True):
        after = _INSTALL.sub(_instead, _unmasked(piece))
        if after != _source(cell):
            cell["source"] = after.splitlines(keepends=True)
    return replace(
        reading,
        places=(*installs, *asides, *places),
        text=json.dumps(notebook, indent=_indent(text), ensure_ascii=False)
        + ("\n" if text.endswith("\n") else ""),
    )


def _installs(number: int, cell: dict[str, Any]) -> Iterator[Place]:
    """``%pip install llama-cpp-python`` installs what is used now."""
    for line, text in _numbered(_source(cell)):
        if _INSTALL.search(text):
            yield Place(
                cell=number,
                line=line,
                what="installs an old library",
                seen=text,
                state=State.WRITE,
                becomes=_INSTALL.sub(_instead, text),
                items=(2,),
            )


_OLD = r"(?<![\w./-])(?:llama-cpp-python|ctransformers|ollama)\b(?:\[[^]]*\])?(?:[=<>~!]=?[\w.*]+)?"
_INSTALL = re.compile(rf"^\s*[%!]\s*(?:uv )?pip3? install\b[^\n]*?{_OLD}[^\n]*", re.MULTILINE)


def _instead(line: re.Match[str]) -> str:
    """Write the new package once, whatever old ones a line installs."""
    first = re.sub(_OLD, "openai", line[0], count=1)
    return re.sub(rf"[ \t]+{_OLD}", "", first)


ASIDE = "a magic's line is not rewritten here"


def _in_shell(number: int, cell: dict[str, Any]) -> Iterator[Place]:
    """``!curl …``, and cells of a shell."""
    source = _source(cell)
    is_shell = re.match(r"\s*%%(?:bash|sh|script|!)", source)
    script = (
        source
        if is_shell
        else "\n".join(
            line.lstrip()[1:] if line.lstrip().startswith("!") else ""
            for line in source.split("\n")
        )
    )
    for place in read_shell(script).places:
        yield replace(
            place,
            cell=number,
            state=State.DECIDE,
            becomes=None,
            decide=place.decide or (f"{ASIDE}; {place.becomes}",),
        )


def _in_magics(joined: str) -> Iterator[Place]:
    """``%time llm(…)``: seen as if the magic were not there."""
    lines = joined.split("\n")
    magics = {at for at, line in enumerate(lines, 1) if _TIMED.match(line)}
    bare = "\n".join(_TIMED.sub(r"\1", line) for line in lines) + "\n"
    for place in read_python(bare).places if magics else ():
        if place.line in magics:
            decide = (f"{ASIDE}; {place.becomes}", *place.decide)
            yield replace(place, state=State.DECIDE, becomes=None, decide=decide)


def _all_code(notebook: Any) -> list[tuple[int, dict[str, Any]]]:
    return [
        (number, cell)
        for number, cell in enumerate(notebook["cells"], 1)
        if cell.get("cell_type") == "code"
    ]


def _python_cells(notebook: Any) -> list[tuple[int, dict[str, Any]]]:
    if not isinstance(notebook, dict) or not isinstance(notebook.get("cells"), list):
        raise ValueError("it has no cells")
    return [(number, cell) for number, cell in _all_code(notebook) if _is_python(_source(cell))]


def _is_python(source: str) -> bool:
    return not source.lstrip().startswith("%%") or bool(_PYTHON_CELL.match(source))


def _source(cell: dict[str, Any]) -> str:
    source = cell.get("source", "")
    return source if isinstance(source, str) else "".join(source)


def _masked(source: str) -> str:
    """Write what only IPython reads as a statement that does nothing, with the line behind it."""
    return "\n".join(
        f"{line[: len(line) - len(line.lstrip())]}{_KEPT}{line}"
        if _NOT_PYTHON.match(line)
        else line
        for line in source.split("\n")
    )


def _unmasked(source: str) -> str:
    return "\n".join(
        line.lstrip().removeprefix(_KEPT) if line.lstrip().startswith(_KEPT) else line
        for line in source.split("\n")
    )


def _pieces(text: str) -> list[str]:
    parts = re.split(rf"^{re.escape(_BORDER)}\n", text, flags=re.MULTILINE)
    return [part.removesuffix("\n") for part in parts[1:]]


def _placed(
    places: Sequence[Place], joined: str, cells: Sequence[tuple[int, dict[str, Any]]]
) -> tuple[Place, ...]:
    """Say each place's cell, and its line there."""
    borders = [number for number, line in _numbered(joined) if line == _BORDER]
    placed = []
    for place in places:
        nth = sum(border < place.line for border in borders) - 1
        placed.append(replace(place, cell=cells[nth][0], line=place.line - borders[nth]))
    return tuple(placed)


def _numbered(text: str) -> Iterator[tuple[int, str]]:
    return enumerate(text.split("\n"), 1)


def _indent(text: str) -> int:
    found = re.search(r"\n( +)\"", text)
    return len(found[1]) if found else 1
