"""``workbench …`` in the shell: exit codes, one-line mistakes, data on stdout only."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from workbench import __main__, verbs


def workbench(*arguments: str, home: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "workbench", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={
            "PATH": "/usr/bin:/bin",
            "HOME": str(home),
            "WORKBENCH_HOME": str(home),
            **environment,
        },
    )


def test_status_of_nothing_is_no_failure(project: Path):
    """Exit 0, JSON on stdout, nothing on stderr."""
    done = workbench("status", "--json", home=project)

    assert done.returncode == 0
    assert json.loads(done.stdout)["state"] == "stopped"
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("stauts",), "status"),
        (("status", "--jsn"), "--json"),
        (("up", "--port", "many"), "--port"),
        (("chat",), "PROMPT"),
        (("run", "nowhere.ipynb"), "nowhere.ipynb"),
        (("up", "--model", "poket"), "Did you mean pocket?"),
        (("up", "--backend", "remotely"), "embedded, compose, remote"),
        (("up", "--backend", "remote"), "WORKBENCH_BASE_URL"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_a_wrong_argument_is_said_in_a_line_with_the_way_out(
    arguments: tuple[str, ...], said: str, project: Path
):
    """Exit 2, no traceback, and a suggestion."""
    engine = {"WORKBENCH_ENGINE_DIR": str(project / "none"), "PIP_INDEX_URL": "http://127.0.0.1:9"}
    done = workbench(*arguments, home=project, **engine)

    assert done.returncode == 2
    assert said in done.stderr
    assert len(done.stderr.splitlines()) <= 2


def test_a_server_that_is_down_is_a_sentence_and_exit_1(project: Path):
    """The chat names the address and how to start a server there."""
    done = workbench("chat", "Hello", home=project, WORKBENCH_PORT="9")

    assert done.returncode == 1
    assert "http://127.0.0.1:9/v1" in done.stderr
    assert "up" in done.stderr
    assert "Traceback" not in done.stderr


def test_every_verb_helps():
    """``--help`` of each verb has a sentence."""
    for command in verbs.workbench.commands.values():
        assert command.help
        assert command.help.endswith(".")


def test_down_works_although_the_settings_name_a_model_that_is_gone(project: Path):
    """What runs can be stopped and seen whatever the settings ask for next."""
    done = workbench("down", home=project, WORKBENCH_MODEL="gone")

    assert (done.returncode, done.stdout.strip()) == (0, "No server was running.")


def test_the_module_has_a_main():
    """``python -m workbench`` and ``workbench`` are the same."""
    assert callable(__main__.main)
