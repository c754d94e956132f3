"""The house: rooms, the direction of imports, private names, and how many doors a floor has."""

import ast
import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "iem_jax"
FLOORS = ("app", "output", "segmenter", "refine", "finishing", "search", "evaluation", "data", "core", "config")
NOT_BELOW = {("data", "core"), ("evaluation", "data"), ("search", "data"), ("search", "evaluation")}
FILES = sorted(path for path in PACKAGE.rglob("*.py") if path.parent != PACKAGE or path.name == "config.py")


def imports(path: Path) -> Iterator[tuple[str, str]]:
    """Yield each module of the package that a file imports from, and the name."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("iem_jax"):
            yield from ((str(node.module), alias.name) for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names if alias.name.startswith("iem_jax"))


def room_of(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_down(path: Path):
    own = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    for module, name in imports(path):
        room = room_of(module) or (name if name in FLOORS else "")
        if not room:  # the package's version and the like
            assert own == "app", f"{path} imports the public API"
            continue
        assert FLOORS.index(room) >= FLOORS.index(own), f"{own} may not use {room}: {module}"
        assert (own, room) not in NOT_BELOW, f"{own} may not use {room}: {module}"
        assert room == own or not name.startswith("_"), f"{module}.{name} is private to {room}"


@pytest.mark.parametrize("room", FLOORS[:-1])
def test_rooms_say_what_belongs_in_them(room: str):
    text = ast.get_docstring(ast.parse((PACKAGE / room / "__init__.py").read_text()))
    assert text is not None
    assert len(text) > 100
    assert "may use" in text.lower() or "rooms below" in text or "all the others" in text


def test_few_doors():
    names = {path.name for path in PACKAGE.iterdir() if path.suffix == ".py" or (path / "__init__.py").is_file()}
    assert len(names) <= 12, names


def test_data_needs_no_jax():
    for path in (PACKAGE / "data").glob("*.py"):
        assert "import jax" not in path.read_text(), path


def test_tests_mirror_the_rooms():
    folders = {path.parent.name for path in Path(__file__).parent.glob("*/test_*.py")}
    assert folders >= set(FLOORS[:-1])


def test_public_names_are_not_shadowed():
    """A module of the same name, imported later, would take the function's place."""
    import iem_jax

    assert importlib.import_module("iem_jax.core.objective")

    assert callable(iem_jax.objective)
    assert callable(iem_jax.run)


def test_the_list_of_modules_is_true():
    page = (PACKAGE.parent / "CONTRIBUTING.md").read_text()
    listed = set(re.findall(r"\b(\w+\.py)\b", page[page.index("run.py  ") : page.index("```", page.index("run.py  "))]))
    there = {path.name for path in PACKAGE.rglob("*.py")} | {"run.py"}
    assert listed == there
