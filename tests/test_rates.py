"""No random problem does worse than a proven rate: the distance of the state to its limit."""

import math
from typing import Any

import pytest
import torch
from cases import quick
from hypothesis import given
from hypothesis import strategies as st

from monops import (
    L1,
    Affine,
    Box,
    Dense,
    DouglasRachford,
    Extragradient,
    FixedPoint,
    ForwardBackward,
    ForwardBackwardForward,
    NormalCone,
    PeacemanRachford,
    ProximalPoint,
    Relaxed,
    ReLU,
    SplittingMethod,
    Subdifferential,
    Tanh,
    solve,
)
from monops.errors import RateWarning

D = torch.float64
SECOND = {
    "ReLU": Subdifferential(ReLU()),
    "L1": Subdifferential(L1(0.4)),
    "Tanh": Subdifferential(Tanh()),
    "box": NormalCone(Box(-0.5, 0.25)),
}


def operator(m: float, L: float, kind: str, seed: int) -> Affine:
    """M ⪰ m I with ‖M‖ ≤ L: rotations and scalings of planes, which are the worst case, or random."""
    torch.manual_seed(seed)
    if kind == "rotation":
        s = math.sqrt(max(L * L - m * m, 0.0))
        M = torch.block_diag(*[torch.tensor([[m, s], [-s, m]], dtype=D)] * 3)
    else:
        half, skew = torch.randn(6, 6, dtype=D), torch.randn(6, 6, dtype=D)
        rest = half.mT @ half + skew - skew.mT
        M = m * torch.eye(6, dtype=D) + (L - m) * rest / torch.linalg.matrix_norm(rest, 2)
    return Affine(Dense(M), torch.randn(5, 6, dtype=D), claim=m)


def methods(m: float, L: float, factor: float) -> list[SplittingMethod]:
    alpha = factor / L
    return [
        PeacemanRachford(alpha),
        DouglasRachford(alpha),
        Relaxed(PeacemanRachford(alpha), 0.7),
        ForwardBackward(min(factor, 0.95) * 2 * m / L**2),
        ForwardBackwardForward(min(factor, 0.95) / L),
        Extragradient(min(factor, 0.95) / L),
        FixedPoint(min(factor, 1.0)),
    ]


@quick
@given(
    second=st.sampled_from(list(SECOND)),
    m=st.floats(0.1, 1.0),
    ratio=st.floats(1.05, 4.0),
    factor=st.floats(0.1, 3.0),
    kind=st.sampled_from(["rotation", "random"]),
    seed=st.integers(0, 10**6),
)
def test_no_problem_contracts_slower(second: str, m: float, ratio: float, factor: float, kind: str, seed: int) -> None:
    A, B = operator(m, m * ratio, kind, seed), SECOND[second]
    L = m * ratio
    start = torch.randn(5, 6, dtype=D) * 10.0 ** torch.randint(-2, 3, (5, 1))
    for method in methods(m, L, factor):
        rate = method.rate(m, L)
        if rate is not None:
            _distances_fall(method, A, B, start, rate)
    alone = ProximalPoint(factor)
    rate = alone.rate(m, L)
    assert rate is not None
    _distances_fall(alone, A, None, start, rate)


def _distances_fall(method: Any, A: Any, B: Any, start: torch.Tensor, rate: float) -> None:
    limit = solve(method, A, B, tol=1e-14, max_steps=20000, warn=False).state
    states = [start]
    for steps in (1, 2, 4):
        states.append(solve(method, A, B, start, tol=1e-300, max_steps=steps, check_every=100, warn=False).state)
    distance = [(state - limit).norm(dim=1) for state in states]
    for earlier, later, steps in ((0, 1, 1), (1, 2, 1), (2, 3, 2), (0, 3, 4)):
        room = 1e-11 * (1 + limit.norm(dim=1))
        assert (distance[later] <= rate**steps * distance[earlier] + room).all(), (method, rate)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("second", list(SECOND))
def test_no_false_alarm(second: str, dtype: torch.dtype) -> None:
    """Warnings are errors in these tests."""
    for kind in ("rotation", "random"):
        A = operator(0.3, 1.2, kind, 0)
        A = Affine(Dense(A.linear.to_dense().to(dtype)), A.b.to(dtype), claim=A.claim)
        for method in (PeacemanRachford("auto"), DouglasRachford("auto"), ForwardBackward("auto")):
            result = solve(method, A, SECOND[second], check_every=1)
            assert not result.rate_excess > 1.5


def test_a_wrong_claim_is_noticed() -> None:
    honest = operator(0.05, 2.0, "rotation", 0)
    liar = Affine(honest.linear, honest.b, claim=1.0)
    with pytest.warns(RateWarning, match=r"larger than the proven rate.*its claim perhaps"):
        result = solve(PeacemanRachford("auto"), liar, SECOND["Tanh"], check_every=1)
    assert result.rate_excess > 2
    assert result.measured_rate > (result.predicted_rate or 1.0)


def test_a_wrong_norm_is_noticed() -> None:
    """Such as one that is computed with a wrong adjoint."""

    class Small(Dense):
        def norm(self) -> float:
            return 0.2 * super().norm()

    torch.manual_seed(0)
    skew = torch.randn(6, 6, dtype=D)
    wrong = Small(0.3 * torch.eye(6, dtype=D) + 2 * (skew - skew.mT))
    with pytest.warns(RateWarning, match="a constant of A is wrong"):
        result = solve(PeacemanRachford("auto"), Affine(wrong, torch.randn(2, 6, dtype=D), claim=0.3))
    assert result.rate_excess > 2


def test_what_is_a_gradient_stays_one_behind_a_linear_operator() -> None:
    K = Dense(torch.tensor([[0.0, 1.0], [-1.0, 0.0]], dtype=D))
    assert Subdifferential(L1(0.4)).precompose(K).is_gradient
    assert not Affine(Dense(torch.tensor([[1.0, 2.0], [-2.0, 1.0]], dtype=D))).precompose(K).is_gradient
