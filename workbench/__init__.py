"""
A workbench for people who run vLLM on their own GPU.

In a notebook: ``%load_ext workbench``, then ``%wb up`` and ``%%chat``. In
Python: :class:`Session`. In the shell: ``workbench --help``.

Importing this costs next to nothing; what a name needs is imported with it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from .client import Client
    from .errors import WorkbenchError
    from .panels import panel
    from .records import ChatMessage, Generation, Image, OutputFormat, SamplingParams
    from .session import Session

__version__ = "0.1.0"

__all__ = [
    "ChatMessage",
    "Client",
    "Generation",
    "Image",
    "OutputFormat",
    "SamplingParams",
    "Session",
    "WorkbenchError",
    "__version__",
    "panel",
]

_HOMES = {
    "ChatMessage": "records",
    "Client": "client",
    "Generation": "records",
    "Image": "records",
    "OutputFormat": "records",
    "SamplingParams": "records",
    "Session": "session",
    "WorkbenchError": "errors",
    "panel": "panels",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f".{_HOMES[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Register ``%wb``, ``%%chat`` and ``%%ts``."""
    from .magics import load_ipython_extension as load

    load(shell)


def unload_ipython_extension(shell: InteractiveShell) -> None:
    """Take the magics away again."""
    from .magics import unload_ipython_extension as unload

    unload(shell)
