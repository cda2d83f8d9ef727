"""Annotations are honoured, or it is said that they are not."""

from __future__ import annotations

import warnings

import dask
import pytest

import mobula.dask as mobula_dask
from mobula.dask import AnnotationWarning


class Flaky:
    """Fails so many times."""

    def __init__(self, failures):
        self.left = failures

    def __call__(self, value=None):
        if self.left:
            self.left -= 1
            raise ValueError("not yet")
        return value


def test_retries_are_made():
    flaky = Flaky(2)
    with dask.annotate(retries=2):
        value = dask.delayed(flaky, pure=False)(5)
    assert value.compute(scheduler="mobula") == 5


def test_retries_are_not_endless():
    with dask.annotate(retries=2):
        value = dask.delayed(Flaky(3), pure=False)(5)
    with pytest.raises(ValueError, match="not yet"):
        value.compute(scheduler="mobula")


@pytest.mark.skipif(
    not hasattr(dask, "_expr"),
    reason="this Dask hands over what it has optimised, and nothing else",
)
def test_retries_survive_the_optimisation_of_arrays():
    np = pytest.importorskip("numpy")
    da = pytest.importorskip("dask.array")
    flaky = Flaky(2)

    def change(block):
        return flaky(block + 1)

    with dask.annotate(retries=2):
        ones = da.ones(4, chunks=4).map_blocks(change, dtype=float, meta=np.ones(1))
    total = (ones + 1).sum()
    assert total.compute(scheduler="mobula") == 12


def test_what_has_no_effect_is_warned_of():
    with dask.annotate(priority=3, resources={"GPU": 1}):
        value = dask.delayed(len)("abc")
    with pytest.warns(AnnotationWarning, match="annotated priority, resources"):
        assert value.compute(scheduler="mobula") == 3
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert mobula_dask.get({"x": (len, "abc")}, "x") == 3


@pytest.mark.parametrize("retries", [-1, 1.5, float("nan"), lambda key: "two"])
def test_a_wrong_number_of_retries_is_named(retries):
    with dask.annotate(retries=retries):
        value = dask.delayed(len)("abc", dask_key_name="value")
    with pytest.raises(ValueError, match="task 'value' is annotated with retries="):
        value.compute(scheduler="mobula")


@pytest.mark.parametrize("retries", [2, 2.0, 10**12])
def test_every_whole_number_of_retries_will_do(retries):
    with dask.annotate(retries=retries):
        value = dask.delayed(Flaky(2), pure=False)(5)
    assert value.compute(scheduler="mobula") == 5
