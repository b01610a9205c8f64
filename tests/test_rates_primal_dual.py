"""The rates of primal-dual methods, in the norms in which they are proven: worst cases and random problems."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from cases import quick
from hypothesis import given
from hypothesis import strategies as st
from test_rates import D, operator
from test_rates_of_operators import Make, cocoercive, lipschitz, monotone, only_cocoercive, plus
from test_rates_pepit import pepit, quiet

from monops import ChambollePock, CondatVu, Dense, Huber, SplittingMethod, SquaredL2, Subdifferential
from monops.splitting.condat_vu import PrimalDual
from monops.splitting.parts import take_apart, two_terms

PRIMAL_DUAL: dict[str, tuple[SplittingMethod, Make, Make]] = {
    "without C": (ChambollePock(0.5, 1.2), lipschitz, only_cocoercive),
    "A and B": (CondatVu(0.5, 0.5), plus(lipschitz, only_cocoercive), only_cocoercive),
    "C and B": (CondatVu(0.5, 0.5), plus(monotone, cocoercive), only_cocoercive),
    "all": (CondatVu(0.1, 1.0), plus(lipschitz, cocoercive), only_cocoercive),
}


@quiet
@pytest.mark.parametrize("name", PRIMAL_DUAL)
def test_no_primal_dual_step_is_slower_than_the_rate(name: str) -> None:
    method, make_A, make_B = PRIMAL_DUAL[name]
    problem = pepit.PEP()
    A, B = make_A(problem), make_B(problem)
    rate, plan = method.rate_for(A, B), method.prepare(A, B)
    assert rate is not None
    assert rate < 1
    states = [PrimalDual(problem.set_initial_point(), problem.set_initial_point()) for _ in range(2)]
    size = _primal_dual_size(method, A, B)
    problem.set_initial_condition(size(*states, lambda x: x) <= 1)
    problem.set_performance_metric(size(*(method.advance(plan, state).state for state in states), lambda x: x))
    found = float(problem.solve(verbose=0)) ** 0.5
    print(f"{name}: rate {rate:.5f}, worst {found:.5f}")
    assert 0.85 * rate <= found <= rate * (1 + 1e-4)


def _primal_dual_size(method: Any, A: Any, B: Any) -> Callable[..., Any]:
    """Of the difference of two states, ‖x‖²/τ - 2⟨Kx, y⟩ + ‖y‖²/σ; and with a C, 2m‖x‖² + 2γ‖y‖² beside it."""
    tau, sigma = method.step, method.dual_step
    m = two_terms(method, A)[0].strong_monotonicity if isinstance(method, CondatVu) else 0.0
    gamma = min(1e3, take_apart(method, B).B.cocoercivity) if isinstance(method, CondatVu) else 0.0

    def size(one: PrimalDual, other: PrimalDual, K: Any) -> Any:
        d, e = one.x - other.x, one.y - other.y
        cross = K(d) * e
        total = sum_of(d**2) / tau - 2 * sum_of(cross) + sum_of(e**2) / sigma
        return total + 2 * m * sum_of(d**2) + 2 * gamma * sum_of(e**2)

    def sum_of(x: Any) -> Any:
        return x.sum(-1) if isinstance(x, torch.Tensor) else x

    return size


@quick
@given(
    m=st.floats(0.05, 1.0), rows=st.integers(1, 8), tau=st.floats(0.02, 0.9), weight=st.floats(0.2, 3.0) | st.just(0.0),
    has_C=st.booleans(), seed=st.integers(0, 10**6),
)  # fmt: skip
def test_no_linked_problem_contracts_slower(
    m: float, rows: int, tau: float, weight: float, has_C: bool, seed: int
) -> None:
    first = operator(m, 3 * m, "random", seed)
    K = Dense(torch.randn(rows, 6, dtype=D) / 3)
    A = first + Subdifferential(SquaredL2(0.7)) + Subdifferential(Huber(0.3)) if has_C else first
    B = Subdifferential(SquaredL2(weight)).precompose(K)
    kind, tau = (CondatVu, min(tau, 0.5)) if has_C else (ChambollePock, tau)
    method: Any = kind(tau, 0.9 * (1 / tau - 0.85 * has_C) / K.norm() ** 2)
    rate, plan = method.rate_for(A, B), method.prepare(A, B)
    assert rate is not None
    assert rate < 1
    size = _primal_dual_size(method, A, B)
    y = (weight > 0) * torch.randn(2, 5, rows, dtype=D)  # which B = 0 makes zero
    states = [PrimalDual(x, y) for x, y in zip(torch.randn(2, 5, 6, dtype=D), y, strict=True)]
    for _ in range(6):
        before, states = size(*states, K), [method.advance(plan, state).state for state in states]
        assert (size(*states, K) <= rate**2 * before * (1 + 1e-9) + 1e-12).all()


def test_steps_beyond_the_bound_have_no_rate() -> None:
    """Where the form in which they would contract is no norm."""
    A, B = operator(0.5, 1.0, "random", 0), Subdifferential(SquaredL2(1.0))
    for kind in (ChambollePock, CondatVu):
        rates = [kind(0.5, sigma, allow_unproven=True).rate_for(A, B) for sigma in (0.5, 20.0)]
        assert rates[0] is not None or kind is CondatVu
        assert rates[1] is None
    assert ChambollePock(0.5, 20.0, allow_unproven=True).averagedness(A, B) is None
