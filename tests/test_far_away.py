"""What a state is made of, and solutions that are far away or nowhere."""

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from monops import (
    FISTA,
    AdaptiveForwardBackward,
    Affine,
    CondatVu,
    DavisYin,
    DouglasRachford,
    ForwardBackward,
    ForwardBackwardForward,
    NormalCone,
    Relaxed,
    ReLU,
    Status,
    Subdifferential,
    solve,
)
from monops.errors import ConditionError, ShapeError
from monops.functions import L2, NonNegative, NuclearNorm, SquaredL2
from monops.linear import Dense, Diagonal
from monops.tuning import _fractional_steps


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    "method",
    [DouglasRachford(1.0), FISTA(1.0), ForwardBackward(1e5), AdaptiveForwardBackward(), ForwardBackwardForward(1.0)],
    ids=lambda method: type(method).__name__,
)
def test_a_point_that_leaves_for_infinity_has_not_converged(method: Any, dtype: torch.dtype) -> None:
    """Minimise -x₁ - x₂ over x ≥ 0: ‖gap‖/‖point‖ falls below every tolerance, but the gap does not fall at all."""
    downhill = Affine(Dense(torch.zeros(2, 2, dtype=dtype), symmetric=True), torch.ones(2, dtype=dtype))
    with pytest.warns(UserWarning, match="not converged"):
        result = solve(method, downhill, NormalCone(NonNegative()), tol=1e-3, max_steps=3000)
    assert result.status is Status.STALLED
    assert not result.converged


def test_a_distant_solution_is_still_found() -> None:
    """Of a batch, one sample at 1e6 and one that starts at its solution, both by many small steps."""
    M = torch.full((1,), 0.05, dtype=torch.float64)
    b = torch.tensor([[5e4], [1.0]], dtype=torch.float64)
    start = torch.tensor([[0.0], [20.0]], dtype=torch.float64)
    result = solve(ForwardBackward(1.0), Affine(Diagonal(M, rank=1), b), None, start, tol=1e-8)
    assert result.converged.all()
    torch.testing.assert_close(result.point, b / M, rtol=1e-6, atol=0)


@pytest.mark.parametrize("axes", [1, 2])
def test_samples_are_the_points_that_functions_say(axes: int) -> None:
    """Nothing but the functions knows that points are matrices: a batch of them is solved as one by one."""
    torch.manual_seed(0)
    x = torch.randn(3, 6, 4, dtype=torch.float64)
    f = Subdifferential(NuclearNorm(0.5)) if axes == 2 else Subdifferential(L2(0.5))
    pull = SquaredL2(1.0, axes=axes).translate(torch.tensor(0.3, dtype=torch.float64))
    result = solve(DouglasRachford(1.0), f, Subdifferential(pull), x, tol=1e-10)
    assert result.residual.shape == x.shape[:-axes]
    for one, point in zip(x, result.point, strict=True):
        torch.testing.assert_close(
            solve(DouglasRachford(1.0), f, Subdifferential(pull), one, tol=1e-10).point, point, rtol=0, atol=1e-8
        )


def test_functions_of_more_axes_than_the_space_are_refused() -> None:
    A = Affine(Dense(torch.eye(3)), torch.ones(4, 3))
    with pytest.raises(ShapeError, match="points of 2 axes"):
        solve(DouglasRachford(1.0), A, Subdifferential(NuclearNorm(1.0)))


@pytest.mark.parametrize("method", [ForwardBackward("auto"), DavisYin("auto"), CondatVu("auto")])
def test_auto_knows_a_gradient_from_other_operators(method: Any) -> None:
    """m/L² would be thousands of times too small a step here; along a gradient the steps reach to 2/L."""
    torch.manual_seed(0)
    X, y = torch.rand(60, 50, dtype=torch.float64), torch.rand(8, 60, dtype=torch.float64)
    D = Dense(X)
    A = Affine(D.H @ D, y @ X)
    result = solve(method, A, Subdifferential(ReLU()), tol=1e-6, max_steps=5000)
    assert result.converged.all()
    assert result.search is not None
    assert result.search.method.step * A.lipschitz > 1


def test_a_method_that_lacks_its_condition_says_which() -> None:
    """A rotation is not cocoercive."""
    turn = Affine(
        Dense(torch.tensor([[0.0, -1.0], [1.0, 0.0]], dtype=torch.float64)), torch.ones(2, dtype=torch.float64)
    )
    for step in (0.4, "auto"):
        with pytest.raises(ConditionError, match="cocoercivity"):
            solve(ForwardBackward(step), turn, Subdifferential(ReLU()))


def test_auto_finds_a_step_at_which_the_relaxation_is_allowed() -> None:
    torch.manual_seed(0)
    X, y = torch.randn(40, 5, dtype=torch.float64), torch.rand(8, 40, dtype=torch.float64)
    A, B = Affine(Dense(X).H @ Dense(X), y @ X), Subdifferential(ReLU())
    result = solve(Relaxed(ForwardBackward("auto"), 1.2), A, B, tol=1e-8, max_steps=5000)
    assert result.converged.all()


def test_an_extrapolated_number_of_steps_is_at_least_what_was_not_enough() -> None:
    """The sample was below the tolerance a step before it was called done; what it took is not less than nothing."""
    residual = np.array([[1e-1], [1e-5], [0.9e-5]])
    result: Any = SimpleNamespace(
        history=SimpleNamespace(residual=residual),
        steps=3,
        converged=np.array([True]),
        sample_steps=np.array([3]),
        point=np.zeros(1),
    )
    assert _fractional_steps(result, 1e-3) == 2.0
    result.converged[:] = False
    assert _fractional_steps(result, 1e-3) == math.inf
