"""An image with vLLM in it, made of a few small files."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

CONTAINER = Path(__file__).resolve().parents[2] / "container"

NOT_TO_BE_IMPORTED = "raise SystemExit('start.py has imported this')\n"

VLLM = f"""#!{sys.executable}
import json, os, sys
print(json.dumps({{"argv": sys.argv[1:], "pid": os.getpid(), "env": dict(os.environ)}}))
"""

ROCM = "__version__ = '2.9.0'\ncuda: Optional[str] = None\nhip: Optional[str] = '6.4.43482'\n"
CUDA = "__version__ = '2.9.0'\ncuda: Optional[str] = '12.8'\nhip: Optional[str] = None\n"


@dataclass(frozen=True)
class Run:
    """How start.py ended, and what it became: nothing, if it failed."""

    status: int
    said: str
    complaint: str
    pid: int
    became: dict[str, Any] = field(default_factory=dict)


class Image:
    """A container's file system under *folder*, as far as start.py looks at it."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "root"
        self.site = folder / "site-packages"
        self.bin = folder / "bin"
        self.platforms = self.site / "vllm" / "platforms" / "__init__.py"
        self.torch_lib = self.site / "torch" / "lib"
        self.bin.mkdir()
        (self.bin / "vllm").write_text(VLLM)
        (self.bin / "vllm").chmod(0o755)

    def install(self, version: str, platforms: str, torch: str = ROCM) -> None:
        self.platforms.parent.mkdir(parents=True)
        self.torch_lib.mkdir(parents=True)
        for package in ("vllm", "torch"):
            (self.site / package / "__init__.py").write_text(NOT_TO_BE_IMPORTED)
        self.platforms.write_text(platforms)
        (self.site / "torch" / "version.py").write_text(torch)
        info = self.site / f"vllm-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: vllm\nVersion: {version}\n")

    def add_wsl(self, *, mounts: str = "") -> None:
        (self.root / "dev").mkdir(parents=True)
        (self.root / "dev" / "dxg").touch()
        (self.root / "proc" / "self").mkdir(parents=True)
        (self.root / "proc" / "self" / "mountinfo").write_text(mounts)

    def begin(self, *command: str, **options: Any) -> subprocess.Popen[str]:
        env = {
            "PATH": str(self.bin),
            "PYTHONPATH": str(self.site),
            "PYTHONDONTWRITEBYTECODE": "1",
            "START_ROOT": str(self.root),
            **options.pop("env", {}),
        }
        return subprocess.Popen(
            [sys.executable, CONTAINER / "start.py", *command],
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **options,
        )

    def start(self, *command: str, **options: Any) -> Run:
        """Run start.py to its end; the command is ``vllm serve`` if none is given."""
        return ended(self.begin(*(command or ("vllm", "serve")), **options))


def ended(process: subprocess.Popen[str]) -> Run:
    out, err = process.communicate(timeout=30)
    said, _, rest = out.partition("\n")
    became = json.loads(rest) if rest else {}
    return Run(process.returncode, said, err, process.pid, became)
