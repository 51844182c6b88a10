"""
Commands that start an old server, or ask one, and what they are now.
"""

from __future__ import annotations

import re

from .parameters import parameter_map


def old_command(text: str) -> str | None:
    """Name the old command in a text, if one is run in it."""
    return next((name for name in parameter_map().commands if _runs(name).search(text)), None)


GGUF = re.compile(r"(?<![\w-])(?:\S*/)?(?:server|main)\s[^|;&]*\.gguf\b")
"""llama.cpp's programs by their names until 2024, which others have too."""


def _runs(name: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![\w-]){re.escape(name)}(?![\w-])")


def moved_command(name: str, text: str) -> str:
    """Say what a command is now, and what its flags are."""
    words = text.replace("\\\n", " ").split()
    flags = [
        f"{word} {words[place + 1] if place + 1 < len(words) else ''} is {new}"
        for place, word in enumerate(words)
        # `python -m llama_cpp.server`: that is Python's own -m.
        if (new := parameter_map().flags.get(word)) and words[place + 1 : place + 2] != [name]
    ]
    return "; ".join([f"{name} is {parameter_map().commands[name]} now", *flags])
