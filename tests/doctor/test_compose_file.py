"""A compose file, read as Compose reads it, with the lines of everything."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from workbench.doctor import Report, lint
from workbench.doctor.compose_file import read_compose_file
from workbench.doctor.compose_service import Service, duration_s
from workbench.errors import ConfigError

LintText = Callable[..., Report]
ComposeConfig = Callable[[Path, Mapping[str, str]], dict[str, Any]]

TRICKY = """\
x-environment: &environment
  A: "1"
  B: two
x-common: &common
  init: true
  restart: always
services:
  base:
    <<: *common
    image: vllm/vllm-openai:v0.33.0
    entrypoint: python3 -c 'print("a b")' \\"q\\"
    command: ["a  b", "", "$$HOME"]
    environment: [A=1, "C=x=y", D=, PASSED, NOT_PASSED]
    env_file: [{path: some.env}]
    volumes: ["./a:/m", "./b:/n:ro", "cache:/c", "/anonymous", "../up:/k:z,ro"]
    ports: ["8000", "80:8000", "127.0.0.1:81:8000/tcp", "127.0.0.1::82", "[::1]:90:90"]
  extending:
    extends: base
    command: vllm serve ${MODEL:-'a model'} --x="b c"
    environment: {A: over, E: }
    volumes: [{type: bind, source: ./c, target: /m, read_only: true}]
  merging:
    <<: [*common, {restart: "no", command: one
      two}]
    image: vllm/vllm-openai:v0.33.0
    environment:
      <<: *environment
      B: own
    ports: [{target: 8000, published: "80", host_ip: 127.0.0.1}]
volumes: {cache: }
"""
ENVIRON = {"PASSED": "on"}
SOME_ENV = "A=file\n# a comment\nexport X=3\nQ=\"q \"\nS='$A'\nR=${PASSED} # said\n"


@pytest.fixture
def tricky(tmp_path: Path) -> Path:
    (tmp_path / "some.env").write_text(SOME_ENV)
    path = tmp_path / "docker-compose.yml"
    path.write_text(TRICKY)
    return path


def read(path: Path) -> dict[str, Service]:
    file = read_compose_file(path, ENVIRON)
    return {
        name: Service(name, file.lines_of_services[name], fields, file)
        for name, fields in file.services.items()
    }


def test_a_service_in_all_the_forms_that_compose_takes(tricky: Path):
    """Strings and lists, short and long forms, an env_file, what is passed on."""
    base = read(tricky)["base"]

    assert base.entrypoint == ("python3", "-c", 'print("a b")', '"q"')
    assert base.command == ("a  b", "", "$HOME")
    assert {name: each.value for name, each in base.environment.items()} == {
        "A": "1",
        "X": "3",
        "Q": "q ",
        "S": "$A",
        "R": "on",
        "C": "x=y",
        "D": "",
        "PASSED": "on",
    }
    assert [str(mount) for mount in base.mounts] == [
        "./a:/m",
        "./b:/n:ro",
        "cache:/c",
        "volume:/anonymous",
        "../up:/k:ro",
    ]
    assert [str(port) for port in base.ports] == [
        "0.0.0.0:(any)->8000",
        "0.0.0.0:80->8000",
        "127.0.0.1:81->8000",
        "127.0.0.1:(any)->82",
        "[::1]:90->90",
    ]
    assert [port.is_loopback for port in base.ports] == [False, False, True, True, True]


def test_what_is_extended_is_under_what_is_said(tricky: Path):
    """The command is replaced, the environment put over, the mount of one target exchanged."""
    extending = read(tricky)["extending"]

    assert extending.command == ("vllm", "serve", "a model", "--x=b c")
    assert extending.value("A") == "over"
    assert extending.value("C") == "x=y"
    assert {mount.target: mount.source for mount in extending.mounts}["/m"] == "./c"
    assert len(extending.mounts) == 5


def test_merge_keys_give_way_to_what_is_said(tricky: Path):
    """Of several merged mappings the first wins; the service's own keys win over all."""
    merging = read(tricky)["merging"]

    assert merging.text("restart") == "always"
    assert merging.command == ("one", "two")
    assert (merging.value("A"), merging.value("B")) == ("1", "own")


