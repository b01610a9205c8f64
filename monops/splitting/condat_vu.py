"""The primal-dual method of Condat and Vũ."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from monops.arrays import Array, flatten_trailing, norm, require_step
from monops.monotone import MonotoneOperator
from monops.splitting.base import SplittingMethod, Step, StepSize
from monops.splitting.parts import (
    forward_step,
    require_second_step,
    second_step,
    take_apart,
    twice_cocoercivity,
    two_terms,
)
from monops.splitting.rates import Facts, primal_dual_factor
from monops.splitting.state import State


class PrimalDual(NamedTuple):
    """The primal variable x, and the dual one y, an element of B(K x) at the solution."""

    x: Array
    y: Array


def primal_dual_norm(difference: PrimalDual, K: Any, tau: float, sigma: float, batch: int) -> Array:
    """√(‖x‖²/τ - 2⟨K x, y⟩ + ‖y‖²/σ), in which primal-dual steps are averaged (Condat 2013, section 3)."""
    x, y = difference
    sizes = norm(x, x.ndim - batch) ** 2 / tau + norm(y, y.ndim - batch) ** 2 / sigma
    crossed = flatten_trailing(K(x) * y, y.ndim - batch).sum(-1)
    return abs(sizes - 2 * crossed) ** 0.5  # which is 0 at the least, but for rounding


@dataclass(frozen=True)
class CondatVu(SplittingMethod):
    """x ← J_A(x - τ(C(x) + Kᴴ y)), y ← J_{B⁻¹}(y + σ K(2x - x₋)): `solve(CondatVu(), A + C, B.precompose(K))`.

    Solves 0 ∈ A + C + Kᴴ ∘ B ∘ K by the resolvents of A and B alone, for β-cocoercive C. Converges where
    1/τ - σ‖K‖² > 1/(2β); with C = 0 it is `ChambollePock`, and στ‖K‖² = 1 will do.

    Args:
        step: τ in (0, 2β), or "auto".
        dual_step: σ in (0, ∞); unless given, a hundredth less than the condition allows.
        allow_unproven: accept steps outside of the condition.

    Raises:
        StepSizeError: a step is not in (0, ∞); or, from `prepare`, the condition does not hold.
        ConditionError: from `prepare`, if more than one term of A + C is not known to be cocoercive, or K is only in a
            part of the second operator.

    Source: Condat 2013 (*A primal-dual splitting method for convex optimization involving Lipschitzian, proximable and
    linear composite terms*), algorithm 3.1 and theorems 3.1 (without relaxation) and 3.3 (C = 0); Vũ 2013. Rate,
    by which x comes nearer on the average: `monops.splitting.rates.primal_dual_factor`, where A or C is strongly
    monotone and B cocoercive.

    Example:
        >>> import torch
        >>> from monops import L1, Affine, Dense, Subdifferential, solve
        >>> from monops.linear import Identity
        >>> C = Affine(Identity((2,)), torch.tensor([3.0, 1.0]))
        >>> difference = Dense(torch.tensor([[1.0, -1.0]]))
        >>> solve(CondatVu(0.5), C, Subdifferential(L1()).precompose(difference)).point
        tensor([2.0000, 2.0000])
    """

    step: StepSize = 1.0
    dual_step: float | None = None
    allow_unproven: bool = field(default=False, kw_only=True, repr=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.dual_step is not None:
            require_step(self.dual_step, self, "dual_step")

    def prepare(self, A: MonotoneOperator, B: MonotoneOperator) -> tuple[Any, ...]:
        first, C = two_terms(self, A)
        inner, K, K_H, norm = take_apart(self, B)
        tau = self.require_step_below(lambda: twice_cocoercivity(C))
        sigma, limit = self._dual_step(tau, C, norm)
        condition = f"1/τ - σ‖K‖² {'≥' if C.is_zero else '>'} 1/(2β)"
        known = f"τ = {tau:.6g}, ‖K‖ = {norm:.6g}, β = {C.cocoercivity:.6g}"
        require_second_step(self, "dual_step", sigma, limit, condition, known, closed=C.is_zero)
        return first.resolvent(tau), inner.inverse().resolvent(sigma), C, K, K_H, tau, sigma

    def start(self, plan: tuple[Any, ...], z0: Array) -> PrimalDual:
        return PrimalDual(z0, 0 * plan[3](z0))

    def advance(self, plan: tuple[Any, ...], state: PrimalDual) -> Step:
        J_A, J_B, C, K, K_H, tau, sigma = plan
        x, y = state
        Cx = C.apply(x)
        p = J_A(x - tau * (Cx + K_H(y)))
        q = J_B(y + sigma * K(2 * p - x))

        def gap() -> tuple[Array, Array]:
            return (x - p) / tau - K_H(y - q) - Cx + C.apply(p), ((y - q) / sigma - K(x - p)) / tau

        return Step(PrimalDual(p, q), point=p, gap=gap)

    def _dual_step(self, tau: float, C: MonotoneOperator, norm: float) -> tuple[float, float]:
        """σ, and its bound."""
        room = 1 / tau - (1 / (2 * C.cocoercivity) if C.cocoercivity > 0 else math.inf)
        if self.dual_step is None and self.allow_unproven and not room > 0:
            room = 1 / tau  # what there would be without C
        sigma, limit = second_step(self.dual_step, room, norm)
        return (0.99 * sigma if self.dual_step is None else sigma), limit

    def rate_for(self, A: MonotoneOperator, B: MonotoneOperator) -> float | None:
        tau, (first, C), (inner, _, _, norm) = self._step_at(A), two_terms(self, A), take_apart(self, B)
        if tau is None:
            return None
        sigma, _ = self._dual_step(tau, C, norm)
        m, gamma = first.strong_monotonicity, inner.cocoercivity
        factor = primal_dual_factor(tau, sigma, norm, m, gamma, Facts.of(C))
        return factor if factor < 1 else None

    def averagedness(self, A: MonotoneOperator, B: MonotoneOperator) -> float | None:
        beta, tau = two_terms(self, A)[1].cocoercivity, self._numeric_step()
        norm = take_apart(self, B).norm
        sigma, limit = self._dual_step(tau, two_terms(self, A)[1], norm)
        if not 0 < sigma <= limit:
            return None
        kappa = 1 / tau - sigma * norm**2
        return 0.5 if math.isinf(beta) else 1 / (2 - 1 / (2 * beta * kappa))

    def state_norm(self, plan: tuple[Any, ...], difference: State, batch: int = 1) -> Array:
        _, _, _, K, _, tau, sigma = plan
        return primal_dual_norm(difference, K, tau, sigma, batch)

    def best_step(self, m: float, L: float) -> float | None:
        return m / L**2 if m > 0 and 0 < L < math.inf else None

    def starting_step(self, A: MonotoneOperator) -> float | None:
        return forward_step(two_terms(self, A)[1])
