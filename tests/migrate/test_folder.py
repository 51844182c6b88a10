"""An application's files are written once, kept as they were, and asked about until decided."""

from __future__ import annotations

import contextlib
import json
import shutil
from pathlib import Path

import pytest

from workbench.errors import ConfigError
from workbench.legacy.places import State
from workbench.migrate import CHECKLIST, examine, write
from workbench.migrate.folder import BACKUP
from workbench.records import Progress
from workbench.terminal import Terminal
from workbench.verbs import workbench

OLD = """from llama_cpp import Llama

llm = Llama("m.gguf")
print(llm.create_chat_completion(messages=m, stream=True, tools=t))
"""


@pytest.fixture
def application(tmp_path: Path) -> Path:
    folder = tmp_path / "application"
    folder.mkdir()
    (folder / "app.py").write_text(OLD)
    return folder


def shell(*arguments: str) -> str:
    """What the shell prints; no server is asked."""
    return str(workbench.main(["migrate", *arguments], standalone_mode=False, obj=Terminal()))


def states(folder: Path) -> dict[int, str]:
    return {item.number: item.state for item in examine(folder).checklist}


def test_the_checklist_has_the_guides_seven_points():
    """Adapter, bindings, streams, sampling, tools, time-outs, records."""
    assert list(CHECKLIST) == [1, 2, 3, 4, 5, 6, 7]


def test_looking_changes_nothing(application: Path):
    """Without --write no file is touched or added."""
    found = examine(application)

    assert [place.state for _path, place in found.places] == [State.WRITE, State.WRITE]
    assert (application / "app.py").read_text() == OLD
    assert [path.name for path in application.iterdir()] == ["app.py"]


def test_writing_does_the_seven_points(application: Path):
    """To do before, done after: the adapter has time-outs, retries and records."""
    before = states(application)
    after = write(examine(application))

    assert set(before.values()) == {"to do"}
    assert set(states(application).values()) == {"done"}
    assert after.left == ()
    assert {path.name for path in after.written} == {"app.py", "llm_client.py"}


def test_a_file_is_kept_once_as_it_was_first(application: Path):
    """A second change must not replace the backup by what the first one wrote."""
    write(examine(application))
    with (application / "app.py").open("a") as file:
        file.write("llm.create_chat_completion(messages=m, seed=3)\n")
    write(examine(application))

    assert (application / BACKUP / "app.py").read_text() == OLD


def test_writing_again_writes_nothing(application: Path):
    """Nothing is left that is certain."""
    write(examine(application))
    there = {path: path.read_bytes() for path in application.rglob("*") if path.is_file()}

    again = write(examine(application))

    assert again.written == ()
    assert {path: path.read_bytes() for path in application.rglob("*") if path.is_file()} == there


def test_an_adapter_that_was_changed_stays(application: Path):
    """It is the application's own."""
    write(examine(application))
    mine = (application / "llm_client.py").read_text() + "mine = True\n"
    (application / "llm_client.py").write_text(mine)
    (application / "app.py").write_text(OLD)
    write(examine(application))

    assert (application / "llm_client.py").read_text() == mine


def test_a_module_of_the_adapters_name_is_read_and_never_taken_for_it(application: Path):
    """Nothing is written where the import would bring another module."""
    (application / "llm_client.py").write_text(OLD)

    assert {path.name for path, _place in examine(application).places} == {
        "app.py",
        "llm_client.py",
    }
    with pytest.raises(ConfigError, match="the application's own"):
        write(examine(application))
    assert (application / "app.py").read_text() == OLD


def test_a_file_that_was_moved_alone_is_not_kept_again_with_its_folder(application: Path):
    """The second backup would be of what the first move wrote."""
    write(examine(application / "app.py"))
    (application / "app.py").write_text(OLD.replace("m.gguf", "n.gguf"))
    write(examine(application.parent))

    assert (application / BACKUP / "app.py").read_text() == OLD
    assert not (application.parent / BACKUP).exists()


def test_a_file_in_latin_1_stays_in_it(application: Path):
    """By its coding line; what Latin-1 cannot write is written otherwise, once."""
    old = "# -*- coding: latin-1 -*-\n# Größe...\n" + OLD + "print(pool.map(llm, ['ü']))\n"
    (application / "app.py").write_bytes(old.encode("latin-1"))
    write(examine(application))
    once = (application / "app.py").read_bytes()
    again = write(examine(application))

    assert "# Größe...\n" in once.decode("latin-1")
    assert "llm.complete(...) of an\n" in once.decode("latin-1")
    assert again.written == ()
    assert not again.unread


