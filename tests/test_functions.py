"""Convex functions: against the reference, brute force and the identities that define them."""

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from cases import draw_of
from function_cases import (
    DIRECT,
    EVERY,
    STEPS,
    Make,
    all_cases,
    both_dtypes,
    both_libraries,
    close,
    direct_cases,
    dyadic,
    entries,
    parameters,
    points,
    quick,
    sample,
    smooth_cases,
    steps,
    tensor,
)
from hypothesis import example, given
from scipy import special

import monops.functions
from monops.arrays import to_numpy
from monops.functions import (
    GELU,
    L1,
    Activation,
    Box,
    Conjugate,
    ConvexSet,
    Function,
    GroupSort,
    HardTanh,
    LeakyReLU,
    ReLU,
    Separable,
    Sigmoid,
    SiLU,
    Softplus,
    SoftThreshold,
    SquaredL2,
    Swish,
    Tanh,
)
from monops.functions.softplus import dilogarithm_exp
from monops.reference.functions import FUNCTIONS
from monops.testing import catalogue

# What does not act on each entry by itself, or is not convex, has a file of its own.
ELSEWHERE = {
    "Supported": "test_supported.py",
    **dict.fromkeys(("L0", "L2", "L21", "GroupL2", "LInf", "SortedL1"), "test_norms.py"),
    **dict.fromkeys(("QuadraticForm", "LeastSquares"), "test_quadratic.py"),
    **dict.fromkeys(("Spectral", "NuclearNorm"), "test_spectral.py"),
    **dict.fromkeys(("TV1D", "TV2D"), "test_total_variation.py"),
}


def test_functions_that_are_tested_elsewhere_are() -> None:
    for name, file in ELSEWHERE.items():
        assert re.search(rf"\b{name}\b", (Path(__file__).parent / file).read_text(encoding="utf-8")), name


def test_every_function_has_a_case() -> None:
    """Here or in a file of its own, and always in the catalogue: there are no functions that `verify` leaves out."""
    exported = {
        thing
        for thing in (getattr(monops.functions, name) for name in monops.functions.__all__)
        if thing not in (Function, Separable, Activation, ConvexSet)
        and thing not in (SiLU, Swish, GELU, GroupSort)  # these refuse to be made: tests/test_more_activations.py
    }
    entries, draw = {type(make().f) for make in catalogue.FUNCTIONS.values()}, draw_of("torch64")
    joint = {type(make(draw).f) for make in catalogue.JOINT.values()}
    elsewhere = {getattr(monops.functions, name) for name in ELSEWHERE}
    assert exported == {type(make()) for make in EVERY.values()} | joint | elsewhere
    # The conjugate is compared for every function.
    assert exported - {monops.functions.Conjugate} == entries | joint


@direct_cases
@quick
@given(v=points, step=steps)
@example(v=[-1e4, -1.0, -1e-7, 0.0, 1e-7, 0.5, 1.0, 1e4], step=1e-8)
@example(v=[-1e4, -1.0, -1e-7, 0.0, 1e-7, 0.5, 1.0, 1e4], step=1e8)
@example(v=[-3.0, -0.5, 0.0, 0.25, 0.5, 2.0], step=1.0)
def test_prox_is_that_of_the_reference(make: Make, v: list[float], step: float) -> None:
    f = make()
    single = np.array(v, np.float32)
    expected = FUNCTIONS[type(f).__name__].prox(single.astype(float), step, **parameters(f))
    for x, tolerance in ((single, 1e-5), (single.astype(float), 1e-12)):
        for result in (f.prox(x, step), f.prox(torch.tensor(x), step).numpy()):
            assert result.dtype == x.dtype
            assert close(result, expected, tolerance)


@smooth_cases
@both_dtypes
@pytest.mark.parametrize("exponent", [-8, -4, -2, -1.3, -0.3, -0.05, 1e-7, 0.05, 0.2, 1.3, 3, 8])
def test_activations_reach_machine_precision(make: Make, dtype: str, exponent: float) -> None:
    f, step = make(), 10.0**exponent
    reference, epsilon = FUNCTIONS[type(f).__name__], float(np.finfo(dtype).eps)
    grid = np.concatenate([np.linspace(0, 6, 61), np.logspace(-7, 4, 60)])
    v = np.concatenate([s * a * grid for s in (-1, 1) for a in (1.0, step)] + [1 + step * grid])
    v = v[np.abs(v) <= 1e4].astype(dtype)
    exact = v.astype(float)
    assert close(f.prox(v, step), reference.prox(exact, step), 20 * epsilon)
    # Where v is 1 the slope changes over lengths of `step`, and v is known to `epsilon` only.
    tolerance = 30 * epsilon * max(1, 1 / step)
    assert close(entries(f, v, step), reference.prox_derivative(exact, step), tolerance)


