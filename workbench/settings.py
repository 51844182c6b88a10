"""
One frozen object with everything that can be set, and where each value came from.

Argument > environment > ``.env`` > default, read once by :func:`load`; nothing
else in the package looks at the environment. pydantic-settings would do the
reading, but it costs a third of a second to import, more than the whole of
``workbench status`` may take, and does not say which source won.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from io import StringIO
from pathlib import Path
from types import MappingProxyType
from typing import Any

from . import chosen
from . import setting_values as read
from .errors import ConfigError
from .setting_values import Backend, PromptHash, Secret, Url, WaitOrFail

COMPOSE_MODEL = "meta-llama/Llama-3.1-8B-Instruct"
COMPOSE_MAX_MODEL_LEN = 8192
COMPOSE_CPU_CACHE_GIB = 4.0
COMPOSE_GPU_MEMORY_UTILIZATION = 0.85
"""What docker-compose.yml serves if nothing is set; a test keeps the two the same."""

ALIAS = "default"
"""What every model that we serve is called too, so that a switch changes no application."""

EMBEDDED_MODEL = "pocket"
EMBEDDED_MAX_MODEL_LEN = 2048

HUB = "https://huggingface.co"

BOOT_TIMEOUT_S = {"embedded": 600, "compose": 3600, "remote": 600}
"""A first start in a container downloads the model and compiles kernels."""


def _setting(
    default: Any,
    *names: str,
    help: str,
    parse: Callable[[str], Any] = str,
    for_compose: tuple[str, ...] = (),
) -> Any:
    """
    Declare a field: its default, the environment names it answers to, and how to read it.

    Args:
        for_compose: Words of the environment or ``.env`` that Compose passes on to vLLM, and that
            are no value here: ``None``, with their origin.
    """
    known = {"names": names, "help": help, "parse": parse, "for_compose": for_compose}
    return field(default=default, metadata=known)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """
    What the workbench was told. Make one with :func:`load`.

    ``origins`` names the source of each field: ``argument``, the name of an
    environment variable, ``.env: NAME``, ``backend: workbench up`` for a server that
    was started, or ``default``. ``named`` has the
    variables of the environment and of ``.env`` that are set: the compose file
    reads more of them than there are fields.
    """

    home: Path
    backend: Backend = _setting(
        "embedded",
        "WORKBENCH_BACKEND",
        help="which server: embedded (vLLM on this CPU), compose (a container), remote (a URL)",
        parse=read.backend,
    )
    base_url: str | None = _setting(
        None,
        "WORKBENCH_BASE_URL",
        "OPENAI_BASE_URL",
        help="the remote server's URL, with /v1; setting it chooses backend remote",
        parse=read.base_url,
    )
    api_key: Secret | None = _setting(
        None,
        "WORKBENCH_API_KEY",
        "OPENAI_API_KEY",
        help="the remote server's key (OPENAI_API_KEY only beside OPENAI_BASE_URL)",
        parse=read.secret,
    )
    profile: str | None = _setting(
        None,
        "WORKBENCH_PROFILE",
        "COMPOSE_PROFILES",
        help="service of the compose file; default: the one that suits this machine",
        parse=read.profile,
    )
    image: str | None = _setting(
        None, "WORKBENCH_IMAGE", help="container image; default: the compose file's"
    )
    model: str | None = _setting(
        None,
        "WORKBENCH_MODEL",
        help="a folder below models/, or a path; compose: a hub name too; remote: its served name",
    )
    served_model_name: str | None = _setting(
        None,
        "WORKBENCH_SERVED_MODEL_NAME",
        help=f"names that requests use, spaces between; default: the model's own and {ALIAS!r}",
    )
    port: int = _setting(
        8000, "WORKBENCH_PORT", help="port on 127.0.0.1; 0 takes a free one", parse=read.port
    )
    max_model_len: int | None = _setting(
        None,
        "WORKBENCH_MAX_MODEL_LEN",
        help="context length in tokens, never more than the model's own; compose: auto too",
        parse=read.positive,
        for_compose=("auto", "-1"),
    )
    gpu_memory_utilization: float | None = _setting(
        None,
        "WORKBENCH_GPU_MEMORY_UTILIZATION",
        help="share of the GPU's memory that vLLM may use; default: the compose file's",
        parse=read.share,
    )
    kv_cache_gib: float = _setting(
        0.25,
        "WORKBENCH_KV_CACHE_GIB",
        "VLLM_CPU_KVCACHE_SPACE",
        help="KV cache of the embedded engine, GiB of host memory",
        parse=read.positive_real,
    )
    vllm_api_key: Secret | None = _setting(
        None,
        "VLLM_API_KEY",
        help="the key a container is started with; default: one is made",
        parse=read.secret,
    )
    hf_token: Secret | None = _setting(
        None,
        "HF_TOKEN",
        "HUGGING_FACE_HUB_TOKEN",
        help="for models that ask for a licence",
        parse=read.secret,
    )
    hf_endpoint: str = _setting(
        HUB, "HF_ENDPOINT", help="the hub that models are fetched from", parse=read.hub
    )
    offline: bool = _setting(
        False,
        "HF_HUB_OFFLINE",
        help="1 asks no hub: what is not in models/ is not fetched",
        parse=read.switch,
    )
    boot_timeout_s: int = _setting(
        None,
        "WORKBENCH_BOOT_TIMEOUT_S",
        help="how long a start may take before it is given up, seconds",
        parse=read.positive,
    )
    during_switch: WaitOrFail = _setting(
        "wait",
        "WORKBENCH_DURING_SWITCH",
        help="what a request does while models are switched: wait for it, or fail at once",
        parse=read.wait_or_fail,
    )
    telemetry: bool = _setting(
        True,
        "WORKBENCH_TELEMETRY",
        help="1 records every request in the state folder, 0 does not",
        parse=read.switch,
    )
    telemetry_hash: PromptHash = _setting(
        "hmac",
        "WORKBENCH_TELEMETRY_HASH",
        help="hmac hashes prompts with a key of this folder; sha256 as other programs do",
        parse=read.prompt_hash,
    )
    telemetry_contents: bool = _setting(
        False,
        "WORKBENCH_TELEMETRY_CONTENTS",
        help="1 records prompts and answers too, and sends them to the sinks",
        parse=read.switch,
    )
    telemetry_redact: str | None = _setting(
        None,
        "WORKBENCH_TELEMETRY_REDACT",
        help="a regular expression; what it matches in prompts and answers is not recorded",
        parse=read.pattern,
    )
    telemetry_tags: str | None = _setting(
        None,
        "WORKBENCH_TELEMETRY_TAGS",
        help="recorded with every request: team=blue, run=7",
        parse=read.tags,
    )
    telemetry_max_age_days: float = _setting(
        365.0,
        "WORKBENCH_TELEMETRY_MAX_AGE_DAYS",
        help="older requests are deleted, days",
        parse=read.positive_real,
    )
    telemetry_max_bytes: int = _setting(
        2 * 2**30,
        "WORKBENCH_TELEMETRY_MAX_BYTES",
        help="beyond it the oldest requests are deleted: bytes, or 500 MiB, 2 GiB",
        parse=read.bytes,
    )
    logging_endpoint: Url | None = _setting(
        None,
        "LOGGING_ENDPOINT",
        help="records are POSTed there as JSON, and a container's log too",
        parse=Url,
    )
    logging_endpoint_token: Secret | None = _setting(
        None, "LOGGING_ENDPOINT_TOKEN", help="the bearer token for it", parse=read.secret
    )
    telemetry_jsonl: Path | None = _setting(
        None, "WORKBENCH_TELEMETRY_JSONL", help="a file that gets a line a record", parse=Path
    )
    otel_endpoint: Url | None = _setting(
        None,
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        help="records go there as OpenTelemetry traces and metrics, by OTLP over HTTP",
        parse=Url,
    )
    otel_traces_endpoint: Url | None = _setting(
        None,
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
        help="another address for traces, used as it stands",
        parse=Url,
    )
    otel_metrics_endpoint: Url | None = _setting(
        None,
        "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
        help="another address for metrics, used as it stands",
        parse=Url,
    )
    otel_headers: Secret | None = _setting(
        None, "OTEL_EXPORTER_OTLP_HEADERS", help="name=value,… sent with them", parse=read.secret
    )
    otel_protocol: str = _setting(
        "http/protobuf", "OTEL_EXPORTER_OTLP_PROTOCOL", help="http/protobuf is what there is"
    )
    otel_traces_exporter: str = _setting(
        "otlp", "OTEL_TRACES_EXPORTER", help="none leaves traces out"
    )
    otel_metrics_exporter: str = _setting(
        "otlp", "OTEL_METRICS_EXPORTER", help="none leaves metrics out"
    )
    otel_service_name: str | None = _setting(
        None, "OTEL_SERVICE_NAME", help="who sends them; default: vllm-workbench"
    )
    otel_resource_attributes: str | None = _setting(
        None, "OTEL_RESOURCE_ATTRIBUTES", help="name=value,… of traces and metrics"
    )
    otel_disabled: bool = _setting(
        False,
        "OTEL_SDK_DISABLED",
        help="true sends no traces and metrics",
        # Whatever else is written there is false, says OpenTelemetry.
        parse=lambda text: text.lower() == "true",
    )
    azure_cosmos_endpoint: str | None = _setting(
        None,
        "AZURE_COSMOS_ENDPOINT",
        help="records go into this Azure Cosmos DB account",
    )
    azure_cosmos_key: Secret | None = _setting(
        None,
        "AZURE_COSMOS_KEY",
        help="its key; default: who is signed in to Azure",
        parse=read.secret,
    )
    azure_cosmos_database: str = _setting(
        "workbench", "AZURE_COSMOS_DATABASE", help="its database, made if that is allowed"
    )
    azure_cosmos_container: str = _setting(
        "requests", "AZURE_COSMOS_CONTAINER", help="its container, made if that is allowed"
    )
    azure_cosmos_ttl_s: int | None = _setting(
        None,
        "AZURE_COSMOS_TTL_S",
        help="how long a record is kept there, seconds; default: for ever",
        parse=read.positive,
    )
    azure_eventgrid_endpoint: str | None = _setting(
        None,
        "AZURE_EVENTGRID_ENDPOINT",
        help="records go to this Azure Event Grid topic as CloudEvents",
    )
    azure_eventgrid_key: Secret | None = _setting(
        None,
        "AZURE_EVENTGRID_KEY",
        help="its key; default: who is signed in to Azure",
        parse=read.secret,
    )
    azure_eventgrid_topic: str | None = _setting(
        None, "AZURE_EVENTGRID_TOPIC", help="the topic, if the endpoint is a namespace's"
    )
    azure_eventgrid_type_prefix: str = _setting(
        "com.example.workbench",
        "AZURE_EVENTGRID_TYPE_PREFIX",
        help="what the events' types begin with: your own domain, backwards",
    )
    user: str | None = _setting(
        None, "WORKBENCH_USER", help="who is recorded, as a keyed hash; default: the login name"
    )
    state_dir: Path = _setting(
        Path(".workbench"), "WORKBENCH_STATE_DIR", help="server state, logs, telemetry", parse=Path
    )
    engine_dir: Path = _setting(
        Path(".engine"), "WORKBENCH_ENGINE_DIR", help="the embedded engine", parse=Path
    )
    origins: Mapping[str, str] = field(default_factory=dict, repr=False)
    named: frozenset[str] = field(default=frozenset(), repr=False)

    @property
    def models_dir(self) -> Path:
        """The weights folder, mounted into the container as ``/models``."""
        return self.home / "models"

    def variables_beside(self, path: Path) -> dict[str, str]:
        """Return what Compose replaces ``${NAME}`` by in *path*: the environment, over ``.env``."""
        return {**_read_dotenv(path.resolve().parent / ".env"), **os.environ}

    def described(self) -> list[tuple[str, object, str, str]]:
        """List ``(name, value, origin, help)`` of everything that can be set."""
        return [
            (item.name, getattr(self, item.name), self.origins[item.name], item.metadata["help"])
            for item in fields(self)
            if item.metadata
        ]


def load(
    *, environ: Mapping[str, str] | None = None, cwd: Path | None = None, **arguments: Any
) -> Settings:
    """
    Read the settings once.

    Args:
        environ: Defaults to this process's environment.

        cwd: Where the search for the project folder begins.

        arguments: Fields by name; ``None`` and "" mean "not given", as an
            empty variable in the environment does.

    Raises:
        ConfigError: A value cannot be read; it names the variable and its source.
    """
    environ = os.environ if environ is None else environ
    home = _home(environ, cwd or Path.cwd())
    dotenv = _read_dotenv(home / ".env")
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for item in fields(Settings):
        if item.metadata:
            given = arguments.pop(item.name, None)
            value, origin = _resolve(item, given, environ, dotenv)
            values[item.name], origins[item.name] = value, origin
    if arguments:
        raise TypeError(f"no such setting: {', '.join(sorted(arguments))}")
    if not origins["base_url"].endswith("OPENAI_BASE_URL") and origins["api_key"].endswith(
        "OPENAI_API_KEY"
    ):
        # A key for OpenAI belongs to the URL that was set with it, and to no other server.
        values["api_key"], origins["api_key"] = None, "default"
    if values["base_url"] and origins["backend"] == "default":
        values["backend"], origins["backend"] = "remote", origins["base_url"]
    for name in ("state_dir", "engine_dir", "telemetry_jsonl"):
        if values[name] is not None:
            values[name] = home / values[name]
    if origins["backend"] == "default" and (started := chosen.backend(values["state_dir"])):
        values["backend"], origins["backend"] = started, f"{chosen.BACKEND}: workbench up"
    _use_what_was_chosen(values, origins)
    _fill_defaults_of(values["backend"], values, origins)
    named = frozenset(name for name, text in {**dotenv, **environ}.items() if text)
    return Settings(home=home, origins=MappingProxyType(origins), named=named, **values)


def cannot_be_used(settings: Settings, exc: OSError) -> ConfigError | None:
    """Name the setting whose folder could not be made or written; ``None``: none of them."""
    path = Path(str(exc.filename))
    for item in fields(Settings):
        told = getattr(settings, item.name)
        if item.metadata.get("parse") is Path and told and path.is_relative_to(told):
            origin = settings.origins[item.name]
            return ConfigError(
                f"{item.name} cannot be {told} (from {origin}): {exc.strerror}.",
                hint=f"Name a folder that can be written: {item.metadata['names'][0]}=/path",
                key=item.name,
                source=origin,
            )
    return None


def without_secrets(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what must not be written down."""
    secret = {item.name for item in fields(Settings) if item.metadata.get("parse") is read.secret}
    return {name: value for name, value in arguments.items() if name not in secret}


