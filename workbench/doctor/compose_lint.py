"""
Read any compose file for vLLM, and say what will not work or is unsafe.

Nothing is started: the file is read, and what it names as ``env_file``, and
Compose is asked whether it takes the file, where there is a Compose.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import ConfigError
from ..records import Finding, Verdict
from . import asked_compose
from .compose_file import ComposeFile, Fields, Node, Text, read_compose_file, walk
from .compose_rules import RULES
from .compose_service import Service
from .effective import SHORTEST_SECRET, Container, Shown, runs_vllm
from .secrets import Secrets, is_secret_name

TOP_LEVEL = frozenset(
    {"configs", "include", "models", "name", "networks", "secrets", "services", "version"}
    | {"volumes"}
)
COMPOSE_STOPS = frozenset(
    {"unknown-top-level-key", "other-file-missing", "unknown-service-key"}
    | {"variable-required", "env-file-missing"}
)
"""Findings that say already why Compose refuses; it is one fault, and said once."""

COMPOSE_FILE = "https://docs.docker.com/reference/compose-file/"


@dataclass(frozen=True, slots=True)
class Report:
    """
    What was found, and what would run.

    Args:
        findings: What to mend first stands first; empty is good.

        services: The services that run vLLM.
    """

    path: Path
    findings: tuple[Finding, ...]
    services: tuple[Shown, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing was found that keeps it from working."""
        return all(finding.verdict is not Verdict.FAIL for finding in self.findings)


def lint(path: Path, environ: Mapping[str, str], *, profile: str | None = None) -> Report:
    """
    Read a compose file and report.

    Args:
        environ: What ``${NAME}`` is taken from: the environment, over the ``.env`` beside the file.
            On its ``PATH`` the ``docker`` command is looked for; without one Compose is not asked.

        profile: The one service to report on; the file as a whole is looked at all the same.

    Raises:
        ConfigError: The file cannot be read, is no compose file, or has no such service.
    """
    file = read_compose_file(path, environ)
    containers = _containers(file, profile)
    findings = [*_of_file(file)]
    if not containers and not file.unread:
        findings.append(_no_vllm(file))
    for rule in RULES:
        findings += [finding for it in containers if (finding := rule(it))]
    if not COMPOSE_STOPS & {finding.id for finding in findings}:
        findings += _refusal(file, containers)
    # An anchor brings one fault into several services; it is one fault. The sort is stable.
    unlike = list(dict.fromkeys(findings))
    unlike.sort(key=lambda finding: finding.verdict is not Verdict.FAIL)
    return Report(path, tuple(unlike), tuple(it.shown() for it in containers))


def _containers(file: ComposeFile, profile: str | None) -> tuple[Container, ...]:
    services = [
        Service(name, file.lines_of_services[name], fields, file)
        for name, fields in file.services.items()
    ]
    vllm = tuple(service for service in services if runs_vllm(service))
    if profile and profile not in [service.name for service in vllm]:
        raise _no_such_service(file, profile, vllm)
    given = file.environ
    active = {name.strip() for name in given.get("COMPOSE_PROFILES", "").split(",")}
    return tuple(
        Container(service, vllm, service.name == profile or _is_in(service, active))
        for service in vllm
        if profile in (None, service.name)
    )


def _is_in(service: Service, active: set[str]) -> bool:
    return any(text.value in active for text in service.texts("profiles"))


def _no_such_service(file: ComposeFile, profile: str, vllm: Sequence[Service]) -> ConfigError:
    known = ", ".join(service.name for service in vllm) or "none"
    return ConfigError(
        f"{file.path} has no service {profile!r} that runs vLLM; those it has: {known}.",
        hint="Name one of them, or leave --profile out to look at all.",
        key="profile",
        source=str(file.path),
    )


def _of_file(file: ComposeFile) -> Iterator[Finding]:
    """Check what is not within a service."""
    for name, line in file.root.key_lines.items():
        if name not in TOP_LEVEL and not name.startswith("x-"):
            yield _unknown_key(file, name, line)
    for text in file.unread:
        yield _other_file(file, text)


def _other_file(file: ComposeFile, text: Text) -> Finding:
    named = Secrets(frozenset()).hide(text.value)
    if _is_remote(text) or (file.path.parent / text.value).exists():
        return Finding(
            id="other-file-not-read",
            verdict=Verdict.WARN,
            seen=f"line {text.line}: {named}",
            why="What that file brings in was not read, and may have faults of its own.",
            fix=f"workbench doctor --compose {named}",
            source=COMPOSE_FILE + "include/",
        )
    return Finding(
        id="other-file-missing",
        verdict=Verdict.FAIL,
        seen=f"line {text.line}: {named}",
        why=f"{named} is not there, and Compose stops.",
        fix=f"# make it, or correct its name: it is looked for in\n# {file.path.resolve().parent}",
        source=COMPOSE_FILE + "include/",
    )


def _is_remote(text: Text) -> bool:
    """Tell a repository, ``https://…`` or ``git@host:…``, from a file."""
    return ":" in text.value


def _refusal(file: ComposeFile, containers: Sequence[Container]) -> Iterator[Finding]:
    """Ask Compose itself, unless it would fetch something; it knows more rules than these here."""
    if any(map(_is_remote, file.unread)):
        return
    said = asked_compose.refusal(file.path, file.environ)
    if said:
        yield Finding(
            id="compose-refuses",
            verdict=Verdict.FAIL,
            seen=_all_secrets(file, containers).hide(said),
            why="Compose rejects the file, or the .env beside it, and starts nothing.",
            fix=f"# mend what it names, and ask again:\ndocker compose -f {file.path.name} config",
            source=COMPOSE_FILE,
        )


def _all_secrets(file: ComposeFile, containers: Sequence[Container]) -> Secrets:
    """Know the secrets that Compose may quote: those of the file and of its variables."""
    own = {value for it in containers for value in it.secrets.values}
    named = {value for name, value in file.environ.items() if is_secret_name(name)}
    written = {value for text in walk(file.root) for value in Secrets.in_text(text.value)}
    return Secrets(
        frozenset(value for value in own | named | written if len(value) >= SHORTEST_SECRET)
    )


def _unknown_key(file: ComposeFile, name: str, line: int) -> Finding:
    value = file.root.nodes[name]
    shown = Secrets(frozenset(text.value for text in walk(value) if is_secret_name(name)))
    return Finding(
        id="unknown-top-level-key",
        verdict=Verdict.FAIL,
        seen=shown.quote(file.lines, [line]),
        why=f"Compose rejects the whole file: `Additional property {name} is not allowed`.",
        fix=_instead_of(name, value, line),
        source=COMPOSE_FILE + "version-and-name/; said by Compose 2.26",
    )


def _instead_of(name: str, value: Node, line: int) -> str:
    if "version" in name:
        return f"# delete line {line}; version is obsolete"
    if isinstance(value, Fields) and value.get("image"):
        return f"services:\n  {name}:  # with all that is in it"
    return f"x-{name}:  # Compose passes over what begins with x-"


def _no_vllm(file: ComposeFile) -> Finding:
    names = ", ".join(file.services)
    return Finding(
        id="no-vllm-service",
        verdict=Verdict.FAIL,
        seen=f"line {file.root.key_lines['services']}: services: {names}",
        why="None of them has an image of vLLM or starts it.",
        fix="services:\n  vllm:\n    image: vllm/vllm-openai:v0.33.0",
        source=None,
    )