def test_files_that_install_and_start_are_read_too(application: Path):
    """They stay as they are; the places are gone when somebody has changed them."""
    (application / "requirements.txt").write_text("llama-cpp-python==0.3.2\nfastapi\n")
    (application / "docker-compose.yml").write_text(
        "services:\n  ollama:\n    image: ollama/ollama:0.5\n    ports: ['11434:11434']\n"
        "  app:\n    depends_on: [ollama]\n    environment:\n      URL: http://ollama:11434/api\n"
    )
    (application / "Dockerfile").write_text(
        'FROM python:3.12\nRUN pip install ollama\nCMD ["llama-server", "-m", "m.gguf"]\n'
    )
    (application / "package.json").write_text('{"dependencies": {"node-llama-cpp": "^3"}}\n')
    after = write(examine(application))

    left = {(path.name, place.line) for path, place in after.left}
    assert left == {
        ("requirements.txt", 1),
        ("docker-compose.yml", 3),
        ("docker-compose.yml", 8),
        ("Dockerfile", 2),
        ("Dockerfile", 3),
        ("package.json", 1),
    }
    assert {path.name for path in after.written} == {"app.py", "llm_client.py"}


def test_a_packages_adapter_lies_where_its_imports_look(tmp_path: Path):
    """Beside the package, and not in it: `import llm_client` is absolute."""
    inner = tmp_path / "package" / "inner"
    inner.mkdir(parents=True)
    for folder in (inner, inner.parent):
        (folder / "__init__.py").write_text("")
    (inner / "app.py").write_text(OLD)
    write(examine(tmp_path))

    assert (tmp_path / "llm_client.py").exists()
    assert not (inner / "llm_client.py").exists()


def test_a_model_that_another_module_made_is_known(application: Path):
    """By name, by another name, by its module, by a function that returns it."""
    (application / "model.py").write_text(
        "from llama_cpp import Llama\nllm = Llama('m')\n\ndef get() -> Llama:\n    return llm\n"
    )
    (application / "main.py").write_text(
        "import model\nfrom model import llm as m, get\n"
        "m('a', temperature=0)\nmodel.llm('b', temperature=0)\nmine = get()\nmine('c')\n"
    )
    after = write(examine(application))

    text = (application / "main.py").read_text()
    assert "m.complete(" in text
    assert "model.llm.complete(" in text
    assert "mine.complete(" in text
    assert after.left == ()
    assert len(after.places) == 6  # two models, a chat, three completions


def test_environments_and_hidden_folders_are_no_part_of_it(application: Path):
    """Nor node_modules, nor a folder with pyvenv.cfg, whatever its name."""
    for name in ("node_modules", ".git", "my-env"):
        (application / name).mkdir()
        (application / name / "x.py").write_text(OLD)
    (application / "my-env" / "pyvenv.cfg").write_text("")

    assert {path.name for path, _place in examine(application).places} == {"app.py"}


def test_line_ends_of_windows_stay(application: Path):
    """Every line ends as it did."""
    (application / "app.py").write_bytes(OLD.replace("\n", "\r\n").encode())
    write(examine(application))

    text = (application / "app.py").read_bytes()
    assert b"llm.chat(" in text
    assert text.count(b"\n") == text.count(b"\r\n")


def test_a_file_with_nothing_in_it_is_not_touched(application: Path):
    """Not even to make its line ends alike."""
    (application / "mixed.py").write_bytes(b"a = 1\r\nb = 2\n")

    assert [path.name for path in write(examine(application)).written] == [
        "llm_client.py",
        "app.py",
    ]


def test_a_byte_order_mark_stays(application: Path):
    """Windows' editors write one, and some need it."""
    (application / "app.py").write_text(OLD, encoding="utf-8-sig")
    write(examine(application))

    assert (application / "app.py").read_text(encoding="utf-8").startswith("\ufefffrom llm_client")


def test_a_link_stays_one(application: Path, tmp_path: Path):
    """What it leads to is written, and the adapter lies there."""
    link = tmp_path / "link.py"
    link.symlink_to(application / "app.py")
    write(examine(link))

    assert link.is_symlink()
    assert (application / "llm_client.py").exists()
    assert "llm.chat(" in (application / "app.py").read_text()
    assert (tmp_path / BACKUP / "link.py").read_text() == OLD


