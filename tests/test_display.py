"""Views: text for terminals, HTML for notebooks, nothing from outside unescaped."""

from __future__ import annotations

from datetime import UTC, datetime

import pandas as pd
import pytest

from workbench import views
from workbench.display import Json, View, for_terminal
from workbench.records import ServerState, ServerStatus


def test_columns_line_up_and_numbers_stand_at_the_right():
    """A table for a fixed-width font, without trailing blanks."""
    view = View(
        columns=("name", "tokens"),
        numeric=frozenset({"tokens"}),
        rows=(("a", "1,024"), ("longer", "8")),
        note="two rows",
    )

    assert str(view) == "name    tokens\na        1,024\nlonger       8\ntwo rows"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\tb\nc\r\nd", "a\tb\nc\nd"),
        ("naïve\u00a0👩\u200d💻", "naïve\u00a0👩\u200d💻"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("a\x1b[2Jb\x1b]0;title\x07c", "a�[2Jb�]0;title�c"),
        ("over\rwritten\b\x9b", "over�written��"),
        ("half \ud83d", "half �"),
    ],
    ids=["lines", "signs", "colours", "commands", "moves", "half a character"],
)
def test_a_terminal_is_not_commanded(text: str, shown: str):
    """What a model or a server says is written, and every sign of any language stays."""
    assert for_terminal(text) == shown
    assert str(View(title=text)) == shown


def test_html_escapes_what_a_server_says():
    """A model's name is not a place to put a script."""
    bundle = View(rows=(("model", "<script>alert(1)</script>"),))._repr_mimebundle_()

    assert "<script>" not in bundle["text/html"]
    assert "&lt;script&gt;" in bundle["text/html"]


def test_a_sentence_is_not_squeezed_into_a_table():
    """A view of a title only is one line of text."""
    html = View(title="The server is stopped.").html()

    assert html == "<div>The server is stopped.</div>"


def test_a_stopped_server_says_what_to_type():
    """The status of nothing is a status with a next step."""
    status = ServerStatus(
        backend="embedded", state=ServerState.STOPPED, base_url="http://127.0.0.1:8000/v1"
    )

    assert "workbench up" in str(views.status_view(status))
    assert '"state": "stopped"' in str(Json(views.status_view(status).data))


def test_telemetry_shows_unknown_as_a_dash():
    """pandas' several kinds of "missing" are one dash."""
    frame = pd.DataFrame(
        {
            "timestamp": [datetime(2026, 11, 23, 12, tzinfo=UTC)],
            "model": ["pocket"],
            "input_tokens": pd.array([3], dtype="Int64"),
            "output_tokens": pd.array([None], dtype="Int64"),
            "ttft_s": [float("nan")],
            "e2e_latency_s": [0.25],
            "status": ["error"],
            "finish_reason": pd.array([None], dtype="string"),
            "error_type": ["ServerUnreachableError"],
        }
    )

    row = views.telemetry_view(frame).rows[0]

    assert row == (
        "11-23 12:00:00", "pocket", "3", "–", "–", "250 ms", "error", "ServerUnreachableError"
    )  # fmt: skip
