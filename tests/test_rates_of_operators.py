"""`rate_for`: what is proven for two operators, by PEPit's worst cases and on random problems."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from cases import quick
from hypothesis import given
from hypothesis import strategies as st
from test_rates import D, _distances_fall, operator
from test_rates_pepit import Symbolic, contraction, functions, operators, pepit, quiet

from monops import (
    ADMM,
    L1,
    Affine,
    Box,
    ChambollePock,
    DavisYin,
    Dense,
    DouglasRachford,
    Extragradient,
    FixedPoint,
    ForwardBackward,
    ForwardBackwardForward,
    ForwardReflectedBackward,
    Huber,
    Identity,
    MonotoneOperator,
    NormalCone,
    PeacemanRachford,
    ProximalPoint,
    Relaxed,
    SplittingMethod,
    SquaredL2,
    Subdifferential,
    ZeroOperator,
    solve,
)
from monops.errors import RateWarning
from monops.splitting.admm import Multipliers
from monops.splitting.condat_vu import PrimalDual
from monops.splitting.forward_reflected_backward import Reflected

M, L, MB = 0.5, 2.0, 0.4
Make = Callable[[Any], Any]


class Known(Symbolic):
    """An operator of one of PEPit's classes that says what it is."""

    beta: float | None = None

    @property
    def cocoercivity(self) -> float:
        return super().cocoercivity if self.beta is None else self.beta


def gradient(problem: Any) -> Known:
    return Known(problem.declare_function(functions.SmoothStronglyConvexFunction, mu=M, L=L), M, L, gradient=True)


def smooth(problem: Any) -> Known:
    return Known(problem.declare_function(functions.SmoothConvexFunction, L=L), 0.0, L, gradient=True)


def lipschitz(problem: Any) -> Known:
    return Known(problem.declare_function(operators.LipschitzStronglyMonotoneOperatorCheap, mu=M, L=L), M, L)


def only_lipschitz(problem: Any) -> Known:
    return Known(problem.declare_function(operators.LipschitzStronglyMonotoneOperatorCheap, mu=0.0, L=L), 0.0, L)


def cocoercive(problem: Any) -> Known:
    A = Known(problem.declare_function(operators.CocoerciveStronglyMonotoneOperatorCheap, mu=M, beta=0.5), M, 2.0)
    A.beta = 0.5
    return A


def only_cocoercive(problem: Any) -> Known:
    A = Known(problem.declare_function(operators.CocoerciveOperator, beta=0.5), 0.0, 2.0)
    A.beta = 0.5
    return A


def monotone(problem: Any) -> Known:
    return Known(problem.declare_function(operators.MonotoneOperator))


def strong(problem: Any) -> Known:
    return Known(problem.declare_function(operators.StronglyMonotoneOperator, mu=MB), MB)


def strongly_convex(problem: Any) -> Known:
    return Known(problem.declare_function(functions.StronglyConvexFunction, mu=MB), MB, gradient=True)


def plus(make_A: Make, make_C: Make) -> Make:
    return lambda problem: make_A(problem) + make_C(problem)


