"""Anderson's, Broyden's and Newton's methods on top of splitting methods."""

from typing import Any

import pytest
import torch
from cases import draw_of, paper

from monops import (
    Affine,
    Anderson,
    Broyden,
    Dense,
    DouglasRachford,
    FromCallable,
    ReLU,
    SemismoothNewton,
    Subdifferential,
    Tanh,
    solve,
)

D = torch.float64


@pytest.mark.parametrize("wrap", [Anderson, Broyden], ids=lambda w: w.__name__)
def test_an_acceleration_survives_bad_proposals(wrap: type[Any]) -> None:
    """With proposals that lead nowhere, it takes the steps of the method, each after a refused one."""

    class Lost(wrap):
        def propose(self, plan: Any, z: Any, Tz: Any, accepted: Any, memory: Any) -> Any:
            return 1e6 * torch.ones_like(Tz), memory

    A, _, _ = paper(draw_of("torch64"), 3)
    B = Subdifferential(Tanh())
    plain = solve(DouglasRachford(0.5), A, B, tol=1e-10, check_every=1)
    lost = solve(Lost(DouglasRachford(0.5)), A, B, tol=1e-10, check_every=1)
    torch.testing.assert_close(lost.point, plain.point, atol=1e-8, rtol=0)
    assert plain.steps <= lost.steps <= 2 * plain.steps + 2


def test_accelerations_save_steps() -> None:
    """On an operator that is hardly monotone, as those of trained layers are; Newton's method ends exactly."""
    torch.manual_seed(0)
    half, skew = torch.randn(40, 40, dtype=D) / 12, torch.randn(40, 40, dtype=D) / 12
    M = 0.05 * torch.eye(40, dtype=D) + half.mT @ half + skew - skew.mT
    A = Affine(Dense(M), torch.randn(8, 40, dtype=D))
    B, steps = Subdifferential(ReLU()), {}
    base = DouglasRachford(1.0)
    for method in (base, Anderson(base), SemismoothNewton(1.0)):
        result = solve(method, A, B, tol=1e-10, max_steps=3000, check_every=1)
        steps[type(method).__name__] = result.steps
    assert steps["Anderson"] < 0.75 * steps["DouglasRachford"]
    assert steps["SemismoothNewton"] <= 15
    assert result.residual.max() < 1e-13


def test_newton_on_an_operator_without_a_matrix() -> None:
    """Its systems are solved by GMRES; the steps are those with a matrix."""
    A, matrix, b = paper(draw_of("torch64"), 3)
    M = torch.as_tensor(matrix)
    free = Affine(FromCallable(lambda x: x @ M.mT, lambda y: y @ M, (6,), dtype=D), torch.as_tensor(b))
    B = Subdifferential(ReLU())
    direct, krylov = (solve(SemismoothNewton(0.5), op, B, tol=1e-10, check_every=1) for op in (A, free))
    torch.testing.assert_close(krylov.point, direct.point, atol=1e-9, rtol=0)
    assert abs(krylov.steps - direct.steps) <= 1
