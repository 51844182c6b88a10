"""
Shell scripts: curl to a model's server, and commands that start one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from .commands import GGUF, moved_command, old_command
from .comments import comment_lines, comments_above, left_to_decide
from .deployment import installed_or_set
from .parameters import parameter_map
from .places import Place, Reading, State
from .urls_in_code import PUBLIC, is_public, known_path

BASE_URL = "${OPENAI_BASE_URL:-http://localhost:8000/v1}"
KEY = '-H "Authorization: Bearer ${OPENAI_API_KEY:-none}"'
MAX_TIME = "--max-time 600"

# "http://host/path", host:11434/path, and $HOST/path.
_URL = re.compile(
    r"""(?P<quote>['"]?)(?P<url>(?:https?://|\$\{?\w|[\w.-]+:\d)[^\s'"|;&)]*)(?P=quote)"""
)
_MODEL = re.compile(r'(\\?"model\\?"\s*:\s*\\?")[^"\\]*(\\?")')


@dataclass(frozen=True, slots=True)
class Command:
    """A command, with the lines that it goes on over."""

    line: int
    text: str


def read_shell(text: str) -> Reading:
    """Read a shell script."""
    lines = text.split("\n")
    out: list[str] = []
    places: list[Place] = []
    for command in _commands(lines):
        place, new = _look(command, text)
        if place is not None:
            places.append(place)
            known = comments_above(lines, command.line)
            indent = re.match(r"\s*", command.text)[0]  # type: ignore[index]
            for note in place.decide:
                if note not in known:
                    out += [indent + line for line in comment_lines(note)]
        out += new.split("\n")
    places += left_to_decide(lines, places)
    return Reading(
        places=tuple(sorted(places, key=lambda place: place.line)),
        text="\n".join(out),
    )


def _commands(lines: Sequence[str]) -> Iterator[Command]:
    """Join the lines that a backslash, an open quote or a here-document goes on over."""
    begun = 0
    parts: list[str] = []
    for number, line in enumerate(lines, 1):
        begun = begun if parts else number
        parts.append(line)
        text = "\n".join(parts)
        if not _goes_on(text):
            yield Command(begun, text)
            parts = []
    if parts:
        yield Command(begun, "\n".join(parts))


def _goes_on(text: str) -> bool:
    if text.lstrip().startswith("#"):
        return False
    if here := _HERE.search(text):
        return not re.search(rf"\n\t*{re.escape(here['end'])}$", text)
    return text.endswith("\\") or bool(_OPEN.search(_QUOTED.sub("", text)))


_HERE = re.compile(r"(?<!<)<<-?\s*(['\"\\]?)(?P<end>[A-Za-z_]\w*)\1")

# What is quoted, escaped or a comment; what then has a quote in it goes on.
_QUOTED = re.compile(r"""\\.|'[^']*'|"(?:\\.|[^"\\])*"|(?<!\S)#.*""", re.DOTALL)
_OPEN = re.compile("['\"]")


def _look(command: Command, script: str) -> tuple[Place | None, str]:
    if command.text.lstrip().startswith("#"):
        return None, command.text
    if re.search(r"\bcurl\b", command.text):
        return _curl(command, script)
    if _OTHERS.search(command.text):
        return _by_another(command, script), command.text
    return _server(command), command.text


_OTHERS = re.compile(r"(?:^|[|;&(`]|\$\()\s*(?:wget|https?|xh|xhs)\s")


def _by_another(command: Command, script: str) -> Place | None:
    """``wget --post-data``, and ``http POST localhost:11434/api/chat``."""
    paths = [path for each in _URL.finditer(command.text) if (path := _path(each["url"], script))]
    if not paths:
        return None
    path = paths[0]
    decide = parameter_map().path_decide.get(path)
    if path in parameter_map().paths:
        new = (
            "/chat/completions" if parameter_map().paths[path].becomes == "chat" else "/completions"
        )
        decide = f"{path} is {BASE_URL}{new} now, with OPENAI_API_KEY and OpenAI's names"
    return Place(
        line=command.line,
        what=f"by hand: {path}",
        seen=" ".join(command.text.split()),
        state=State.DECIDE,
        decide=(decide or path,),
        items=(2,),
    )


def _path(url: str, script: str) -> str | None:
    """Tell an old server's path; a variable is followed to where the script gives it a value."""
    if named := re.match(r"\$\{?(\w+)\}?(?=/)", url):
        value = re.search(rf"\b{named[1]}=['\"]?(https?://[^\s'\";]*)", script)
        url = f"{value[1] if value else '{}'}{url[named.end() :]}"
    elif url.startswith("$"):
        url = f"{{}}{url}"
    elif "//" not in url:
        url = f"http://{url}"
    return known_path(url, script)


def _curl(command: Command, script: str) -> tuple[Place | None, str]:
    urls = [each for each in _URL.finditer(command.text) if _path(each["url"], script)]
    found = urls[0] if urls else None
    seen = " ".join(command.text.split())
    if BASE_URL in command.text:
        return Place(
            line=command.line, what="curl", seen=seen, state=State.MOVED, items=(2, 6)
        ), command.text
    path = _path(found["url"], script) if found else None
    if found is None or path is None:
        return None, command.text
    is_same = path.startswith("/v1/") and path in parameter_map().paths
    if not is_same or is_public(found["url"]) or len(urls) > 1:
        decide = parameter_map().path_decide.get(path) or _said(path)
        decide = f"{PUBLIC}: {path}" if is_public(found["url"]) else decide
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
        changes=("the model is `default`, whatever is served", *_change(path)),
        decide=tuple(_of_others(command.text)),
    ), new


def _of_others(text: str) -> Iterator[str]:
    """Ask about what a body says to other servers only; vLLM passes over what it does not know."""
    rules = parameter_map().rules["openai"]
    for found in re.finditer(r'\\?"(?P<name>\w+)\\?"\s*:\s*(?P<value>[^,}\n]*)', text):
        rule, said = rules.get(found["name"]), found["value"].strip().strip('"\\')
        if rule and rule.decide and said not in rule.off and f"'{said}'" not in rule.off:
            yield f"{rule.name}: {rule.decide}"
        elif rule and rule.becomes and rule.becomes.split(".")[1:] not in ([], [rule.name]):
            yield f"{rule.name} is {rule.extra} now"


def _change(path: str) -> tuple[str, ...]:
    change = parameter_map().paths[path].change
    return (change,) if change else ()


def _said(path: str) -> str:
    interface = parameter_map().paths[path]
    if path.startswith("/v1/"):
        return f"more than one request in a command: each is {BASE_URL}{path.removeprefix('/v1')}"
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
    return _MODEL.sub(r"\1default\2", new)


def _server(command: Command) -> Place | None:
    if name := old_command(command.text):
        found: tuple[str, str] | None = ("starts an old server", moved_command(name, command.text))
    elif GGUF.search(command.text):
        found = ("starts an old server", moved_command("llama-server", command.text))
    else:
        found = installed_or_set(f"{command.text}\n")
    if found is None:
        return None
    what, decide = found
    return Place(
        line=command.line,
        what=what,
        seen=" ".join(command.text.replace("\\\n", " ").split()),
        state=State.DECIDE,
        decide=(decide,),
        items=(2,),
    )
