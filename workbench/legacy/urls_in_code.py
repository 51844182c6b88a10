"""
Addresses in code, as far as they can be read off it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import libcst as cst

from .arguments import code
from .parameters import parameter_map

LOCAL = re.compile(r"localhost|127\.0\.0\.1|0\.0\.0\.0|host\.docker\.internal|ollama|llama|:11434")
OLLAMA = re.compile(r"11434|ollama", re.IGNORECASE)

# Providers whose API has the same paths. They are nobody's old server.
_CLOUD = re.compile(
    r"//(?:[\w-]+\.)*(?:openai\.com|azure\.com|groq\.com|mistral\.ai|openrouter\.ai|together\.(?:xyz|ai)"
    r"|deepseek\.com|anthropic\.com|googleapis\.com|fireworks\.ai|perplexity\.ai|x\.ai|nvidia\.com"
    r"|huggingface\.co|cohere\.(?:com|ai)|cerebras\.ai|deepinfra\.com)(?:[:/]|$)"
)
_PUBLIC = re.compile(r"https?://(?!\d+(?:\.\d+){3}\b)[\w-]+(?:\.[\w-]+)+(?=/|$)")


def address(node: cst.BaseExpression, texts: Mapping[str, cst.BaseExpression]) -> str:
    """Write an address; what cannot be told of it is ``{…}``."""
    if isinstance(node, cst.SimpleString):
        value = node.evaluated_value
        return value if isinstance(value, str) else ""
    if isinstance(node, cst.FormattedString):
        return "".join(_part(part, texts) for part in node.parts)
    added = isinstance(node, cst.BinaryOperation) and isinstance(node.operator, cst.Add)
    if added or isinstance(node, cst.ConcatenatedString):
        assert isinstance(node, cst.BinaryOperation | cst.ConcatenatedString)
        return address(node.left, texts) + address(node.right, texts)
    known = texts.get(code(node))
    if known is not None and known is not node:
        rest = {name: text for name, text in texts.items() if name != code(node)}
        return address(known, rest)
    if isinstance(node, cst.Call) and (said := _in_call(node)) is not None:
        return address(said, texts)
    return f"{{{code(node)}}}"


def _in_call(call: cst.Call) -> cst.BaseExpression | None:
    """Return what says an address: the default of a variable, `base` in `base.rstrip("/")`."""
    if isinstance(call.func, cst.Attribute) and call.func.attr.value in _STRIPS:
        return call.func.value
    return call.args[1].value if len(call.args) == 2 else None


_STRIPS = ("rstrip", "strip", "removesuffix")


def _part(part: cst.BaseFormattedStringContent, texts: Mapping[str, cst.BaseExpression]) -> str:
    if isinstance(part, cst.FormattedStringText):
        return part.value
    assert isinstance(part, cst.FormattedStringExpression)
    return address(part.expression, texts)


def known_path(url: str, around: str = "") -> str | None:
    """
    Return the path of an old server that an address ends with; the longest known.

    Args:
        around: The code that it stands in, which tells of Ollama where the address does not.
    """
    if _CLOUD.search(url) or "/" not in url:
        return None
    paths = [*parameter_map().paths, *parameter_map().path_decide]
    bare = url.split("?", maxsplit=1)[0].rstrip("/")
    found = max((path for path in paths if bare.endswith(path)), key=len, default=None)
    said = f"{url} {around}" if "{" in url else url
    if found and re.match(r"/api/(?!v1)", found) and not OLLAMA.search(said):
        return None  # many applications have an /api/chat of their own
    # "/completion" of an address of which nothing is known may be anything.
    return found if found and ("//" in url or "{" in url) else None


def is_public(url: str) -> bool:
    """Tell whether an address may be somebody else's: a name of the internet, without a port."""
    return bool(_PUBLIC.match(url)) and ("ollama.com" in url or not LOCAL.search(url))


PUBLIC = "whether this address is the old server is for a person to say"
