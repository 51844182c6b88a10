"""
What would really run: the words of the process, and vLLM's own among them. Pure.

The entrypoint is the file's, or the image's where its family is known; after
it comes the command. vLLM's options are found in there whether they stand in
the open, behind a wrapper, or inside a shell's ``-c`` string.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import takewhile
from pathlib import PurePosixPath

from .compose_file import Text, walk
from .compose_service import Mount, Service
from .image import Image, read_image
from .interpolation import interpolate
from .secrets import HIDDEN, Secrets, is_secret_name

SHELLS = frozenset({"sh", "bash", "dash", "ash", "zsh"})
API_SERVER = "vllm.entrypoints.openai.api_server"
UNKNOWN_ENTRYPOINT = "(the image's own entrypoint)"

SHORTEST_SECRET = 4
"""What is shorter protects nothing, and would blot out parts of other words."""

_OPERATORS = frozenset({"&&", "||", ";", "|", "&", "(", ")", ">", ">>", "2>&1", "\n"})
_NAMED = re.compile(r"\$(?:(\w+)|\{(\w+)\})")
_NO_PROGRAM = frozenset({"exec", "python", "python3", "-m", "-u", "env", "time", "nohup"})


@dataclass(frozen=True, slots=True)
class Shown:
    """
    What would run, ready to be shown: no secret is in it.

    Args:
        argv: The process and its words; begins with a remark where the
            image's own entrypoint is not known.
    """

    name: str
    image: str
    argv: tuple[str, ...]
    mounts: tuple[str, ...]
    ports: tuple[str, ...]
    devices: tuple[str, ...]
    environment: tuple[str, ...]
    restart: str
    health: str


@dataclass(frozen=True)
class Container:
    """
    A service that runs vLLM, as Docker would start it.

    Args:
        others: The services of the file that run vLLM, this one among them.

        chosen: Whether this is the one that was asked for, by name or by profile.
    """

    service: Service
    others: tuple[Service, ...] = ()
    chosen: bool = False

    @cached_property
    def image(self) -> Image:
        """
        The image, as far as its name tells.

        One variable that names the image of several services is meant for the one that runs; of
        the others what they have without it is read.
        """
        node = self.service.get("image")
        if isinstance(node, Text) and self._is_named_for_another:
            return read_image(interpolate(node.raw, {}).text or node.value)
        return read_image(self.service.image)

    @property
    def _is_named_for_another(self) -> bool:
        """Whether its image may be another's: behind a profile nobody chose, and not its alone."""
        if self.chosen or not self.service.get("profiles"):
            return False
        return [other.image for other in self.others].count(self.service.image) > 1

    @cached_property
    def argv(self) -> tuple[str, ...]:
        """The words of the process; without the entrypoint where that is unknown."""
        entrypoint = self.service.entrypoint
        if entrypoint is None:
            entrypoint = self.image.entrypoint
        return (*(entrypoint or ()), *(self.service.command or ()))

    @property
    def entrypoint_is_known(self) -> bool:
        """Whether the first word of :attr:`argv` is the program."""
        return self.service.entrypoint is not None or self.image.entrypoint is not None

    @cached_property
    def script(self) -> str:
        """What a shell is given with ``-c``; empty if there is no shell."""
        return shell_script(self.argv)

    @cached_property
    def arguments(self) -> Arguments | None:
        """The arguments of vLLM; ``None`` if it cannot be seen in the command."""
        words = _script_words(self.script) if self.script else self.argv
        found = _after_vllm(words)
        if found is None and not self.entrypoint_is_known and self.service.command:
            found = self.service.command  # unknown images mostly take vLLM's options
        if found is None:
            return None
        return Arguments(tuple(self._expanded(word) for word in found))

    def _expanded(self, word: str) -> str:
        """Put the container's own variables in, as its shell will."""
        if not self.script:
            return word
        return _NAMED.sub(lambda name: self.service.value(name[1] or name[2]) or name.group(), word)

    @property
    def is_wrapped(self) -> bool:
        """Whether a program of its own stands before vLLM; what that does is not seen here."""
        words = _script_words(self.script) if self.script else self.argv
        at = _vllm_at(words)
        if at is None or not self.entrypoint_is_known:
            return not self.image.entrypoint or self.service.entrypoint is not None
        names = [PurePosixPath(word).name for word in words[:at]]
        if self.script:  # sed and its like are in the open; another script is not
            return any(re.search(r"(?<!__init__)\.(py|sh)$", name) for name in names)
        return any(name not in _NO_PROGRAM | SHELLS for name in names)

    @property
    def on_wsl(self) -> bool:
        """Whether it is made for a Radeon under WSL: its device, or the libraries for it."""
        if self.image.family in ("cuda", "cpu"):
            return False
        return "/dev/dxg" in self.service.devices or any(
            mount.source.startswith("/usr/lib/wsl/") or mount.name.startswith("librocdxg.so")
            for mount in self.service.mounts
        )

    @property
    def is_rocm(self) -> bool:
        """Whether it is for an AMD card."""
        devices = {"/dev/dxg", "/dev/kfd"} & set(self.service.devices)
        return self.image.family in ("amd", "rocm") or self.on_wsl or bool(devices)

    def mount_of(self, library: str) -> Mount | None:
        """Find the mount of a library by the beginning of its file's name."""
        return next(
            (mount for mount in self.service.mounts if mount.name.startswith(library)), None
        )

    def evidence(self, *lines: int) -> str:
        """Quote lines of the file, with their numbers and without secrets."""
        return self.secrets.quote(self.service.file.lines, lines)

    def line_with(self, text: str, *, key: str = "command") -> int:
        """Find the line, in the value of a key or in the whole service, that has a text."""
        node = self.service.get(key)
        first, last = (node.line, node.last_line) if node else (0, 0)
        for number in range(max(first, 1), min(last, len(self.service.file.lines)) + 1):
            if text in self.service.file.lines[number - 1]:
                return number
        return self.service.line_of(key)

    @cached_property
    def secrets(self) -> Secrets:
        """Every secret value that this service has."""
        return Secrets(frozenset(_secret_values(self)))

    @cached_property
    def scalars(self) -> tuple[Text, ...]:
        """Every scalar of the service."""
        return tuple(walk(self.service.fields))

    @property
    def model(self) -> str | None:
        """The model that is asked for; ``None`` if it cannot be seen."""
        return self.arguments.model if self.arguments else None

    def shown(self) -> Shown:
        """Say what would run."""
        service, hide = self.service, self.secrets.hide
        first = () if self.entrypoint_is_known else (UNKNOWN_ENTRYPOINT,)
        own = () if self.service.command is not None or self.argv else ("(the image's command)",)
        return Shown(
            name=service.name,
            image=hide(service.image) or "(built here)",
            argv=(*first, *map(hide, self.argv), *own),
            mounts=tuple(map(str, service.mounts)),
            ports=tuple(map(str, service.ports)),
            devices=service.devices,
            environment=tuple(
                f"{name}={HIDDEN if is_secret_name(name) and each.value else hide(each.value)}"
                for name, each in service.environment.items()
            ),
            restart=service.text("restart") or "no",
            health=hide(" ".join(item.value for item in service.texts("healthcheck", "test"))),
        )


