"""
What asks a model out of sight: other libraries, other programs, and models that are handed on.
"""

from __future__ import annotations

import re

import libcst as cst

from .arguments import code, dict_items
from .commands import moved_command, old_command
from .parameters import parameter_map
from .places import ADAPTER
from .python import Work
from .urls_in_code import LOCAL, address

_WRAPPER = re.compile(
    r"(?:langchain\w*|llama_index|guidance|outlines|haystack\w*)\.(?:[\w.]*\.)?"
    r"(?:Chat)?(?:Ollama|LlamaC[pP]{2}|CTransformers)\w*"
)
_OPENAI = re.compile(r"langchain_openai\.(?:[\w.]+\.)?(?:ChatOpenAI|OpenAI|OpenAIEmbeddings)")
_NAMED = re.compile(r"ollama(?:_chat)?[/:][\w.:-]+")


def another_library(work: Work, node: cst.Call) -> bool:
    """``llama_index.llms.ollama.Ollama(…)``, ``ChatOpenAI(base_url="http://localhost…")``."""
    for name in work.qualified(node.func):
        if _WRAPPER.fullmatch(name) and name not in parameter_map().langchain:
            decide = "its form for OpenAI's API asks the new server (OPENAI_BASE_URL)"
            if "Embedding" in name:
                decide += ", if that serves an embedding model"
            return _ask(work, node, name, decide)
        if _OPENAI.fullmatch(name) and _asks_local(work, node):
            return _ask(work, node, name, "llm_langchain.chat_model(…) asks the new server")
        if name.endswith(".init_chat_model") and _says(node, "model_provider", "ollama"):
            return _ask(work, node, name, "llm_langchain.chat_model(…) asks the new server")
    return False


def _ask(work: Work, node: cst.Call, name: str, decide: str) -> bool:
    short = name.rpartition(".")[2]
    what = f"{name.partition('.')[0]}: {short}"
    work.add(node, what, None, items=(1, 2, 4, 6, 7), decide=[f"{short}: {decide}"])
    return True


def _asks_local(work: Work, node: cst.Call) -> bool:
    said = [
        each.value
        for each in node.args
        if each.keyword and each.keyword.value in ("base_url", "openai_api_base")
    ]
    return any(LOCAL.search(address(value, work.names.texts)) for value in said)


def _says(node: cst.Call, name: str, value: str) -> bool:
    return any(
        each.keyword and each.keyword.value == name and code(each.value).strip("\"'") == value
        for each in node.args
    )


def named(work: Work, node: cst.SimpleString) -> None:
    """``"ollama/llama3"``, by which LiteLLM and those built on it know Ollama's models."""
    value = node.evaluated_value
    if isinstance(value, str) and _NAMED.fullmatch(value):
        decide = [
            f"{value} is a model of Ollama's to a library: LiteLLM says hosted_vllm/NAME, others "
            "openai, with the base URL of the new server"
        ]
        work.add(node, "a model's name", None, items=(2, 4), decide=decide)


def message(work: Work, node: cst.Dict) -> None:
    """Ask about what only Ollama's messages have, and about addresses in configurations."""
    _address(work, node)
    names = {each.name for each in dict_items(node) or ()}
    if not {"role", "content"} <= names or not re.search("ollama|11434", "\n".join(work.lines)):
        return
    if "images" in names:
        decide = [f"images: {parameter_map().rules['ollama']['images'].decide}"]
        work.add(node, "Ollama: a message with pictures", None, items=(5,), decide=decide)
    if names & {"tool_name", "name"} and _is_of_tool(node) and "tool_call_id" not in names:
        decide = ["a tool's result says which call it is of: tool_call_id, the id in tool_calls"]
        work.add(node, "Ollama: a tool's result", None, items=(5,), decide=decide)


def _address(work: Work, node: cst.Dict) -> None:
    """``{"model": "llama3", "base_url": "http://localhost:11434/v1"}``."""
    said = {each.name: address(each.value, work.names.texts) for each in dict_items(node) or ()}
    where = next((said[name] for name in ("base_url", "api_base", "baseURL") if name in said), "")
    if (
        "model" in said
        and LOCAL.search(where)
        and not isinstance(work.answers.parents[node], cst.Arg)
    ):
        decide = [f"{where} is an old server: OPENAI_BASE_URL, and the model that is served"]
        work.add(node, "an old server's address", None, items=(2, 4), decide=decide)


def _is_of_tool(node: cst.Dict) -> bool:
    said = {each.name: code(each.value).strip("\"'") for each in dict_items(node) or ()}
    return said.get("role") == "tool"


# --- models that are handed on --------------------------------------------------------------------

_LOOKS_ONLY = {"isinstance", "print", "type", "id", "repr", "str", "bool", "hasattr", "append"}


def handed_on(work: Work, node: cst.Arg) -> None:
    """``pool.map(llm, prompts)``: who gets a model that is called may call it."""
    call = work.answers.parents[node]
    if not isinstance(call, cst.Call) or not isinstance(node.value, cst.Name | cst.Attribute):
        return
    if work.names.kind_of(node.value) not in ("llama_cpp", "ctransformers"):
        return
    function = code(call.func)
    if function.rpartition(".")[2] in _LOOKS_ONLY or _is_in_sight(work, node, function):
        return
    decide = [
        f"what {function} asks {code(node.value)} is not in sight: llm(…) is llm.complete(…) of an "
        f"{ADAPTER}.LLM, and the old defaults have to be said"
    ]
    work.add(node.value, "a model is handed on", None, items=(2, 4), decide=decide)


def _is_in_sight(work: Work, node: cst.Arg, function: str) -> bool:
    """Tell whether what gets it is of this module, where its parameter is known to hold a model."""
    if function in work.names.functions or function.startswith("super()"):
        return True
    # A class without `__init__`, as pydantic's and dataclasses are.
    return node.keyword is not None and f"{function}.{node.keyword.value}" in work.names.kinds


# --- other programs -------------------------------------------------------------------------------

_RUNS = re.compile(
    r"(?:subprocess\.(?:run|Popen|call|check_call|check_output)|os\.(?:system|popen))"
)
_RUNS_ASYNC = re.compile(r"asyncio\.create_subprocess_(?:exec|shell)")


def command(work: Work, node: cst.Call) -> bool:
    """``subprocess.run(["ollama", "run", "llama3"])``."""
    names = work.qualified(node.func)
    if not any(map(_RUNS.fullmatch, names)):
        return False
    said = " ".join(_words(work, node))
    name = old_command(said)
    if name is None:
        return False
    decide = [moved_command(name, said)]
    work.add(node, "starts an old server", None, items=(2,), decide=decide)
    return True


def _words(work: Work, node: cst.Call) -> list[str]:
    """Return what a command is made of, as far as it is written out."""
    first = node.args[0].value if node.args else None
    if isinstance(first, cst.List | cst.Tuple):
        return [address(each.value, work.names.texts) for each in first.elements]
    return [address(each.value, work.names.texts) for each in node.args if not each.keyword]
