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

# Lines of their own in the joined text. A notebook has none like these.
_BORDER = "#<workbench-cell>"
_KEPT = "#<workbench-line>"

_NOT_PYTHON = re.compile(r"\s*[%!?]|.*\?\s*$|\s*[\w.,\s]+=\s*[%!]")


def read_notebook(text: str) -> Reading:
    """
    Read a notebook; outputs and all else stay as they are.

    Raises:
        ValueError: It is no notebook.
    """
    notebook = json.loads(text)
    cells = _code_cells(notebook)
    installs = [place for number, cell in cells for place in _installs(number, cell)]
    joined = "".join(f"{_BORDER}\n{_masked(_source(cell))}\n" for _number, cell in cells)
    reading = read_python(joined)
    if reading.text == joined and not installs:
        return replace(reading, places=_placed(reading.places, joined, cells), text=text)
    pieces = _pieces(reading.text)
    if len(pieces) != len(cells):
        raise ValueError("its cells could not be told apart afterwards")
    for (_number, cell), piece in zip(cells, pieces, strict=True):
        after = _INSTALL.sub(r"\1openai", _unmasked(piece))
        if after != _source(cell):
            cell["source"] = after.splitlines(keepends=True)
    return replace(
        reading,
        places=(*installs, *_placed(reading.places, joined, cells)),
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
                becomes=_INSTALL.sub(r"\1openai", text),
                items=(2,),
            )


_INSTALL = re.compile(
    r"^(\s*[%!]\s*(?:uv )?pip3? install\b[^\n]*?)\b(?:llama-cpp-python|ctransformers|ollama)\b"
    r"(?:\[[^]]*\])?(?:[=<>~!]=?[\w.*]+)?",
    re.MULTILINE,
)


def _code_cells(notebook: Any) -> list[tuple[int, dict[str, Any]]]:
    if not isinstance(notebook, dict) or not isinstance(notebook.get("cells"), list):
        raise ValueError("it has no cells")
    return [
        (number, cell)
        for number, cell in enumerate(notebook["cells"], 1)
        if cell.get("cell_type") == "code" and not _source(cell).lstrip().startswith("%%")
    ]


def _source(cell: dict[str, Any]) -> str:
    source = cell.get("source", "")
    return source if isinstance(source, str) else "".join(source)


def _masked(source: str) -> str:
    """Write what only IPython reads as comments; inside a block nothing is left without one."""
    return "\n".join(
        f"{_KEPT}{line}" if _NOT_PYTHON.match(line) else line for line in source.splitlines()
    )


def _unmasked(source: str) -> str:
    return "\n".join(
        line.lstrip().removeprefix(_KEPT) if line.lstrip().startswith(_KEPT) else line
        for line in source.splitlines()
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
    return enumerate(text.splitlines(), 1)


def _indent(text: str) -> int:
    found = re.search(r"\n( +)\"", text)
    return len(found[1]) if found else 1
