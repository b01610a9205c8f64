"""Losses, barriers and entropies to the last digit, at extreme steps."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from cases import draw_of, kinds
from function_cases import both_dtypes, close, entries, sample, tensor
from scipy import special
from torch.autograd import gradcheck, gradgradcheck

from monops import verify
from monops.arrays import to_numpy
from monops.errors import NotSingleValuedError, OptionError
from monops.functions import (
    Box,
    ElasticNet,
    Function,
    Hinge,
    Huber,
    KullbackLeibler,
    Linear,
    LogBarrier,
    Logistic,
    NegativeEntropy,
    Poisson,
    SquaredHinge,
    Zero,
)
from monops.reference.functions import FUNCTIONS
from monops.testing import check_function

pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated")

LOSSES: dict[str, Function] = {
    "ElasticNet": ElasticNet(0.5, 0.25),
    "Huber": Huber(0.5, 2.0),
    "LogBarrier": LogBarrier(0.7),
    "Poisson": Poisson(1.5),
    "Poisson, count 0": Poisson(0.0),
    "KullbackLeibler": KullbackLeibler(0.5),
    "KullbackLeibler, tiny": KullbackLeibler(1e-6),
    "NegativeEntropy": NegativeEntropy(),
    "Logistic": Logistic(1.0),
    "Logistic, negative": Logistic(-2.0),
    "Logistic, small": Logistic(1e-3),
    "Hinge": Hinge(-1.0),
    "SquaredHinge": SquaredHinge(2.0),
    "Linear": Linear(0.5),
    "Zero": Zero(),
}
losses = pytest.mark.parametrize("f", LOSSES.values(), ids=LOSSES)


@losses
@kinds
def test_laws(f: Function, kind: str) -> None:
    check_function(f, dtype=draw_of(kind).dtype)


@losses
@kinds
def test_verified(f: Function, kind: str) -> None:
    draw = draw_of(kind)
    assert verify(f, dtype=draw.dtype, device=draw.device)


@pytest.mark.parametrize("f", [f for name, f in LOSSES.items() if name.startswith(("Kull", "Neg", "Log"))], ids=str)
@both_dtypes
@pytest.mark.parametrize("exponent", [-8, -4, -2, -1, -0.3, 0, 0.2, 1, 2, 4, 8])
def test_machine_precision(f: Any, dtype: str, exponent: float) -> None:
    """Lambert's equation, and the logistic one, wherever their arguments may lie."""
    step, epsilon = 10.0**exponent, float(np.finfo(dtype).eps)
    grid = np.concatenate([np.linspace(0, 6, 61), np.logspace(-7, 4, 60)])
    v = np.concatenate([s * a * grid for s in (-1, 1) for a in (1.0, step)] + [1 + step * grid, 1 - step * grid])
    v = v[np.abs(v) <= 1e4].astype(dtype)
    parameters = {k: value for k, value in vars(f).items() if k != "axes"}
    want = FUNCTIONS[type(f).__name__].prox(v.astype(float), step, **parameters)
    for library in (np.asarray, torch.as_tensor):
        x = to_numpy(f.prox(library(v), step))
        # The argument is known to epsilon only, too.
        known = epsilon * np.abs(v) * FUNCTIONS[type(f).__name__].prox_derivative(v.astype(float), step, **parameters)
        assert np.all(np.abs(x - want) <= 10 * epsilon * (1 + np.abs(want)) + 3 * known)
        slope = to_numpy(entries(f, library(v), step))
        assert np.all((slope >= 0) & (slope <= 1))
        dual = to_numpy(f.conjugate().prox(library(v), step))
        assert np.all(np.isfinite(dual))


@pytest.mark.parametrize("f", [KullbackLeibler(0.5), NegativeEntropy(), Logistic(-2.0)], ids=str)
def test_derivatives_of_the_third_order(f: Function) -> None:
    """The last iteration is a series that is right to the third order; the slope's own needs two."""
    for step in (0.3, 2.0):
        x = tensor(sample(9))
        prox, slope = f.prox(x, step), entries(f, x, step)
        for _ in range(2):
            (prox,) = torch.autograd.grad(prox.sum(), x, create_graph=True)
            (slope,) = torch.autograd.grad(slope.sum(), x, create_graph=True)
        (prox,) = torch.autograd.grad(prox.sum(), x)
        torch.testing.assert_close(prox, slope, rtol=1e-8, atol=1e-10)


