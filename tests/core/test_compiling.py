"""How programs are compiled: options that this XLA does not know are left out."""

import jax
import jax.numpy as jnp
import pytest

from iem_jax.core import compiling
from iem_jax.core.compiling import OPTIONS, compiler_options


@pytest.fixture(autouse=True)
def forget():
    compiler_options.cache_clear()
    yield
    compiler_options.cache_clear()


@pytest.mark.parametrize("quicker", [False, True])
def test_this_xla_takes_the_options(quicker):
    options = compiler_options("cpu", quicker)
    assert options is not None
    assert options.items() >= OPTIONS["cpu"].items()
    assert jax.jit(jnp.square, compiler_options=options)(3) == 9


def test_options_that_later_versions_lack_are_left_out(monkeypatch):
    monkeypatch.setitem(compiling.QUICKER, "cpu", {"xla_cpu_no_such_option": False})
    assert compiler_options("cpu", quicker=True) == OPTIONS["cpu"]


@pytest.mark.parametrize("quicker", [False, True])
def test_other_platforms_keep_their_own(quicker):
    assert compiler_options("gpu", quicker) is None
