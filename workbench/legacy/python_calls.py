"""
Calls in Python that talk to a model, each with what it becomes.
"""

from __future__ import annotations

import re

import libcst as cst

from .answers import Edit
from .arguments import call_items, code
from .holders import LLAMA_MODULES, OBJECTS
from .parameters import parameter_map
from .places import ADAPTER, Place, State
from .python import Work, one_line
from .python_by_hand import by_hand
from .python_elsewhere import another_library, command, handed_on, message, named
from .python_langchain import langchain
from .python_models import MODELS, OUT_OF_SIGHT, model
from .python_openai import asked_of_client, client, is_told_where
from .python_requests import ASYNC, Asked, items_touched, request

MAP = parameter_map()

CALLED = ("llama_cpp", "ctransformers")
"""Kinds of models that are asked by calling them."""

OLLAMA_CALLS = {"chat": "ollama_chat", "generate": "ollama_generate"}
OLLAMA_DECIDE = {
    "embeddings": "/api/embeddings",
    "embed": "/api/embed",
    "pull": "/api/pull",
    "list": "/api/tags",
}


GRAMMARS = tuple(f"{module}.LlamaGrammar" for module in (*LLAMA_MODULES, "llama_cpp.llama_grammar"))


def _is_inside(name: str) -> bool:
    """Tell whether a name is of llama_cpp's own: ``llama_cpp.llama_backend_init``."""
    moved = (*OBJECTS, *GRAMMARS)
    is_moved = name in LLAMA_MODULES or name.startswith(tuple(f"{each}." for each in moved))
    return name.startswith("llama_cpp.") and not (is_moved or name in moved)


_OF_C = re.compile(r"(?:llama|ggml|mtmd|LLAMA|GGML|c)_|ctypes|byref|pointer")


class Calls(cst.CSTVisitor):
    """Looks at each call of a module."""

    def __init__(self, work: Work) -> None:
        super().__init__()
        self.work = work
        self.told: set[object] = set()

    def visit_Attribute(self, node: cst.Attribute) -> None:
        """``asyncio.to_thread(llm.create_chat_completion, …)``: handed on, and called elsewhere."""
        parent = self.work.answers.parents[node]
        method = node.attr.value
        if any(map(_is_inside, self.work.qualified(node))):
            self._inside(node)
            return
        if isinstance(parent, cst.Call) and parent.func is node:
            return
        owner = self.work.names.kind_of(node.value)
        if method in UNMISTAKABLE or (owner == "llama_cpp" and method in MAP.methods):
            becomes = MAP.methods[method].becomes if method in MAP.methods else "chat"
            decide = f"{method} is handed on: {becomes} takes OpenAI's names, and llama.cpp's"
            decide += " defaults have to be said"
            what = f"llama-cpp-python: {method}"
            self.work.add(node, what, None, items=(2, 4), decide=[decide])
        elif owner in CALLED and method not in MAP.method_same:
            _of_library(self.work, node, method, owner)

    def _inside(self, node: cst.Attribute) -> None:
        """``llama_cpp.llama_backend_init``, and ``LlamaHFTokenizer.from_pretrained``."""
        names = code(node).split(".")
        name = next((each for each in names if each[:5] == "Llama" or "Handler" in each), names[-1])
        is_of_c = bool(_OF_C.match(name))
        if name in self.told or (is_of_c and _OF_C in self.told) or self._is_dropped(node):
            return
        self.told |= {name, _OF_C} if is_of_c else {name}
        why = f"{name} of llama_cpp has no counterpart here"
        if is_of_c:
            why = f"{name}, and what else of llama.cpp's C library is used here, has no counterpart"
        self.work.add(node, f"llama-cpp-python: {name}", None, items=(2,), decide=[why])

    def _is_dropped(self, node: cst.CSTNode) -> bool:
        """Tell whether it is said to a model that is made, which is told of it."""
        while not isinstance(node, cst.BaseStatement | cst.Module):
            if isinstance(node, cst.Call) and self.work.qualified(node.func) & set(OBJECTS):
                return True
            node = self.work.answers.parents[node]
        return False

    def visit_Arg(self, node: cst.Arg) -> None:
        """``partial(Llama, …)``, ``pool.map(llm, …)``: made, or asked, elsewhere."""
        handed_on(self.work, node)
        call = self.work.answers.parents[node]
        if isinstance(call, cst.Call) and code(call.func) not in ("isinstance", "issubclass"):
            self._is_made_elsewhere(node.value)

    def visit_Assign(self, node: cst.Assign) -> None:
        """``openai.base_url = …``."""
        is_told_where(self.work, node)

    def visit_Dict(self, node: cst.Dict) -> None:
        """``{"role": "user", "content": …, "images": […]}``."""
        message(self.work, node)

    def visit_SimpleString(self, node: cst.SimpleString) -> None:
        """``model="ollama/llama3"``."""
        named(self.work, node)

    def visit_ClassDef(self, node: cst.ClassDef) -> None:
        """``class Bot(Llama)``: what it asks, it asks of itself."""
        for base in node.bases:
            self._is_made_elsewhere(base.value)

    def _is_made_elsewhere(self, value: cst.BaseExpression) -> None:
        if self.work.qualified(value) & set(_CLASSES):
            what = "llama-cpp-python: Llama"
            self.work.add(value, what, None, items=(1, 2), decide=[OUT_OF_SIGHT])

    def visit_ExceptHandler(self, node: cst.ExceptHandler) -> None:
        """``except requests.RequestException`` catches nothing of a request that is moved."""
        names = self.work.qualified(node.type) if node.type else set()
        caught = next((name for name in names if name in ERRORS), None)
        moved = any(place.what.startswith("by hand") for _node, place in self.work.found)
        if caught and (moved or ADAPTER in self.work.imports):
            decide = [f"{caught}: {ADAPTER} raises {ERRORS[caught]} instead"]
            self.work.add(node, "by hand: an error is caught", None, items=(6,), decide=decide)

    def visit_Call(self, node: cst.Call) -> None:
        for look in _LOOKS:
            if look(self.work, node):
                return


