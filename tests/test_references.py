"""The reference is the judge of everything else, so it is judged by its definitions."""

from typing import Any

import numpy as np
import pytest
import torch
from cases import draw_of, paper

from monops import verify
from monops.errors import OptionError
from monops.function_comparisons import known
from monops.functions import (
    L1,
    L2,
    L21,
    TV1D,
    TV2D,
    AffineSet,
    Box,
    GroupL2,
    HalfSpace,
    LeastSquares,
    LInf,
    Multiple,
    NuclearNorm,
    PSDCone,
    QuadraticForm,
    SeparableSum,
    Simplex,
    SortedL1,
    Spectral,
    SquaredL2,
    Supported,
)
from monops.linear import CircularConv, Dense, Diagonal
from monops.reference import equilibrium as reference
from monops.reference import linear as reference_linear
from monops.reference.functions import FUNCTIONS
from monops.testing import catalogue

D = torch.float64


def t(*values: Any) -> torch.Tensor:
    return torch.tensor(values, dtype=D)


@pytest.mark.parametrize("name", list(catalogue.JOINT))
def test_a_prox_is_a_minimiser_and_its_derivative_a_limit(name: str) -> None:
    draw = draw_of("numpy64", 11)
    case = catalogue.JOINT[name](draw)
    f, axes = known(case), len(case.domain)
    v, d, h = draw.array(4, *case.domain, scale=2.0), draw.array(4, *case.domain), 1e-6
    if not f.axes:
        d = np.ones_like(v)
    for step in (0.3, 2.0):
        x = f.prox(v, step)

        def objective(u: np.ndarray, step: float = step) -> np.ndarray:
            return f.total(u, axes) + ((u - v) ** 2).reshape(4, -1).sum(-1) / (2 * step)

        best = objective(x)
        assert np.isfinite(best).all()
        for size in (1e-4, 1e-2, 1.0):
            for other in (x + size * draw.array(*v.shape), f.prox(v + size * draw.array(*v.shape), step)):
                assert np.all(objective(other) >= best - 1e-7 * size - 1e-11)
        quotient = (f.prox(v + h * d, step) - f.prox(v - h * d, step)) / (2 * h)
        np.testing.assert_allclose(f.push(v, step, d), quotient, atol=1e-6)


@pytest.mark.parametrize("isotropic", [True, False])
def test_total_variation_obeys_the_optimality_conditions(isotropic: bool) -> None:
    """v - x lies in the subdifferential: its support is attained at x, ⟨v - x, x⟩ = step·f(x), and nowhere exceeded."""
    f, draw = FUNCTIONS["TV2D"], draw_of("numpy64", 5)
    for scale, step in ((1e-3, 1e-4), (1.0, 0.3), (1.0, 50.0), (1e4, 1e3)):
        v = draw.array(6, 5, 4, scale=scale)
        x = f.prox(v, step, isotropic=isotropic)
        value = step * f.value(x, isotropic=isotropic)
        size = (v * v).sum((1, 2))
        assert np.all(np.abs(((v - x) * x).sum((1, 2)) - value) <= 1e-12 * size)
        for other in draw.array(50, 6, 5, 4, scale=scale):
            assert np.all(((v - x) * other).sum((1, 2)) <= step * f.value(other, isotropic=isotropic) + 1e-12 * size)