@pytest.mark.parametrize("stopped_at", range(8))
def test_whoever_is_stopped_loses_nothing(
    application: Path, monkeypatch: pytest.MonkeyPatch, stopped_at: int
):
    """Ctrl-C at any step: the backup is whole, and a second call does the rest."""
    steps = iter(range(100))
    copy, move = shutil.copy2, Path.replace

    def half(source: Path, target: Path) -> None:
        if next(steps) == stopped_at:
            target.write_text(OLD[:9])
            raise KeyboardInterrupt
        copy(source, target)

    def stop(path: Path, target: Path) -> Path:
        if next(steps) == stopped_at:
            raise KeyboardInterrupt
        return move(path, target)

    monkeypatch.setattr(shutil, "copy2", half)
    monkeypatch.setattr(Path, "replace", stop)
    with contextlib.suppress(KeyboardInterrupt):
        write(examine(application))
    write(examine(application))

    assert (application / BACKUP / "app.py").read_text() == OLD
    assert "llm.chat(" in (application / "app.py").read_text()
    assert "class LLM" in (application / "llm_client.py").read_text()
    assert {path.name for path in application.iterdir()} == {BACKUP, "app.py", "llm_client.py"}


def test_an_executable_file_stays_executable(application: Path):
    """Its mode is the old one's."""
    (application / "app.py").chmod(0o755)
    write(examine(application))

    assert (application / "app.py").stat().st_mode & 0o777 == 0o755


def test_a_file_that_cannot_be_read_is_named_and_hides_no_other(application: Path):
    """Python 2, for example. The exit status says that something is not known."""
    (application / "old.py").write_text("import llama_cpp\nprint 'hello'\n")

    found = examine(application)
    shown = shell(str(application))

    assert [file.path.name for file in found.unread] == ["old.py"]
    assert len(found.places) == 2
    assert "not read: " in shown


def test_what_is_not_there_is_an_error_with_a_hint(tmp_path: Path):
    """A file of another kind is none that can be read."""
    (tmp_path / "a.txt").write_text("llama")

    with pytest.raises(ConfigError, match=r"\.ipynb"):
        examine(tmp_path / "a.txt")


def test_check_fails_while_anything_is_left(application: Path):
    """For CI: the view is not ok, which the shell's exit status 1 says."""
    from workbench.views.migrate import migration_view

    assert not migration_view(examine(application), check=True).ok
    assert migration_view(examine(application)).ok
    assert migration_view(write(examine(application)), check=True).ok


def test_the_shell_shows_places_then_the_checklist(application: Path):
    """Where, what, what it becomes, what changes; and seven lines at the end."""
    output = shell(str(application))

    assert "app.py:4" in output
    assert "→ llm.chat(messages=m, stream=True, tools=t, temperature=0.2, " in " ".join(
        output.split()
    )
    assert "temperature 0.2 (vLLM 1.0)" in " ".join(output.split())
    assert output.rstrip().splitlines()[-1].startswith("7  ")


def test_the_shell_speaks_json(application: Path):
    """Every place with its file, and the checklist."""
    said = json.loads(shell(str(application), "--json"))

    assert [place["line"] for place in said["places"]] == [3, 4]
    assert [item["state"] for item in said["checklist"]] == ["to do"] * 7


def test_whoever_has_written_is_told_where_the_server_comes_from(application: Path):
    """Else the program asks localhost:8000 with no key, and nobody said so."""
    assert "OPENAI_BASE_URL" not in shell(str(application))
    told = shell(str(application), "--write")

    assert "export OPENAI_BASE_URL=" in told
    assert ".workbench/api-key" in told
    assert "export" not in shell(str(application), "--write")


def test_a_folder_that_cannot_be_listed_is_named(
    application: Path, monkeypatch: pytest.MonkeyPatch
):
    """And hides no other."""
    (application / "closed").mkdir()
    look = Path.iterdir

    def closed(path: Path) -> object:
        if path.name == "closed":
            raise PermissionError(13, "Permission denied")
        return look(path)

    monkeypatch.setattr(Path, "iterdir", closed)
    found = examine(application)

    assert [file.path.name for file in found.unread] == ["closed"]
    assert len(found.places) == 2


def test_a_file_that_cannot_be_written_is_an_error_with_what_is(
    application: Path, monkeypatch: pytest.MonkeyPatch
):
    """On a disk that is read-only, or full."""

    def refuse(_path: Path, _data: bytes) -> int:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(Path, "write_bytes", refuse)
    with pytest.raises(ConfigError, match="Read-only file system"):
        write(examine(application))
    assert (application / "app.py").read_text() == OLD


def test_many_files_tell_how_far_it_is(application: Path):
    """A few do not: they are read before anybody could look."""
    told: list[Progress] = []
    examine(application, told.append)
    assert told == []

    for number in range(201):
        (application / f"m{number}.py").write_text("x = 1\n")
    examine(application, told.append)

    assert {each.label for each in told} == {"looking", "reading"}
    assert (told[-1].done, told[-1].total) == (202, 202)
