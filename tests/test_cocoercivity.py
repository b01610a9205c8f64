"""The cocoercivity of linear operators is the largest that there is, and steps are chosen by it."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from cases import quick
from hypothesis import given
from hypothesis import strategies as st

from monops import L1, Affine, CircularConv, Dense, ForwardBackward, Identity, Subdifferential, ZeroOperator, solve
from monops.errors import StepSizeError
from monops.linear import Factored, LinearOperator

D = torch.float64


def least(op: LinearOperator, beta: float) -> float:
    """The smallest eigenvalue of the symmetric part of M - βMᵀM."""
    n = math.prod(op.domain)
    M = np.asarray(op.to_dense()).reshape(n, n)
    shifted = M - beta * M.T @ M
    return float(np.linalg.eigvalsh((shifted + shifted.T) / 2)[0])


def kinds(seed: int) -> dict[str, Any]:
    torch.manual_seed(seed)
    half, skew = torch.randn(6, 6, dtype=D), torch.randn(6, 6, dtype=D)
    M = 0.3 * torch.eye(6, dtype=D) + half.mT @ half / 4 + skew - skew.mT
    flat = torch.zeros(8, 8, dtype=D)
    flat[:6, :6] = M  # singular, but zero wherever its symmetric part is
    turn, _ = torch.linalg.qr(torch.randn(8, 8, dtype=D))
    conv = CircularConv(0.2 * torch.randn(3, 3, 3, 3, dtype=D), (4, 5))
    return {
        "matrix": Dense(M),
        "NumPy": Dense(M.numpy()),
        "singular": Dense(turn @ flat @ turn.mT),
        "circulant": conv.H @ conv + 0.1 * Identity(conv.domain, dtype=D) + conv - conv.H,
        "factored": Factored(Dense(M)),
    }


@quick
@given(seed=st.integers(0, 10**6))
@pytest.mark.parametrize("name", list(kinds(0)))
def test_it_is_the_largest_that_there_is(name: str, seed: int) -> None:
    op = kinds(seed)[name]
    beta, size = op.cocoercivity(), op.norm()
    assert beta > 1e-8
    assert least(op, beta) >= -1e-10 * size
    assert least(op, 1.001 * beta) < -1e-12 * size
    assert op.H.cocoercivity() > 0


def test_of_what_has_none_it_is_zero_and_of_zero_it_is_infinite() -> None:
    turn = torch.tensor([[0.0, -1.0], [1.0, 0.0]])
    assert Dense(turn).cocoercivity() == 0.0
    assert Dense(turn + torch.tensor([[1.0, 0.0], [0.0, 0.0]])).cocoercivity() == 0.0
    assert Dense(-torch.eye(2) + turn).cocoercivity() == 0.0
    assert Dense(torch.zeros(2, 2)).cocoercivity() == math.inf
    assert Dense(torch.stack([torch.eye(2), 4 * torch.eye(2)])).cocoercivity() == pytest.approx(1 / 4)
    assert Dense(torch.diag(torch.tensor([1.0, 4.0])), symmetric=True).cocoercivity() == pytest.approx(1 / 4)


def test_forward_backward_takes_the_steps_that_it_allows() -> None:
    torch.manual_seed(0)
    S, R = torch.randn(12, 12, dtype=D), 0.3 * torch.randn(12, 12, dtype=D)
    M = 0.3 * torch.eye(12, dtype=D) + S @ S.mT / 8 + R - R.mT
    A, B = Affine(Dense(M), torch.randn(12, dtype=D)), Subdifferential(L1(0.4))
    beta = A.cocoercivity
    assert beta > 2 * A.strong_monotonicity / A.lipschitz**2
    assert ForwardBackward("auto").starting_step(A) == beta
    steps = [solve(ForwardBackward(a), A, B, tol=1e-8, max_steps=9000).steps for a in ("auto", 1.9 * beta, 0.2 * beta)]
    assert steps[0] <= 1.15 * min(steps)
    with pytest.raises(StepSizeError, match="2β"):
        solve(ForwardBackward(2.1 * beta), A, B)
    claimed = Affine(Dense(M), A.b, claim=0.3)  # for which no eigenvalue is computed
    assert claimed.cocoercivity == pytest.approx(0.3 / A.lipschitz**2)
    assert solve(ForwardBackward(beta), A, ZeroOperator(), max_steps=9000).converged
