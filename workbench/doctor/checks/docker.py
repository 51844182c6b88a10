"""
Docker: is it there, may it be used, is it the right one, and has it what the image needs?
"""

from __future__ import annotations

import json
from typing import Any

from ... import units
from .. import facts
from ..image import dotted
from ..machine import Machine, Ran
from .base import COMPOSE, Seen, check, failed, passed, skipped, warned

OLDEST_ENGINE = (25,)
"""The first with a health check's start_interval; Compose refuses the file with an older one."""

FOR_AMD_BYTES = 80 * 2**30
"""About 25 GB of download and 45 to 52 GB unpacked (vllm-openai-rocm 0.21 and 0.25)."""

FOR_ANY_BYTES = 10 * 2**30
"""The other images were not measured; no vLLM fits into less."""

INSTALL = "https://docs.docker.com/engine/install/"
NO_ANSWER = "Docker gives no answer"


@check("docker-engine", area="docker", blocks=(COMPOSE,), source=INSTALL)
def docker_engine(machine: Machine) -> Seen:
    """
    Is there a Docker Engine that runs and is new enough?

    Without it there is no container; the embedded server and remote ones need none.
    """
    ran = _info(machine)
    if ran.missing:
        return failed(
            "there is no docker on PATH", fix="curl -fsSL https://get.docker.com | sudo sh"
        )
    if ran.hung:
        return failed("docker info gave no answer", fix="sudo systemctl restart docker")
    if "permission denied" in ran.said:
        return skipped("this user may not ask it; see docker-rights")
    info = _told(machine)
    if not info:
        return failed(
            f"docker info: {_complaint(ran)}",
            fix="sudo systemctl start docker   # without systemd: sudo service docker start",
        )
    version = facts.version_in(info["ServerVersion"])
    seen = f"Docker {info['ServerVersion']}"
    if version and version < OLDEST_ENGINE:
        return failed(
            seen,
            why=f"The project's compose file needs Docker {dotted(OLDEST_ENGINE)}: start_interval.",
            fix=f"# {INSTALL}\nsudo apt update && sudo apt install --only-upgrade docker-ce",
        )
    return passed(seen)


@check(
    "docker-rights",
    area="docker",
    blocks=(COMPOSE,),
    source="https://docs.docker.com/engine/install/linux-postinstall/",
)
def docker_rights(machine: Machine) -> Seen:
    """
    May this user talk to Docker?

    Its socket belongs to the group docker.
    """
    ran = _info(machine)
    if "permission denied" in ran.said:
        return failed(
            f"docker info: {_complaint(ran)}",
            fix="sudo usermod -aG docker $USER   # then log in again, or: newgrp docker",
        )
    return passed("docker info answers") if _told(machine) else skipped(NO_ANSWER)


@check(
    "docker-compose",
    area="docker",
    blocks=(COMPOSE,),
    source="https://docs.docker.com/compose/install/linux/",
)
def docker_compose(machine: Machine) -> Seen:
    """
    Is Compose there as a part of docker (`docker compose`)?

    The old docker-compose 1.x cannot read the project's file.
    """
    ran = machine.run("docker", "compose", "version", "--short", timeout_s=facts.DOCKER_S)
    if ran.missing:
        return skipped("there is no docker on PATH")
    version = facts.version_in(ran.out)
    if ran.ok and version:
        return passed(f"Compose {dotted(version)}")
    said = _complaint(ran)
    if "unknown" in said or "not a docker command" in said:
        said = "there is no such command"
    return failed(
        f"docker compose: {said}",
        fix="sudo apt install docker-compose-plugin   # from Docker's own packages\n"
        "sudo apt install docker-compose-v2       # from Ubuntu's",
    )


@check(
    "docker-desktop",
    area="docker",
    blocks=(COMPOSE,),
    source="https://docs.docker.com/desktop/features/wsl/",
)
def docker_desktop(machine: Machine) -> Seen:
    """
    Is it the Docker Engine in this Linux, or Docker Desktop in Windows?

    Docker Desktop resolves mounts in a Linux of its own, which has no /opt/rocm: the libraries for
    a Radeon come to nothing, and the card is not seen. WSL integration does not change that.
    """
    info = _told(machine)
    if not info:
        return skipped(NO_ANSWER)
    system = info.get("OperatingSystem", "")
    if system != "Docker Desktop":
        return passed(f"the engine runs in {system or 'this Linux'}")
    if facts.is_radeon_wsl(machine):
        return failed(
            "docker info: OperatingSystem Docker Desktop",
            fix="# switch WSL integration off in Docker Desktop's settings, then here\n"
            "curl -fsSL https://get.docker.com | sudo sh\ndocker context use default",
        )
    return passed("Docker Desktop; no library of a Radeon has to be mounted here")


