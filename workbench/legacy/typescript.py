"""
TypeScript and JavaScript, by their text: what is certain without a parser, and what is to be seen.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from .comments import below, comment_lines, comments_above, comments_in
from .places import Place, Reading, State
from .urls_in_code import LOCAL, known_path

MODULE = "llmClient"

# An object without braces inside it: all that such a client is told in practice.
_CLIENT = re.compile(r"new OpenAI\(\{(?P<options>[^{}()]*)\}\)")
_BASE_URL = re.compile(r"""baseURL:\s*(?P<value>[^,\n}]+)""")
_KNOWN_OPTION = re.compile(r"\s*(baseURL|apiKey|timeout|maxRetries|dangerouslyAllowBrowser)\s*:")
_MODEL = re.compile(r"""(?<![\w.])model:\s*(["'`])[^"'`]*\1""")
_FETCH = re.compile(r"""\b(?:fetch|axios\.post|axios)\(\s*(["'`])(?P<url>[^"'`]+)\1""")
_OLD = re.compile(
    r"""(?:from|require\()\s*["'](?P<name>node-llama-cpp|ollama|ollama/browser)["']"""
)
_IMPORT = re.compile(
    r"^import\b[^;]*?from\s*(?P<quote>[\"'])(?P<path>[^\"']+)[\"'];?$", re.MULTILINE
)
_DEFAULT_IMPORT = re.compile(r"^import OpenAI from [\"']openai[\"'];?\n", re.MULTILINE)


def read_typescript(text: str) -> Reading:
    """Read a TypeScript module; a client of a local server becomes ``llmClient``'s."""
    return _read(text, certain=True)


def read_javascript(text: str) -> Reading:
    """Read a JavaScript module. ``llmClient`` is TypeScript, so nothing is certain here."""
    return _read(text, certain=False)


def _read(text: str, *, certain: bool) -> Reading:
    places = [*_clients(text, certain), *_asked_by_hand(text), *_libraries(text), *_moved(text)]
    new = _with_comments(text, places)
    if any(place.state is State.WRITE for place in places):
        new = _rewritten(new)
    decided = {note for place in places for note in place.decide}
    lines = text.splitlines()
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
        text=new,
        adapters=(f"{MODULE}.ts",) if new != text and f"/{MODULE}" in new else (),
    )


def _line(text: str, offset: int) -> int:
    return text.count("\n", 0, offset) + 1


def _is_local(found: re.Match[str]) -> bool:
    base = _BASE_URL.search(found["options"])
    return bool(base and LOCAL.search(base["value"]))


def _clients(text: str, certain: bool) -> Iterator[Place]:
    for found in filter(_is_local, _CLIENT.finditer(text)):
        options = [line for line in re.split(r"[,\n]", found["options"]) if line.strip()]
        sure = certain and all(map(_KNOWN_OPTION.match, options))
        decide = () if sure else (f"take its client from a module like {MODULE}.ts",)
        yield Place(
            line=_line(text, found.start()),
            what="OpenAI's client of a local server",
            seen=" ".join(found[0].split()),
            state=State.WRITE if sure else State.DECIDE,
            becomes="llmClient" if sure else None,
            changes=(
                "llama.cpp's server and Ollama had other defaults than vLLM: temperature 0.8, "
                "top_k 40; the model is LLM_MODEL, or `default`",
            ),
            decide=decide,
            items=(1, 2, 4, 6, 7),
        )


def _asked_by_hand(text: str) -> Iterator[Place]:
    for found in _FETCH.finditer(text):
        path = known_path(re.sub(r"\$\{[^}]*\}", "{}", found["url"]))
        if path is not None:
            yield Place(
                line=_line(text, found.start()),
                what=f"by hand: {path}",
                seen=found[0],
                state=State.DECIDE,
                decide=(
                    f"{path} by hand: llmClient.chat.completions.create(…) asks it, with "
                    "time-outs, retries and records",
                ),
                items=(2, 6, 7),
            )


def _libraries(text: str) -> Iterator[Place]:
    for found in _OLD.finditer(text):
        yield Place(
            line=_line(text, found.start()),
            what=f"the package {found['name']}",
            seen=found[0],
            state=State.DECIDE,
            decide=(f"{found['name']}: llmClient.chat.completions.create(…) instead",),
            items=(1, 2, 6, 7),
        )


def _moved(text: str) -> Iterator[Place]:
    for found in re.finditer(r"\bllmClient\b(?=[;.])", text):
        streams = re.search(r"stream:\s*true", text)
        yield Place(
            line=_line(text, found.start()),
            what="over llmClient",
            seen=text.splitlines()[_line(text, found.start()) - 1].strip(),
            state=State.MOVED,
            items=(1, 2, *((3,) if streams else ()), 4, 6, 7),
        )


def _with_comments(text: str, places: list[Place]) -> str:
    lines = text.splitlines(keepends=True)
    bare = text.splitlines()
    for place in sorted(places, key=lambda each: each.line, reverse=True):
        known = comments_above(bare, place.line)
        indent = re.match(r"\s*", bare[place.line - 1])[0]  # type: ignore[index]
        for note in place.decide:
            if note not in known:
                written = [f"{indent}{line}\n" for line in comment_lines(note, "//")]
                lines[place.line - 1 : place.line - 1] = written
    return "".join(lines)


def _rewritten(text: str) -> str:
    new = _CLIENT.sub(lambda found: MODULE if _is_local(found) else found[0], text)
    new = _MODEL.sub("model: llmModel", new)
    imports = list(_IMPORT.finditer(new))
    own = [each["path"] for each in imports if each["path"].startswith(".")]
    suffix = next((end for end in (".ts", ".js") if any(each.endswith(end) for each in own)), "")
    quote = imports[-1]["quote"] if imports else '"'
    line = f"import {{ {MODULE}, llmModel }} from {quote}./{MODULE}{suffix}{quote};"
    if "llmModel" not in new.replace(line, ""):
        line = line.replace(", llmModel", "")
    place = imports[-1].end() if imports else 0
    new = f"{new[:place]}\n{line}{new[place:]}" if imports else f"{line}\n{new}"
    if not re.search(r"\bOpenAI\b", _DEFAULT_IMPORT.sub("", new)):
        new = _DEFAULT_IMPORT.sub("", new)
    return new