def _use_what_was_chosen(values: dict[str, Any], origins: dict[str, str]) -> None:
    of_a_file = origins["model"] == "default" or origins["model"].startswith(".env")
    model = chosen.models(values["state_dir"]).get(values["backend"])
    if model and of_a_file and values["backend"] != "remote":
        values["model"], origins["model"] = model, "workbench use"


def _fill_defaults_of(backend: Backend, values: dict[str, Any], origins: Mapping[str, str]) -> None:
    """Fill in what differs from backend to backend; for a container the compose file says it."""
    defaults: dict[str, object] = {"boot_timeout_s": BOOT_TIMEOUT_S[backend]}
    if backend == "embedded":
        defaults |= {"model": EMBEDDED_MODEL, "max_model_len": EMBEDDED_MAX_MODEL_LEN}
    for name, value in defaults.items():
        if origins[name] == "default":
            values[name] = value


def _home(environ: Mapping[str, str], cwd: Path) -> Path:
    """Find the project folder: WORKBENCH_HOME, or the nearest one upwards with models/ in it."""
    if told := environ.get("WORKBENCH_HOME"):
        return Path(told).resolve()
    for folder in (cwd, *cwd.parents):
        if (folder / ".workbench").is_dir() or (folder / "models").is_dir():
            return folder.resolve()
    return cwd.resolve()