@dataclass(frozen=True, slots=True)
class Arguments:
    """The words after ``vllm serve``."""

    words: tuple[str, ...]

    def has(self, *names: str) -> bool:
        """Whether one of these options is given."""
        return any(_name(word) in names for word in self.words if word.startswith("-"))

    def value(self, *names: str) -> str | None:
        """Return the last value of an option, whichever of its names is used."""
        values = [value for name in names for value in self.values(name)]
        return values[-1] if values else None

    def last(self, *names: str) -> str | None:
        """Return the value of an option that takes one number: of the last one given."""
        found = None
        for at, word in enumerate(self.words):
            if word.startswith("-") and _name(word) in names:
                _, equals, value = word.partition("=")
                found = value if equals else "".join(self.words[at + 1 : at + 2])
        return found

    def values(self, name: str) -> tuple[str, ...]:
        """List the values of an option, ``--a b``, ``--a=b`` and ``--a b c`` alike."""
        found: list[str] = []
        for at, word in enumerate(self.words):
            if word.startswith("-") and _name(word) == name:
                _, equals, value = word.partition("=")
                after = takewhile(lambda other: not other.startswith("--"), self.words[at + 1 :])
                found += [value] if equals else after
        return tuple(found)

    @property
    def model(self) -> str | None:
        """The model: ``--model``, or the word that no option stands before."""
        if given := self.value("--model"):
            return given
        first = self.words[0] if self.words else ""
        return first if first and not first.startswith("-") else None


