"""
The compose file's variables, read back from the command line of a container.

A container that runs says best what it was started with, whoever started it.
"""

from __future__ import annotations

import itertools
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import TypeAlias

from ..settings import ALIAS


@dataclass(frozen=True, slots=True)
class Wanted:
    """
    What the compose file is to be told besides ``.env``, by its variables' names.

    Args:
        asked: What somebody asked for; a container that runs otherwise is another one.

        otherwise: What suits if nobody asked, and nothing runs that has its own.
    """

    asked: Mapping[str, str]
    otherwise: Mapping[str, str]


CameWith: TypeAlias = Callable[[str, str, str], bool]
"""Tells of a model, a variable and its value whether the model's own entry says so."""

MODEL = "WORKBENCH_MODEL"
SERVED_MODEL_NAME = "WORKBENCH_SERVED_MODEL_NAME"
EXTRA_ARGS = "WORKBENCH_EXTRA_ARGS"

# As docker-compose.yml writes its command.
FLAGS = {
    "--served-model-name": SERVED_MODEL_NAME,
    "--revision": "WORKBENCH_REVISION",
    "--max-model-len": "WORKBENCH_MAX_MODEL_LEN",
    "--gpu-memory-utilization": "WORKBENCH_GPU_MEMORY_UTILIZATION",
    "--dtype": "WORKBENCH_DTYPE",
    "--kv-cache-dtype": "WORKBENCH_KV_CACHE_DTYPE",
    "--quantization": "WORKBENCH_QUANTIZATION",
    "--tool-call-parser": "WORKBENCH_TOOL_CALL_PARSER",
}
OF_THE_MODEL = frozenset(
    {
        "WORKBENCH_REVISION",
        "WORKBENCH_DTYPE",
        "WORKBENCH_KV_CACHE_DTYPE",
        "WORKBENCH_QUANTIZATION",
        "WORKBENCH_MAX_MODEL_LEN",
        "WORKBENCH_TOOL_CALL_PARSER",
    }
)
"""
What says nothing of the next model. The share of memory is the machine's, too, unless it came
with the model.
"""

FLAGS_OF_THE_MODEL = frozenset(
    {"--reasoning-parser", "--chat-template", "--override-generation-config"}
)
"""The same among the extra arguments."""

LAST_FLAG = "--kv-cache-dtype"
"""The last one that is always there; then those that may be, then the extra arguments."""


def of_command(argv: Sequence[str]) -> dict[str, str]:
    """
    Read the variables that make a command line of ``vllm serve``.

    Another compose file's command may have none of them, or other flags: what
    is not recognized is left out.
    """
    found = {
        FLAGS[flag]: value
        for flag, value in itertools.pairwise(argv)
        if flag in FLAGS and not value.startswith("--")
    }
    if SERVED_MODEL_NAME in found:
        found[SERVED_MODEL_NAME] = " ".join(_values("--served-model-name", argv))
    if name := model(argv):
        found[MODEL] = name
    if extra := _extra(argv):
        found[EXTRA_ARGS] = shlex.join(extra)
    return found


def kept(argv: Sequence[str], asked: Mapping[str, str], came_with: CameWith) -> dict[str, str]:
    """Read what the next container keeps of one: with another model only what suits that too."""
    found = of_command(argv)
    before = found.get(MODEL, "")
    if asked.get(MODEL, before) == before:
        return found
    gone = {*OF_THE_MODEL, *(name for name in found if came_with(before, name, found[name]))}
    names = found.get(SERVED_MODEL_NAME, "").split()
    if names == [before] or names[-1:] == [ALIAS]:
        gone.add(SERVED_MODEL_NAME)  # nobody chose it; ours end so
    if EXTRA_ARGS in found:
        found[EXTRA_ARGS] = shlex.join(_of_any_model(shlex.split(found[EXTRA_ARGS])))
    return {name: value for name, value in found.items() if name not in gone}


def _values(flag: str, argv: Sequence[str]) -> Sequence[str]:
    """Return all words behind a flag, up to the next one."""
    behind = argv[argv.index(flag) + 1 :]
    return [*itertools.takewhile(lambda word: not word.startswith("-"), behind)]


def _of_any_model(extra: Sequence[str]) -> list[str]:
    """Leave out the arguments that were meant for one model, each with its value."""
    meant = {at for at, word in enumerate(extra) if word in FLAGS_OF_THE_MODEL}
    return [word for at, word in enumerate(extra) if not {at, at - 1} & meant]


def _extra(argv: Sequence[str]) -> Sequence[str]:
    """Return what stands behind all that the file itself writes."""
    if LAST_FLAG not in argv:
        return ()
    rest = argv[argv.index(LAST_FLAG) + 2 :]
    while rest and (rest[0] in FLAGS or rest[0] == "--enable-auto-tool-choice"):
        rest = rest[2:] if rest[0] in FLAGS else rest[1:]
    return rest


def model(argv: Sequence[str]) -> str | None:
    """
    Return what is served: the word behind ``vllm serve``, or the first if the entrypoint has that.

    ``--model`` counts too, in other people's files.
    """
    for at, (word, after) in enumerate(itertools.pairwise(argv)):
        # A model may be called `serve`, too.
        serves = word == "serve" and (at == 0 or PurePath(argv[at - 1]).name == "vllm")
        if (serves or word == "--model") and not after.startswith("-"):
            return after
    return argv[0] if argv and not argv[0].startswith("-") else None
