"""Standard streams that are closed, full or end early, signals, and paths: the command as a shell runs it."""

import os
import re
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest
from drawings import draw_folder, read_tree

from iem_jax.app.command import main, parse
from iem_jax.app.config import check_run_config
from iem_jax.config import UsageError

ROOT = Path(__file__).parents[2]
FLAGS = "--size=32 --iters=2 --preset=paper"


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> Path:
    return draw_folder(tmp_path_factory.mktemp("pictures"), 8)


@pytest.fixture(scope="module")
def masks(pictures, tmp_path_factory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("whole") / "out"
    assert shell(pictures, folder, "").returncode == 0
    return files(folder)


def files(folder: Path) -> dict[str, bytes]:
    """All files but the summary, which holds times."""
    return {name: data for name, data in read_tree(folder).items() if name != "summary.json"}


def shell(pictures: Path, output: Path, ending: str) -> subprocess.CompletedProcess[str]:
    command = f"{sys.executable} {ROOT}/run.py --images={pictures} --output_dir={output} {FLAGS} {ending}"
    return subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize(
    ("ending", "status"),
    [
        ("| head -1", 0),
        ("> /dev/full", 1),
        ("2>&-", 0),
        pytest.param(">&-", 0, marks=pytest.mark.slow),
        pytest.param("2> /dev/full", 0, marks=pytest.mark.slow),
        pytest.param("<&- >&- 2>&-", 0, marks=pytest.mark.slow),
        pytest.param("2>&1 | head -c 1", 0, marks=pytest.mark.slow),
    ],
)
def test_tables_are_never_lost(pictures, masks, tmp_path, ending, status):
    found = shell(pictures, tmp_path / "out", ending)
    assert found.returncode == status
    assert "Traceback" not in found.stderr + found.stdout
    assert "Exception ignored" not in found.stderr
    assert files(tmp_path / "out") == masks
    assert (tmp_path / "out/summary.json").is_file()
    if ending == "> /dev/full":
        assert "standard output cannot be written: No space left on device" in found.stderr


def start(pictures: Path, output: Path, *before: str) -> subprocess.Popen[str]:
    command = [*before, sys.executable, str(ROOT / "run.py"), f"--images={pictures}", f"--output_dir={output}"]
    return subprocess.Popen(
        [*command, "--size=32", "--iters=40", "--preset=paper"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for_masks(run: subprocess.Popen[str], output: Path, number: int = 1) -> None:
    while run.poll() is None and len(list(output.rglob("masks/**/*.png"))) < number:
        time.sleep(0.001)


@pytest.fixture(scope="module")
def many(tmp_path_factory) -> Path:
    return draw_folder(tmp_path_factory.mktemp("many"), 300)


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGTERM, 143), pytest.param(signal.SIGHUP, 129, marks=pytest.mark.slow)]
)
def test_signals_finish_what_is_in_flight(many, tmp_path, number, status):
    with start(many, tmp_path) as run:
        wait_for_masks(run, tmp_path)
        run.send_signal(number)
        _, errors = run.communicate()
    assert run.returncode == status
    assert errors.splitlines()[-1].endswith("the same command goes on from there.")
    assert "Traceback" not in errors


def test_a_second_signal_says_how_to_go_on(many, tmp_path):
    with start(many, tmp_path) as run:
        wait_for_masks(run, tmp_path)
        run.send_signal(signal.SIGINT)
        while "finishing" not in run.stderr.readline():
            pass
        run.send_signal(signal.SIGTERM)
        errors = run.stderr.read()
    assert run.returncode in (143, 130)  # the run may have come to its end between the two
    assert errors.splitlines()[-1].endswith("the same command goes on from there.")
    assert "Traceback" not in errors


@pytest.mark.slow
def test_what_nohup_ignores_stays_ignored(pictures, masks, tmp_path):
    with start(pictures, tmp_path / "out", "nohup") as run:
        wait_for_masks(run, tmp_path / "out")
        run.send_signal(signal.SIGHUP)
        run.communicate()
    assert run.returncode == 0


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt" or os.geteuid() != 0, reason="needs root for a process space of its own")
def test_process_1_of_a_container_hears_sigterm(many, tmp_path):
    inside = ["unshare", "--pid", "--fork", "--kill-child=SIGKILL"]
    if subprocess.run([*inside, "true"], capture_output=True).returncode:
        pytest.skip("there is no unshare, or it may not")
    with start(many, tmp_path, *inside) as run:
        wait_for_masks(run, tmp_path)
        (child,) = Path(f"/proc/{run.pid}/task/{run.pid}/children").read_text().split()
        os.kill(int(child), signal.SIGTERM)
        _, errors = run.communicate()
    assert run.returncode == 143
    assert errors.splitlines()[-1].endswith("the same command goes on from there.")


def has_handler(process: int, number: int) -> bool:
    found = re.findall(r"SigCgt:\s*(\w+)", Path(f"/proc/{process}/status").read_text())
    return bool(int(found[0], 16) >> number - 1 & 1)


PATHS = ["output_dir", "images", "masks", "dataset_path", "cache_dir", "profile_dir", "refine_checkpoint"]


@pytest.mark.parametrize("name", PATHS)
@pytest.mark.parametrize("value", ["", " "])
def test_an_empty_path_is_an_error(name, value, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["run.py", f"--{name}={value}"]) == 2
    assert f"`{name}` must be a path, got an empty one" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("other", ["--download=flowers", "--evaluate=a,b"])
def test_an_empty_path_is_an_error_whatever_is_to_be_done(other, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["run.py", other, "--dataset_path= "]) == 2
    assert "`dataset_path` must be a path, got an empty one" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", [*PATHS, "compilation_cache_dir"])
def test_a_tilde_is_the_home_folder(name, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    config, _ = parse(["run.py", f"--{name}=~/a/~b"])
    groups = (config.source, config.output, config.computing, config.algorithm)
    values = [getattr(group, name) for group in groups if hasattr(group, name)]
    assert values == [f"{tmp_path}/a/~b"]


def test_the_first_argument_too(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert parse(["run.py", "~/flowers"])[0].source.dataset_path == f"{tmp_path}/flowers"
    with pytest.raises(UsageError, match="`dataset_path` must be a path, got an empty one"):
        check_run_config(parse(["run.py", ""])[0])


def entries() -> dict[str, list[str]]:
    """The ways to start the command, the console script as pip writes it."""
    script = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]["iem-jax"]
    module, _, function = script.partition(":")
    code = f"import sys; from {module} import {function}; sys.exit({function}())"
    return {"run.py": ["run.py"], "iem-jax": ["-c", code], "python -m iem_jax": ["-m", "iem_jax"]}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("entry", entries().values(), ids=entries().keys())
def test_signals_are_heard_while_packages_are_imported(entry, number):
    """By their handlers: process 1 of a container ignores what has none."""
    before = signal.signal(number, signal.SIG_DFL)  # jobs in the background may ignore Ctrl-C, and so would the run
    try:
        run = subprocess.Popen(
            [sys.executable, *entry, "--help"], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
    finally:
        signal.signal(number, before or signal.SIG_DFL)
    with run:
        while not has_handler(run.pid, signal.SIGTERM):
            time.sleep(0.005)
        assert "jaxlib" not in Path(f"/proc/{run.pid}/maps").read_text()
        time.sleep(0.02)  # for the handlers that are set after that one
        run.send_signal(number)
        assert run.communicate(timeout=60) == (b"", b"")
    assert run.returncode == 128 + number