def test_proxes_of_entropies_are_lamberts_function() -> None:
    v = sample(200, scale=5.0)
    for step in (0.3, 1.0, 4.0):
        want = step * special.lambertw(np.exp(v / step - 1) / step).real
        x = NegativeEntropy().prox(v, step)
        assert np.all(np.abs(x - want) <= 1e-13 * want)  # to relative accuracy
        want = step * special.lambertw(0.25 / step * np.exp(v / step)).real
        assert np.all(np.abs(KullbackLeibler(0.25).prox(v, step) - want) <= 1e-13 * want)


def test_values_and_conjugates_in_closed_form() -> None:
    x, y = np.abs(sample(40)) + 0.1, sample(40, seed=1)
    one: dict[str, Any] = {"axes": 0}
    assert close(LogBarrier(2.0, **one)(x), -2 * np.log(x), 1e-15)
    assert close(KullbackLeibler(0.5, **one)(x), special.kl_div(x, 0.5), 1e-14)
    assert close(NegativeEntropy(**one)(x), -special.entr(x), 1e-15)
    assert close(Logistic(-2.0, **one)(y), np.log1p(np.exp(2 * y)), 1e-14)
    assert close(SquaredHinge(2.0, **one)(y), np.maximum(1 - 2 * y, 0) ** 2, 1e-15)
    assert close(KullbackLeibler(0.5, **one).conjugate()(y), 0.5 * np.expm1(y), 1e-14)
    assert close(NegativeEntropy(**one).conjugate()(y), np.exp(y - 1), 1e-14)
    assert close(LogBarrier(2.0, **one).conjugate()(-x), -2 + 2 * np.log(2 / x), 1e-14)
    edges = {
        LogBarrier(1.0, **one): [(0.0, math.inf), (-1.0, math.inf)],
        Poisson(1.0, **one): [(0.0, math.inf), (-1.0, math.inf)],
        Poisson(0.0, **one): [(0.0, 0.0), (-1.0, math.inf), (2.0, 2.0)],
        KullbackLeibler(0.5, **one): [(0.0, 0.5), (-1.0, math.inf)],
        NegativeEntropy(**one): [(0.0, 0.0), (-1.0, math.inf)],
        LogBarrier(1.0, **one).conjugate(): [(0.0, math.inf), (1.0, math.inf), (-1.0, -1.0)],
        Poisson(0.0, **one).conjugate(): [(1.0, 0.0), (1.5, math.inf)],
        Logistic(**one).conjugate(): [(0.0, 0.0), (-1.0, 0.0), (0.1, math.inf), (-0.5, -math.log(2))],
        Hinge(**one).conjugate(): [(0.0, 0.0), (-1.0, -1.0), (0.1, math.inf)],
        SquaredHinge(**one).conjugate(): [(0.0, 0.0), (-2.0, -1.0), (0.1, math.inf)],
        ElasticNet(1.0, 0.0, **one).conjugate(): [(1.0, 0.0), (1.5, math.inf)],
        Huber(1.0, 2.0, **one).conjugate(): [(2.0, 1.0), (2.5, math.inf)],
        Linear(0.5, **one).conjugate(): [(0.5, 0.0), (0.6, math.inf)],
    }
    for f, pairs in edges.items():
        for library in (np.asarray, torch.as_tensor):
            for at, want in pairs:
                assert float(f(library(np.array([at])))[0]) == pytest.approx(want), (f, at)


def test_facts() -> None:
    assert ElasticNet(1.0, 0.5).strong_convexity == 0.5
    assert ElasticNet(1.0, 0.5).conjugate().smoothness == 2.0
    assert isinstance(ElasticNet(0.5, 0.0).conjugate(), Box)
    assert Huber(0.1, 2.0).smoothness == 2.0
    assert Logistic(-2.0).smoothness == 1.0
    assert SquaredHinge(np.array([1.0, -3.0])).smoothness == 18.0
    assert Linear().smoothness == Zero().smoothness == 0
    assert Zero().is_indicator
    assert not Linear().is_indicator
    for f in (LogBarrier(), NegativeEntropy(), KullbackLeibler(), Poisson(), Hinge()):
        with pytest.raises(NotSingleValuedError):
            f.gradient(np.ones(3))
    x = np.ones(3)
    assert Zero().prox(x, 1.0) is not x


