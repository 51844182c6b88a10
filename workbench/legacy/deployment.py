"""
Files that say what is installed and started: packages, Dockerfiles, compose files.

They are read and not written. A line that is changed by hand is no place any more.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePath

from .commands import moved_command, old_command
from .places import Place, Reading, State

_NAMES = re.compile(
    r"(?:.*requirements.*|constraints)\.(?:txt|in)|pyproject\.toml|setup\.(?:cfg)|Pipfile"
    r"|environment\.ya?ml|package\.json|(?:.*\.)?Dockerfile(?:\..*)?|Containerfile"
    r"|(?:.*[-_.])?compose(?:[-_.].*)?\.ya?ml|Procfile"
)

_PACKAGES = {
    "llama-cpp-python": "openai",
    "llama_cpp_python": "openai",
    "ctransformers": "openai",
    "ollama": "openai",
    "langchain-ollama": "langchain-openai",
    "node-llama-cpp": "openai",
}
_NAME = rf"(?P<name>{'|'.join(sorted(_PACKAGES, key=len, reverse=True))})(?![\w./:-])"
# At the beginning of a line or of a text; a description may have the word too.
_PACKAGE = re.compile(rf"""(?:^\s*(?:-\s+)?|["'])["']?{_NAME}""")
_INSTALLED = re.compile(rf"\binstall\b.*?(?<![\w./:@-]){_NAME}")
_STARTS = re.compile(r"compose|Dockerfile|Containerfile|Procfile")
_IMAGES = r"(?:[\w.-]+/)*(?:ollama/ollama|llama\.cpp|llama-cpp-python|text-generation-webui)\S*"
_IMAGE = re.compile(rf"\b(?:image:|FROM)\s+(?:--\S+\s+)?[\"']?(?P<image>{_IMAGES})")
_NEW_IMAGE = "the workbench's docker-compose.yml has the server's: workbench up --backend compose"
_ADDRESS = re.compile(
    r"\b(?P<where>https?://[\w.-]*(?:ollama|llama)[\w.-]*:\d+"
    r"|(?:[A-Za-z][\w.-]*|\d+(?:\.\d+){3}):11434)\b"
)


def is_of_deployment(path: PurePath) -> bool:
    """Tell by its name whether a file is one of these."""
    return bool(_NAMES.fullmatch(path.name))


def read_deployment(path: PurePath, text: str) -> Reading:
    """Read such a file, line by line."""
    package = _INSTALLED if _STARTS.search(path.name) else _PACKAGE
    places = [
        Place(
            line=number,
            what=what,
            seen=line.strip(),
            state=State.DECIDE,
            decide=(decide,),
            items=(2,),
        )
        for number, line in enumerate(text.split("\n"), 1)
        for what, decide in _said(line, package)
    ]
    return Reading(places=tuple(places), text=text)


def installed_or_set(line: str) -> tuple[str, str] | None:
    """Say what a command installs, sets or runs that is old: what, and what it is now."""
    if image := re.search(rf"\bdocker\s+(?:run|pull)\b.*?\s(?P<image>{_IMAGES})", line):
        return f"the image {image['image']}", f"the old server's image: {_NEW_IMAGE}"
    if package := _INSTALLED.search(line):
        return f"installs {package['name']}", f"what is written needs {_PACKAGES[package['name']]}"
    if said := _VARIABLE.search(line):
        return "an old server's address", f"{said['name']}: OPENAI_BASE_URL, with /v1, is the new"
    return None


# vLLM's own port is the new server's, or llama-cpp-python's; it is not told which.
_VARIABLE = re.compile(
    r"\b(?P<name>OPENAI_API_BASE|OPENAI_BASE_URL|OLLAMA_HOST|OLLAMA_BASE_URL)=[\"']?"
    r"(?:https?://)?(?:localhost|127\.0\.0\.1|0\.0\.0\.0|[\w.-]*(?:ollama|llama)[\w.-]*)(?!:8000)[:\s]"
)


def _said(line: str, packages: re.Pattern[str]) -> Iterator[tuple[str, str]]:
    """Say what is old in a line, and what it is now."""
    if line.lstrip().startswith(("#", "//")):
        return
    if image := _IMAGE.search(line):
        name = image["image"].strip("\"'")
        yield f"the image {name}", f"the old server's image: {_NEW_IMAGE}"
    elif name := old_command(re.sub(r"[\"',\[\]]+", " ", line)):
        yield "starts an old server", moved_command(name, line)
    elif package := packages.search(line):
        now = _PACKAGES[package["name"]]
        yield f"installs {package['name']}", f"what is written needs {now} instead"
    elif where := _ADDRESS.search(line):
        yield "an old server's address", f"{where['where']}: OPENAI_BASE_URL, with /v1, is the new"