# Method, A, B, whether any two states contract, whether the rate is the worst that there is.
CASES: dict[str, tuple[SplittingMethod, Make, Make, bool, bool]] = {
    "forward-backward, gradient, short": (ForwardBackward(0.3), gradient, monotone, True, True),
    "forward-backward, gradient, long": (ForwardBackward(0.95), gradient, monotone, True, True),
    "forward-backward, cocoercive": (ForwardBackward(0.7), cocoercive, monotone, True, True),
    "forward-backward, strong B": (ForwardBackward(0.7), smooth, strong, True, True),
    "forward-backward, both": (ForwardBackward(0.3), gradient, strongly_convex, True, True),
    "fixed point": (FixedPoint(0.5), cocoercive, strong, True, False),
    "Peaceman-Rachford, gradient, short": (PeacemanRachford(0.2), gradient, monotone, True, True),
    "Peaceman-Rachford, gradient, long": (PeacemanRachford(2.0), gradient, monotone, True, True),
    "Peaceman-Rachford, cocoercive": (PeacemanRachford(0.7), cocoercive, monotone, True, True),
    "Peaceman-Rachford, B": (PeacemanRachford(0.7), monotone, gradient, True, True),
    "Peaceman-Rachford, both": (PeacemanRachford(0.7), lipschitz, gradient, True, True),
    "Douglas-Rachford, gradient": (DouglasRachford(0.7), gradient, monotone, True, True),
    "relaxed": (Relaxed(PeacemanRachford(0.7), 0.6), gradient, monotone, True, False),
    "proximal point": (ProximalPoint(0.7), gradient, lambda _: ZeroOperator(), True, True),
    "forward-backward-forward, B": (ForwardBackwardForward(0.2), only_lipschitz, strong, False, False),
    "forward-backward-forward, both": (ForwardBackwardForward(0.2), lipschitz, strong, False, False),
    "extragradient, B": (Extragradient(0.2), only_lipschitz, strongly_convex, False, False),
    "extragradient, both": (Extragradient(0.2), lipschitz, strongly_convex, False, False),
    "Davis-Yin, A": (DavisYin(0.8), plus(lipschitz, only_cocoercive), monotone, True, False),
    "Davis-Yin, gradient": (DavisYin(0.8), plus(gradient, only_cocoercive), monotone, True, False),
    "Davis-Yin, B and C": (DavisYin(0.8), plus(monotone, cocoercive), only_cocoercive, True, True),
    "Davis-Yin, B": (DavisYin(0.8), plus(monotone, only_cocoercive), cocoercive, True, False),
    "Davis-Yin, all": (DavisYin(0.2), plus(lipschitz, cocoercive), cocoercive, True, False),
    "Davis-Yin without A": (DavisYin(0.8), cocoercive, strong, True, True),
    "Davis-Yin without C": (DavisYin(0.8), monotone, gradient, True, True),
}


@quiet
@pytest.mark.parametrize("name", list(CASES))
def test_no_step_is_slower_than_the_rate(name: str) -> None:
    method, make_A, make_B, pairwise, is_tight = CASES[name]
    problem = pepit.PEP()
    A, B = make_A(problem), make_B(problem)
    rate = method.rate_for(A, B)
    assert rate is not None
    assert rate <= (method.rate(A.strong_monotonicity, A.lipschitz) or 1.0)
    found = contraction(problem, method, A, B, pairwise)
    print(f"{name}: rate {rate:.5f}, worst {found:.5f}")
    assert found <= rate * (1 + 1e-4)
    if is_tight:
        assert found >= rate * (1 - 1e-3)


@quiet
@pytest.mark.parametrize("step", [0.05, 0.2])
@pytest.mark.parametrize(("make_A", "make_B"), [(lipschitz, monotone), (only_lipschitz, strong), (lipschitz, strong)])
def test_what_forward_reflected_backward_lets_fall(make_A: Make, make_B: Make, step: float) -> None:
    """(1 + 2αm)‖z - z*‖² + 2α⟨A(z) - A(z₋), z* - z⟩ + (1 - αL)‖z - z₋‖² falls by rate² at every step."""
    problem, method = pepit.PEP(), ForwardReflectedBackward(step)
    A, B, star = make_A(problem), make_B(problem), pepit.Point()
    B.f.add_point((star, -A.f.gradient(star), pepit.Expression()))
    rate = method.rate_for(A, B)
    assert rate is not None
    assert rate < 1
    m = A.strong_monotonicity + B.strong_monotonicity
    z, before = problem.set_initial_point(), problem.set_initial_point()

    def size(z: Any, before: Any) -> Any:
        turned = A.apply(z) - A.apply(before)
        nearer = (1 + 2 * step * m) * (z - star) ** 2 + (1 - step * L) * (z - before) ** 2
        return nearer + 2 * step * turned * (star - z)

    after = method.advance(method.prepare(A, B), Reflected(z, A.apply(before))).state.z
    problem.set_initial_condition(size(z, before) <= 1)
    problem.set_performance_metric(size(after, z))
    found = float(problem.solve(verbose=0))
    assert found <= rate**2 * (1 + 1e-4)


