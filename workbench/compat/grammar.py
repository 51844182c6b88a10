"""
``LlamaGrammar`` as text: the server reads GBNF itself.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


class LlamaGrammar:
    """
    A grammar to keep an answer to.

    Args:
        grammar: In GBNF; ``None`` for one made of a JSON schema.

        schema: A JSON schema.
    """

    def __init__(self, grammar: str | None, *, schema: Any = None) -> None:
        self.grammar = grammar
        self.schema = schema

    @classmethod
    def from_string(cls, grammar: str, verbose: bool = True) -> LlamaGrammar:
        """Take a grammar as it is written."""
        return cls(grammar)

    @classmethod
    def from_file(cls, file: str | Path, verbose: bool = True) -> LlamaGrammar:
        """Read a grammar from a file."""
        return cls(Path(file).read_text(encoding="utf-8"))

    @classmethod
    def from_json_schema(cls, json_schema: str, verbose: bool = True) -> LlamaGrammar:
        """Take a JSON schema, which the server keeps to without a grammar of ours."""
        return cls(None, schema=json.loads(json_schema))
