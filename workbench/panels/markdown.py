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
    from markdown_it.token import Token


def rendered(text: str) -> str:
    """Return an answer as HTML; half a fence or half a table is what it is so far."""
    return str(_parser().render(text))


class Growing:
    """
    The HTML of a text that grows at its end: a block that is behind another is rendered once.

    What was said twenty times a second would else be read anew as often, in the process that
    reads the stream. A link whose address is defined further down is none before the end, when
    :func:`rendered` has the whole text.
    """

    def __init__(self) -> None:
        self._text = self._html = ""  # of the blocks that are closed

    def html(self, text: str) -> str:
        """Return the HTML of *text*, of which the last one that was given is the beginning."""
        text = text.replace("\r\n", "\n").replace("\r", "\n")  # as the parser does
        if not text.startswith(self._text):
            self._text = self._html = ""
        rest = text[len(self._text) :]
        parser = _parser()
        tokens = parser.parse(rest)
        at = _last_block(tokens)
        begin = _begin_of_line(rest, _line(tokens, at))
        if begin:
            self._html += str(parser.renderer.render(tokens[:at], parser.options, {}))
            self._text += rest[:begin]
        return self._html + str(parser.renderer.render(tokens[at:], parser.options, {}))


def _last_block(tokens: list[Token]) -> int:
    """Find where the last block begins that is in no other: what comes may still be of it."""
    begins = [at for at, it in enumerate(tokens) if it.level == 0 and it.nesting != -1]
    return begins[-1] if begins else 0


def _line(tokens: list[Token], at: int) -> int:
    lines = tokens[at].map if tokens else None
    return lines[0] if lines else 0


def _begin_of_line(text: str, number: int) -> int:
    begin = 0
    for _ in range(number):
        begin = text.index("\n", begin) + 1
    return begin


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
