"""
Which reader reads which file.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import PurePath

from .places import Reading
from .shell import read_shell
from .typescript import read_javascript, read_typescript


def _python(text: str) -> Reading:
    from .python import read_python  # with libcst, for files that need it

    return read_python(text)


def _notebook(text: str) -> Reading:
    from .notebook import read_notebook

    return read_notebook(text)


READERS: dict[str, Callable[[str], Reading]] = {
    ".py": _python,
    ".ipynb": _notebook,
    **dict.fromkeys((".ts", ".tsx", ".mts"), read_typescript),
    **dict.fromkeys((".js", ".jsx", ".mjs", ".cjs"), read_javascript),
    **dict.fromkeys((".sh", ".bash"), read_shell),
}


def read(path: PurePath, text: str) -> Reading:
    """
    Read a file's text by the reader of its kind.

    Raises:
        KeyError: There is none; see :data:`READERS`.

        ValueError: It is not what its name says.
    """
    return READERS[path.suffix](text)
