"""start.py, run as the container runs it, on an image of a few files."""

from __future__ import annotations

import ast
import re
import resource
import stat

import pytest
import wsl

from tests.container.image import CONTAINER, CUDA, Image, ended
from workbench.doctor.compose_rules import startup

pytestmark = pytest.mark.processes

UNTIL_0_28 = """\
def cuda_platform_plugin():
    is_cuda = False
    return "vllm.platforms.cuda.CudaPlatform" if is_cuda else None


def rocm_platform_plugin() -> "str | None":
    is_rocm = False
    try:
        import amdsmi

        amdsmi.amdsmi_init()
        if len(amdsmi.amdsmi_get_processor_handles()) > 0:
            is_rocm = True
    except Exception:
        pass

    return "vllm.platforms.rocm.RocmPlatform" if is_rocm else None


def other_platform_plugin():
    is_rocm = False
    return is_rocm
"""
"""The shape of vllm/platforms/__init__.py in 0.9.2 to 0.28.0; the last function is a trap."""

FROM_0_29 = UNTIL_0_28.replace(
    "        pass\n",
    "        pass\n\n    if not is_rocm and in_wsl():\n        is_rocm = torch_sees_it()\n",
)

UNKNOWN = {
    "two verdicts": UNTIL_0_28.replace("        pass\n", "        is_rocm = False\n"),
    "no verdict": UNTIL_0_28.replace("is_rocm", "found"),
    "no plugin": "PLUGINS = {}\n",
    "not text": "\0",
}

LEGACY = (
    "36 35 8:1 /opt/rocm-6.4.2/lib/x /opt/rocm-6.4.2/lib/libhsa-runtime64.so.1.15 ro - ext4 x\n"
)


def platform(image: Image) -> object:
    """Ask the plugin of the image's vLLM; there is no amdsmi here either."""
    names: dict[str, object] = {}
    exec(compile(image.platforms.read_text(), image.platforms, "exec"), names)
    return names["rocm_platform_plugin"]()  # type: ignore[operator]


@pytest.mark.parametrize("version", ["0.9.2", "0.16.1.dev0+g89a77b108", "0.28.0", "garbled"])
def test_under_wsl_an_old_vllm_takes_the_rocm_platform(image: Image, version: str):
    """One word of one function changes, and the plugin says yes without amdsmi."""
    image.install(version, UNTIL_0_28)
    image.add_wsl()

    run = image.start()

    assert run.status == 0
    assert "is_rocm patched" in run.said
    assert platform(image) == "vllm.platforms.rocm.RocmPlatform"
    assert image.platforms.read_text() == UNTIL_0_28.replace("is_rocm = False", "is_rocm = True", 1)


@pytest.mark.parametrize(
    ("version", "text"),
    [("0.29.0", FROM_0_29), ("0.33.0", "all = 'different'\n"), ("0.1.dev7+g0f1e2d3", FROM_0_29)],
)
def test_a_vllm_that_knows_wsl_is_left_alone(image: Image, version: str, text: str):
    """From 0.29 on, and in a build from git that says so only in its text."""
    image.install(version, text)
    image.add_wsl()

    run = image.start()

    assert run.status == 0
    assert "it knows WSL itself" in run.said
    assert image.platforms.read_text() == text


def test_outside_wsl_nothing_is_touched(image: Image):
    """Without /dev/dxg a file that nobody could patch is nobody's trouble."""
    image.install("0.16.0", UNKNOWN["no plugin"])

    run = image.start()

    assert (run.status, run.said) == (0, "start.py: nothing to prepare")


def test_a_cuda_build_is_not_patched(image: Image):
    """NVIDIA's containers under WSL have /dev/dxg as well."""
    image.install("0.16.0", UNTIL_0_28, torch=CUDA)
    image.add_wsl()

    run = image.start()

    assert run.status == 0
    assert image.platforms.read_text() == UNTIL_0_28


def test_a_second_start_finds_the_patch_done(image: Image):
    """A container that is restarted keeps its files, and its vLLM starts again."""
    image.install("0.16.0", UNTIL_0_28)
    image.add_wsl()
    image.start()
    patched = image.platforms.stat()

    run = image.start()

    assert run.status == 0
    assert "is_rocm was patched before" in run.said
    assert image.platforms.stat() == patched