@pytest.mark.parametrize("f", [Huber(0.5, 2.0), Logistic(-2.0), SquaredHinge(2.0), Linear(0.3), Zero()], ids=str)
def test_gradients(f: Function) -> None:
    x = tensor(sample(20))
    (gradient,) = torch.autograd.grad(f(x), x, allow_unused=True)
    torch.testing.assert_close(f.gradient(x), gradient, rtol=1e-14, atol=1e-14)


PARAMETRIC: dict[str, tuple[Callable[..., Function], list[list[float]]]] = {
    "ElasticNet": (ElasticNet, [[0.5, 1.0, 0.0625], [0.5, 0.25, 2.0]]),
    "Huber": (Huber, [[0.5, 1.0, 0.25], [2.0, 0.5, 1.0]]),
    "LogBarrier": (LogBarrier, [[0.5, 1.0, 0.0625]]),
    "Poisson": (Poisson, [[0.5, 1.0, 3.0]]),
    "KullbackLeibler": (KullbackLeibler, [[0.5, 1.0, 3.0]]),
    "Logistic": (Logistic, [[1.0, -1.0, 0.5]]),
    "Hinge": (Hinge, [[1.0, -1.0, 0.5]]),
    "SquaredHinge": (SquaredHinge, [[1.0, -1.0, 0.5]]),
    "Linear": (Linear, [[1.0, -1.0, 0.5]]),
}


@pytest.mark.parametrize(("make", "values"), PARAMETRIC.values(), ids=PARAMETRIC)
@pytest.mark.parametrize("step", [0.3, 1.0, 4.0])
def test_tensor_parameters(make: Any, values: list[list[float]], step: float) -> None:
    x, theta = tensor(sample(5, 3, seed=9)), [tensor(v) for v in values]
    assert gradcheck(lambda x, *theta: make(*theta).prox(x, step), (x, *theta))
    assert gradgradcheck(lambda x, *theta: make(*theta).prox(x, step), (x, *theta))
    plain = make(*(np.array(v) for v in values)).prox(x.detach().numpy(), step)
    assert close(make(*theta).prox(x, step).detach().numpy(), plain, 1e-14)
    columns = [make(*(v[i] for v in values)).prox(x[:, i], step) for i in range(3)]
    torch.testing.assert_close(make(*theta).prox(x, step), torch.stack(columns, 1), rtol=1e-14, atol=1e-14)
    inside = make(*theta).prox(x, step).detach().add(0.05).requires_grad_()
    assert gradcheck(lambda x, *theta: make(*theta)(x), (inside, *theta), eps=1e-7, atol=1e-5)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ElasticNet(-1.0), r"ElasticNet wants l1 in \[0, ∞\), got l1=-1.0"),
        (lambda: ElasticNet(1.0, math.inf), r"ElasticNet wants l2 in \[0, ∞\)"),
        (lambda: Huber(0.0), r"Huber wants delta in \(0, ∞\)"),
        (lambda: Huber(1.0, -1.0), r"Huber wants weight in \[0, ∞\)"),
        (lambda: LogBarrier(0.0), r"LogBarrier wants weight in \(0, ∞\)"),
        (lambda: Poisson(-1.0), r"Poisson wants count in \[0, ∞\)"),
        (lambda: KullbackLeibler(np.array([1.0, 0.0])), r"KullbackLeibler wants base in \(0, ∞\)"),
        (lambda: Logistic(0.0), "Logistic wants finite labels other than 0"),
        (lambda: Hinge(math.nan), "Hinge wants finite labels other than 0"),
        (lambda: SquaredHinge(math.inf), "SquaredHinge wants finite labels other than 0"),
        (lambda: Linear(math.nan), "Linear wants c finite"),
    ],
)
def test_wrong_parameters_are_named(make: Callable[[], Function], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        make()
