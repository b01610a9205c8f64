"""Problems and data at the edge: solutions at zero, singular Newton systems, numbers whose squares overflow."""

import warnings
from typing import Any

import numpy as np
import pytest
import torch
from cases import draw_of, jit_warning, libraries

import monops
from monops import (
    ADMM,
    L1,
    L2,
    Affine,
    Anderson,
    Box,
    ChambollePock,
    Dense,
    DouglasRachford,
    Huber,
    Identity,
    L1Ball,
    LInf,
    NormalCone,
    NuclearNorm,
    PeacemanRachford,
    ProjectiveSplitting,
    PSDCone,
    ReLU,
    SemismoothNewton,
    Simplex,
    Softmax,
    Spectral,
    SquaredL2,
    Status,
    Subdifferential,
    equilibrium,
    solve,
)
from monops.arrays import to_numpy
from monops.errors import ConvergenceWarning, NonFiniteError
from monops.functions import ELU, TV1D, GroupL2, Linear
from monops.inversion import inverse
from monops.nn import Equilibrium, MonotoneDense


@pytest.mark.parametrize(
    "method",
    [DouglasRachford(1.0), DouglasRachford(0.3), ADMM(1.0), ChambollePock(0.5), ProjectiveSplitting(1.0),
     SemismoothNewton(), Anderson(DouglasRachford(1.0))],
    ids=repr,
)  # fmt: skip
@pytest.mark.parametrize("kind", [torch.float32, torch.float64])
def test_a_solution_at_zero_of_set_valued_operators_from_zero(
    method: monops.SplittingMethod, kind: torch.dtype
) -> None:
    c = torch.tensor([3.0, -1.0, 0.2], dtype=kind)
    A, B = Subdifferential(L1()).translate(c), Subdifferential(L1(2.0))
    for one, other in ((A, B), (B, A)):
        result = solve(method, one, other, torch.zeros(3, dtype=kind))
        assert result.status is Status.CONVERGED
        assert result.point.abs().max() < 1e-4


@pytest.mark.parametrize("library", [torch.as_tensor, np.asarray])
def test_newton_falls_back_where_its_system_is_singular(library: Any) -> None:
    A, B = NormalCone(Box(0.0, 1.0)), NormalCone(Box(0.5, 2.0))
    result = solve(SemismoothNewton(), A, B, library(np.full(3, 5.0)))
    assert result.status is Status.CONVERGED
    assert ((result.point >= 0.5 - 1e-6) & (result.point <= 1 + 1e-6)).all()


@pytest.mark.parametrize("scale", [1e-25, 1e25])
def test_norms_of_numbers_whose_squares_leave_the_range(scale: float) -> None:
    x = torch.tensor([1.5, 2.5, -0.7, 3.0])
    for f, scaled in ((L2(), L2(scale)), (GroupL2(groups=2), GroupL2(scale, groups=2))):
        torch.testing.assert_close(scaled.prox(x * scale, 1.0) / scale, f.prox(x, 1.0))
        torch.testing.assert_close(f(x * scale) / scale, f(x))


@pytest.mark.parametrize("scale", [1e-200, 1e200])
def test_total_variation_at_both_ends_of_the_range(scale: float) -> None:
    x = torch.tensor([1.5, 2.5, -0.7, 3.0], dtype=torch.float64)
    torch.testing.assert_close(TV1D(scale).prox(x * scale, 1.0) / scale, TV1D().prox(x, 1.0))


def test_gradients_in_bounds_that_are_equal() -> None:
    c = torch.tensor([1.0, 2.0], requires_grad=True)
    x = torch.tensor([0.0, 3.0])
    for f in (Box(c, c), Linear(c).conjugate()):
        (slope,) = torch.autograd.grad(f.prox(x, 1.0).sum(), c)
        assert slope.tolist() == [1.0, 1.0]


def test_values_that_only_tensors_or_rounding_reach() -> None:
    x = torch.tensor([-0.2, -0.2])
    torch.testing.assert_close(ELU(torch.tensor([0.5, 0.5]))(x), ELU(0.5)(x))
    f = Huber(0.3, 0.7)
    assert torch.isfinite(f.conjugate()(f.gradient(torch.tensor([50.0]))))
    assert torch.isinf(f.conjugate()(torch.tensor([0.2101])))


def test_sums_know_the_cocoercivity_of_strong_monotonicity() -> None:
    skew = Affine(Dense(torch.tensor([[0.0, 1.0], [-1.0, 0.0]])), torch.ones(2))
    total = Subdifferential(Huber() + SquaredL2(0.5)) + skew
    assert total.cocoercivity == pytest.approx(total.strong_monotonicity / total.lipschitz**2)
    assert total.cocoercivity > 0
    result = solve(monops.ForwardBackward(total.cocoercivity), total, Subdifferential(L1()), torch.zeros(2))
    assert result.status is Status.CONVERGED