def _name(word: str) -> str:
    """Take an option's name as argparse does in vLLM: underscores are dashes."""
    return word.partition("=")[0].replace("_", "-")


def shell_script(argv: Sequence[str]) -> str:
    """Return what a shell would run of its ``-c``; empty if there is none."""
    if not argv or PurePosixPath(argv[0]).name not in SHELLS:
        return ""
    for at, word in enumerate(argv[1:], 1):
        if re.fullmatch(r"-\w*c", word):
            return argv[at + 1] if at + 1 < len(argv) else ""
        if not word.startswith("-"):
            # Another shell in its place: what was meant is worth reading all the same.
            return shell_script(argv[at:])
    return ""


def _script_words(script: str) -> tuple[str, ...]:
    lexer = shlex.shlex(script.replace("\\\n", " "), posix=True, punctuation_chars="();<>|&\n")
    lexer.whitespace = " \t\r"
    lexer.wordchars += "$%@:,+"
    lexer.whitespace_split = True
    try:
        return tuple(lexer)
    except ValueError:  # a quote that is not closed: the shell will say so
        return tuple(script.split())


def _vllm_at(words: Sequence[str]) -> int | None:
    """Find where vLLM begins."""
    for at, word in enumerate(words):
        following = words[at + 1] if at + 1 < len(words) else ""
        if word == API_SERVER or (PurePosixPath(word).name == "vllm" and following == "serve"):
            return at
    return None


def _after_vllm(words: Sequence[str]) -> tuple[str, ...] | None:
    at = _vllm_at(words)
    if at is None:
        return None
    rest = words[at + (1 if words[at] == API_SERVER else 2) :]
    return tuple(takewhile(lambda word: word not in _OPERATORS, rest))


def _secret_values(it: Container) -> list[str]:
    """List them as they are, and as the file has them where it has a default."""
    found = []
    for name, variable in it.service.environment.items():
        if is_secret_name(name):
            found += [variable.value, interpolate(variable.raw, {}).text]
    if it.arguments:
        for option in ("--api-key", "--hf-token"):
            found += it.arguments.values(option)
    for text in it.scalars:
        found += Secrets.in_text(text.value) + Secrets.in_text(text.raw)
    return [value for value in found if len(value) >= SHORTEST_SECRET and "$" not in value[:1]]


def runs_vllm(service: Service) -> bool:
    """Whether a service is vLLM, by its image's name or by what it runs."""
    it = Container(service)
    words = _script_words(it.script) if it.script else it.argv
    if _vllm_at(words) is not None:
        return True
    return bool(re.search(r"(^|/)vllm\b", service.image)) and not _is_another_module(words)


def _is_another_module(words: Sequence[str]) -> bool:
    """Tell ``python -m something``: an image of vLLM's has a Python for other programs too."""
    runs_module = len(words) > 2 and words[1] == "-m"
    return runs_module and PurePosixPath(words[0]).name.startswith("python")
