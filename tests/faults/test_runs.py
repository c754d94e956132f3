"""A run under a fault ends with one sentence or with the right files, and the same command then gives the right files.

The whole range of events is walked with `--slow`; without it a sample.
"""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from drawings import draw, draw_folder, read_tree
from pictures import write_flowers

from faults.injection import KINDS, Faults, Killed
from iem_jax.app.config import RunConfig, change, run_config
from iem_jax.app.pipeline import run_pipeline
from iem_jax.config import IEMConfig, UsageError

SMALL = IEMConfig(size=32, iters=3)
PRODUCTS = {"cutouts": True, "overlays": True, "report": True}
SAMPLE = 6  # events of each kind without --slow


@dataclasses.dataclass
class Case:
    """A run, what it gives, and how many events it has."""

    config: RunConfig
    status: int = 0
    whole: dict[str, bytes] = dataclasses.field(default_factory=dict)
    events: int = 0

    def run(self, output: Path, **changes: object) -> int:
        return run_pipeline(change(self.config, output_dir=str(output), **changes))


def comparable(folder: Path) -> dict[str, bytes]:
    """All files; of summary.json without the seconds and the folder's own name."""
    tree = read_tree(folder)
    summary = json.loads(tree["summary.json"])
    del summary["seconds"], summary["config"]["output_dir"]
    return tree | {"summary.json": json.dumps(summary).encode()}


@pytest.fixture(scope="module", params=["folder", "data set"])
def case(request, tmp_path_factory) -> Case:
    base = tmp_path_factory.mktemp("case")
    if request.param == "folder":
        folder = draw_folder(base / "in", 5)
        (folder / "broken.jpg").write_bytes(b"no picture")
        found = Case(run_config(iem=SMALL, images=str(folder), quiet=True, **PRODUCTS), 1)
    else:
        found = Case(run_config(iem=SMALL, dataset_path=str(write_flowers(base / "set", 6)), quiet=True))
    with Faults(base / "out").injected() as faults:
        assert found.run(base / "out") == found.status
    found.whole, found.events = comparable(base / "out"), faults.number
    assert found.events > 50
    return found


def spread(case: Case, wants_all: bool) -> range:
    return range(0, case.events, 1 if wants_all else max(case.events // SAMPLE, 1))


@pytest.fixture
def wants_all(request) -> bool:
    return request.config.getoption("--slow")


def each(case: Case, wants_all: bool, base: Path, try_one: Callable[[Path, int], None]) -> None:
    for at in spread(case, wants_all):
        output = base / f"{at}"
        try:
            try_one(output, at)
            assert comparable(output) == case.whole
            assert not list(output.rglob(".writing-*"))
        except (Exception, Killed) as error:
            error.add_note(f"at event {at}")
            raise


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_command_gives_the_right_files(case, wants_all, tmp_path, kind, capsys):
    def try_one(output: Path, at: int) -> None:
        with Faults(output, kind, at).injected():
            try:
                status = case.run(output)
            except Killed:
                status = -9
            except UsageError as error:  # the folder cannot be made, or the manifest not be begun
                status = 2
                assert "that can be" in str(error)  # noqa: PT017
        errors = capsys.readouterr().err
        if kind == "short":
            assert status == case.status
            assert comparable(output) == case.whole
        elif status not in (-9, case.status):
            assert status in (1, 2)
            assert "the same command goes on from there" in errors or status == 2
        for path, data in read_tree(output).items() if output.exists() else ():
            if not path.split("/")[-1].startswith((".writing-", "manifest", "curves", "summary", "report")):
                assert data == case.whole[path]  # a file is whole or not there
        assert case.run(output) == case.status

    each(case, wants_all, tmp_path, try_one)


@pytest.mark.parametrize("names_too", [False, True])
def test_power_cut(case, wants_all, tmp_path, names_too):
    def try_one(output: Path, at: int) -> None:
        with Faults(output, "kill", at).injected() as faults, pytest.raises(Killed):
            case.run(output)
        if output.exists():
            faults.cut_power(names_too)
        assert case.run(output) == case.status

    each(case, wants_all, tmp_path, try_one)


def test_a_power_cut_after_the_end_costs_nothing(case, tmp_path, capsys):
    with Faults(tmp_path / "out").injected() as faults:
        case.run(tmp_path / "out")
    before = comparable(tmp_path / "out")
    faults.cut_power(names_too=True)
    assert comparable(tmp_path / "out") == before


def test_pictures_that_change(tmp_path):
    """At any moment; the result is that of the picture that is there at the end."""
    folder = draw_folder(tmp_path / "in", 5)
    config = run_config(iem=SMALL, images=str(folder), quiet=True)
    assert run_pipeline(change(config, output_dir=str(tmp_path / "out"))) == 0
    for at in (0, 4, 9, 14, 19, 24):
        draw(0).save(folder / "00.jpg", quality=95)

        def repaint(seed: int = at + 50) -> None:
            draw(seed).save(folder / "00.jpg", quality=95)

        output = tmp_path / f"{at}"
        with Faults(output, "call", at, repaint).injected():
            run_pipeline(change(config, output_dir=str(output)))
        assert run_pipeline(change(config, output_dir=str(output))) == 0
        assert run_pipeline(change(config, output_dir=str(tmp_path / f"anew {at}"))) == 0
        assert comparable(output) == comparable(tmp_path / f"anew {at}")