@pytest.mark.parametrize("direction", ["forward", "backward"])
def test_a_warm_start_forgets_what_is_not_finite(direction: str) -> None:
    layer = Equilibrium(MonotoneDense(3, 4), activation=ReLU(), method=PeacemanRachford(0.5), warm_start=True)
    x, bad = torch.ones(2, 3), torch.full((2, 3), float("nan"))
    if direction == "forward":
        with pytest.raises(NonFiniteError):
            layer(bad)
    else:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            (layer(x) * float("inf")).sum().backward()
    layer.zero_grad()
    z = layer(x)
    z.sum().backward()
    assert torch.isfinite(z).all()
    assert all(torch.isfinite(p.grad).all() for p in layer.parameters() if p.grad is not None)


def test_one_broken_method_leaves_the_others_their_rows() -> None:
    class Broken(DouglasRachford):
        def advance(self, plan: Any, z: Any) -> Any:
            raise RuntimeError("it broke")

    class Bare(DouglasRachford):
        def advance(self, plan: Any, z: Any) -> Any:
            return z

    A, B = Affine(Dense(2 * torch.eye(2)), torch.ones(2)), Subdifferential(ReLU())
    trials = monops.compare({"broken": Broken(0.5), "bare": Bare(0.5), "whole": PeacemanRachford(0.5)}, (A, B))
    by_name = {row.method: row for row in trials.rows}
    assert "it broke" in by_name["broken"].refusal
    assert "Step" in by_name["bare"].refusal
    assert by_name["whole"].status is Status.CONVERGED


@jit_warning
def test_derivatives_and_devices_of_operators_on_points_of_two_axes() -> None:
    A, B = Subdifferential(Huber(axes=2) + SquaredL2(1.0, axes=2)), Subdifferential(L1(0.1, axes=2))
    shift = torch.randn(2, 3, dtype=torch.float64, requires_grad=True)

    def point(shift: torch.Tensor) -> torch.Tensor:
        return equilibrium(DouglasRachford(1.0), A.translate(shift), B, z0=torch.zeros_like(shift), tol=1e-12).point

    assert torch.autograd.gradcheck(point, shift)
    assert Identity((2,)).to("cpu").device == torch.device("cpu")


@pytest.mark.parametrize("f", [NuclearNorm(0.5), PSDCone(), Spectral(Box(-1.0, 1.0))], ids=lambda f: type(f).__name__)
@pytest.mark.parametrize("library", [torch.as_tensor, np.asarray])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_matrices_that_are_not_finite_give_nan_and_leave_the_others_alone(f: Any, library: Any, bad: float) -> None:
    x = np.random.default_rng(0).standard_normal((3, 3, 3))
    good = f.prox(library(x), 0.7)
    x[1, 0, 2] = bad
    with np.errstate(invalid="ignore"):
        p, value = f.prox(library(x), 0.7), f(library(x))
        d = f.prox_derivative(library(x), 0.7)(library(np.ones_like(x)))
    assert np.isnan(np.asarray(p[1])).any()
    assert np.array_equal(np.asarray(p[[0, 2]]), np.asarray(good[[0, 2]]))
    assert np.isnan(np.asarray(value)[1])
    assert np.isfinite(np.asarray(d[[0, 2]])).all()


@pytest.mark.parametrize("f", [L1Ball(), LInf(), Simplex(), Softmax(), PSDCone()], ids=lambda f: type(f).__name__)
def test_points_of_length_zero(f: Any) -> None:
    x = torch.zeros(2, *(0,) * f.axes)
    for result in (f.prox(x, 1.0), f.conjugate_prox(x, 1.0), f.prox_derivative(x, 1.0)(x)):
        assert result.shape == x.shape
    assert f(x).shape == f.conjugate_value(x).shape == (2,)


@libraries
@pytest.mark.parametrize("scale", [1e200, 1e-200])
def test_large_and_small_matrices_are_not_taken_for_singular(kind: str, scale: float) -> None:
    """Not even where squares of their entries are beyond the range of numbers."""
    matrix = scale * np.array([[1.0, 0.5, 0.0], [0.0, 2.0, 0.0], [0.0, 0.0, 4.0]])
    got = to_numpy(inverse(draw_of(kind).put(matrix), False, "it")).astype(float)
    np.testing.assert_allclose(got @ matrix, np.eye(3), atol=1e-6)
