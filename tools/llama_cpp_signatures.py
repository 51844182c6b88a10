"""
Record the public signatures of llama-cpp-python's ``Llama``, for a test of the shim.

    python tools/llama_cpp_signatures.py FOLDER > tests/data/migrate/llama_cpp.json

FOLDER is the package ``llama_cpp`` of an unpacked source distribution, or an installed one. The
source is read and not imported, because building it takes minutes.
"""

from __future__ import annotations

import ast
import json
import re
import sys
from pathlib import Path


def signatures(folder: Path) -> dict[str, object]:
    """Read the version, and each public method's parameters with their defaults as code."""
    tree = ast.parse((folder / "llama.py").read_text())
    llama = next(
        node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "Llama"
    )
    version = re.search(r'__version__ = "(.+)"', (folder / "__init__.py").read_text())
    methods = {
        node.name: _parameters(node)
        for node in llama.body
        if isinstance(node, ast.FunctionDef) and _is_public(node.name)
    }
    return {"version": version[1] if version else None, "methods": methods}


def _is_public(name: str) -> bool:
    return not name.startswith("_") or name in ("__init__", "__call__")


def _parameters(node: ast.FunctionDef) -> dict[str, str | None]:
    args = node.args
    positional = [*args.posonlyargs, *args.args]
    defaults = [None] * (len(positional) - len(args.defaults)) + list(args.defaults)
    pairs = [*zip(positional, defaults, strict=True)]
    pairs += [*zip(args.kwonlyargs, args.kw_defaults, strict=True)]
    return {
        each.arg: None if default is None else ast.unparse(default)
        for each, default in pairs
        if each.arg not in ("self", "cls")
    }


if __name__ == "__main__":
    print(json.dumps(signatures(Path(sys.argv[1])), indent=1))
