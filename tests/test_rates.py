"""No random problem does worse than a proven rate: the distance of the state to its limit."""

import math
import re
import warnings
from typing import Any

import numpy as np
import pytest
import torch
from cases import quick
from hypothesis import event, given
from hypothesis import strategies as st

from monops import (
    ADMM,
    L1,
    Affine,
    Anderson,
    Box,
    ChambollePock,
    Dense,
    DouglasRachford,
    Extragradient,
    FixedPoint,
    ForwardBackward,
    ForwardBackwardForward,
    ForwardReflectedBackward,
    FromCallable,
    NormalCone,
    PeacemanRachford,
    ProximalPoint,
    Relaxed,
    ReLU,
    SplittingMethod,
    SquaredL2,
    Subdifferential,
    Tanh,
    compare,
    solve,
)
from monops.errors import OptionError, RateWarning
from monops.linear import Identity

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
            assert result.rate_excess <= 1.5


def test_a_wrong_claim_is_noticed() -> None:
    honest = operator(0.05, 2.0, "rotation", 0)
    liar = Affine(honest.linear, honest.b, claim=1.0)
    with pytest.warns(RateWarning, match=r"larger than the proven rate.*its claim perhaps"):
        result = solve(PeacemanRachford("auto"), liar, SECOND["Tanh"], check_every=1)
    assert result.rate_excess > 2
    assert result.measured_rate > (result.predicted_rate or 1.0)


@pytest.mark.parametrize(
    "method",
    [
        DouglasRachford(0.3),
        ADMM(0.3),
        ChambollePock(0.3),
        ForwardBackward(0.1),
        Extragradient(0.1),
        ForwardReflectedBackward(0.1),
    ],
    ids=str,
)
def test_a_wrong_claim_is_noticed_by_all_kinds_of_methods_and_where_they_diverge(method: SplittingMethod) -> None:
    class Claims(Affine):
        strong_monotonicity = 3.0
        lipschitz = 3.2

    torch.manual_seed(0)
    R = torch.randn(6, 6, dtype=D)
    honest = Affine(Dense(0.7 * torch.eye(6, dtype=D) + R - R.mT), torch.ones(6, dtype=D))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = solve(method, Claims(honest.linear, honest.b), SECOND["L1"], max_steps=3000)
    (message,) = (str(w.message) for w in caught if w.category is RateWarning)
    assert re.search("[0-9]e.[0-9]+ × larger than the proven rate.*a constant of A is wrong", message)
    assert result.rate_excess > 1e6
    assert result.converged or isinstance(method, ForwardBackward)
    short = method.with_step(0.02)
    assert solve(short, honest, SECOND["L1"], max_steps=3000).rate_excess <= 1.0


def test_a_contraction_has_its_norm_as_its_rate() -> None:
    torch.manual_seed(0)
    W = torch.randn(6, 6, dtype=D)
    W = 0.8 * W / torch.linalg.matrix_norm(W, 2)
    A = Affine(Dense(torch.eye(6, dtype=D) - W), torch.randn(5, 6, dtype=D))
    assert FixedPoint(1.0).rate_for(A, SECOND["ReLU"]) == pytest.approx(0.8)
    assert FixedPoint(0.5).rate_for(A, SECOND["ReLU"]) == pytest.approx(0.9)
    assert not solve(FixedPoint(1.0), A, SECOND["ReLU"]).rate_excess > 1.0


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


FIXED = [
    PeacemanRachford(0.4),
    DouglasRachford(0.8),
    Relaxed(PeacemanRachford(0.4), 0.7),
    FixedPoint(0.2),
    ForwardBackwardForward(0.3),
    Extragradient(0.3),
]


@pytest.mark.parametrize("method", [*FIXED, ForwardBackward(0.1)], ids=repr)
@pytest.mark.parametrize("what", ["claim", "adjoint"])
def test_at_a_fixed_step_too(what: str, method: SplittingMethod) -> None:
    """A claim of m = 1 of what has 0.15; and K - Kᴴ by an adjoint that is half as large again, which is not skew."""
    if what == "claim":
        A = operator(0.15, 1.2, "rotation", 0)
        A = Affine(A.linear, A.b, claim=1.0)
    else:
        turn = torch.block_diag(*[torch.tensor([[1.7, -0.4], [0.4, 1.7]], dtype=D)] * 3)
        K = FromCallable(lambda x: x @ turn.mT, lambda y: 1.5 * (y @ turn), (6,), dtype=D)
        A = Affine(1.0 * Identity.like(K) + (K - K.H), torch.randn(5, 6, dtype=D), claim=1.0)
    with pytest.warns(RateWarning, match="larger than the proven rate"):
        result = solve(method, A, SECOND["Tanh"], tol=1e-10, max_steps=5000)
    assert result.search is None
    assert result.rate_excess > 2


