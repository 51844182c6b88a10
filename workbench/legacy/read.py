"""
Which reader reads which file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import PurePath

from .deployment import is_of_deployment, read_deployment
from .places import Reading
from .shell import read_shell
from .typescript import read_javascript, read_typescript

NOTHING: Mapping[str, str] = {}


def _python(text: str, shared: Mapping[str, str] = NOTHING) -> Reading:
    from .python import read_python  # with libcst, for files that need it

    return read_python(text, shared)


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


def is_read(path: PurePath) -> bool:
    """Tell by a file's name whether there is a reader for it."""
    return path.suffix in READERS or is_of_deployment(path)


def read(path: PurePath, text: str, shared: Mapping[str, str] = NOTHING) -> Reading:
    """
    Read a file's text by the reader of its kind.

    Args:
        shared: Models that other modules make; see :func:`~workbench.legacy.shared.shared_models`.

    Raises:
        KeyError: There is none; see :data:`READERS`.

        ValueError: It is not what its name says.
    """
    if is_of_deployment(path):
        return read_deployment(path, text)
    if path.suffix == ".py":
        return _python(text, shared)
    return READERS[path.suffix](text)