def test_starts_at_the_same_moment_leave_one_whole_file(image: Image):
    """Whoever is last replaces a whole file by the same whole file."""
    image.install("0.16.0", UNTIL_0_28)
    image.add_wsl()

    runs = [ended(start) for start in [image.begin("vllm", "serve") for _ in range(6)]]

    assert [run.status for run in runs] == [0] * 6
    assert platform(image) == "vllm.platforms.rocm.RocmPlatform"
    assert [path.name for path in image.platforms.parent.iterdir()] == ["__init__.py"]


def test_the_patched_file_keeps_its_permissions(image: Image):
    """Temporary files are private; vLLM may run as another user."""
    image.install("0.16.0", UNTIL_0_28)
    image.add_wsl()
    image.platforms.chmod(0o664)

    image.start()

    assert stat.S_IMODE(image.platforms.stat().st_mode) == 0o664


@pytest.mark.parametrize("text", UNKNOWN.values(), ids=UNKNOWN)
def test_an_unknown_text_stops_the_start_with_one_sentence(image: Image, text: str):
    """A guess would end minutes later, in "Failed to infer device type"."""
    image.install("0.16.0", text)
    image.add_wsl()

    run = image.start()

    assert (run.status, run.became) == (wsl.UNEXPECTED, {})
    assert re.fullmatch(rf"start\.py: {image.platforms} .*0\.29 or later.*\.\n", run.complaint)
    assert image.platforms.read_text() == text


def test_a_file_that_cannot_be_written_stays_as_it_was(image: Image):
    """
    The status is its own, and nothing half written is left.

    Permissions do not bind root, who may run this; a limit on the size of files does.
    """
    image.install("0.16.0", UNTIL_0_28)
    image.add_wsl()

    run = image.start(preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0)))

    assert (run.status, run.became) == (wsl.UNWRITABLE, {})
    assert re.fullmatch(
        r"start\.py: .* cannot be written \(.*\)\. .*`read_only`.*\n", run.complaint
    )
    assert image.platforms.read_text() == UNTIL_0_28
    assert [path.name for path in image.platforms.parent.iterdir()] == ["__init__.py"]


def test_on_the_legacy_stack_torchs_own_runtime_is_moved_aside(image: Image):
    """Once and for good: the second start finds nothing to move."""
    image.install("0.9.2", UNTIL_0_28)
    image.add_wsl(mounts=LEGACY)
    (image.torch_lib / "libhsa-runtime64.so").touch()
    (image.torch_lib / "libtorch.so").touch()

    first, second = image.start(), image.start()

    assert "torch's libhsa-runtime64.so moved aside" in first.said
    assert (second.status, "aside" in second.said) == (0, False)
    assert sorted(path.name for path in image.torch_lib.iterdir()) == [
        "libhsa-runtime64.so.aside",
        "libtorch.so",
    ]


@pytest.mark.parametrize(
    ("mounts", "library"),
    [
        ("", "usr/lib/nothing"),
        (LEGACY, "usr/lib/librocdxg.so"),
        (LEGACY, "opt/rocm-7.2.1/lib/librocdxg.so.1"),
    ],
    ids=["not mounted", "ROCDXG mounted", "ROCDXG in the image"],
)
def test_elsewhere_torchs_runtime_stays(image: Image, mounts: str, library: str):
    """With ROCDXG it is the right one."""
    image.install("0.16.0", UNTIL_0_28)
    image.add_wsl(mounts=mounts)
    (image.root / library).parent.mkdir(parents=True)
    (image.root / library).touch()
    (image.torch_lib / "libhsa-runtime64.so").touch()

    image.start()

    assert [path.name for path in image.torch_lib.iterdir()] == ["libhsa-runtime64.so"]


def test_a_runtime_that_cannot_be_moved_stops_the_start(image: Image):
    """It would hide the GPU from torch."""
    image.install("0.9.2", UNTIL_0_28)
    image.add_wsl(mounts=LEGACY)
    (image.torch_lib / "libhsa-runtime64.so").touch()
    (image.torch_lib / "libhsa-runtime64.so.aside").mkdir()

    run = image.start()

    assert (run.status, run.became) == (wsl.UNWRITABLE, {})
    assert "cannot be moved aside" in run.complaint