OTHERS = [
    L1(0.3, axes=2),
    L1(torch.rand(3, 4, dtype=D)),
    Box(t(0.0, -1.0, 2.0), 3.0),
    L2(0.4, axes=2),
    L2(t([0.5], [1.0], [0.2])),
    L2(t([[0.5]], [[1.0]]), axes=2),
    LInf(t([0.5], [1.0])),
    L21(0.4, over=2, axes=3),
    L21(t([0.5], [1.0], [0.2])),
    L21(0.3, over=0, axes=1),
    GroupL2(0.4, groups=3),
    GroupL2(t(0.5, 0.5, 0.25, 0.25), groups=2),
    TV1D(0.3, axes=2),
    TV1D(t([0.5], [0.0], [0.2])),
    TV1D(t([0.5], [0.0], [0.2]), axes=2),
    TV1D(t([[0.5]], [[0.0]], [[0.2]]), axes=2),
    TV2D(0.4, isotropic=False),
    Simplex(axes=2),
    Simplex(t([0.5], [1.0])),
    HalfSpace(t(1.0, 2.0), t([0.5], [1.0])),
    AffineSet(t([1.0, 2.0, 0.0], [0.5, 0.0, 1.0]), torch.rand(5, 2, dtype=D)),
    PSDCone(),
    QuadraticForm(Diagonal(torch.rand(2, 3, dtype=D)), t(1.0, 2.0, 3.0)),
    QuadraticForm(Diagonal(torch.rand(3, dtype=D)), torch.rand(4, 1, dtype=D)),
    LeastSquares(Dense(t([1.0, 2.0], [0.5, 0.0], [1.0, 1.0])), torch.rand(6, 3, dtype=D)),
    LeastSquares(CircularConv(torch.rand(2, 1, 3, dtype=D), (5,)), torch.rand(2, 5, dtype=D)),
    Supported(L1(t(1.0, 2.0, 3.0)), t(1.0, 0.0, 1.0)),
    Spectral(SortedL1(t(1.0, 0.5))),
    Spectral(LInf(t([0.5], [0.25]))),
    NuclearNorm().conjugate(),
]


@pytest.mark.parametrize("f", OTHERS, ids=lambda f: type(f).__name__)
def test_functions_on_other_points_and_with_other_parameters(f: Any) -> None:
    report = verify(f)
    assert report, str(report)


def test_what_the_reference_does_not_know() -> None:
    with pytest.raises(OptionError, match="verify the parts one by one"):
        verify(SeparableSum((L1(), L1()), (1, 2)))
    with pytest.raises(OptionError, match=r"the reference knows ReLU, .* got Multiple"):
        verify(Multiple(L1(), 2.0))
    with pytest.raises(OptionError, match="the reference knows no Spectral TV1D"):
        verify(Spectral(TV1D()))
    assert verify(Spectral(SquaredL2()))


def test_the_reference_solves_its_own_equations() -> None:
    draw = draw_of("numpy64", 7)
    _, matrix, b = paper(draw, 3)
    for name, make in catalogue.FUNCTIONS.items():
        case = make()
        known = FUNCTIONS[case.reference]
        prox = lambda v, step, k=known, c=case: k.prox(v, step, **c.parameters)  # noqa: E731
        slope = lambda v, step, k=known, c=case: k.prox_derivative(v, step, **c.parameters)  # noqa: E731
        z = reference.equilibrium(matrix, b, prox, slope)
        for step in (0.1, 1.0, 3.0):
            np.testing.assert_allclose(prox(z - step * (z @ matrix.T - b), step), z, atol=1e-13, err_msg=name)
        g = draw.array(*b.shape)
        _, gradient = reference.gradient(matrix, b, z, g, slope)
        direction, h = draw.array(*b.shape), 1e-6
        sides = [reference.equilibrium(matrix, b + s * h * direction, prox, slope) for s in (1, -1)]
        numeric = ((sides[0] - sides[1]) * g).sum() / (2 * h)
        np.testing.assert_allclose((gradient * direction).sum(), numeric, rtol=1e-6, atol=1e-8, err_msg=name)
    np.testing.assert_allclose(reference_linear.resolvent(matrix, 0.5, b) @ (np.eye(6) + 0.5 * matrix).T, b, atol=1e-13)
    np.testing.assert_allclose(
        reference_linear.resolvent(matrix, 0.5, b, transpose=True) @ (np.eye(6) + 0.5 * matrix), b, atol=1e-13
    )