@check(
    "docker-credentials",
    area="docker",
    source="https://github.com/docker/docker-credential-helpers",
)
def docker_credentials(machine: Machine) -> Seen:
    """
    Can Docker ask the password store that it is told to ask?

    Docker Desktop leaves such a setting behind in WSL, and then no image can be pulled.
    """
    path = facts.expanded(machine, "~/.docker/config.json")
    store = facts.as_mapping(machine.read(path) or "").get("credsStore")
    if not store:
        return passed("no password store is set")
    helper = f"docker-credential-{store}"
    if machine.run(helper, "list").missing:
        return warned(
            f'{path}: "credsStore": "{store}", and there is no {helper}',
            fix=f"sed -i '/\"credsStore\"/d' {path}",
        )
    return passed(f"{helper} is there")


@check(
    "docker-nvidia",
    area="docker",
    source="https://docs.nvidia.com/datacenter/cloud-native/container-toolkit/latest/install-guide.html",
)
def docker_nvidia(machine: Machine) -> Seen:
    """
    Does Docker's GPU set-up suit the card?

    With an NVIDIA card containers need NVIDIA's container toolkit. Left over from an older card, as
    the default runtime, it stops every container.
    """
    info = _told(machine)
    if not info:
        return skipped(NO_ANSWER)
    named = info.get("Runtimes")
    runtimes = named if isinstance(named, dict) else {}
    if facts.has_nvidia(machine) and info.get("OperatingSystem") != "Docker Desktop":
        if "nvidia" in runtimes or machine.exists("/usr/bin/nvidia-ctk"):
            return passed("NVIDIA's container toolkit is there")
        return warned(
            f"runtimes: {', '.join(runtimes) or 'none named'}; no nvidia-ctk",
            why="Without the toolkit Docker cannot give an NVIDIA card to a container.",
            fix="sudo apt install nvidia-container-toolkit   # from NVIDIA's repository\n"
            "sudo nvidia-ctk runtime configure --runtime=docker\nsudo systemctl restart docker",
        )
    if info.get("DefaultRuntime") == "nvidia" and not facts.has_nvidia(machine):
        return warned(
            "docker info: DefaultRuntime nvidia, and no NVIDIA driver is loaded",
            why="Every container starts through NVIDIA's runtime, which finds no card and ends.",
            fix="sudo sed -i '/\"default-runtime\"/d' /etc/docker/daemon.json\n"
            "sudo systemctl restart docker",
        )
    return passed(f"default runtime: {info.get('DefaultRuntime') or units.UNKNOWN}")


@check(
    "image-present",
    area="docker",
    source="https://docs.docker.com/reference/cli/docker/image/inspect/",
)
def image_present(machine: Machine) -> Seen:
    """
    Is the image here already, and if not, is there room for it?

    An AMD image is about 25 GB to download and 45 to 52 GB unpacked.
    """
    info, image = _told(machine), facts.image(machine)
    if not info or image is None:
        return skipped(NO_ANSWER if not info else "no image is known for this machine")
    ran = machine.run("docker", "image", "inspect", image.name, timeout_s=facts.DOCKER_S)
    if ran.ok:
        return passed(f"{image.name} is here{_size_of(ran.out)}")
    root = info["DockerRootDir"] or "/var/lib/docker"
    free = machine.free_bytes(root)
    seen = f"{image.name} is not here yet; {units.size(free)} free at {root}"
    needed = FOR_AMD_BYTES if image.family in ("amd", "rocm") else FOR_ANY_BYTES
    if free is not None and free < needed:
        return warned(
            seen,
            why="The pull may end with `no space left on device`, after an hour.",
            fix="docker system df\ndocker image prune   # removes images that have no name",
        )
    return passed(seen)


def _size_of(out: str) -> str:
    try:
        size = int(json.loads(out)[0]["Size"])
    except (ValueError, LookupError, TypeError):
        return ""
    return f", {units.size(size)}"


def _info(machine: Machine) -> Ran:
    return machine.run("docker", "info", "--format", "{{json .}}", timeout_s=facts.DOCKER_S)


def _told(machine: Machine) -> dict[str, Any]:
    """Return what the engine says of itself; empty if it does not answer."""
    info = facts.as_mapping(_info(machine).out)
    version = info.get("ServerVersion")
    return {**info, **_texts(info)} if isinstance(version, str) and version else {}


def _texts(info: dict[str, Any]) -> dict[str, str]:
    """Take as text what is one everywhere; podman, which may be called docker, differs."""
    named = ("OperatingSystem", "DockerRootDir", "DefaultRuntime")
    return {name: value if isinstance(value := info.get(name), str) else "" for name in named}


def _complaint(ran: Ran) -> str:
    """Find the sentence: newer engines say it within their JSON, older ones beside it."""
    if not ran.said:
        return "no answer"
    first = ran.out.strip().partition("\n")[0]
    told = facts.as_mapping(first)
    inside = told.get("ServerErrors")
    errors = inside if isinstance(inside, list) and inside else ran.err.strip().splitlines()
    line = errors[0] if errors else "an answer without a version" if told else first
    return " ".join(str(line).split())[:160]


CHECKS = (
    docker_engine,
    docker_rights,
    docker_compose,
    docker_desktop,
    docker_credentials,
    docker_nvidia,
    image_present,
)
