"""
A real machine's answers, as a folder that the doctor can be shown elsewhere.

All that the checks asked for is kept, and no more; secrets become letters of the same form, so
that what a check thinks of them stays. Afterwards the doctor looks at the folder, and what it
says otherwise than of the machine is told.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..doctor import HostReport, Machine, examine, facts
from ..doctor.folder_machine import FILE, HOME, examine_folder
from ..doctor.machine import Ran, Reply
from ..doctor.secrets import HIDDEN, is_secret_name
from ..records import Verdict
from ..servers import profiles
from ..servers.compose_cli import FILE_NAMES
from .known import redactor_for
from .recording import Recording
from .redaction import Redactor
from .toml import document

DOCKER_SAYS = (
    *("ServerVersion", "OperatingSystem", "DockerRootDir", "DefaultRuntime", "Runtimes"),
    *("ServerErrors", "SecurityOptions"),
)
"""What the checks want of ``docker info``; it tells much more of whoever runs it."""

PACKAGES = re.compile(r"hsa|rocdxg|rocr|rocm|amdgpu|nvidia-container")

MOST_CHARS = 20_000
"""Of a file or an answer."""

_NOT_KEPT = ("PATH", "HOME")


@dataclass(frozen=True, slots=True)
class Captured:
    """
    A folder with a machine in it.

    Args:
        differing: Checks that say something else of the folder than of the machine.
    """

    folder: Path
    report: HostReport
    differing: tuple[str, ...]


def capture(machine: Machine, folder: Path) -> Captured:
    """
    Look at a machine, and write what it answered.

    Raises:
        OSError: The folder cannot be written.
    """
    recording = Recording(machine)
    report = examine(recording)
    for path in profiles.LOOKED_AT:
        recording.exists(f"/{path}")
    recording.read("/var/lib/dpkg/status")
    _read_compose(recording)
    folder.mkdir(parents=True, exist_ok=True)
    told = _Writer(recording).machine() | {"unsure": report.unsure}
    (folder / FILE).write_text(document(told), encoding="utf-8")
    names = _redactor(machine)
    (folder / "expected.toml").write_text(document(_expected(report, names)), encoding="utf-8")
    return Captured(folder, report, _differing(report, folder))


def _read_compose(recording: Recording) -> None:
    """Have the compose file kept, and the variables that it names."""
    for name in FILE_NAMES:
        for variable in re.findall(r"\$\{?(\w+)", recording.read(recording.home / name) or ""):
            recording.variables.get(variable)


def _expected(report: HostReport, names: Redactor) -> dict[str, Any]:
    faults = [it for it in report.findings if it.verdict in (Verdict.FAIL, Verdict.WARN)]
    return {
        "ready_for": list(report.ready_for),
        "findings": {
            it.id: {"verdict": str(it.verdict), "seen": names.text(it.seen)} for it in faults
        },
    }


def _differing(report: HostReport, folder: Path) -> tuple[str, ...]:
    verdicts = {it.id: it.verdict for it in examine_folder(folder).findings}
    return tuple(it.id for it in report.findings if verdicts[it.id] is not it.verdict)


def _redactor(machine: Machine) -> Redactor:
    return redactor_for(machine, project=str(HOME), home=str(HOME.parent))


def shape(value: str) -> str:
    """Put letters for letters and digits for digits; what a token begins with stays."""
    begin = "hf_" if value.startswith("hf_") else ""
    rest = re.sub(r"[a-z]", "x", value[len(begin) :])
    return begin + re.sub(r"\d", "0", re.sub(r"[A-Z]", "X", rest))


class _Writer:
    """What was recorded, in the form of ``machine.toml``, with nobody's name in it."""

    def __init__(self, recording: Recording) -> None:
        self.recording = recording
        self.answers = recording.answers
        self.names = _redactor(recording.shown)
        home, user = str(recording.home), recording.shown.variables.get("HOME", "/root")
        self._special: dict[str, Callable[[str], str]] = {
            f"{home}/.env": _dotenv,
            f"{user}/.docker/config.json": _only("credsStore"),
            f"{facts.state_dir(recording.shown)}/server.json": _port,
            "/proc/version": lambda text: re.sub(r"\(\S+@\S+\)", "(someone@host)", text),
            "/proc/mounts": lambda text: _mounts(text, recording.home),
            "/proc/net/tcp": _listening,
            "/proc/net/tcp6": _listening,
            "/proc/cpuinfo": lambda text: text.partition("\n\n")[0] + "\n",
            "/var/lib/dpkg/status": _packages,
        }

    def machine(self) -> dict[str, Any]:
        """Write all of it."""
        answers = self.answers
        now = datetime.fromtimestamp(answers.now_s or self.recording.shown.now_s(), UTC)
        files = {self._name(path): self._file(path, text) for path, text in answers.files.items()}
        folders = {self._name(path) for path in answers.folders}
        return {
            "processor": self.recording.processor(),
            "now": now,
            "folders": sorted(path for path in folders if path not in files),
            "denied": sorted(map(self._name, answers.denied)),
            "files": files,
            "modes": {self._name(path): f"{mode:o}" for path, mode in answers.modes.items()},
            "free_bytes": {self._name(path): n for path, n in answers.free_bytes.items()},
            "variables": dict(self._variables()),
            "commands": {
                self._name(_command(argv)): self._ran(argv, ran)
                for argv, ran in answers.commands.items()
            },
            "urls": self._urls(),
            "streams": {
                self._name(url): {"status": it.status, "at_s": [round(at, 4) for at in it.at_s]}
                for url, it in answers.streams.items()
                if it
            },
            "owners": {
                inode: {"pid": it.pid, "name": self.names.text(it.name)}
                for inode, it in answers.owners.items()
                if it
            },
        }

    def _name(self, text: str) -> str:
        """Take names out of a path, a command or an address: all else of it is ours."""
        return self.names.nobodys(text)

    def _file(self, path: str, text: str) -> str:
        if path in self._special:
            kept = self._special[path](text)
            # Addresses of 32 digits, and letters for letters, look like secrets and are none.
            is_plain = path.startswith("/proc/net/") or path.endswith("/.env")
            return self.names.nobodys(kept) if is_plain else self.names.text(kept)
        home = self.recording.home
        token = self.recording.shown.variables.get("HF_TOKEN_PATH", "token")
        if path.endswith(token) or path.startswith(str(facts.state_dir(self.recording.shown))):
            return shape(text)
        if Path(path).is_relative_to(home / "container"):
            return "\r\n" if "\r\n" in text else ""  # a script's text is not looked at
        # A secret that is written in the file has to stay one: as long, and no variable.
        return self.names.text(text[:MOST_CHARS]).replace(HIDDEN, "x" * 12)

    def _variables(self) -> Mapping[str, str]:
        wanted = self.recording.asked
        return {
            name: shape(value) if is_secret_name(name) else self.names.text(value)
            for name, value in sorted(dict(wanted).items())
            if name in wanted.asked and name not in _NOT_KEPT
        }

    def _ran(self, argv: tuple[str, ...], ran: Ran) -> Any:
        if ran.missing:
            return "missing"
        if ran.hung:
            return "hangs"
        out = _docker_info(ran.out) if argv[:2] == ("docker", "info") else ran.out
        told = {"out": self.names.text(out[:MOST_CHARS])}
        if ran.err:
            told["err"] = self.names.text(ran.err[:MOST_CHARS])
        return told["out"] if ran.ok and not ran.err else {"status": ran.status, **told}

    def _urls(self) -> dict[str, Any]:
        plain = {self._name(url): self._reply(it) for url, it in self.answers.urls.items()}
        keyed = {
            f"key {self._name(url)}": self._reply(it) for url, it in self.answers.keyed.items()
        }
        return plain | keyed

    def _reply(self, reply: Reply | None) -> Any:
        if reply is None:
            return "none"
        told: dict[str, Any] = {"status": reply.status}
        if reply.body:
            told["body"] = self.names.text(reply.body[:MOST_CHARS])
        return told | ({"date": reply.date} if reply.date else {})