ERRORS = {
    "requests.RequestException": "openai.OpenAIError",
    "requests.exceptions.RequestException": "openai.OpenAIError",
    "requests.HTTPError": "openai.APIStatusError",
    "requests.exceptions.HTTPError": "openai.APIStatusError",
    "requests.Timeout": "openai.APITimeoutError",
    "requests.exceptions.Timeout": "openai.APITimeoutError",
    "requests.ConnectionError": "openai.APIConnectionError",
    "requests.exceptions.ConnectionError": "openai.APIConnectionError",
    "httpx.HTTPError": "openai.OpenAIError",
    "httpx.TimeoutException": "openai.APITimeoutError",
    "httpx.ConnectError": "openai.APIConnectionError",
    "ollama.ResponseError": "openai.APIStatusError",
}


def _grammar(work: Work, node: cst.Call) -> bool:
    """``LlamaGrammar.from_string(text)`` is the text."""
    called = next(iter(work.qualified(node.func)), "")
    if not called.startswith(GRAMMARS) or not node.args:
        return False
    value = code(node.args[0].value)
    text = {"from_string": value, "from_file": f"open({value}).read()"}.get(called.split(".")[-1])
    decide = () if text else ("response_format with a json_schema takes the schema itself",)
    edit: Edit | None = None
    if text is not None:
        expression = cst.parse_expression(text)
        edit = lambda _updated: expression  # noqa: E731
    work.add(node, "llama-cpp-python: a grammar", edit, items=(2, 4), decide=decide)
    return True


