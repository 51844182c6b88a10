"""
TypeScript and JavaScript, by their text: what is certain without a parser, and what is to be seen.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from .comments import comment_lines, comments_above, left_to_decide
from .parameters import parameter_map
from .places import Place, Reading, State
from .urls_in_code import LOCAL, known_path

MODULE = "llmClient"

# An object without braces inside it: all that such a client is told in practice.
_NAME = r"(?P<name>[\w$]+)\s*(?::\s*OpenAI\s*)?=\s*"
_CLIENT = re.compile(rf"(?:{_NAME})?(?P<client>new OpenAI\(\{{(?P<options>[^{{}}()]*)\}}\))")
_NAMED = re.compile(rf"{_NAME}new OpenAI\(")
_NO_CODE = re.compile(r"""//[^\n]*|/\*.*?\*/|(["'`])(?:\\.|(?!\1).)*\1""", re.DOTALL)
_BASE_URL = re.compile(r"""baseURL:\s*(?P<value>[^,\n}]+)""")
_KNOWN_OPTION = re.compile(r"\s*(baseURL|apiKey|timeout|maxRetries|dangerouslyAllowBrowser)\s*:")
_MODEL = re.compile(r"""(?<![\w.])model:\s*(["'`])[^"'`]*\1""")
_FETCH = re.compile(
    r"""\b(?:fetch|axios|(?P<client>(?!app|router)[\w$]+)\.(?:post|get|request))\(\s*"""
    r"""(?P<base>[\w$.]+\s*\+\s*)?(["'`])(?P<url>[^"'`]+)\3"""
)
_OLD = re.compile(
    r"""(?:from|require\(|import\()\s*["'](?P<name>node-llama-cpp|ollama|ollama/browser"""
    r"""|ollama-ai-provider[\w-]*|@langchain/ollama|@llamaindex/ollama"""
    r"""|@langchain/community/(?:llms|chat_models|embeddings)/(?:ollama|llama_cpp))["']"""
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
    places += _addresses(text, {place.line for place in places})
    new = _with_comments(text, places)
    if any(place.state is State.WRITE for place in places):
        new = _rewritten(new)
    places += left_to_decide(text.split("\n"), places)
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
        decide: tuple[str, ...] = (f"take its client from a module like {MODULE}.ts",)
        if sure:
            # Whoever else uses it says a name that the new server does not know.
            decide = () if list(_models(text, found)) else (_MODEL_UNSEEN,)
        yield Place(
            line=_line(text, found.start("client")),
            what="OpenAI's client of a local server",
            seen=" ".join(found["client"].split()),
            state=State.WRITE if sure else State.DECIDE,
            becomes="llmClient" if sure else None,
            changes=(
                "llama.cpp's server and Ollama had other defaults than vLLM: temperature 0.8, "
                "top_k 40; the model is LLM_MODEL, or `default`",
            ),
            decide=decide,
            items=(1, 2, 4, 6, 7),
        )


_MODEL_UNSEEN = f"requests of this client are not in sight here: their model is {MODULE}'s llmModel"


def _models(text: str, client: re.Match[str]) -> Iterator[re.Match[str]]:
    """Find the models' names that requests of a client say, and not those of another client."""
    name = client["name"]
    if name is None or [found["name"] for found in _NAMED.finditer(text)].count(name) != 1:
        return
    for call in re.finditer(rf"(?<![\w$]){re.escape(name)}\.[\w.]+\(", text):
        top = {place for place, depth in _code(text, call.end()) if depth == 1}
        if top:
            yield from (
                found for found in _MODEL.finditer(text, min(top), max(top)) if found.start() in top
            )


def _code(text: str, start: int) -> Iterator[tuple[int, int]]:
    """Walk over a call's arguments, without quotes and comments: each place, and how deep it is."""
    depth, place = 0, start
    while place < len(text) and depth >= 0:
        if skipped := _NO_CODE.match(text, place):
            place = skipped.end()
            continue
        depth += (text[place] in "([{") - (text[place] in ")]}")
        yield place, depth
        place += 1


def _asked_by_hand(text: str) -> Iterator[Place]:
    for found in _FETCH.finditer(text):
        url = re.sub(r"\$\{[^}]*\}", "{}", found["url"])
        # A client that was told where: `axios.create({ baseURL })`.
        is_below = found["base"] or (found["client"] and "baseURL:" in text and LOCAL.search(text))
        path = known_path(f"{{}}{url}" if is_below else url, text)
        if path is not None:
            yield Place(
                line=_line(text, found.start()),
                what=f"by hand: {path}",
                seen=found[0],
                state=State.DECIDE,
                decide=(_asked_instead(path),),
                items=(2, 6, 7),
            )


def _asked_instead(path: str) -> str:
    if path in parameter_map().path_decide:
        return f"{path}: {parameter_map().path_decide[path]}"
    return (
        f"{path} by hand: llmClient.chat.completions.create(…) asks it, with time-outs, retries "
        "and records"
    )


def _addresses(text: str, known: set[int]) -> Iterator[Place]:
    """Find addresses of old servers that are given to a name, or to another library's client."""
    for found in _TEXT.finditer(text):
        line, url = _line(text, found.start()), re.sub(r"\$\{[^}]*\}", "{}", found["url"])
        path = known_path(url, text)
        is_base = found["base"] and LOCAL.search(url) and ":8000" not in url  # vLLM's own port
        if line in known or not (path or is_base):
            continue
        decide = _asked_instead(path) if path else f"{url}: OPENAI_BASE_URL is the new server's"
        yield Place(
            line=line,
            what="an old server's address",
            seen=found[0].strip(),
            state=State.DECIDE,
            decide=(decide,),
            items=(2,),
        )


_TEXT = re.compile(
    r"""(?P<base>\bbase(?:URL|Url)\s*:\s*)?(?P<quote>["'`])(?P<url>https?://[^"'`\s]+)(?P=quote)"""
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
            seen=text.split("\n")[_line(text, found.start()) - 1].strip(),
            state=State.MOVED,
            items=(1, 2, *((3,) if streams else ()), 4, 6, 7),
        )


def _with_comments(text: str, places: list[Place]) -> str:
    lines = [f"{line}\n" for line in text.split("\n")]
    bare = text.split("\n")
    for place in sorted(places, key=lambda each: each.line, reverse=True):
        known = comments_above(bare, place.line)
        indent = re.match(r"\s*", bare[place.line - 1])[0]  # type: ignore[index]
        for note in place.decide:
            if note not in known:
                written = [f"{indent}{line}\n" for line in comment_lines(note, "//")]
                lines[place.line - 1 : place.line - 1] = written
    return "".join(lines).removesuffix("\n")


def _rewritten(text: str) -> str:
    clients = list(filter(_is_local, _CLIENT.finditer(text)))
    edits = {found.span("client"): MODULE for found in clients}
    edits |= {
        model.span(): "model: llmModel" for found in clients for model in _models(text, found)
    }
    new = text
    for (start, end), written in sorted(edits.items(), reverse=True):
        new = new[:start] + written + new[end:]
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
