"""
An image in which the embedded engine's real vLLM runs, for the project's own compose file.

Nothing can be pulled where the tests run, and an image with vLLM in it would
be 2 GB. So it is nearly empty: this machine's programs and the engine are
mounted into the container, read-only, at the places where they are here. What
is in the image makes ``vllm`` and ``python3`` commands of it, and gives the
CPU build of vLLM the package name that ``vllm serve`` looks for.
"""

from __future__ import annotations

import io
import json
import subprocess
import tarfile
from pathlib import Path

from workbench.servers.engine import Engine

TAG = "workbench-test/vllm-cpu:1"

HOST_FOLDERS = ("/usr", "/bin", "/lib", "/lib64")


def build(engine: Engine) -> str:
    """Import the image; Docker has the same layer already if it was built before."""
    changes = ("ENV PATH=/opt/vllm/bin:/usr/bin:/bin", "ENV PYTHONPATH=/opt/vllm/lib")
    options = [word for change in changes for word in ("--change", change)]
    subprocess.run(
        ["docker", "import", *options, "-", TAG],
        input=_tar(engine),
        check=True,
        capture_output=True,
    )
    return TAG


def mounts(engine: Engine) -> list[str]:
    """List what the image lacks, as volumes of a compose file."""
    base = engine.python.resolve().parent.parent
    folders = {*HOST_FOLDERS, str(engine.folder), str(base)}
    # Debian's /bin and /lib are links into /usr; a base below /usr is there with it.
    return [f"{path}:{path}:ro" for path in sorted(folders) if not path.startswith("/usr/")]


def _tar(engine: Engine) -> bytes:
    metadata = f"Metadata-Version: 2.1\nName: vllm\nVersion: {engine.vllm_version}+cpu\n"
    files = {
        "etc/passwd": "root:x:0:0:root:/root:/bin/sh\n",
        "etc/group": "root:x:0:\n",
        f"opt/vllm/lib/vllm-{engine.vllm_version}+cpu.dist-info/METADATA": metadata,
        "opt/vllm/bin/python3": f'#!/bin/sh\nexec {engine.python} "$@"\n',
        "opt/vllm/bin/vllm": f'#!/bin/sh\nexec {engine.python} -m vllm.entrypoints.cli.main "$@"\n',
    }
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for folder in ("tmp", "root"):
            info = tarfile.TarInfo(folder)
            info.type, info.mode = tarfile.DIRTYPE, 0o1777 if folder == "tmp" else 0o700
            tar.addfile(info)
        for name, text in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(text), 0o755
            tar.addfile(info, io.BytesIO(text.encode()))
    return buffer.getvalue()


def override(engine: Engine, **service: object) -> str:
    """Write the override file: what a test machine lacks, and what a test wants otherwise."""
    # JSON is YAML.
    cpu = {"image": TAG, "volumes": mounts(engine), **service}
    return json.dumps({"services": {"cpu": cpu}}, indent=2)


def make_project(folder: Path, project: Path, engine: Engine, **variables: str) -> Path:
    """Make a folder like a reader's clone, with an override and an ``.env``."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("docker-compose.yml", "container"):
        subprocess.run(["cp", "-r", str(project / name), str(folder)], check=True)
    (folder / "models").mkdir(exist_ok=True)
    for name in ("pocket", "pocket-mini"):
        subprocess.run(
            ["cp", "-r", str(project / "models" / name), str(folder / "models")], check=True
        )
    (folder / "override.yml").write_text(override(engine))
    lines = {
        "COMPOSE_FILE": "docker-compose.yml:override.yml",
        "WORKBENCH_BACKEND": "compose",
        "WORKBENCH_PROFILE": "cpu",
        "WORKBENCH_PORT": "0",
        "VLLM_CPU_KVCACHE_SPACE": "1",
        "WORKBENCH_EXTRA_ARGS": "--enforce-eager",
        **variables,
    }
    (folder / ".env").write_text("".join(f"{name}={value}\n" for name, value in lines.items()))
    return folder
