"""
Where results and reports are written, and read from.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from ..errors import ConfigError
from . import vllm_json
from .result import Result


def save(result: Result, to: Path, *, detailed: bool = False, several: bool = False) -> Path:
    """
    Write a result as ``vllm bench serve`` does; return where it is.

    Args:
        to: A file that ends in ``.json``, or a folder, in which it gets vLLM's name.

        several: There are others beside it: the file's name says which one it is.

    Raises:
        ConfigError: It cannot be written there.
    """
    if to.is_dir() or to.suffix != ".json":
        path = to / vllm_json.file_name(result)
    elif several and result.settings.concurrency is not None:
        path = to.with_name(f"{to.stem}-concurrency{result.settings.concurrency}.json")
    else:
        path = to
    written = vllm_json.to_json(result, detailed=detailed)
    write(path, json.dumps(written, allow_nan=False) + "\n")
    return path


def write(path: Path, text: str) -> None:
    """
    Write a text, whole or not at all, and the folders above it.

    Raises:
        ConfigError: It cannot be written there.
    """
    scratch = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch.write_text(text, encoding="utf-8")
        scratch.replace(path)
    except OSError as exc:
        raise ConfigError(
            f"{path} cannot be written: {exc.strerror}.", hint="Another place?", key="save"
        ) from exc


def read_runs(paths: Sequence[Path]) -> tuple[Result, ...]:
    """
    Read the runs of one side; a folder stands for the JSON files in it, a pattern for what fits.

    Raises:
        ConfigError: A file is no result, or there is none.
    """
    found = [file for path in paths for file in _files(path)]
    if not found:
        raise ConfigError(
            f"There is no result in {', '.join(map(str, paths))}.",
            hint="Measure one: workbench bench --save FOLDER",
            key="result",
        )
    return tuple(map(vllm_json.read, found))


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        return sorted(path.glob("*.json"))
    if path.exists() or not set("*?[") & set(path.name):
        return [path]
    return sorted(path.parent.glob(path.name))
