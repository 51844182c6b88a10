"""Settings: who wins, where each value came from, and what a wrong one says."""

from __future__ import annotations

from pathlib import Path

import pytest

from workbench import settings
from workbench.errors import ConfigError
from workbench.setting_values import tags_of


def load(home: Path, environ: dict[str, str] | None = None, **arguments: object):
    return settings.load(environ=environ or {}, cwd=home, **arguments)


def test_an_argument_wins_over_environment_over_dotenv_over_default(project: Path):
    """Each source is overruled by the one before it, and says so."""
    (project / ".env").write_text("WORKBENCH_PORT=3\nWORKBENCH_MODEL=three\n")
    found = load(project, {"WORKBENCH_PORT": "2"}, port=1)
    weaker = load(project, {"WORKBENCH_PORT": "2"})
    weakest = load(project)

    assert (found.port, found.origins["port"]) == (1, "argument")
    assert (weaker.port, weaker.origins["port"]) == (2, "WORKBENCH_PORT")
    assert (weakest.port, weakest.origins["port"]) == (3, ".env: WORKBENCH_PORT")
    assert (weakest.model, weakest.origins["backend"]) == ("three", "default")


def test_an_empty_value_counts_as_not_given(project: Path):
    """Compose files and notebooks' parameters write "" for "nothing said"."""
    found = load(project, {"WORKBENCH_MODEL": " "}, backend="", port=None)

    assert (found.model, found.backend, found.port) == ("pocket", "embedded", 8000)


def test_a_base_url_chooses_the_remote_backend(project: Path):
    """Whoever names a server wants that server; naming the backend as well has the last word."""
    url = {"OPENAI_BASE_URL": "http://gpu-box:8000/v1/"}

    assert load(project, url).backend == "remote"
    assert load(project, url).base_url == "http://gpu-box:8000/v1"
    assert load(project, url, backend="embedded").backend == "embedded"


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("WORKBENCH_PORT", "eighty"),
        ("WORKBENCH_PORT", "70000"),
        ("WORKBENCH_TELEMETRY_TAGS", "blue"),
        ("WORKBENCH_TELEMETRY_REDACT", "(open"),
        ("WORKBENCH_TELEMETRY_MAX_BYTES", "much"),
        ("WORKBENCH_TELEMETRY_HASH", "md5"),
        ("WORKBENCH_BACKEND", "embeded"),
        ("WORKBENCH_BASE_URL", "localhost:8000"),
        ("WORKBENCH_MAX_MODEL_LEN", "0"),
        ("WORKBENCH_TELEMETRY", "perhaps"),
    ],
)
def test_a_wrong_value_names_its_source(project: Path, variable: str, text: str):
    """The message has the value and the variable that brought it."""
    with pytest.raises(ConfigError, match=variable) as caught:
        load(project, {variable: text})

    assert text in caught.value.message
    assert caught.value.source == variable


@pytest.mark.parametrize(
    ("variable", "text", "why"),
    [
        ("WORKBENCH_PORT", "abc", "it is a whole number"),
        ("WORKBENCH_MAX_MODEL_LEN", "1_024", "it is a whole number"),
        ("WORKBENCH_MAX_MODEL_LEN", "١٠٢٤", "it is a whole number"),
        ("WORKBENCH_KV_CACHE_GIB", "much", "it is a number"),
        ("WORKBENCH_GPU_MEMORY_UTILIZATION", "0.8_5", "it is a number"),
    ],
)
def test_a_number_is_one_to_vllm_too(project: Path, variable: str, text: str, why: str):
    """Python reads more than that; Compose would hand it on as it stands."""
    with pytest.raises(ConfigError, match=rf"{why}\.") as caught:
        load(project, {variable: text})

    assert "literal" not in caught.value.message


def test_a_dotenv_that_cannot_be_understood_names_its_line(project: Path, caplog):
    """A quote that is not closed swallows all that follows; nothing else is said of it."""
    (project / ".env").write_text("A=1\n\nB=2\nC='open\nWORKBENCH_PORT=1\n")

    with pytest.raises(ConfigError, match=r"\.env cannot be understood at line 4") as caught:
        load(project)

    assert caught.value.source == f"{project / '.env'}:4"
    assert caplog.text == ""


