"""
The project's folder: where it lies, what room it has, and what an editor may have done to it.
"""

from __future__ import annotations

import re
from pathlib import Path

from ... import units
from ...hub.disk import WINDOWS_FILE_SYSTEMS
from ..machine import Machine
from ..secrets import is_secret_name
from .base import COMPOSE, EMBEDDED, Seen, check, failed, passed, skipped, warned

FOR_A_MODEL_BYTES = 20 * 2**30
"""Llama-3.1-8B in 16 bits has 16 GB."""

_ASSIGNED = re.compile(r"^\s*(?:export\s+)?(\w+)\s*=\s*(.+?)\s*$")


@check("project-place", area="files", source="https://github.com/vllm-project/vllm/issues/10116")
def project_place(machine: Machine) -> Seen:
    """
    Does the project lie on Linux's own file system?

    On a drive of Windows each page of the weights is a message to Windows: a model takes minutes to
    load instead of seconds, and databases are locked wrongly.
    """
    mounts = machine.read("/proc/mounts")
    if mounts is None:
        return skipped("there is no /proc/mounts here", unsure=True)
    places = [mount for mount in (_mount_of(path, mounts) for path in _places(machine)) if mount]
    bad = [(point, kind) for point, kind in places if kind in WINDOWS_FILE_SYSTEMS and point != "/"]
    if bad:
        point, kind = bad[0]
        return warned(
            f"{machine.home} is on {point} ({kind}), a drive of Windows",
            fix=f"cp -r {machine.home} ~/ && cd ~/{machine.home.name}",
        )
    return passed(f"{machine.home} is on {places[0][1] if places else 'an unknown file system'}")


def _places(machine: Machine) -> tuple[Path, ...]:
    return machine.home, machine.home / "models"


def _mount_of(path: Path, mounts: str) -> tuple[str, str] | None:
    """Find the mount that a path is below; later lines are mounted over earlier ones."""
    best: tuple[str, str] | None = None
    for line in mounts.splitlines():
        fields = line.split()
        if len(fields) < 3:
            continue
        point = fields[1].replace("\\040", " ")
        if path.is_relative_to(point) and (best is None or len(point) >= len(best[0])):
            best = (point, fields[2])
    return best


@check("models-folder", area="files", source="https://docs.docker.com/engine/storage/bind-mounts/")
def models_folder(machine: Machine) -> Seen:
    """
    Is there a folder for models?

    The container mounts it; a Docker Engine that makes it makes it root's, and then nothing can be
    fetched into it.
    """
    path = machine.home / "models"
    if machine.is_folder(path):
        return passed(f"{path} is there")
    if machine.is_in_the_way(path):
        return warned(
            f"{path} is a file, or a link that leads nowhere",
            fix=f"mv {path} {path}.old && mkdir {path}   # or mend the link",
        )
    return warned(f"{path} is not there", fix=f"mkdir -p {path}")


@check(
    "disk-for-models",
    area="files",
    source="https://huggingface.co/meta-llama/Llama-3.1-8B-Instruct/tree/main",
)
def disk_for_models(machine: Machine) -> Seen:
    """
    Is there room for a model?

    An 8B model in 16 bits has 16 GB.
    """
    path = machine.home / "models"
    free = machine.free_bytes(path)
    if free is None:
        return skipped(f"the disk of {path} does not say what is free", unsure=True)
    seen = f"{units.size(free)} free at {path}"
    if free < FOR_A_MODEL_BYTES:
        return warned(seen, fix=f"du -sh {path}/* | sort -h   # what is there, the largest last")
    return passed(seen)


@check(
    "env-line-ends",
    area="files",
    source="https://docs.docker.com/reference/cli/docker/container/run/#env",
)
def env_line_ends(machine: Machine) -> Seen:
    """
    Has .env the line ends of Linux?

    With those of Windows (CRLF) a shell that reads it, and `docker run --env-file`, take an
    invisible character as the end of each value: a token is then wrong although it looks right.
    """
    path = machine.home / ".env"
    text = machine.read(path)
    if text is None:
        return skipped("there is no .env, which is fine")
    count = text.count("\r\n")
    if not count:
        return passed(f"{path} has the line ends of Linux")
    return warned(
        f"{path}: {units.count(count, 'line')} end in CRLF", fix=f"sed -i 's/\\r$//' {path}"
    )


@check(
    "scripts-line-ends",
    area="files",
    blocks=(COMPOSE,),
    source="https://git-scm.com/docs/gitattributes#_end_of_line_conversion",
)
def scripts_line_ends(machine: Machine) -> Seen:
    r"""
    Have the files that run in the container the line ends of Linux?

    Git for Windows turns them into CRLF; a shell's script then ends with `\r: command not found`.
    """
    paths = machine.glob(f"{machine.home}/container/*.sh") + machine.glob(
        f"{machine.home}/container/*.py"
    )
    bad = [path for path in paths if "\r\n" in (machine.read(path) or "")]
    if not paths:
        return skipped(f"{machine.home} has no container/")
    if not bad:
        return passed(f"{units.count(len(paths), 'file')} in container/")
    return failed(
        f"CRLF in {', '.join(Path(path).name for path in bad)}",
        fix=f"cd {machine.home}\ngit config core.autocrlf input\nsed -i 's/\\r$//' container/*.py",
    )


@check("env-rights", area="files", source="https://huggingface.co/docs/hub/security-tokens")
def env_rights(machine: Machine) -> Seen:
    """
    Can other users of this machine read the keys in .env?

    Who reads a token can fetch, and with some tokens write, in your name.
    """
    path = machine.home / ".env"
    text, mode = machine.read(path), machine.mode(path)
    if text is None or mode is None:
        return skipped("there is no .env, which is fine")
    lines = filter(None, map(_ASSIGNED.match, text.splitlines()))
    names = [found[1] for found in lines if is_secret_name(found[1])]
    if not names or not mode & 0o077:
        return passed(f"{path} has mode {mode:o}" + ("" if names else ", and no key in it"))
    return warned(f"{path} has mode {mode:o}, with {', '.join(names)}", fix=f"chmod 600 {path}")


@check("disk-for-engine", area="files", blocks=(EMBEDDED,), source="workbench/servers/engine.lock")
def disk_for_engine(machine: Machine) -> Seen:
    """
    Is there room for the embedded engine?

    It is 0.4 GB to download and 1.8 GB installed.
    """
    place = machine.variables.get("WORKBENCH_ENGINE_DIR") or ".engine"
    folder = machine.home / place
    if machine.exists(folder / "bin/python"):
        return passed(f"{folder} has one")
    free = machine.free_bytes(folder)
    if free is None:
        return skipped(f"the disk of {folder} does not say what is free", unsure=True)
    seen = f"{units.size(free)} free at {folder}"
    if free < 3 * 2**30:
        return failed(
            seen,
            fix="# make room for 3 GB, or name another place in .env\nWORKBENCH_ENGINE_DIR=/path",
        )
    return passed(seen)


CHECKS = (
    project_place,
    models_folder,
    disk_for_models,
    disk_for_engine,
    env_line_ends,
    env_rights,
    scripts_line_ends,
)
