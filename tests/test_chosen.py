"""What was started or switched to is meant until something else is said."""

from __future__ import annotations

from pathlib import Path

import pytest

from workbench import chosen, settings


def test_the_server_that_was_started_is_meant_by_later_commands(tmp_path: Path):
    """``up --backend compose``, then plain ``status``; what is set somewhere still wins."""
    environ = {"WORKBENCH_HOME": str(tmp_path)}
    started = settings.load(environ=environ, backend="compose")
    started.state_dir.mkdir()
    chosen.remember_backend(started)

    later = settings.load(environ=environ)
    assert (later.backend, later.origins["backend"]) == ("compose", "backend: workbench up")
    assert settings.load(environ={**environ, "WORKBENCH_BACKEND": "embedded"}).backend == "embedded"
    assert settings.load(environ=environ, base_url="http://x:1/v1").backend == "remote"

    chosen.forget_backend(later)
    assert settings.load(environ=environ).backend == "embedded"


@pytest.mark.parametrize("text", ['{"embedded": 5}', '{"embedded": null}', "[1]", "{", ""])
def test_what_use_did_not_write_chooses_no_model(project: Path, text: str):
    """Whoever wrote it, `status` and `use` go on, with the default."""
    (project / ".workbench").mkdir(exist_ok=True)
    (project / ".workbench" / "used.json").write_text(text)

    found = settings.load(environ={}, cwd=project)

    assert (found.model, found.origins["model"]) == ("pocket", "default")