def _read_dotenv(path: Path) -> Mapping[str, str]:
    if not path.is_file():
        return {}
    # Imported here: most projects have no .env, and `status` counts milliseconds.
    from dotenv import dotenv_values
    from dotenv.parser import parse_stream

    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigError(
            f"{path} cannot be read: {exc}",
            hint="It is a text file in UTF-8 with lines NAME=value.",
            key=".env",
            source=str(path),
        ) from exc
    # dotenv_values() would pass over such a line, with a remark that does not name the file.
    wrong = next((each for each in parse_stream(StringIO(text)) if each.error), None)
    if wrong:
        raise _no_dotenv(path, wrong.original.line)
    return {name: value for name, value in dotenv_values(stream=StringIO(text)).items() if value}


def _no_dotenv(path: Path, line: int) -> ConfigError:
    return ConfigError(
        f"{path} cannot be understood at line {line}.",
        hint="It has lines NAME=value; a quote that is opened there is not closed, or a = is "
        "missing.",
        key=".env",
        source=f"{path}:{line}",
    )


def _resolve(
    item: Any, given: Any, environ: Mapping[str, str], dotenv: Mapping[str, str]
) -> tuple[Any, str]:
    parse = item.metadata["parse"]
    if given not in (None, ""):
        return _parsed(item.name, str(given), parse, "argument"), "argument"
    for source, prefix in ((environ, ""), (dotenv, ".env: ")):
        for name in item.metadata["names"]:
            if text := source.get(name, "").strip():
                origin = f"{prefix}{name}"
                if text.lower() in item.metadata["for_compose"]:
                    return None, origin
                return _parsed(item.name, text, parse, origin), origin
    return item.default, "default"


def _parsed(key: str, text: str, parse: Callable[[str], Any], source: str) -> Any:
    try:
        return parse(text)
    except ValueError as exc:
        secret = parse is read.secret or (parse in (read.base_url, read.hub) and "@" in text)
        shown = "what it is" if secret else repr(text)
        raise ConfigError(
            f"{key} cannot be {shown} (from {source}): {exc}.",
            hint="`workbench status --settings` lists every setting and where it comes from.",
            key=key,
            source=source,
        ) from exc