def _command(argv: tuple[str, ...]) -> str:
    """Name a command; what Windows is asked is long, and always the same."""
    return argv[0] if argv[0] == "powershell.exe" else " ".join(argv)


def _dotenv(text: str) -> str:
    """Keep the names, and the line ends; a value may go on over several lines."""
    return "".join(map(_dotenv_line, text.splitlines(keepends=True)))


def _dotenv_line(line: str) -> str:
    found = re.match(r"\s*(?:export\s+)?\w+\s*=", line)
    name = found[0] if found else ""
    return name + shape(line[len(name) :])


def _only(*names: str) -> Callable[[str], str]:
    def kept(text: str) -> str:
        told = facts.as_mapping(text)
        return json.dumps({name: told[name] for name in names if name in told})

    return kept


def _port(text: str) -> str:
    """Keep of what runs only where."""
    spec = facts.as_mapping(text).get("spec")
    return json.dumps({"spec": {"port": spec.get("port")}}) if isinstance(spec, dict) else "{}"


def _mounts(text: str, home: Path) -> str:
    """Keep the mounts that the project is on; where those are is nobody's business."""
    lines = []
    for line in text.splitlines():
        fields = line.split()
        point = fields[1].replace("\\040", " ") if len(fields) > 2 else ""
        for place in (home / "models", home):
            if point and place.is_relative_to(point):
                inside = (
                    Path(point).relative_to(home) if Path(point).is_relative_to(home) else Path()
                )
                stands_for = "/" if point == "/" else str(HOME / inside)
                lines.append(f"device {stands_for} {fields[2]} rw 0 0")
                break
    return "\n".join(lines) + "\n"


def _listening(text: str) -> str:
    """Leave connections out: they tell who talks to whom."""
    head, *lines = text.splitlines() or [""]
    kept = [line for line in lines if len(line.split()) > 3 and line.split()[3] == "0A"]
    return "\n".join([head, *kept]) + "\n"


def _packages(text: str) -> str:
    found = re.findall(r"^Package: (.+)\n((?:.+\n)*)", text, re.MULTILINE)
    kept = []
    for name, rest in found:
        if PACKAGES.search(name):
            lines = re.findall(r"^(?:Status|Version): .+$", rest, re.MULTILINE)
            kept.append("\n".join([f"Package: {name}", *lines]) + "\n")
    return "\n".join(kept)


def _docker_info(out: str) -> str:
    """Keep what is looked at; what is no JSON is a sentence, and stays one."""
    told = facts.as_mapping(out)
    if not told:
        return out
    kept = {name: told[name] for name in DOCKER_SAYS if told.get(name)}
    if isinstance(kept.get("Runtimes"), dict):
        kept["Runtimes"] = {name: {} for name in kept["Runtimes"]}
    return json.dumps(kept)
