"""Markdown that grows is at each step what the whole of it is."""

from __future__ import annotations

import pytest

from workbench.panels.markdown import Growing, rendered

TEXTS = {
    "paragraphs": "One *two*\nthree.\n\nFour `five`.\n\n\nSix.",
    "headings": "# One\nTwo\n===\nthree\n---\n\n---\n\nfour",
    "lists": "- one\n- two\n\n  of two\n- three\n\n1. five\n   - six\n\n     seven\n2. eight",
    "fences": "```python\nprint(1)\n\nprint(2)\n```\n\n    indented\n\n    more\n\n~~~\nopen\n",
    "quotes": "> one\ntwo\n> - three\n\n> four\n\nfive",
    "tables": "| a | b |\n| - | - |\n| 1 | 2 |\n| 3 | 4 |\n\nafter",
    "line ends": "one\r\n\r\ntwo\r\n\r\n- three\r\n\r\rfour\r\rfive",
    "blank": "\n\n  \n\none\n\n\n",
    "no html": "<b>one</b>\n\n<script>\n\ntwo\n</script>\n\n[a](javascript:x)",
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_what_grows_is_at_each_letter_what_the_whole_is(text: str):
    """Cut anywhere, the HTML is that of the text so far, as CommonMark has it."""
    growing = Growing()
    for end in range(len(text) + 1):
        assert growing.html(text[:end]) == rendered(text[:end]), repr(text[:end])


def test_a_closed_block_is_read_once():
    """Behind a hundred paragraphs only the last is parsed: what is kept is all before it."""
    growing = Growing()
    text = "".join(f"Paragraph {number}.\n\n" for number in range(100))
    growing.html(text)

    assert growing._text == text[: text.index("Paragraph 99")]


def test_another_text_begins_anew():
    """After a tool's call an answer begins again, and nothing of the one before is left."""
    growing = Growing()
    growing.html("One.\n\nTwo.\n\nThree.")

    assert growing.html("Four.") == "<p>Four.</p>\n"
