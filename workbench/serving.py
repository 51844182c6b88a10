"""
Which server the settings mean, and what it is told to serve.

What was asked for comes first, then what runs already, then the model's own
facts and the defaults.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

from .catalogue import (
    Entry,
    LocalModel,
    entries,
    find_entry,
    find_model,
    looks_like_hub_name,
    parser_of_family,
)
from .errors import ConfigError
from .hub import fetched_in
from .servers.base import Server
from .servers.command import ServeSpec
from .servers.embedded import EmbeddedServer
from .servers.engine import Engine
from .servers.remote import RemoteServer
from .servers.running import Running
from .setting_values import revealed
from .settings import (
    ALIAS,
    COMPOSE_MAX_MODEL_LEN,
    COMPOSE_MODEL,
    EMBEDDED_MAX_MODEL_LEN,
    EMBEDDED_MODEL,
    Settings,
)

if TYPE_CHECKING:
    from .servers.compose import ComposeServer
    from .servers.variables import Wanted

COMPOSE_ARGUMENTS = ("image", "port", "max_model_len", "gpu_memory_utilization")
"""Settings that the compose file has a variable for; the model's is made of more than one."""


def open_server(settings: Settings) -> Server:
    """Make the server of these settings; whether it runs is another question."""
    if settings.backend == "remote":
        return _remote_server(settings)
    if settings.backend == "compose":
        return _compose_server(settings)
    return EmbeddedServer(
        Engine(settings.engine_dir),
        lambda running: serve_spec(settings, running),
        port=settings.port,
        state_dir=settings.state_dir,
    )


def _remote_server(settings: Settings) -> RemoteServer:
    if settings.base_url is None:
        raise ConfigError(
            "The remote backend needs the server's URL.",
            hint="Set WORKBENCH_BASE_URL=http://host:8000/v1",
            key="base_url",
            source="default",
        )
    return RemoteServer(
        settings.base_url, api_key=revealed(settings.api_key), model=remote_model(settings)
    )


