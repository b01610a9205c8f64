"""ELU, arctangent, softsign and softmax as proximal maps, and activations that are none."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from function_cases import both_dtypes, close, entries, sample, tensor
from scipy import special
from torch.autograd import gradcheck, gradgradcheck

import monops.functions
from monops.arrays import to_numpy
from monops.errors import OptionError
from monops.functions import ELU, GELU, Arctan, Function, GroupSort, SiLU, Softmax, Softsign, Swish
from monops.reference.functions import FUNCTIONS
from monops.testing import check_function

EXPONENTS = [-8, -4, -2, -1.3, -0.3, -0.05, 1e-7, 0.05, 0.2, 1.3, 3, 8]


@pytest.mark.parametrize(
    ("f", "activation"),
    [
        (ELU(), torch.nn.functional.elu),
        (ELU(0.3), lambda x: torch.nn.functional.elu(x, 0.3)),
        (Arctan(), lambda x: 2 / math.pi * torch.arctan(x)),
        (Softsign(), torch.nn.functional.softsign),
        (Softmax(), lambda x: torch.softmax(x, -1)),
    ],
)
def test_prox_at_step_one_is_the_activation(f: Function, activation: Callable[..., Any]) -> None:
    x = torch.tensor(np.concatenate([sample(100, scale=10.0), [0.0, 25.0]]))
    assert torch.allclose(f.prox(x, 1.0), activation(x), rtol=1e-15, atol=1e-15)
    assert close(f.prox(x.numpy(), 1.0), activation(x).numpy(), 1e-15)


@pytest.mark.parametrize("f", [ELU(), ELU(0.3), ELU(0.999), Arctan(), Softsign()])
@both_dtypes
@pytest.mark.parametrize("exponent", EXPONENTS)
def test_machine_precision(f: Function, dtype: str, exponent: float) -> None:
    step, epsilon = 10.0**exponent, float(np.finfo(dtype).eps)
    grid = np.concatenate([np.linspace(0, 6, 61), np.logspace(-7, 4, 60)])
    v = np.concatenate([s * a * grid for s in (-1, 1) for a in (1.0, step)] + [1 + step * grid])
    v = v[np.abs(v) <= 1e4].astype(dtype)
    reference = FUNCTIONS[type(f).__name__]
    parameters = {"alpha": f.alpha} if isinstance(f, ELU) else {}
    for x in (v, torch.tensor(v)):
        assert close(to_numpy(f.prox(x, step)), reference.prox(v.astype(float), step, **parameters), 20 * epsilon)
        slope = to_numpy(entries(f, x, step))
        assert np.all((slope >= 0) & (slope <= 1))


@pytest.mark.parametrize("exponent", EXPONENTS)
@pytest.mark.parametrize("n", [1, 2, 5, 40])
def test_softmax_at_every_step(exponent: float, n: int) -> None:
    step, f = 10.0**exponent, Softmax()
    for scale in (0.01, 1.0, 30.0, 1e4):
        v = sample(10, n, seed=3, scale=scale * max(1.0, step if scale < 100 else 1.0))
        x = f.prox(v, step)
        assert np.all(np.abs(x.sum(-1) - 1) <= 1e-15 * n + 2e-15)
        # p log x + q x agrees up to a multiplier, relative to the size of the terms.
        with np.errstate(divide="ignore"):
            sides = (step * np.log(x) + (1 - step) * x - v) / max(1.0, step, scale)
        spread = np.where(x > 1e-300, sides, np.nan)
        assert np.all(np.nanmax(spread, -1) - np.nanmin(spread, -1) <= 1e-13)
        single = f.prox(v.astype(np.float32), step)
        assert single.dtype == np.float32
        assert np.all(np.abs(single - f.prox(v.astype(np.float32).astype(float), step)) <= 1e-6)
    if abs(exponent) < 2:
        v = sample(10, n, seed=4)
        assert close(f.prox(v, step), FUNCTIONS["Softmax"].prox(v, step), 1e-13)


def test_softmax_in_the_limits() -> None:
    v = sample(20, 5)
    assert close(Softmax().prox(v, 1e10), np.full((20, 5), 0.2), 1e-9)
    small = Softmax().prox(v, 1e-10)
    assert close(small, monops.functions.Simplex().prox(v, 1.0), 1e-7)
    assert close(Softmax(axes=2).prox(v, 1.0).reshape(-1), special.softmax(v.reshape(-1)), 1e-15)


@pytest.mark.parametrize("step", [0.05, 0.7, 1.0, 3.0, 40.0])
def test_softmax_derivatives(step: float) -> None:
    f, x, direction = Softmax(), tensor(sample(2, 4, seed=7)), torch.tensor(sample(2, 4, seed=8))
    assert gradcheck(lambda x: f.prox(x, step), x)
    assert gradgradcheck(lambda x: f.prox(x, step), x)
    assert gradcheck(lambda x: f.prox_derivative(x, step)(direction), x)


@pytest.mark.parametrize("step", [0.05, 0.7, 1.0, 3.0, 40.0])
def test_elu_is_differentiable_in_alpha(step: float) -> None:
    x, alpha = tensor(sample(6, 3, seed=8)), tensor([0.25, 0.5, 1.0])
    assert gradcheck(lambda x: ELU(alpha.detach()).prox(x, step), x)
    assert gradgradcheck(lambda x: ELU(alpha.detach()).prox(x, step), x)
    assert gradcheck(lambda a: ELU(a).prox(x.detach(), step), tensor([0.25, 0.5, 0.75]))


@pytest.mark.parametrize("f", [ELU(), ELU(0.5), Arctan(), Softsign(), Softmax()])
def test_laws_at_extreme_steps(f: Function) -> None:
    check_function(f, steps=(1e-3, 30.0))
    check_function(f, steps=(0.2, 5.0), dtype=torch.float32)


def test_gradients_are_finite_at_zero() -> None:
    for f in (ELU(), ELU(0.5), Arctan(), Softsign(), Softmax()):
        for step in (0.01, 1.0, 50.0):
            x = torch.zeros(3, dtype=torch.float64, requires_grad=True)
            (gradient,) = torch.autograd.grad(f.prox(x, step).sum(), x)
            assert bool(gradient.isfinite().all())


@pytest.mark.parametrize("make", [SiLU, Swish, GELU, GroupSort])
def test_what_is_no_prox_is_refused(make: Callable[..., Any]) -> None:
    with pytest.raises(OptionError, match=r"is no proximal map: .* use .* instead"):
        make()


def test_why_they_are_no_proxes() -> None:
    x = torch.linspace(-4, 4, 200, dtype=torch.float64)
    for activation in (torch.nn.functional.silu, torch.nn.functional.gelu):
        assert bool((activation(x).diff() < -1e-6).any()), "it decreases somewhere"
    a, b = torch.tensor([0.0, 2.0]), torch.tensor([0.5, 1.5])
    # Sorted, both are swapped, and their difference with them: ⟨a - b, sort(a) - sort(b)⟩ < 0.
    assert float((a - b) @ (a.sort(descending=True).values - b.sort(descending=True).values)) < 0


@pytest.mark.parametrize("alpha", [0.0, -1.0, 1.5, math.nan])
def test_elu_wants_a_nonexpansive_slope(alpha: float) -> None:
    with pytest.raises(OptionError, match=r"ELU wants alpha in \(0, 1\]"):
        ELU(alpha)
