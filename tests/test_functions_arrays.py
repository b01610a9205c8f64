"""Convex functions on arrays of every kind, kernel by kernel, and on bad input."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any, cast

import numpy as np
import pytest
import torch
from function_cases import Make, all_cases, both_dtypes, both_libraries, close, entries, sample
from torch.utils._python_dispatch import TorchDispatchMode

from monops.arrays import to_numpy
from monops.errors import DTypeError, NotSingleValuedError, OptionError, ShapeError, StepSizeError
from monops.functions import L1, Box, Function, LeakyReLU, ReLU, Sigmoid, Softplus, SquaredL2, Support, Tanh


@all_cases
@both_libraries
@both_dtypes
def test_dtype_shape_layout_and_batch(make: Make, library: Callable[..., Any], dtype: str) -> None:
    x = library(sample(4, 2, 3).astype(dtype)).swapaxes(0, 2)
    untouched = to_numpy(x).copy()
    for step in (0.5, 1.0, 8.0):
        f = make(axes=2)
        p, slope = f.prox(x, step), entries(f, x, step)
        for y in (p, slope):
            assert (type(y), y.dtype, y.shape) == (type(x), x.dtype, x.shape)
        assert to_numpy(p).strides == to_numpy(x).strides
        value = f(p)
        assert (value.dtype, tuple(value.shape)) == (x.dtype, (3,))
        for i in range(3):
            assert close(to_numpy(f.prox(x[i], step)), to_numpy(p[i]), 1e-6)
            assert close(to_numpy(f(p[i])), to_numpy(value[i]), 1e-5)
        empty = f.prox(x[:0], step)
        assert (tuple(empty.shape), tuple(f(empty).shape)) == ((0, *x.shape[1:]), (0,))
    assert np.array_equal(to_numpy(x), untouched)


@all_cases
@both_libraries
def test_nan_stays_nan(make: Make, library: Callable[..., Any]) -> None:
    f, x = make(axes=0), library(np.array([1.0, math.nan, -0.5]))
    for step in (0.01, 1.0, 50.0):
        assert np.array_equal(np.isnan(to_numpy(f.prox(x, step))), [False, True, False])
    assert np.array_equal(np.isnan(to_numpy(f(x))), [False, True, False])


class Recorded(TorchDispatchMode):
    """The names of the kernels that run inside."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.names.append(func.overloadpacket.__name__)
        return func(*args, **kwargs or {})


def kernels(run: Callable[[], Any]) -> list[str]:
    with Recorded() as record:
        run()
    return [name for name in record.names if name not in ("detach", "alias")]


def test_cheap_functions_are_one_kernel() -> None:
    x = torch.tensor(sample(3))
    assert kernels(lambda: ReLU().prox(x, 0.5)) == ["relu"]
    assert kernels(lambda: Box().prox(x, 0.5)) in (["clamp"], ["clip"])
    assert kernels(lambda: Tanh().prox(x, 1.0)) == ["tanh"]
    iterations = kernels(lambda: Tanh().prox(x, 0.05)).count("tanh") - 1  # and one for the result
    assert iterations == 3
    assert kernels(lambda: Tanh().prox(x.float(), 0.05)).count("tanh") == 3


@all_cases
def test_nothing_waits_for_the_device(make: Make) -> None:
    x = torch.tensor(sample(3))
    for step in (0.05, 1.0, 8.0):
        names = kernels(partial(make().prox, x, step))
        names += kernels(partial(make().prox_derivative, x, step))
        assert names
        assert not {"_local_scalar_dense", "item", "nonzero", "equal"} & set(names)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LeakyReLU(0.0), r"LeakyReLU wants slope in \(0, 1\], got slope=0.0"),
        (lambda: LeakyReLU(1.5), r"got slope=1.5"),
        (lambda: LeakyReLU(torch.tensor([0.5, math.nan])), r"got slope=tensor"),
        (lambda: Box(1.0, -1.0), r"Box wants lower ≤ upper.*got lower=1.0, upper=-1.0"),
        (lambda: Box(np.array([0.0, 2.0]), 1.0), r"Box wants lower ≤ upper"),
        (lambda: Box(math.inf, math.inf), r"lower < ∞"),
        (lambda: Support(0.0, math.nan), r"Support wants lower ≤ upper"),
        (lambda: L1(-1.0), r"L1 wants weight in \[0, ∞\), got weight=-1.0"),
        (lambda: L1(math.inf), r"got weight=inf"),
        (lambda: SquaredL2(-1), r"SquaredL2 wants weight in \[0, ∞\), got weight=-1.0"),
        (lambda: L1("1"), r"L1 wants a number, a tensor or a NumPy array as weight, got '1'"),
        (lambda: ReLU(axes=-1), r"ReLU wants axes ≥ 0, got -1"),
        (lambda: Tanh(axes=cast(int, 1.5)), r"Tanh wants axes ≥ 0, got 1.5"),
    ],
)
def test_bad_options(make: Callable[[], Function], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        make()


@all_cases
@pytest.mark.parametrize("step", [0.0, -1.0, math.nan, math.inf, torch.tensor(1.0), "1"])
def test_bad_steps(make: Make, step: Any) -> None:
    f, x = make(), sample(3)
    for method in (f.prox, f.prox_derivative):
        wanted = rf"{type(f).__name__}.{method.__name__} wants a step in \(0, ∞\), got "
        with pytest.raises(StepSizeError, match=wanted):
            method(x, step)


def test_arrays_that_do_not_fit() -> None:
    with pytest.raises(DTypeError, match="expected a torch tensor or a NumPy array, got list"):
        Tanh().prox([1.0], 1.0)
    with pytest.raises(DTypeError, match=r"expected float32 or float64 data, got torch.int64"):
        ReLU().prox(torch.arange(3), 1.0)
    with pytest.raises(ShapeError, match=r"axes=2 expects shape \(\*batch, \*domain\), got \(3,\)"):
        ReLU(axes=2)(sample(3))
    f = L1(torch.ones(3))
    with pytest.raises(DTypeError, match=r"L1.weight has dtype torch.float32, got .*float64"):
        f.prox(torch.tensor(sample(3)), 1.0)
    with pytest.raises(DTypeError, match=r"L1.weight has dtype torch.float32, got .*float32"):
        f.prox(sample(3).astype(np.float32), 1.0)
    with pytest.raises(ShapeError, match=r"L1.weight has shape \(3,\), which does not broadcast"):
        f.prox(torch.ones(2, 1), 1.0)
    with pytest.raises(DTypeError, match="Box wants parameters of one dtype, got lower of"):
        Box(torch.zeros(3), np.ones(3))
    with pytest.raises(ShapeError, match="Box wants parameters that broadcast together"):
        Box(torch.zeros(3), torch.ones(4))


@pytest.mark.parametrize("f", [ReLU(), Box(), L1(), Support(), Tanh(), Sigmoid(), Softplus()])
def test_no_gradient_where_there_is_none(f: Function) -> None:
    with pytest.raises(NotSingleValuedError, match=f"{type(f).__name__} is not differentiable"):
        f.gradient(sample(3))


def test_numpy_scalars_leave_the_dtype_alone() -> None:
    x = sample(3).astype(np.float32)
    for f in (L1(np.float64(0.5)), SquaredL2(np.float64(0.5)), LeakyReLU(np.float64(0.5))):
        assert f.prox(x, np.float64(0.7)).dtype == np.float32
