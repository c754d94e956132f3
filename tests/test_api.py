"""The public names, their docstrings, and the examples of the README."""

import inspect
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import iem_jax
from iem_jax.app.command import define_flags

ROOT = Path(__file__).parents[1]
FUNCTIONS = (
    *("segment", "segment_best", "segment_image", "run", "step", "init", "inpaint"),
    *("inpainting_error", "diversity", "objective", "score_masks"),
)


def test_design_is_exported():
    for name in ("IEMConfig", "Segmentation", "Segmenter", *FUNCTIONS):
        assert hasattr(iem_jax, name), name


def test_nothing_else_is_exported():
    """`__all__` or, without one, the names re-exported as themselves."""
    public = set(getattr(iem_jax, "__all__", ())) or set(
        re.findall(r"import (\w+) as \1", Path(iem_jax.__file__).read_text())
    )
    assert public == {"IEMConfig", "Segmentation", "Segmenter", "UsageError", *FUNCTIONS}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_docstrings(name: str):
    function = getattr(iem_jax, name)
    text = inspect.getdoc(function)
    assert text
    assert text.splitlines()[0].endswith(".")
    assert "Args:" in text
    assert "Returns:" in text
    for parameter in inspect.signature(function).parameters:
        assert re.search(rf"^ +{parameter}: ", text, re.MULTILINE), f"Args of {name} lack {parameter}"


def test_names_are_those_that_type_checkers_see():
    text = Path(iem_jax.__file__).read_text()
    assert sorted(re.findall(r"from ([\w.]+) import (\w+) as \2", text)) == sorted(
        (f"iem_jax.{home}", name) for home, names in iem_jax._HOMES.items() for name in names
    )


def test_names_are_imported_when_they_are_asked_for():
    """Signals are to be heard before JAX is imported, which takes a second or two."""
    code = "import sys, iem_jax; print('jax' in sys.modules, *sorted(set(dir(iem_jax)) & set(iem_jax.__all__)))"
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert found.stdout.split() == ["False", *sorted(iem_jax.__all__)]
    with pytest.raises(AttributeError, match="no attribute 'segmnt'"):
        _ = iem_jax.segmnt


def test_version():
    assert re.fullmatch(r"\d+\.\d+\.\d+\w*", iem_jax.__version__)


def test_is_typed():
    assert (Path(iem_jax.__file__).parent / "py.typed").is_file()


def test_size_of_files():
    """STYLE.md: files up to about 300 lines."""
    for path in [*ROOT.glob("iem_jax/**/*.py"), *ROOT.glob("tests/**/*.py"), ROOT / "run.py"]:
        assert len(path.read_text().splitlines()) <= 330, path


def test_readme_is_a_front_page():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 200


def test_links_of_the_pages_lead_somewhere():
    for page in [ROOT / "README.md", *ROOT.glob("docs/*.md")]:
        text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
        for link in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text):
            assert link.startswith("https://") or (page.parent / link).exists(), f"{page}: {link}"


def test_all_flags_are_documented():
    """But those of the network's training, which --help lists."""
    page = (ROOT / "docs" / "command_line.md").read_text()
    named = set(re.findall(r"^\| `--(\w+)` \|", page, re.MULTILINE)) - {"flagfile"}
    assert named == {name for name in define_flags() if not re.match(r"refine_(?!checkpoint$)", name)}


def test_readme_examples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Every Python block runs, in order, in one namespace."""
    readme = ROOT / "README.md"
    if not readme.is_file():
        pytest.skip("there is no README.md yet")
    blocks = re.findall(r"^```python\n(.*?)^```", readme.read_text(), re.MULTILINE | re.DOTALL)
    assert blocks
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, object] = {"__name__": "readme"}
    for block in blocks:
        exec(compile(block, str(readme), "exec"), namespace)


def test_metadata_for_a_package_index():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert {"authors", "classifiers", "description", "keywords", "license", "readme", "urls"} <= project.keys()
    assert "Typing :: Typed" in project["classifiers"]
