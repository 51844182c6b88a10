"""
What a model writes, as HTML: Markdown in which nothing of the model's own HTML is left.

Pictures are shown as links only: a browser that fetched them would tell
whoever serves them what was said here.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from . import html

if TYPE_CHECKING:
    from markdown_it import MarkdownIt


def rendered(text: str) -> str:
    """Return an answer as HTML; half a fence or half a table is what it is so far."""
    return str(_parser().render(text))


@cache
def _parser() -> MarkdownIt:
    from markdown_it import MarkdownIt

    # Its own check of links lets no javascript: and no data: through.
    parser = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])
    parser.disable("image")
    parser.add_render_rule("fence", _fence)
    parser.add_render_rule("code_block", _fence)
    parser.add_render_rule("link_open", _link)
    return parser


def _fence(_renderer: Any, tokens: Any, index: int, *_: Any) -> str:
    token = tokens[index]
    return html.code(token.content.rstrip("\n"), token.info.partition(" ")[0].strip())


def _link(renderer: Any, tokens: Any, index: int, options: Any, env: Any) -> str:
    tokens[index].attrSet("target", "_blank")
    tokens[index].attrSet("rel", "noopener noreferrer")
    return str(renderer.renderToken(tokens, index, options, env))
