"""What methods say of operators and options that they cannot take."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from monops import (
    ADMM,
    FISTA,
    L1,
    AdaptiveForwardBackward,
    Affine,
    Anderson,
    Broyden,
    ChambollePock,
    CondatVu,
    DavisYin,
    Dense,
    Extragradient,
    FixedPoint,
    ForwardBackward,
    ForwardBackwardForward,
    ForwardReflectedBackward,
    Halpern,
    LinearizedADMM,
    PeacemanRachford,
    ProjectiveSplitting,
    ProximalPoint,
    Relaxed,
    ReLU,
    SquaredL2,
    Subdifferential,
    search_step,
    solve,
)
from monops.errors import ConditionError, MonopsError, NoResolventError, OptionError, StepSizeError

A_PLAIN = Affine(Dense(torch.tensor([[2.0, -1.0], [1.0, 2.0]])), torch.ones(2))
SYMMETRIC = Affine(Dense(torch.tensor([[2.0, 1.0], [1.0, 2.0]]), symmetric=True), torch.ones(2))
SKEW = Affine(Dense(torch.tensor([[0.0, -1.0], [1.0, 0.0]])), torch.ones(2))
RELU, ABS = Subdifferential(ReLU()), Subdifferential(L1())
TALL = Dense(torch.ones(3, 2))


@pytest.mark.parametrize(
    ("run", "error", "match"),
    [
        (lambda: solve(FISTA(0.1), A_PLAIN, RELU), ConditionError, "gradient of a convex function"),
        (
            lambda: solve(FISTA(0.5), SYMMETRIC, RELU),
            StepSizeError,
            r"\(0, 0\.333333\], where the bound is 1/L for L = 3, got 0\.5; take a smaller",
        ),
        (lambda: solve(AdaptiveForwardBackward(), A_PLAIN, RELU), ConditionError, "known to be symmetric"),
        (lambda: solve(Extragradient(0.1), A_PLAIN, A_PLAIN), ConditionError, "take ForwardBackwardForward"),
        (
            lambda: solve(ForwardBackwardForward(1.0), A_PLAIN, RELU),
            StepSizeError,
            r"\(0, 0\.447214\), where the bound is 1/L",
        ),
        (
            lambda: solve(ForwardReflectedBackward(0.3), A_PLAIN, RELU),
            StepSizeError,
            r"\(0, 0\.223607\), where the bound is 1/\(2L\) for",
        ),
        (lambda: solve(ForwardBackwardForward(0.1), ABS, RELU, torch.ones(2)), ConditionError, "exchange A and B"),
        (lambda: solve(PeacemanRachford(0.1), A_PLAIN, ABS.precompose(TALL)), NoResolventError, "ChambollePock"),
        (lambda: solve(ADMM(0.1), ABS, RELU.precompose(TALL), torch.ones(2)), ConditionError, "LinearizedADMM"),
        (lambda: solve(ChambollePock(1.0, 1.1), A_PLAIN, RELU), StepSizeError, r"στ‖K‖² ≤ 1.*got 1.1"),
        (lambda: solve(CondatVu(0.1, 1e3), A_PLAIN, RELU), StepSizeError, r"1/τ - σ‖K‖² > 1/\(2β\)"),
        (lambda: solve(CondatVu(9.0), A_PLAIN, RELU), StepSizeError, r"\(0, 0\.8\), where the bound is 2β"),
        (lambda: solve(LinearizedADMM(1.0, 2.0), A_PLAIN, RELU), StepSizeError, "τ‖K‖² ≤ α"),
        (lambda: solve(DavisYin(9.0), A_PLAIN, RELU), StepSizeError, r"\(0, 0\.8\), where the bound is 2β"),
        (lambda: solve(ProximalPoint(1.0), A_PLAIN, RELU), NoResolventError, "not known"),
        (lambda: solve(Relaxed(PeacemanRachford(0.1), 1.5), A_PLAIN, RELU), OptionError, r"\(0, 1\)"),
        (
            lambda: solve(Relaxed(Extragradient(0.1), 1.5), A_PLAIN, RELU),
            OptionError,
            r"\(0, 1\] for Extragradient, which",
        ),
        (
            lambda: solve(Relaxed(FISTA(0.1, allow_unproven=True), 0.5), A_PLAIN, RELU),
            ConditionError,
            "what FISTA remem",
        ),
        (lambda: solve(Relaxed(Halpern(PeacemanRachford(0.1)), 0.5), A_PLAIN, RELU), ConditionError, "remembers in it"),
        (lambda: Relaxed(PeacemanRachford(), 2.0), OptionError, r"\(0, 2\), got 2"),
        (lambda: Relaxed(3.0), OptionError, "wants a SplittingMethod"),  # type: ignore[arg-type]
        (lambda: Halpern(PeacemanRachford(), restart=1.0), OptionError, "restart"),
        (lambda: Anderson(PeacemanRachford(), memory=0), OptionError, "memory wants an integer ≥ 1, got 0"),
        (lambda: Broyden(PeacemanRachford(), memory=0), OptionError, "memory wants an integer ≥ 1, got 0"),
        (lambda: FixedPoint(0.0), OptionError, r"\(0, 1\], got 0"),
        (lambda: FixedPoint("a"), OptionError, r"\(0, 1\], got 'a'"),  # type: ignore[arg-type]
        (lambda: AdaptiveForwardBackward("auto"), OptionError, r"\(0, ∞\), got 'auto'"),  # type: ignore[arg-type]
        (lambda: Halpern(PeacemanRachford(), "a"), OptionError, r"or None\) wants .* \(0, 1\), got 'a'"),  # type: ignore[arg-type]
        (lambda: Relaxed(PeacemanRachford(), "a"), OptionError, r"\(0, 2\), got 'a'"),  # type: ignore[arg-type]
        (
            lambda: solve(ForwardBackward(0.1), SKEW, RELU),
            ConditionError,
            r"the bound is 0, from 2β .* β = 0 of Affine \(m = 0, L = 1\);",
        ),
        (lambda: AdaptiveForwardBackward(0.0), OptionError, "first_step"),
        (lambda: search_step(FixedPoint(), A_PLAIN, RELU), OptionError, "FixedPoint has no step to search for"),
        (lambda: ProjectiveSplitting(-1.0), OptionError, r"\(0, ∞\)"),
    ],
)
def test_conditions_are_named(run: Callable[[], Any], error: type[MonopsError], match: str) -> None:
    with pytest.raises(error, match=match):
        run()


BEHIND_ZERO = ABS.precompose(Dense(torch.zeros(3, 2)))
ALONE = torch.linalg.solve(torch.tensor([[2.0, 1.0], [1.0, 2.0]]), torch.ones(2))


@pytest.mark.parametrize("method", [ChambollePock, CondatVu, LinearizedADMM, ADMM])
@pytest.mark.parametrize("step", [0.3, "auto"])
def test_behind_the_zero_operator_there_is_nothing_to_solve(method: Any, step: Any) -> None:
    torch.testing.assert_close(solve(method(step), SYMMETRIC, BEHIND_ZERO).point, ALONE, rtol=0, atol=1e-4)


@pytest.mark.parametrize("method", [ChambollePock, CondatVu, LinearizedADMM])
@pytest.mark.parametrize("second", [1e-3, 1e3])
def test_behind_the_zero_operator_every_second_step_is_proven(method: Any, second: float) -> None:
    result = solve(method(0.3, second), SYMMETRIC, BEHIND_ZERO, max_steps=20000)
    torch.testing.assert_close(result.point, ALONE, rtol=0, atol=1e-4)


@pytest.mark.parametrize("size", [1e-30, 1e-10, 1e-6])
@pytest.mark.parametrize("method", [ChambollePock, CondatVu, LinearizedADMM])
def test_a_second_step_stays_finite_behind_a_tiny_operator(method: Any, size: float) -> None:
    result = solve(method(0.3), SYMMETRIC, ABS.precompose(Dense(torch.full((3, 2), size))))
    torch.testing.assert_close(result.point, ALONE, rtol=0, atol=1e-4)


@pytest.mark.parametrize("method", [ChambollePock, CondatVu, LinearizedADMM])
@pytest.mark.parametrize("second", [0.0, -1.0, float("nan"), float("inf"), "auto"])
def test_a_second_step_that_makes_no_sense_is_refused_at_construction(method: Any, second: Any) -> None:
    with pytest.raises(StepSizeError, match=r"(dual|primal)_step wants a step in \(0, ∞\)"):
        method(0.3, second)


@pytest.mark.parametrize("step", [0.5, 0.7, 100.0])
def test_condat_vu_beyond_its_bound_has_a_dual_step_that_makes_sense(step: float) -> None:
    tau, sigma = CondatVu(step, allow_unproven=True).prepare(SYMMETRIC, ABS.precompose(TALL))[-2:]
    assert tau == step
    assert 0 < sigma * tau * 6 <= 1  # with ‖K‖² = 6


def test_condat_vu_takes_equality_where_there_is_no_smooth_operator_alone() -> None:
    """At 1/τ - σ‖K‖² = 1/(2β), steps x ← x - 2β C(x) would go to and fro for ever."""
    limit = 4 / TALL.norm() ** 2
    CondatVu(0.25, limit).prepare(ABS, ABS.precompose(TALL))
    with pytest.raises(StepSizeError, match=r"> 1/\(2β\), so dual_step in \(0, "):
        CondatVu(0.25, (4 - 1.5) / 6).prepare(SYMMETRIC, ABS.precompose(TALL))  # 1/β = 3
    CondatVu(0.25, 0.999 * (4 - 1.5) / 6).prepare(SYMMETRIC, ABS.precompose(TALL))


def test_davis_yin_steps_are_not_averaged_beyond_its_bound() -> None:
    A = A_PLAIN + Subdifferential(SquaredL2(4.0))
    for step, averaged in ((0.25, 2 * 0.25 / (4 * 0.25 - 0.25)), (0.5, None), (1.0, None), (3.0, None)):
        assert DavisYin(step).averagedness(A, RELU) == averaged