def _compose_server(settings: Settings) -> ComposeServer:
    from .servers.compose import ComposeServer

    return ComposeServer(
        settings.home,
        profile=settings.profile,
        want=lambda profile: wanted_of_compose(settings, profile),
        came_with=lambda model, name, value: came_with_entry(settings, model, name, value),
        given=settings.named,
        port=settings.port,
        key=revealed(settings.vllm_api_key),
        hub_token=revealed(settings.hf_token),
        state_dir=settings.state_dir,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedOfHub:
    """A model to fetch: its name on the hub, its revision, and its folder below ``models/``."""

    repo: str
    revision: str | None
    folder: str


def wanted_of_hub(name: str, revision: str | None, *, models_dir: Path) -> WantedOfHub:
    """
    Say what a name means to the hub, and what its folder is called here.

    Args:
        name: Of the catalogue, or ``organisation/name``.
    """
    entry = find_entry(name, models_dir=models_dir)
    if entry is None:
        return WantedOfHub(repo=name, revision=revision, folder=name.rpartition("/")[2])
    return WantedOfHub(repo=entry.model, revision=revision or entry.revision, folder=entry.name)


class HubAccess(TypedDict):
    """How the hub is asked: with which token, where, and whether at all."""

    token: str | None
    endpoint: str
    offline: bool


def hub_access(settings: Settings) -> HubAccess:
    """Say how these settings have the hub asked; a plan asks it as a fetch does."""
    return HubAccess(
        token=revealed(settings.hf_token), endpoint=settings.hf_endpoint, offline=settings.offline
    )


def wanted_of_compose(settings: Settings, profile: str) -> Wanted:
    """
    Say what the compose file must be told besides ``.env``.

    Asked for are the arguments, and what follows from a model that is named:
    its catalogue entry, who reads its tool calls. Where none is, the CPU gets
    the one that is in the repository.

    Raises:
        ConfigError: The model is a folder that the container does not see.
    """
    from .servers.variables import Wanted

    asked = {
        f"WORKBENCH_{name.upper()}": str(getattr(settings, name))
        for name in COMPOSE_ARGUMENTS
        if settings.origins[name] == "argument"
    }
    if settings.model:
        entry = find_entry(settings.model, models_dir=settings.models_dir)
        model = _model_in_container(settings.model, entry, settings)
        of_model = _of_model(model, settings) | _of_entry(entry, model, settings)
        return Wanted(asked=of_model | asked, otherwise=_length(model))
    if profile != "cpu":
        # The file names the model itself, and does not know its parser.
        return Wanted(asked=asked, otherwise=_parser(parser_of_family(COMPOSE_MODEL), settings))
    model = _model_in_container(EMBEDDED_MODEL, None, settings)
    return Wanted(asked=asked, otherwise=_length(model) | _of_model(model, settings))


def _of_model(model: LocalModel | str, settings: Settings) -> dict[str, str]:
    if isinstance(model, str):
        return {"WORKBENCH_MODEL": model, **_parser(parser_of_family(model), settings)}
    below = model.path.relative_to(settings.models_dir.resolve())
    return {"WORKBENCH_MODEL": str(below), **_parser(model.tool_call_parser, settings)}


def _of_entry(entry: Entry | None, model: LocalModel | str, settings: Settings) -> dict[str, str]:
    """Write an entry as the compose file's variables; what ``.env`` sets stays as it is."""
    if entry is None:
        return {}
    by_name = {
        "REVISION": entry.revision if isinstance(model, str) else None,
        "SERVED_MODEL_NAME": _with_alias(_name_of(model), entry),
        "MAX_MODEL_LEN": entry.max_model_len,
        "GPU_MEMORY_UTILIZATION": entry.gpu_memory_utilization,
        "DTYPE": entry.dtype,
        "KV_CACHE_DTYPE": entry.kv_cache_dtype,
        "QUANTIZATION": entry.quantization,
        "TOOL_CALL_PARSER": entry.tool_call_parser,
        # Written also if there are none: those of the entry before are not for this one.
        "EXTRA_ARGS": shlex.join(entry.further_flags()),
    }
    said = {f"WORKBENCH_{name}": str(value) for name, value in by_name.items() if value is not None}
    return {name: value for name, value in said.items() if name not in settings.named}


def came_with_entry(settings: Settings, model: str, name: str, value: str) -> bool:
    """
    Tell whether a variable of a container has its value from an entry of the catalogue.

    Args:
        model: As the container calls it: by its folder, or by its name on the hub.
    """
    return any(
        _of_entry(entry, model, settings).get(name) == value
        for entry in entries(settings.models_dir).values()
        if model in (entry.name, entry.model, entry.model.rpartition("/")[2])
    )


def _with_alias(name: str, entry: Entry | None) -> str:
    """List what requests may call a model: its own name, the hub's, and the one that stays."""
    more = (entry.model, entry.alias) if entry else ()
    return " ".join(dict.fromkeys(filter(None, (name, *more, ALIAS))))


def _name_of(model: LocalModel | str) -> str:
    return model if isinstance(model, str) else model.name


def _length(model: LocalModel | str) -> dict[str, str]:
    """Say how long a context may be where the file's default is longer than the model's own."""
    longest = None if isinstance(model, str) else model.max_model_len
    if longest is None or longest >= COMPOSE_MAX_MODEL_LEN:
        return {}
    return {"WORKBENCH_MAX_MODEL_LEN": str(longest)}


def _parser(name: str | None, settings: Settings) -> dict[str, str]:
    """Name the tool parser, unless somebody did."""
    if name is None or "WORKBENCH_TOOL_CALL_PARSER" in settings.named:
        return {}
    return {"WORKBENCH_TOOL_CALL_PARSER": name}


def _model_in_container(model: str, entry: Entry | None, settings: Settings) -> LocalModel | str:
    """Find a model that the container will see: a folder below models/, or a name of the hub."""
    name = where_is(model, entry, settings)
    if looks_like_hub_name(name, settings.models_dir):
        return name
    local = _found(name, settings)
    if not local.path.is_relative_to(settings.models_dir.resolve()):
        raise ConfigError(
            f"The container sees only what is below {settings.models_dir}, "
            f"and {model!r} is in {local.path}.",
            hint="Put the model's folder there; a link does not help.",
            key="model",
            source=settings.origins["model"],
        )
    if " " in str(local.path.relative_to(settings.models_dir.resolve())):
        raise ConfigError(
            f"The compose file cannot name {local.path.name!r}: there is a space in it.",
            hint="Rename the folder.",
            key="model",
            source=settings.origins["model"],
        )
    return local


def where_is(model: str, entry: Entry | None, settings: Settings) -> str:
    """Say where a model is: in the folder that it was fetched into, else where it comes from."""
    if entry and entry.adapter_of:
        raise _no_model_by_itself(entry)
    wanted = wanted_of_hub(model, None, models_dir=settings.models_dir)
    # The second is where it comes if it is fetched by its name on the hub.
    for name in dict.fromkeys((wanted.folder, wanted.repo.rpartition("/")[2])):
        fetched = fetched_in(settings.models_dir / name)
        if fetched and fetched.repo == wanted.repo and fetched.fetched_at is not None:
            return name
    folder = settings.models_dir / wanted.folder
    if entry and not fetched_in(folder) and (folder / "config.json").is_file():
        return wanted.folder  # somebody put it there, under the entry's name
    return entry.model if entry else model


def _no_model_by_itself(entry: Entry) -> ConfigError:
    return ConfigError(
        f"{entry.name} is an adapter of {entry.adapter_of}, and no model by itself.",
        hint=f"Serve its base, then load it: workbench use {entry.adapter_of}, "
        f"workbench use {entry.name}",
        key="model",
        source=str(entry.file),
    )


def adapter_as_seen(entry: Entry, settings: Settings) -> str:
    """
    Write the path by which the server finds an adapter's folder.

    Raises:
        ConfigError: There is no adapter in it.
    """
    folder = settings.models_dir / entry.model
    if not (folder / "adapter_config.json").is_file():
        raise ConfigError(
            f"There is no adapter in {folder}: no adapter_config.json.",
            hint=f"Put its folder there; {entry.file} names it.",
            key="model",
            source=str(entry.file),
        )
    return f"/models/{entry.model}" if settings.backend == "compose" else str(folder.resolve())


def to_fetch(settings: Settings) -> str | None:
    """Name the model of these settings if it has to come from the hub first."""
    name = settings.model
    if name is None:
        return None
    entry = find_entry(name, models_dir=settings.models_dir)
    where = where_is(name, entry, settings)
    if not looks_like_hub_name(where, settings.models_dir):
        return None
    # A container downloads for itself into this cache; what it has there is not fetched again.
    cache = settings.models_dir / "hf" / "hub" / f"models--{where.replace('/', '--')}"
    has_it = settings.backend == "compose" and any(cache.glob("snapshots/*/config.json"))
    return None if has_it else name


def context_of(settings: Settings, model: str) -> int:
    """Say how long a context a server of these settings would have for a model, tokens."""
    if settings.backend == "embedded":
        return serve_spec(settings, None).max_model_len
    entry = find_entry(model, models_dir=settings.models_dir)
    asked = settings.max_model_len or (entry and entry.max_model_len) or COMPOSE_MAX_MODEL_LEN
    where = where_is(model, entry, settings)
    if looks_like_hub_name(where, settings.models_dir):
        return asked
    return min(asked, _found(where, settings).max_model_len or asked)


def profile_of(settings: Settings) -> str:
    """Say which service of the compose file these settings mean."""
    from .servers.profiles import choose

    return settings.profile or choose().profile


def serve_spec(settings: Settings, running: Running | None) -> ServeSpec:
    """
    Say what the embedded server serves: what was asked, else what runs, else the defaults.

    Raises:
        ConfigError: The model is not on this disk.
    """

    def kept(name: str) -> bool:
        return settings.origins[name] == "default"

    before = running.spec if running else None
    # Any free port will do, and the one that clients know is free for the next server.
    port = before.port if before and (kept("port") or not settings.port) else settings.port
    if before and kept("model"):
        return replace(before, port=port, max_model_len=_len(settings, before, None))
    name = settings.model or EMBEDDED_MODEL
    entry = find_entry(name, models_dir=settings.models_dir)
    model = _local_model(name, entry, settings)
    # How long another model's context was says nothing of this one's.
    same = before if before and before.model_path == model.path else None
    max_model_len = _len(settings, same, entry)
    names = settings.served_model_name or _with_alias(model.name, entry)
    return ServeSpec(
        model_path=model.path,
        served_model_names=tuple(names.split()),
        port=port,
        max_model_len=min(max_model_len, model.max_model_len or max_model_len),
        kv_cache_bytes=round(settings.kv_cache_gib * 2**30),
        tool_call_parser=(entry and entry.tool_call_parser) or model.tool_call_parser,
        further_flags=tuple(entry.flags()) if entry else (),
    )


def _len(settings: Settings, before: ServeSpec | None, entry: Entry | None) -> int:
    """Say how long a context is to be: as asked, as the catalogue has it, or as it was."""
    if settings.max_model_len and settings.origins["max_model_len"] != "default":
        return settings.max_model_len
    if entry and entry.max_model_len:
        return entry.max_model_len
    return before.max_model_len if before else EMBEDDED_MAX_MODEL_LEN


def _local_model(name: str, entry: Entry | None, settings: Settings) -> LocalModel:
    """Find the folder of a model; one of the catalogue may have to be fetched first."""
    where = where_is(name, entry, settings)
    if looks_like_hub_name(where, settings.models_dir):
        raise ConfigError(
            f"{name}{f' ({where})' if where != name else ''} is not on this disk.",
            hint=f"Fetch it: workbench models fetch {name}",
            key="model",
            source=settings.origins["model"],
        )
    return _found(where, settings)


def _found(name: str, settings: Settings) -> LocalModel:
    """Find a folder; a name that is none may be meant for one of the catalogue."""
    folder = settings.models_dir
    return find_model(name, models_dir=folder, others=entries(folder))


def remote_model(settings: Settings) -> str | None:
    """Name the model to ask a remote server for; ``None`` lets the client take the one it lists."""
    named = settings.backend == "remote" and settings.origins["model"] != "default"
    return settings.model if named else None
