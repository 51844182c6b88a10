"""
The models one can serve: those whose folders are here, and those that the catalogue knows.
"""

from .entries import Entry, entries, find_entry
from .local import (
    LocalModel,
    find_model,
    local_models,
    looks_like_hub_name,
    parser_of_family,
    tool_call_parser,
)

__all__ = [
    "Entry",
    "LocalModel",
    "entries",
    "find_entry",
    "find_model",
    "local_models",
    "looks_like_hub_name",
    "parser_of_family",
    "tool_call_parser",
]