@pytest.mark.parametrize("text", ["auto", "AUTO", "-1"])
def test_a_context_that_vllm_chooses_is_left_to_compose(project: Path, text: str):
    """Compose passes it on by itself; here it is no number, and not the default's either."""
    (project / ".env").write_text(f"WORKBENCH_MAX_MODEL_LEN={text}\n")

    for backend in ("compose", "embedded"):
        found = load(project, backend=backend)

        assert found.max_model_len is None
        assert found.origins["max_model_len"] == ".env: WORKBENCH_MAX_MODEL_LEN"
        assert "WORKBENCH_MAX_MODEL_LEN" in found.named


def test_a_context_that_vllm_chooses_is_no_argument(project: Path):
    """What is passed as an argument would reach Compose as the number that it is not."""
    with pytest.raises(ConfigError, match="max_model_len cannot be 'auto'"):
        load(project, max_model_len="auto")


def test_telemetrys_settings_are_read_as_people_write_them(project: Path):
    """Binary units, and tags with spaces between; a day may be a part of one."""
    found = load(
        project,
        {
            "WORKBENCH_TELEMETRY_MAX_BYTES": "500 MiB",
            "WORKBENCH_TELEMETRY_MAX_AGE_DAYS": "0.5",
            "WORKBENCH_TELEMETRY_TAGS": "team = blue, run=7=8,",
        },
    )

    assert (found.telemetry_max_bytes, found.telemetry_max_age_days) == (500 * 2**20, 0.5)
    assert tags_of(found.telemetry_tags) == {"team": "blue", "run": "7=8"}


def test_an_unknown_setting_is_a_programming_error(project: Path):
    """A typo in Python is a TypeError, as for any keyword argument."""
    with pytest.raises(TypeError, match="prot"):
        load(project, prot=1)


def test_a_secret_does_not_show_itself(project: Path):
    """Neither the settings nor the list of them print the key."""
    found = load(project, {"WORKBENCH_API_KEY": "sk-hidden"})

    assert found.api_key is not None
    assert found.api_key.reveal() == "sk-hidden"
    assert "sk-hidden" not in repr(found) + str(found.described()) + f"{found.api_key}"


def test_the_project_folder_is_found_from_below(project: Path):
    """A kernel in notebooks/ belongs to the project that has models/."""
    (project / "notebooks").mkdir()

    found = settings.load(environ={}, cwd=project / "notebooks")

    assert found.home == project.resolve()
    assert found.state_dir == project.resolve() / ".workbench"


def test_every_setting_can_be_set_from_the_environment_and_is_explained(project: Path):
    """The list has every field, with a meaning."""
    described = load(project).described()

    assert all(text for _, _, _, text in described)
    assert {"backend", "model", "port", "state_dir"} <= {name for name, *_ in described}


def test_a_key_that_cannot_be_a_header_is_refused_without_being_shown(project: Path):
    """A file read with its newline is fine; a control character inside is not, and stays secret."""
    found = load(project, api_key="sk-secret\n")
    assert found.api_key is not None
    assert found.api_key.reveal() == "sk-secret"

    with pytest.raises(ConfigError) as caught:
        load(project, api_key="sk-sec\nret")

    assert "sk-sec" not in str(caught.value)


def test_a_key_for_openai_goes_to_no_other_server(project: Path):
    """OPENAI_API_KEY belongs to OPENAI_BASE_URL."""
    key = {"OPENAI_API_KEY": "sk-real"}

    other = load(project, {**key, "WORKBENCH_BASE_URL": "http://gpu-box:8000/v1"})
    openai = load(project, {**key, "OPENAI_BASE_URL": "http://gpu-box:8000/v1"})

    assert other.api_key is None
    assert openai.api_key is not None


def test_python_arguments_are_checked_like_text(project: Path):
    """A number out of range is refused wherever it comes from."""
    with pytest.raises(ConfigError, match="port"):
        load(project, port=70000)
    with pytest.raises(ConfigError, match="password") as caught:
        load(project, base_url="http://me:hidden@host/v1")

    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize(
    ("profiles", "meant"),
    [("cpu", "cpu"), ("cpu,sidecar", "cpu"), ("observe, cpu", "cpu"), ("observe", None)],
)
def test_what_watches_is_no_server(project: Path, profiles: str, meant: str | None):
    """COMPOSE_PROFILES may name Prometheus and Grafana beside the server, in any order."""
    assert load(project, {"COMPOSE_PROFILES": profiles}).profile == meant