@quick
@given(
    second=st.sampled_from(list(SECOND)),
    m=st.floats(0.02, 1.0),
    ratio=st.floats(1.05, 10.0),
    factor=st.floats(0.1, 3.0),
    kind=st.sampled_from(["rotation", "random"]),
    check_every=st.sampled_from([1, 3, 10]),
    dtype=st.sampled_from([torch.float32, torch.float64]),
    seed=st.integers(0, 10**6),
)
def test_no_false_alarm_at_a_fixed_step(
    second: str, m: float, ratio: float, factor: float, kind: str, check_every: int, dtype: torch.dtype, seed: int
) -> None:
    """Warnings are errors in these tests; the facts are computed, not claimed."""
    A, compared = operator(m, m * ratio, kind, seed), 0
    A = Affine(Dense(A.linear.to_dense().to(dtype)), A.b.to(dtype))
    start = torch.randn(5, 6, dtype=dtype) * 10.0 ** torch.randint(-2, 3, (5, 1))
    for method in methods(m, m * ratio, factor):
        if method.rate(m, m * ratio) is None:  # a fixed-point iteration that may diverge
            continue
        result = solve(method, A, SECOND[second], start, check_every=check_every, max_steps=20000)
        assert not result.is_slower_than_proven
        compared += not math.isnan(result.rate_excess)
        assert not result.rate_excess > 1.5  # NaN where too few looks can be compared
    event(f"{compared > 0}")


def test_rates_are_compared_only_where_that_costs_little() -> None:
    class Slow(Dense):
        """Whose facts nobody is to ask for."""

        def norm(self) -> float:
            raise AssertionError

    torch.manual_seed(0)
    half = torch.randn(200, 200, dtype=D) / 200**0.5
    A = Affine(Slow(0.5 * torch.eye(200, dtype=D) + half - half.mT), torch.randn(200, dtype=D))
    result = solve(PeacemanRachford(0.3), A, SECOND["ReLU"], check_every=1)
    assert not result.is_rate_affordable
    with pytest.raises(AssertionError):
        _ = result.predicted_rate
    with pytest.raises(AssertionError):  # since this one takes many steps
        solve(DouglasRachford(0.01), A, SECOND["ReLU"], tol=1e-4, max_steps=20000, check_every=100)
    known = Affine(Dense(A.linear.to_dense()), A.b)
    assert known.lipschitz >= known.strong_monotonicity
    assert solve(PeacemanRachford(0.3), known, SECOND["ReLU"], check_every=1).is_rate_affordable


def test_what_is_not_monotone_has_no_rate_and_no_alarm() -> None:
    """Behind functions nobody looks before the solve."""
    matrix = torch.diag(torch.tensor([1.0, -0.1], dtype=D))
    hidden = FromCallable(lambda x: x @ matrix, lambda y: y @ matrix, (2,), dtype=D)
    A = Affine(hidden, torch.ones(2, dtype=D))
    result = solve(PeacemanRachford(0.5), A, Subdifferential(SquaredL2(1.0)), check_every=1)
    assert result.is_rate_affordable
    assert not result.is_slower_than_proven
    with pytest.raises(OptionError, match="monotone M"):
        _ = result.predicted_rate


def test_the_plot_has_both_rates() -> None:
    plots = pytest.importorskip("monops.plots", reason="pictures are drawn by matplotlib, of the extra train")
    A = operator(0.3, 1.2, "random", 0)
    result = solve(PeacemanRachford(0.3), A, SECOND["ReLU"], tol=1e-9, check_every=1)
    (axes,) = plots.convergence(result).axes
    residual, measured, proven = axes.lines
    assert list(residual.get_xdata()) == result.history.steps
    for line, rate, end in ((measured, result.measured_rate, -1), (proven, result.predicted_rate, 0)):
        x, y = (np.array(data, dtype=float) for data in (line.get_xdata(), line.get_ydata()))
        assert np.exp(np.nanmean(np.diff(np.log(y)) / np.diff(x))) == pytest.approx(rate)
        assert y[end] == pytest.approx(residual.get_ydata()[end])
        assert f"{rate:.3g}" in line.get_label()
    compared = compare([PeacemanRachford(0.3), Anderson(PeacemanRachford(0.3))], (A, SECOND["ReLU"]), tol=1e-9)
    first, second = compared.rows
    assert (first.predicted_rate, second.predicted_rate) == (result.predicted_rate, None)
    assert first.measured_rate == pytest.approx(result.measured_rate, rel=0.1)
    steps, calls, _ = compared.plot().axes
    assert [line.get_linestyle() for line in steps.lines].count(":") == 1
    assert len(calls.lines) == 3  # two methods and the tolerance
    (legend,) = compared.plot().legends
    assert {"proven rate", "measured rate"} <= {text.get_text() for text in legend.get_texts()}


def test_what_is_a_gradient_stays_one_behind_a_linear_operator() -> None:
    K = Dense(torch.tensor([[0.0, 1.0], [-1.0, 0.0]], dtype=D))
    assert Subdifferential(L1(0.4)).precompose(K).is_gradient
    assert not Affine(Dense(torch.tensor([[1.0, 2.0], [-2.0, 1.0]], dtype=D))).precompose(K).is_gradient
