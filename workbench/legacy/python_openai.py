"""
OpenAI's SDK in Python, where it asks an old server on this machine or a neighbour.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import libcst as cst

from .arguments import Given, call_items, code, dict_items, written
from .parameters import parameter_map
from .places import ADAPTER
from .python import Work
from .urls_in_code import LOCAL, address


def client(work: Work, node: cst.Call) -> bool:
    """``OpenAI(base_url="http://localhost…")``."""
    if work.names.kind_of(node) != "openai" or not work.qualified(node.func):
        return False
    given = call_items(node, ())
    base = next((each.value for each in given or () if each.name == "base_url"), None)
    if base is None or not LOCAL.search(address(base, work.names.texts)):
        return False
    own = {"base_url", "api_key", "timeout", "max_retries"}
    kept = [each for each in given or () if each.name not in own]
    server = cst.parse_expression(f"{ADAPTER}.SERVER")
    work.imports.add(ADAPTER)
    work.adapters.add(f"{ADAPTER}.py")
    work.add(
        node,
        "OpenAI's client of a local server",
        lambda updated: updated.with_changes(**written([Given(None, server), *kept], node)),
        items=(1, 6, 7),
        changes=[
            "llama.cpp's server and Ollama had other defaults than vLLM: temperature 0.8, top_k 40"
        ],
        decide=[
            f"requests of this client leave no records; {ADAPTER}.chat(…) asks the same and does"
        ],
    )
    return True


def asked_of_client(work: Work, node: cst.Call) -> bool:
    """``client.chat.completions.create(model="llama3")`` of a local server's client."""
    method = _method(work, node.func)
    if method is None:
        return False
    given = {each.keyword.value: each for each in node.args if each.keyword}
    decide = [*_of_extra(given["extra_body"].value)] if "extra_body" in given else []
    if method.startswith("embeddings."):
        decide.append("an embedding model is a server of its own, with its own name and address")
    elif "model" in given:
        decide += _named(work, given["model"].value)
    if decide:
        work.add(node, f"OpenAI's client: {method}", None, items=(4,), decide=decide)
    return True


def _named(work: Work, value: cst.BaseExpression) -> list[str]:
    """Write the served model's name for one that is written out, and ask about others."""
    if isinstance(value, cst.SimpleString):
        name = cst.parse_expression(f"{ADAPTER}.MODEL")
        work.imports.add(ADAPTER)
        work.add(value, "OpenAI's client: a model's name", lambda _updated: name, items=(4,))
        return []
    if f"{ADAPTER}.MODEL" in work.qualified(value):
        return []
    said = code(value)
    return [f"model={said}: the old server knew that name; what is served is {ADAPTER}.MODEL"]


def _of_extra(extra: cst.BaseExpression) -> Iterator[str]:
    """Ask about what only the old server knew; vLLM passes over what it does not know."""
    rules = parameter_map().rules["openai"]
    for each in dict_items(extra) or ():
        rule = rules.get(each.name or "")
        said = f"{each.name or '**'}={code(each.value)} in extra_body"
        if rule is None:
            yield f"{said}: vLLM passes over what it does not know"
        elif rule.decide and code(each.value) not in rule.off:
            yield f"{said}: {rule.decide}"
        elif rule.extra not in (None, each.name):
            yield f"{said} is {rule.extra} now"


def _method(work: Work, func: cst.BaseExpression) -> str | None:
    """Return what is called of a local server's client: ``chat.completions.create``."""
    names: list[str] = []
    while isinstance(func, cst.Attribute):
        names.insert(0, func.attr.value)
        func = func.value
        if work.names.kind_of(func) == "openai":
            return ".".join(names)
        if isinstance(func, cst.Call) and code(func.func).endswith(".with_options"):
            func = func.func
            names.clear()
    return None


_ADDRESS = re.compile(
    r"openai\.(?:base_url|api_base)"
    r"|os\.environ\[[\"'](?:OPENAI_BASE_URL|OPENAI_API_BASE|OLLAMA_HOST)[\"']\]"
)


def is_told_where(work: Work, node: cst.Assign) -> None:
    """``openai.base_url = "http://localhost…"``, and the same by the environment."""
    for target in node.targets:
        where, url = code(target.target), address(node.value, work.names.texts)
        if _ADDRESS.fullmatch(where) and LOCAL.search(url) and ":8000" not in url:
            decide = [
                f"{where} of an old server: {ADAPTER}.chat(…) asks the new one, or "
                f"openai.OpenAI(**{ADAPTER}.SERVER); the model is {ADAPTER}.MODEL"
            ]
            work.add(node, "an old server's address", None, items=(1, 2), decide=decide)