@pytest.mark.parametrize(
    ("version", "given", "runner"),
    [
        ("0.21.0", None, None),
        ("0.22.0", None, "0"),
        ("0.30.2", "", "0"),
        ("0.24.0", "1", "1"),
        ("0.31.0", None, None),
        ("garbled", None, None),
    ],
)
def test_the_older_model_runner_is_chosen_where_the_newer_one_cannot_start(
    image: Image, version: str, given: str | None, runner: str | None
):
    """Under WSL, in 0.22 to 0.30, unless the user has set it; Compose sets "" for nothing."""
    image.install(version, FROM_0_29)
    image.add_wsl()

    run = image.start(env={} if given is None else {"VLLM_USE_V2_MODEL_RUNNER": given})

    assert run.became["env"].get("VLLM_USE_V2_MODEL_RUNNER") == runner


def test_the_doctor_knows_the_same_versions():
    """The package and the container know nothing of each other, and must say the same of vLLM."""
    assert (startup.NEEDS_UVA, startup.WITHOUT_UVA) == (wsl.NEEDS_UVA, wsl.WITHOUT_UVA)
    assert startup.DETECTS_WSL == wsl.KNOWS_WSL


def test_a_python_without_vllm_is_no_reason_to_stop(image: Image):
    """The command on PATH may belong to another Python."""
    image.add_wsl()

    run = image.start()

    assert run.status == 0
    assert "no package vllm" in run.said


def test_vllm_is_the_process_and_gets_its_arguments(image: Image):
    """Signals and the exit status are vLLM's own: nothing stands between."""
    run = image.start("vllm", "serve", "--model", "a b", "")

    assert run.became["argv"] == ["serve", "--model", "a b", ""]
    assert run.became["pid"] == run.pid


@pytest.mark.parametrize(
    ("command", "status"),
    [(["vlm"], 127), (["./"], 126), ([], 2)],
    ids=["missing", "folder", "none"],
)
def test_what_cannot_be_run_ends_as_in_a_shell(image: Image, command: list[str], status: int):
    """One sentence, and the status that a shell would give."""
    run = ended(image.begin(*command))

    assert run.status == status
    assert run.complaint.startswith("start.py: ")
    assert run.complaint.count("\n") == 1


def test_without_an_endpoint_logging_is_untouched(image: Image):
    """Compose passes the endpoint as an empty text when it is not set."""
    run = image.start(env={"LOGGING_ENDPOINT": ""})

    assert "VLLM_LOGGING_CONFIG_PATH" not in run.became["env"]
    assert run.became["env"]["PYTHONPATH"] == str(image.site)


def test_with_an_endpoint_vllm_is_given_the_log_configuration(image: Image):
    """The user's PYTHONPATH stays, behind; what is secret in the URL is not printed."""
    run = image.start(env={"LOGGING_ENDPOINT": "http://me:hunter2@localhost:5000/logs?key=hunter2"})

    assert run.said == "start.py: the log goes to http://host.docker.internal:5000/logs too"
    assert run.became["env"]["VLLM_LOGGING_CONFIG_PATH"] == str(CONTAINER / "logging.json")
    assert run.became["env"]["PYTHONPATH"] == f"{CONTAINER}:{image.site}"


@pytest.mark.parametrize(
    "env",
    [
        {"LOGGING_ENDPOINT": "localhost:5000/hunter2"},
        {"LOGGING_ENDPOINT": "http://me:hunter2"},
        {"LOGGING_LEVEL": "hunter2"},
        {"VLLM_LOGGING_CONFIG_PATH": "/mine.json"},
        {"VLLM_CONFIGURE_LOGGING": "0"},
    ],
    ids=["no scheme", "no host", "no level", "own configuration", "no configuration"],
)
def test_a_log_that_cannot_be_shipped_is_said_and_vllm_starts(image: Image, env: dict[str, str]):
    """And what the user has set stays."""
    run = image.start(env={"LOGGING_ENDPOINT": "http://logs:5000", **env})

    assert run.said.startswith("start.py: the log is not shipped: ")
    assert "hunter2" not in run.said
    became = {key: run.became["env"].get(key) for key in ("VLLM_LOGGING_CONFIG_PATH", *env)}
    assert became == {"VLLM_LOGGING_CONFIG_PATH": None, **env}


def test_the_files_are_for_python_3_10():
    """The oldest Python of the images is 3.10."""
    files = {path.name: path.read_text() for path in CONTAINER.glob("*.py")}

    assert {"start.py", "wsl.py"} <= files.keys()
    assert [name for name, text in files.items() if not is_of_3_10(text)] == []
    assert not is_of_3_10("try:\n    pass\nexcept* OSError:\n    pass\n")  # 3.11's


def is_of_3_10(text: str) -> bool:
    try:
        ast.parse(text, feature_version=(3, 10))
    except SyntaxError:
        return False
    return True