@quiet
@pytest.mark.parametrize("name", ["ADMM", "ChambollePock"])
def test_dual_methods_without_a_link_are_douglas_rachford_splitting(name: str) -> None:
    """By its rate falls x + u, and x - τy."""
    problem = pepit.PEP()
    A, B = gradient(problem), monotone(problem)
    method: SplittingMethod = ADMM(0.7) if name == "ADMM" else ChambollePock(0.7)
    rate, plan = method.rate_for(A, B), method.prepare(A, B)
    assert rate == DouglasRachford(0.7).rate_for(A, B)
    assert rate is not None
    kind = Multipliers if name == "ADMM" else PrimalDual
    starts = [kind(*(problem.set_initial_point() for _ in kind._fields)) for _ in range(2)]

    def seen(s: Any) -> Any:
        return s.w + s.u if isinstance(s, Multipliers) else s.x - 0.7 * s.y

    first = [method.advance(plan, s).state for s in starts]
    later = [method.advance(plan, s).state for s in first]
    before, after = seen(first[0]) - seen(first[1]), seen(later[0]) - seen(later[1])
    problem.set_initial_condition(before**2 <= 1)
    problem.set_performance_metric(after**2)
    assert float(problem.solve(verbose=0)) ** 0.5 <= rate * (1 + 1e-4)


def second(name: str, m: float) -> MonotoneOperator:
    """An operator with strong monotonicity m, or 0."""
    return {
        "box": NormalCone(Box(-0.5, 0.25)),
        "L1 + quadratic": Subdifferential(L1(0.4)) + m * Identity((6,)),
        "Huber + quadratic": Subdifferential(Huber(0.4)) + m * Identity((6,)),
        "squared": Subdifferential(SquaredL2(m)),
    }[name]


@quick
@given(
    name=st.sampled_from(["box", "L1 + quadratic", "Huber + quadratic", "squared"]),
    m=st.floats(0.0, 1.0),
    m_B=st.floats(0.01, 1.0),
    ratio=st.floats(1.05, 4.0),
    factor=st.floats(0.1, 3.0),
    is_gradient=st.booleans(),
    seed=st.integers(0, 10**6),
)
def test_no_problem_contracts_slower(
    name: str, m: float, m_B: float, ratio: float, factor: float, is_gradient: bool, seed: int
) -> None:
    A, B = operator(m, m * ratio + 0.1, "random", seed), second(name, m_B)
    if is_gradient:
        matrix = A.linear.to_dense()
        A = Affine(Dense((matrix + matrix.mT) / 2, symmetric=True), A.b, claim=m)
    L = A.lipschitz
    start = torch.randn(5, 6, dtype=D) * 10.0 ** torch.randint(-2, 3, (5, 1))
    below = min(factor, 0.95)
    for method in [
        PeacemanRachford(factor / L, allow_unproven=True),
        DouglasRachford(factor / L),
        Relaxed(PeacemanRachford(factor / L), 0.7),
        ForwardBackward(below * 2 * A.cocoercivity, allow_unproven=True) if A.cocoercivity else FixedPoint(),
        FixedPoint(below),
        ForwardBackwardForward(below / L),
        Extragradient(below / L),
    ]:
        rate = method.rate_for(A, B)
        if rate is not None:
            _distances_fall(method, A, B, start, rate)
            result = solve(method, A, B, start, max_steps=20000, warn=False)
            assert result.predicted_rate == rate
            assert not result.is_slower_than_proven


@quick
@given(
    name=st.sampled_from(["box", "L1 + quadratic", "Huber + quadratic", "squared"]),
    m=st.floats(0.05, 1.0), ratio=st.floats(1.05, 4.0), share=st.floats(0.05, 0.95), seed=st.integers(0, 10**6),
)  # fmt: skip
def test_no_problem_of_three_operators_contracts_slower(
    name: str, m: float, ratio: float, share: float, seed: int
) -> None:
    A, B = operator(m, m * ratio, "random", seed), second(name, 0.3)
    C = Subdifferential(Huber(0.3)) + Subdifferential(SquaredL2(0.5))
    method = DavisYin(share * 2 * C.cocoercivity)
    rate = method.rate_for(A + C, B)
    assert rate is not None
    start = torch.randn(5, 6, dtype=D) * 10.0 ** torch.randint(-2, 3, (5, 1))
    _distances_fall(method, A + C, B, start, rate)


def test_a_wrong_claim_of_the_second_operator_is_noticed() -> None:
    class Liar(L1):
        @property
        def strong_convexity(self) -> float:
            return 1.0

    A = operator(0.3, 1.0, "rotation", 0)
    with pytest.warns(RateWarning, match="larger than the proven rate"):
        solve(ForwardBackward(0.1), A, Subdifferential(Liar(0.01)), tol=1e-10)
