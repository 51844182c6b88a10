"""
Shell scripts: curl to a model's server, and commands that start one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from .comments import below, comment_lines, comments_above, comments_in
from .parameters import parameter_map
from .places import Place, Reading, State
from .urls_in_code import known_path

BASE_URL = "${OPENAI_BASE_URL:-http://localhost:8000/v1}"
KEY = '-H "Authorization: Bearer ${OPENAI_API_KEY:-none}"'
MAX_TIME = "--max-time 600"

_URL = re.compile(r"""(?P<quote>['"]?)(?P<url>https?://[^\s'"]+)(?P=quote)""")
_MODEL = re.compile(r'("model"\s*:\s*)"[^"]*"')


@dataclass(frozen=True, slots=True)
class Command:
    """A command, with the lines that it goes on over."""

    line: int
    text: str


def read_shell(text: str) -> Reading:
    """Read a shell script."""
    lines = text.splitlines()
    out: list[str] = []
    places: list[Place] = []
    for command in _commands(lines):
        place, new = _look(command, lines)
        if place is not None:
            places.append(place)
            known = comments_above(lines, command.line)
            indent = re.match(r"\s*", command.text)[0]  # type: ignore[index]
            for note in place.decide:
                if note not in known:
                    out += [indent + line for line in comment_lines(note)]
        out += new.split("\n")
    decided = {note for place in places for note in place.decide}
    places += [
        Place(
            line=number,
            what="left to decide",
            seen=below(lines, number),
            state=State.DECIDE,
            decide=(note,),
        )
        for number, note in comments_in(lines)
        if note not in decided
    ]
    return Reading(
        places=tuple(sorted(places, key=lambda place: place.line)),
        text="\n".join(out) + ("\n" if text.endswith("\n") else ""),
    )


def _commands(lines: Sequence[str]) -> Iterator[Command]:
    """Join the lines that a backslash, or an open single quote, goes on over."""
    begun = 0
    parts: list[str] = []
    for number, line in enumerate(lines, 1):
        begun = begun if parts else number
        parts.append(line)
        text = "\n".join(parts)
        comment = text.lstrip().startswith("#")
        if comment or not (line.endswith("\\") or text.count("'") % 2):
            yield Command(begun, text)
            parts = []
    if parts:
        yield Command(begun, "\n".join(parts))


def _look(command: Command, lines: Sequence[str]) -> tuple[Place | None, str]:
    if command.text.lstrip().startswith("#"):
        return None, command.text
    if re.search(r"\bcurl\b", command.text):
        return _curl(command)
    return _server(command), command.text


def _curl(command: Command) -> tuple[Place | None, str]:
    found = _URL.search(command.text)
    seen = " ".join(command.text.split())
    if BASE_URL in command.text:
        return Place(
            line=command.line, what="curl", seen=seen, state=State.MOVED, items=(2, 6)
        ), command.text
    path = known_path(found["url"]) if found else None
    if found is None or path is None:
        return None, command.text
    if not path.startswith("/v1/"):
        decide = parameter_map().path_decide.get(path) or _said(path)
        return Place(
            line=command.line,
            what=f"curl: {path}",
            seen=seen,
            state=State.DECIDE,
            decide=(decide,),
            items=(2,),
        ), command.text
    new = _moved_curl(command.text, found, path)
    return Place(
        line=command.line,
        what=f"curl: {path}",
        seen=seen,
        state=State.WRITE,
        becomes=" ".join(new.split()),
        items=(2, 6),
        changes=("the model is `default`, whatever is served",),
    ), new


def _said(path: str) -> str:
    interface = parameter_map().paths[path]
    new = "/v1/chat/completions" if interface.becomes == "chat" else "/v1/completions"
    return f"{path} is {new} now, with other names: see parameters of {interface.title!r}"


def _moved_curl(text: str, found: re.Match[str], path: str) -> str:
    url = f'"{BASE_URL}{path.removeprefix("/v1")}"'
    said = " ".join(
        part
        for part, there in (
            (KEY, "Authorization:" in text),
            (MAX_TIME, "--max-time" in text or " -m " in text),
        )
        if not there
    )
    new = text[: found.start()] + url + text[found.end() :]
    new = re.sub(r"\bcurl\b", f"curl {said}".rstrip(), new, count=1)
    return _MODEL.sub(r'\1"default"', new)


def _server(command: Command) -> Place | None:
    known = parameter_map().commands
    name = next(
        (name for name in known if re.search(rf"(?<![\w-]){re.escape(name)}\b", command.text)), None
    )
    if name is None:
        return None
    words = command.text.replace("\\\n", " ").split()
    flags = [
        f"{word} {words[place + 1] if place + 1 < len(words) else ''} is {new}"
        for place, word in enumerate(words)
        if (new := parameter_map().flags.get(word))
    ]
    return Place(
        line=command.line,
        what="starts an old server",
        seen=" ".join(words),
        state=State.DECIDE,
        decide=("; ".join([f"{name} is {known[name]} now", *flags]),),
        items=(2,),
    )