def test_compose_reads_the_same(tricky: Path, compose_config: ComposeConfig):
    """Commands, environments, mounts and ports of the tricky file are Compose's own."""
    theirs = compose_config(tricky, ENVIRON)

    for name, service in read(tricky).items():
        their = theirs[name]
        for key, ours in (("command", service.command), ("entrypoint", service.entrypoint)):
            words = their.get(key)
            assert ours == (words and tuple(word.replace("$$", "$") for word in words))
        assert {key: each.value for key, each in service.environment.items()} == {
            key: value.replace("$$", "$")
            for key, value in their.get("environment", {}).items()
            if value is not None
        }
        assert {mount.target for mount in service.mounts} == {
            each["target"] for each in their.get("volumes", ())
        }
        assert {(port.target, port.published) for port in service.ports} == {
            (str(each["target"]), each.get("published", "")) for each in their.get("ports", ())
        }


def test_everything_keeps_its_line(tricky: Path):
    """Also what comes from an anchor: its line is where it stands."""
    merging = read(tricky)["merging"]

    assert merging.line == TRICKY.splitlines().index("  merging:") + 1
    assert merging.environment["A"].line == 2
    assert merging.line_of("restart") == 6


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("services:\n  a: [1\n  b: 2\n", "cannot be understood at line 3: "),
        ("services:\n\ta: 1\n", "cannot be understood at line 2: "),
        ("services:\n  a: {image: x, image: y}\n", "line 2: 'image' is given twice"),
        ("services:\n  a:\n    image: ${X\n", "line 3: ${X has no closing brace"),
        ("services:\n  a:\n    command: sh -c 'x\n", "line 3: the command of 'a' cannot be split"),
        ("services:\n  a: {extends: b}\n", "line 2: 'a' cannot extend 'b'"),
        ("services: &a\n  b: *a\n", "an alias contains itself"),
        ("", "is no compose file: it is empty (line 1)"),
        ("- a\n", "it is not a mapping of names to values (line 1)"),
        ("hello: world\n", "it has no services (line 1)"),
        ("services:\n  a: text\n", "service 'a' is not a mapping (line 2)"),
    ],
)
def test_what_is_no_compose_file_is_one_sentence_with_its_line(
    text: str, said: str, lint_text: LintText
):
    """And a hint; not PyYAML's own three lines."""
    with pytest.raises(ConfigError) as caught:
        lint_text(text)

    assert said in caught.value.message
    assert "\n" not in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize(
    "text",
    [
        "services: " + "[" * 3000 + "]" * 3000,
        "services:\n  a:\n    command: " + "${A:-" * 2000 + "}" * 2000 + "\n",
        "services:\n  s0: {image: x}\n"
        + "".join(f"  s{n + 1}: {{extends: s{n}}}\n" for n in reversed(range(3000))),
    ],
    ids=["brackets", "variables", "extends"],
)
def test_what_is_nested_too_deeply_is_said_so(text: str, lint_text: LintText):
    """Python's own limit is met, and becomes a sentence."""
    with pytest.raises(ConfigError, match="nested too deeply") as caught:
        lint_text(text)

    assert caught.value.hint


LAUGHS = "\n".join(
    f"    x-{at}: &{chr(97 + at)} [{', '.join(9 * ['*' + chr(96 + at)] if at else 9 * ['ha'])}]"
    for at in range(12)
)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (f"services:\n  s:\n    image: vllm\n{LAUGHS}\n", "line 9 stands for has over"),
        (f"services: {{s: {{command: '{'x' * 20_000}'}}}}\n", "line 1 has a text of over"),
        ("#" * 250_001, "it has more than 250,000 bytes"),
    ],
    ids=["aliases", "word", "file"],
)
def test_what_would_take_minutes_is_refused_at_once(text: str, why: str, lint_text: LintText):
    """A thousand bytes of aliases stand for a billion; who reads a stranger's file may meet one."""
    with pytest.raises(ConfigError, match="too large to be read") as caught:
        lint_text(text)

    assert why in caught.value.message


def test_a_file_that_is_not_there_is_said_so(tmp_path: Path):
    """With its name."""
    with pytest.raises(ConfigError, match=r"nowhere\.yml cannot be read"):
        lint(tmp_path / "nowhere.yml", {})


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30s", 30.0), ("1m30s", 90.0), ("1h", 3600.0), ("500ms", 0.5), ("soon", None), ("", None)],
)
def test_a_duration_is_read_as_go_writes_it(text: str, seconds: float | None):
    """What is none is unknown."""
    assert duration_s(text) == seconds