@direct_cases
@pytest.mark.parametrize("step", STEPS)
def test_derivative_is_that_of_the_reference(make: Make, step: float) -> None:
    f, v = make(), sample(200, seed=1)
    expected = FUNCTIONS[type(f).__name__].prox_derivative(v, step, **parameters(f))
    assert close(entries(f, v, step), expected, 1e-12)
    assert close(entries(f, torch.tensor(v), step).numpy(), expected, 1e-12)


@direct_cases
def test_value_is_that_of_the_reference(make: Make) -> None:
    f = make(axes=0)
    x = np.concatenate([sample(50), np.linspace(-1, 2, 49), [0.25, 0.5, 40.0]])
    expected = FUNCTIONS[type(f).__name__].value(x, **parameters(f))
    finite = np.isfinite(expected)
    for value in (f(x), f(torch.tensor(x)).numpy()):
        assert np.array_equal(np.isfinite(value), finite)
        assert close(value[finite], expected[finite], 1e-14)


def test_dilogarithm() -> None:
    x = np.concatenate([np.linspace(0, 3, 200), np.logspace(-9, 2.8, 200)])
    expected = np.where(x < 30, special.spence(-np.expm1(-x)), np.exp(-x))
    values = dilogarithm_exp(x)
    # SciPy's argument 1 - exp(-x) carries no more digits than this.
    assert np.all(np.abs(values - expected) <= 1e-14 * expected + 2e-16)
    known = dilogarithm_exp(np.array([0.0, math.log(2)]))
    assert close(known, np.array([math.pi**2 / 6, math.pi**2 / 12 - math.log(2) ** 2 / 2]), 2e-16)
    far = dilogarithm_exp(torch.tensor([20.0, 200.0, 700.0], dtype=torch.float64)).numpy()
    z = np.exp([-20.0, -200.0, -700.0])
    assert np.all(np.abs(far - (z + z**2 / 4 + z**3 / 9)) <= 1e-14 * z)


@pytest.mark.parametrize(
    ("f", "activation"),
    [
        (ReLU(), torch.relu),
        (LeakyReLU(0.1), lambda x: torch.nn.functional.leaky_relu(x, 0.1)),
        (HardTanh(), torch.nn.functional.hardtanh),
        (SoftThreshold(0.3), lambda x: torch.nn.functional.softshrink(x, 0.3)),
        (Tanh(), torch.tanh),
        (Sigmoid(), torch.sigmoid),
        (Softplus(), lambda x: torch.logaddexp(x, torch.zeros_like(x))),
    ],
)
def test_prox_at_step_one_is_the_activation(f: Function, activation: Callable[..., Any]) -> None:
    x = torch.tensor(np.concatenate([sample(100, scale=10.0), [0.0, 25.0]]))
    assert torch.allclose(f.prox(x, 1.0), activation(x), rtol=1e-15, atol=1e-15)


@all_cases
@pytest.mark.parametrize("step", [0.01, 0.5, 1.0, 30.0])
def test_nothing_is_smaller_than_the_prox(make: Make, step: float) -> None:
    f, v = make(axes=0), sample(12, seed=2)[:, None]

    def objective(u: np.ndarray) -> np.ndarray:
        return f(u) + (u - v) ** 2 / (2 * step)

    x = f.prox(v, step)
    offsets = np.concatenate([np.linspace(-12, 12, 2401), np.logspace(-6, -1, 50)])
    grid = np.concatenate([offsets, x[:, 0], x[:, 0] - 1e-4]) + np.zeros((12, 1))
    near = x + np.concatenate([-np.logspace(-5, 0, 50), np.logspace(-5, 0, 50)])
    smallest = objective(np.concatenate([grid, near], axis=1)).min(axis=1)
    best = objective(x)[:, 0]
    assert np.all(np.isfinite(best))
    assert np.all(best <= smallest + 1e-13 * (1 + np.abs(smallest)))


@pytest.mark.parametrize("name", ["ReLU", "Box", "half-line", "point", "Support", "SoftThreshold", "SquaredL2"])
@quick
@given(v=points, step=steps)
def test_moreau(name: str, v: list[float], step: float) -> None:
    f, x = EVERY[name](), np.array(v)
    conjugate = f.conjugate()
    assert not isinstance(conjugate, Conjugate)  # for which the identity holds by definition
    total = f.prox(x, step) + step * conjugate.prox(x / step, 1 / step)
    assert close(total, x, 1e-14 * (1 + np.abs(x).max()))


