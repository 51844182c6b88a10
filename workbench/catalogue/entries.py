"""
The catalogue: models with the settings that suit them, in a file that people can read.

``catalogue.toml`` beside this module comes with the workbench. A file of the
same form in ``models/`` adds to it, and an entry of the same name there takes
the place of the one here.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from ..errors import ConfigError

SHIPPED = Path(__file__).with_name("catalogue.toml")

FILE_NAME = "catalogue.toml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """
    A model, and how to serve it. What is ``None`` is left to vLLM or to the model.

    Args:
        name: What ``workbench use`` takes, and its folder below ``models/``.

        model: ``organisation/name`` on the hub, or a folder below ``models/``.

        revision: A branch, tag or commit.

        alias: What requests may call it, besides its own name.

        max_model_len: The context to serve it with, tokens.

        sampling: Defaults for requests that do not say, by their names on the wire.

        extra_args: Any further arguments of ``vllm serve``.

        adapter_of: The base model that this is a LoRA adapter of; ``model`` is then its folder
            below ``models/``, with ``adapter_config.json``.

        gated: Whether the hub asks to accept a licence first.

        why: Why it is here, in a sentence.

        file: Where the entry was read.
    """

    name: str
    model: str
    why: str
    file: Path
    revision: str | None = None
    alias: str | None = None
    max_model_len: int | None = None
    gpu_memory_utilization: float | None = None
    dtype: str | None = None
    quantization: str | None = None
    kv_cache_dtype: str | None = None
    tool_call_parser: str | None = None
    reasoning_parser: str | None = None
    chat_template: str | None = None
    sampling: Mapping[str, float] = field(default_factory=dict)
    extra_args: tuple[str, ...] = ()
    adapter_of: str | None = None
    licence: str | None = None
    gated: bool = False

    def flags(self) -> list[str]:
        """Write it as flags of ``vllm serve``: all but model, names, lengths and tool parser."""
        by_flag = {
            "--dtype": self.dtype,
            "--quantization": self.quantization,
            "--kv-cache-dtype": self.kv_cache_dtype,
        }
        return [*_given(by_flag), *self.further_flags()]

    def further_flags(self) -> list[str]:
        """Write as flags what the compose file has no variable for."""
        by_flag = {
            "--reasoning-parser": self.reasoning_parser,
            "--chat-template": self.chat_template,
            "--override-generation-config": json.dumps(self.sampling) if self.sampling else None,
        }
        return [*_given(by_flag), *self.extra_args]


def _given(by_flag: Mapping[str, str | None]) -> list[str]:
    return [word for flag, value in by_flag.items() if value is not None for word in (flag, value)]


# What a value of the file must be; TOML has its own types.
_KINDS: Mapping[str, tuple[type, ...]] = {
    "max_model_len": (int,),
    "gpu_memory_utilization": (float, int),
    "sampling": (dict,),
    "extra_args": (list,),
    "gated": (bool,),
}

# And what is more than a type.
_MUST: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "model": (bool, "a name"),
    "max_model_len": (lambda value: value > 0, "above zero"),
    "gpu_memory_utilization": (lambda value: 0 < value <= 1, "above 0, at most 1"),
    "extra_args": (lambda value: all(isinstance(word, str) for word in value), "a list of texts"),
}

_FIELDS = {each.name for each in fields(Entry)} - {"name", "file"}


def entries(models_dir: Path) -> dict[str, Entry]:
    """
    Read the catalogue, the reader's own file over the one that is shipped.

    Raises:
        ConfigError: A file cannot be read; it names the entry and the field.
    """
    own = models_dir / FILE_NAME
    return _read(SHIPPED) | (_read(own) if own.is_file() else {})


def find_entry(name: str, *, models_dir: Path) -> Entry | None:
    """Find an entry by its name; ``None`` when the catalogue has none of that name."""
    return entries(models_dir).get(name)


def _read(path: Path) -> dict[str, Entry]:
    import tomllib  # here: `status` and `down` need no catalogue

    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as exc:
        raise _wrong(path, f"cannot be read: {exc}") from exc
    return {name: _entry(name, table, path) for name, table in tables.items()}


def _entry(name: str, table: object, path: Path) -> Entry:
    if not isinstance(table, dict):
        raise _wrong(path, f"has {name} = …, and an entry is a table: [{name}]")
    for key, value in table.items():
        _check(name, key, value, path)
    for needed in ("model", "why"):
        if needed not in table:
            raise _wrong(path, f"has an entry {name!r} without {needed}")
    given: dict[str, Any] = table | {"extra_args": tuple(table.get("extra_args", ()))}
    return Entry(name=name, file=path, **given)


def _check(name: str, key: str, value: object, path: Path) -> None:
    if isinstance(value, dict) and key != "sampling":
        raise _wrong(path, f'has a name with a dot that needs quotes: ["{name}.{key}"]')
    if key not in _FIELDS:
        close = difflib.get_close_matches(key, _FIELDS, n=1)
        guess = f"; did you mean {close[0]}?" if close else ""
        raise _wrong(path, f"has a field {key!r} in {name!r} that an entry does not have{guess}")
    kinds = _KINDS.get(key, (str,))
    # A bool is an int to Python, and no length.
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        words = " or ".join(kind.__name__ for kind in kinds)
        raise _wrong(path, f"has {key} = {value!r} in {name!r}, and it is of type {words}")
    must = _MUST.get(key)
    if must and not must[0](value):
        raise _wrong(path, f"has {key} = {value!r} in {name!r}, and it is {must[1]}")


def _wrong(path: Path, what: str) -> ConfigError:
    return ConfigError(
        f"{path} {what}.",
        hint=f"The entries that come with the workbench show the form: {SHIPPED}",
        key="catalogue",
        source=str(path),
    )
