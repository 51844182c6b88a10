"""
Requests in Python that post to an old server by hand.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import libcst as cst

from .arguments import Given, call_items, code, dict_items
from .parameters import parameter_map
from .places import ADAPTER
from .python import Work
from .python_requests import ASYNC, Asked, request
from .urls_in_code import PUBLIC, address, is_public, known_path

MAP = parameter_map()

POSTS = {"requests.post", "httpx.post", "requests.Session.post"}
ASKS = ("post", "get", "request", "stream")


def by_hand(work: Work, node: cst.Call) -> bool:
    """``requests.post("http://localhost:8080/completion", json=…)``."""
    asks = _asks_by_hand(work, node)
    if asks is None:
        return False
    # `request("POST", url)`; what is more than an address is said by name, but for the body.
    named = (
        ("method", "url", "body", "headers") if asks in _NAMES_METHOD else ("url", "data", "json")
    )
    given = call_items(node, named)
    said = next((each.value for each in given or () if each.name == "url"), None)
    url = "" if said is None else address(said, work.names.texts)
    if url.startswith("/") and _of_client(work, node):
        url = f"{{}}{url}"
    path = known_path(url, "\n".join(work.lines))
    if given and path is None and _seems_asked(work, given, url):
        decide = f"where this goes is not in sight; {ADAPTER}.chat(…) or complete(…) asks a model"
        work.add(node, f"by hand: {asks.upper()}", None, items=(2, 6, 7), decide=[decide])
        return True
    if given is None or path is None:
        return False
    title = f"by hand: {asks.upper()} {path}"
    if path in MAP.path_decide:
        work.add(node, title, None, items=(2,), decide=[MAP.path_decide[path]])
        return True
    is_plain = bool(work.qualified(node.func) & POSTS) or (
        asks == "post" and _of_client(work, node) == "http"
    )
    body, line = _body(work, given)
    if not is_plain or body is None or is_public(url):
        why = "what it sends, or how its answer is read, is not in sight here"
        is_imported = any(_module(name) in _FROM for name in work.qualified(node.func))
        if not is_plain and not is_imported and _of_client(work, node) != "connection":
            why = ASYNC
        becomes = f"{ADAPTER}.{MAP.paths[path].becomes}(…) asks it"
        decide = f"{PUBLIC}: {path}" if is_public(url) else f"{becomes}; {why}"
        work.add(node, title, None, items=(2, 6, 7), decide=[decide])
        return True
    timeout = [each for each in given if each.name == "timeout"]
    asked, away = MAP.paths[path], [*_not_sent(work, given), *_of_session(work, node)]
    done = request(work, node, asked, Asked.ADAPTER, body=body, more=timeout, decide=away)
    if done and line is not None:
        work.edits[line] = lambda _updated: cst.RemoveFromParent()
    return True


_NAMES_METHOD = ("request", "stream")
_BY_METHOD = ("method", "url", "body", "headers")
"""Of ``http.client``; others take no more than the first two without a name."""


def _asks_by_hand(work: Work, node: cst.Call) -> str | None:
    """Return what a call may ask with: ``post`` of anything, or a function that was imported."""
    if isinstance(node.func, cst.Attribute) and node.func.attr.value in ASKS:
        return node.func.attr.value
    names = (name.rpartition(".") for name in work.qualified(node.func))
    return next((name for module, _dot, name in names if name in _FROM.get(module, ())), None)


def _module(name: str) -> str:
    return name.rpartition(".")[0]


_FROM = {"requests": ASKS, "httpx": ASKS, "urllib.request": ("urlopen", "Request")}


def _seems_asked(work: Work, given: Sequence[Given], url: str) -> bool:
    """Tell whether what is sent looks like a request to a model, where the address is not known."""
    body, _line = _body(work, given)
    names = {each.name for each in dict_items(body) or ()} if body else set()
    is_one = names >= {"model", "messages"} or names >= {"model", "prompt"}
    return bool(_UNKNOWN.fullmatch(url)) and (is_one or "n_predict" in names)


_UNKNOWN = re.compile(r"\{[^{}]*\}")


def _of_client(work: Work, node: cst.Call) -> str | None:
    """Tell what kind of HTTP client is asked, if one is."""
    owner = node.func.value if isinstance(node.func, cst.Attribute) else None
    kind = work.names.kind_of(owner)
    return kind if kind in ("http", "http_async", "connection") else None


def _of_session(work: Work, node: cst.Call) -> list[str]:
    """Say what a session says with each of its requests, and does not any more."""
    owner = node.func.value if isinstance(node.func, cst.Attribute) else None
    if owner is None or _of_client(work, node) is None:
        return []
    name = code(owner)
    said = rf"\b{re.escape(name)}\.(headers|auth|proxies|verify|cert|params)\b"
    told = dict.fromkeys(found[1] for line in work.lines for found in re.finditer(said, line))
    given = rf"\b{re.escape(name)}\s*=\s*httpx\.Client\([^)]*?\b(headers|auth|proxy|verify|cert)="
    told |= dict.fromkeys(found[1] for found in re.finditer(given, "\n".join(work.lines)))
    return [
        f"{name}.{each} went with this request and does not now: a key is OPENAI_API_KEY, the rest "
        "is the client's in llm_client.py"
        for each in told
    ]


def _not_sent(work: Work, given: Sequence[Given]) -> list[str]:
    """Name what went along with a request, and does not any more."""
    moved = ("url", "json", "data", "timeout")
    return [
        f"{each.name or '**'}={code(each.value)} went with this request and does not now: "
        "extra_headers=, or the client in llm_client.py"
        for each in given
        if each.name not in moved
        and not (each.name == "headers" and _says_only_json(_dictionary(work, each.value)))
    ]


def _dictionary(work: Work, value: cst.BaseExpression) -> cst.BaseExpression:
    """Return the dictionary that a name was given, if it was given one and no other."""
    scope = work.answers.scopes.get(value) if isinstance(value, cst.Name) else None
    assigned = list(scope[value.value]) if scope and isinstance(value, cst.Name) else []
    target = getattr(assigned[0], "node", None) if len(assigned) == 1 else None
    statement = work.answers.parents.get(work.answers.parents.get(target)) if target else None  # type: ignore[arg-type]
    return statement.value if isinstance(statement, cst.Assign) else value


def _says_only_json(headers: cst.BaseExpression) -> bool:
    items = dict_items(headers)
    return items is not None and {str(each.name).lower() for each in items} <= {"content-type"}


def _body(work: Work, given: Sequence[Given]) -> tuple[cst.Dict | None, cst.CSTNode | None]:
    """Find the dictionary that is sent: written there, or just before and used once."""
    value = next((each.value for each in given if each.name in ("json", "data")), None)
    if isinstance(value, cst.Call) and work.qualified(value.func) & {"json.dumps"} and value.args:
        value = value.args[0].value
    line = None
    if isinstance(value, cst.Name):
        value, line = _written_before(work, value)
    if isinstance(value, cst.Dict) and dict_items(value) is not None:
        return value, line
    return None, None


def _written_before(
    work: Work, name: cst.Name
) -> tuple[cst.BaseExpression | None, cst.CSTNode | None]:
    scope = work.answers.scopes[name]
    assignments = list(scope[name.value]) if scope else []
    if len(assignments) != 1 or len(list(assignments[0].references)) != 1:
        return None, None
    target = getattr(assignments[0], "node", None)
    statement = target and work.answers.parents.get(work.answers.parents.get(target))  # type: ignore[arg-type]
    if not isinstance(statement, cst.Assign) or not isinstance(statement.value, cst.Dict):
        return None, None
    line = work.answers.parents[statement]
    if isinstance(line, cst.SimpleStatementLine) and len(line.body) == 1:
        return statement.value, line
    return None, None