@all_cases
@pytest.mark.parametrize("step", [0.5, 1.0, 2.0])
def test_fenchel_young(make: Make, step: float) -> None:
    f = make(axes=0)
    conjugate, v = f.conjugate(), dyadic(200)
    x = f.prox(v, step)
    y = (v - x) / step  # in the subdifferential of f at x
    assert np.all(np.isfinite(f(x)))
    assert close(f(x) + conjugate(y), x * y, 1e-13)
    assert np.all(f(x) + conjugate(y[::-1]) >= x * y[::-1] - 1e-12)
    assert np.all(f(v) + conjugate(x) >= x * v - 1e-12)


@all_cases
def test_the_conjugate_of_the_conjugate_is_the_function(make: Make) -> None:
    f = make(axes=0)
    twice = f.conjugate().conjugate()
    x = np.concatenate([sample(50), dyadic(50), np.zeros(1)])
    assert np.array_equal(np.isfinite(f(x)), np.isfinite(twice(x)))
    assert close(twice(x[np.isfinite(f(x))]), f(x[np.isfinite(f(x))]), 1e-14)
    for step in STEPS:
        assert close(twice.prox(x, step), f.prox(x, step), 1e-13)
        assert close(entries(twice, x[:50], step), entries(f, x[:50], step), 1e-13)  # no kinks


@pytest.mark.parametrize("name", ["LeakyReLU", "SoftThreshold", "SquaredL2", "Box", "Sigmoid"])
@both_libraries
def test_conjugate_value_without_a_formula(name: str, library: Callable[..., Any]) -> None:
    f = DIRECT[name](axes=0)
    y = library(sample(40, seed=3))
    general, known = Function.conjugate_value(f, y), f.conjugate()(y)
    finite = np.isfinite(to_numpy(known))
    assert np.array_equal(np.isfinite(to_numpy(general)), finite)
    assert close(to_numpy(general)[finite], to_numpy(known)[finite], 1e-8)


@all_cases
@quick
@given(v=points, step=steps)
def test_prox_is_firmly_nonexpansive(make: Make, v: list[float], step: float) -> None:
    x = np.array(v)
    d, p = x - x[::-1], make().prox(x, step)
    p = p - p[::-1]
    assert np.all(p * p <= p * d + 1e-13 * (1 + np.abs(x).max()) ** 2)


@all_cases
def test_facts_hold(make: Make) -> None:
    f = make(axes=0)
    v = sample(400, seed=4)
    x = f.prox(v, 0.5)
    y = (v - x) / 0.5
    dx, dy = x - x[::-1], y - y[::-1]
    m, L = f.strong_convexity, f.smoothness
    assert np.all(dx * dy >= m * dx * dx - 1e-12 if m < math.inf else np.abs(dx) < 1e-12)
    if math.inf > L:
        assert np.all(dx * dy >= dy * dy / L - 1e-12 if L else np.abs(dy) < 1e-12)
    values = f(np.concatenate([v, x]))
    assert not f.is_indicator or np.all((values == 0) | (values == math.inf))


def test_facts_are_as_sharp_as_they_are_known() -> None:
    assert all(f.is_indicator for f in (ReLU(), Box(0.0, 1.0), L1().conjugate()))
    assert not any(f.is_indicator for f in (L1(), Tanh(), Box().conjugate()))
    weights = torch.tensor([3.0, 0.5])
    assert (SquaredL2(weights).strong_convexity, SquaredL2(weights).smoothness) == (0.5, 3.0)
    assert LeakyReLU(0.25).smoothness == 3.0
    assert LeakyReLU(0.25).conjugate().strong_convexity == pytest.approx(1 / 3)
    assert LeakyReLU(1.0).conjugate().strong_convexity == math.inf
    assert Sigmoid().strong_convexity == 3.0
    assert Sigmoid().conjugate().smoothness == pytest.approx(1 / 3)


@pytest.mark.parametrize("make", [DIRECT["LeakyReLU"], DIRECT["SquaredL2"]])
def test_gradient(make: Make) -> None:
    f, x = make(), tensor(sample(20))
    (gradient,) = torch.autograd.grad(f(x), x)
    assert torch.allclose(f.gradient(x), gradient, atol=1e-14)
    p = f.prox(x, 0.7)
    assert torch.allclose(p + 0.7 * f.gradient(p), x, atol=1e-14)