def _of_object(work: Work, node: cst.Call) -> bool:
    """``llm.create_chat_completion(…)``, ``llm(…)``, ``llm.save_state()``."""
    kind = work.names.kind_of(node.func)
    if kind in CALLED and not work.qualified(node.func) & set(_CLASSES):
        name = "llama_completion" if kind == "llama_cpp" else "ctransformers"
        request(work, node, MAP.interfaces[name], Asked.ITSELF)
        return True
    if not isinstance(node.func, cst.Attribute):
        return False
    owner, method = work.names.kind_of(node.func.value), node.func.attr.value
    # The name is llama-cpp-python's alone, so whoever has it is a Llama.
    if owner not in CALLED and not (owner is None and method in UNMISTAKABLE):
        return False
    if owner != "ctransformers" and method in MAP.methods:
        request(work, node, MAP.methods[method], Asked.OWNER)
    elif method not in MAP.method_same:
        _of_library(work, node, method, owner or "llama_cpp")
    return True


def _of_library(work: Work, node: cst.BaseExpression, name: str, owner: str) -> None:
    """Ask about what an ``LLM`` does not have."""
    why = MAP.method_decide.get(name, f"{ADAPTER}.LLM has none")
    work.add(node, f"{MODELS[owner]}: {name}", None, items=(2,), decide=[f"{name}: {why}"])


_CLASSES = tuple(f"{module}.Llama" for module in LLAMA_MODULES)
UNMISTAKABLE = ("create_chat_completion", "create_chat_completion_openai_v1")


def _ollama(work: Work, node: cst.Call) -> bool:
    """``ollama.chat(…)``, ``chat(…)`` that was imported, and a client's ``chat``."""
    of_module = next((name for name in work.qualified(node.func) if name.startswith("ollama.")), "")
    owner = node.func.value if isinstance(node.func, cst.Attribute) else None
    kind = work.names.kind_of(owner)
    if not of_module and kind not in ("ollama", "ollama_async"):
        return False
    method = of_module.rpartition(".")[2] or node.func.attr.value  # type: ignore[attr-defined]
    if kind == "ollama_async" or method == "AsyncClient":
        work.add(node, f"Ollama: {method}", None, items=(2,), decide=[ASYNC])
    elif method in OLLAMA_CALLS:
        asked_of = Asked.ADAPTER if of_module else Asked.OWNER
        request(work, node, MAP.interfaces[OLLAMA_CALLS[method]], asked_of)
    else:
        path = OLLAMA_DECIDE.get(method)
        decide = MAP.path_decide[path] if path else f"{ADAPTER} has no {method}"
        work.add(node, f"Ollama: {method}", None, items=(2,), decide=[decide])
    return True


def _moved(work: Work, node: cst.Call) -> bool:
    """Count what is moved already: ``llm.chat(…)`` of an ``LLM``."""
    if not isinstance(node.func, cst.Attribute):
        kind = work.qualified(node.func) & {f"{ADAPTER}.LLM"}
        items: tuple[int, ...] = (1, 2)
    else:
        of_module = work.qualified(node.func) & _ASKED | (
            work.qualified(node.func) & {f"{ADAPTER}.LLM"}
        )
        of_object = work.names.kind_of(node.func.value) == "moved"
        if of_object and _left_over(work, node, node.func.attr.value):
            return True
        kind = of_module or ({"moved"} if of_object else set())
        items = items_touched(call_items(node, ("messages",)) or (), _streams(node))
    if kind:
        place = Place(
            line=work.line(node),
            what="over llm_client",
            seen=one_line(code(node)),
            state=State.MOVED,
            items=items,
        )
        work.found.append((node, place))
    return bool(kind)


def _left_over(work: Work, node: cst.Call, method: str) -> bool:
    """``llm.save_state()``, of which an ``LLM`` knows nothing."""
    if method in MAP.method_decide:
        decide = [f"{method}: {MAP.method_decide[method]}"]
        work.add(node, f"llama-cpp-python: {method}", None, items=(2,), decide=decide)
    return method in MAP.method_decide


_ASKED = {f"{ADAPTER}.{name}" for name in ("chat", "complete", "embeddings")}


def _streams(node: cst.Call) -> bool:
    return any(
        each.keyword and each.keyword.value == "stream" and code(each.value) != "False"
        for each in node.args
    )


_LOOKS = (
    model,
    client,
    asked_of_client,
    _grammar,
    _of_object,
    _ollama,
    by_hand,
    _moved,
    langchain,
    another_library,
    command,
)
