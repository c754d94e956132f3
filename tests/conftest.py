"""What all tests share: strict settings, options, the photographs and a counter of compilations."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

os.environ.setdefault("JAX_PLATFORMS", "cpu")  # also for the command line run in subprocesses
# Nor may those use the user's caches. Workers get the folder from the process that started them.
os.environ["XDG_CACHE_HOME"] = os.environ.setdefault("IEM_JAX_TESTS_CACHE", tempfile.mkdtemp(prefix="iem_jax-tests-"))

import jax
import numpy as np
import pytest
from browser import Browser, open_browser

from iem_jax.data.flowers import list_flowers
from iem_jax.data.loader import load_samples

ROOT = Path(__file__).parents[1]
SHARED = Path(os.environ.get("IEM_JAX_SHARED", ROOT.parent / "shared"))
COMPILED = "/jax/core/compile/backend_compile_duration"

jax.config.update("jax_platforms", "cpu")
jax.config.update("jax_numpy_rank_promotion", os.environ.get("JAX_NUMPY_RANK_PROMOTION", "raise"))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--slow", action="store_true", help="also run the tests marked slow")


def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        shutil.rmtree(os.environ["IEM_JAX_TESTS_CACHE"], ignore_errors=True)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("--slow"):
        for item in items:
            if "slow" in item.keywords:
                item.add_marker(pytest.mark.skip(reason="slow: give --slow to run it"))


@pytest.fixture(scope="session")
def flowers17() -> Path:
    """The folder of 914 photographs in the Flowers layout (SPEC section 5)."""
    return _shared("flowers17")


@pytest.fixture(scope="session")
def golden() -> Callable[[str], dict[str, np.ndarray]]:
    """Read one golden run of the reference."""
    folder = _shared("golden")
    return lambda name: dict(np.load(folder / f"{name}.npz"))


def _shared(name: str) -> Path:
    folder = SHARED / name
    if not folder.is_dir():
        pytest.skip(f"there is no {folder}: set IEM_JAX_SHARED to the folder that holds flowers17/ and golden/")
    return folder


@pytest.fixture(scope="session")
def photographs(flowers17: Path) -> tuple[np.ndarray, np.ndarray]:
    """The first 16 photographs of the test split, (16, 128, 128, 3) uint8, and their ground truths."""
    loaded = list(load_samples(list_flowers(flowers17, "test")[:16], 128))
    return np.stack([item.image for item in loaded]), np.stack([item.ground_truth for item in loaded])


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Headless Chromium, one for all tests."""
    with open_browser() as browser:
        yield browser


@pytest.fixture
def compilations() -> Iterator[list[str]]:
    """The names of the functions compiled since the test began; clear it to count anew."""
    names: list[str] = []

    def listen(event: str, _duration: float, **details: str) -> None:
        if event == COMPILED:
            names.append(str(details.get("fun_name")))

    jax.monitoring.register_event_duration_secs_listener(listen)
    yield names
    jax.monitoring.unregister_event_duration_listener(listen)


@pytest.fixture(scope="session")
def objective_gradient() -> Callable[..., tuple[jax.Array, jax.Array]]:
    """The closed form: (image (H, W, C), mask (H, W), config) -> (gradient (H, W), inpainting error)."""
    from iem_jax.core.objective import objective_gradient

    return objective_gradient
