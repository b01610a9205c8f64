"""The primal-dual hybrid gradient method of Chambolle and Pock."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from monops.arrays import Array, require_step
from monops.monotone import MonotoneOperator
from monops.splitting.base import SplittingMethod, Step, StepSize
from monops.splitting.condat_vu import PrimalDual, primal_dual_norm
from monops.splitting.parts import require_second_step, second_step, take_apart
from monops.splitting.rates import primal_dual_factor, reflections_factor
from monops.splitting.state import State


@dataclass(frozen=True)
class ChambollePock(SplittingMethod):
    """x ← J_A(x - τ Kᴴ y), y ← J_{B⁻¹}(y + σ K(2x - x₋)): `solve(ChambollePock(), A, B.precompose(K))`.

    Solves 0 ∈ A + Kᴴ ∘ B ∘ K by the resolvents of A and B alone. Converges for στ‖K‖² ≤ 1; with K = I and στ = 1 it is
    Douglas-Rachford splitting.

    Args:
        step: τ in (0, ∞), or "auto".
        dual_step: σ in (0, 1/(τ‖K‖²)], any in (0, ∞) where K = 0; the largest unless given.
        allow_unproven: accept steps with στ‖K‖² > 1.

    Raises:
        StepSizeError: a step is not in (0, ∞); or, from `prepare`, στ‖K‖² > 1.
        ConditionError: from `prepare`, if K is only in a part of the second operator.

    Source: Chambolle & Pock 2011 (*A first-order primal-dual algorithm for convex problems with applications to
    imaging*), algorithm 1 with θ = 1. Convergence, with στ‖K‖² = 1 too: Condat 2013, theorem 3.3. Rate,
    by which x comes nearer on the average: `monops.splitting.rates.primal_dual_factor`, where A is strongly monotone
    and B cocoercive; and without a K, at στ = 1, that of Douglas-Rachford splitting, which it is of x - τy.

    Example:
        >>> import torch
        >>> from monops import L1, Affine, Dense, Subdifferential, solve
        >>> from monops.linear import Identity
        >>> A = Affine(Identity((2,)), torch.tensor([3.0, 1.0]))
        >>> difference = Dense(torch.tensor([[1.0, -1.0]]))
        >>> solve(ChambollePock(0.5), A, Subdifferential(L1()).precompose(difference)).point
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
        inner, K, K_H, norm = take_apart(self, B)
        tau = self._numeric_step()
        sigma, limit = second_step(self.dual_step, 1 / tau, norm)
        known = f"τ = {tau:.6g} and ‖K‖ = {norm:.6g}"
        require_second_step(self, "dual_step", sigma, limit, "στ‖K‖² ≤ 1", known)
        return A.resolvent(tau), inner.inverse().resolvent(sigma), K, K_H, tau, sigma

    def start(self, plan: tuple[Any, ...], z0: Array) -> PrimalDual:
        return PrimalDual(z0, 0 * plan[2](z0))

    def advance(self, plan: tuple[Any, ...], state: PrimalDual) -> Step:
        J_A, J_B, K, K_H, tau, sigma = plan
        x, y = state
        p = J_A(x - tau * K_H(y))
        q = J_B(y + sigma * K(2 * p - x))

        def gap() -> tuple[Array, Array]:
            return (x - p) / tau - K_H(y - q), ((y - q) / sigma - K(x - p)) / tau

        return Step(PrimalDual(p, q), point=p, gap=gap)

    def rate_for(self, A: MonotoneOperator, B: MonotoneOperator) -> float | None:
        tau, parts = self._step_at(A), take_apart(self, B)
        if tau is None:
            return None
        sigma, _ = second_step(self.dual_step, 1 / tau, parts.norm)
        factor = primal_dual_factor(tau, sigma, parts.norm, A.strong_monotonicity, parts.B.cocoercivity)
        if not parts.is_linked and sigma == 1 / tau:
            factor = min(factor, (1 + (reflections_factor(tau, A, B) or 1.0)) / 2)
        return factor if factor < 1 else None

    def gap_slack(self, A: MonotoneOperator, B: MonotoneOperator) -> float | None:
        """1 without a K at στ = 1, where ‖gap‖ is a multiple of what x - τy moves by; both rates hold for that."""
        is_reflected = not take_apart(self, B).is_linked and self.dual_step in (None, 1 / self._numeric_step())
        return 1.0 if is_reflected else None

    def averagedness(self, A: MonotoneOperator, B: MonotoneOperator) -> float | None:
        tau, norm = self._numeric_step(), take_apart(self, B).norm
        sigma, limit = second_step(self.dual_step, 1 / tau, norm)
        return 0.5 if sigma <= limit else None

    def state_norm(self, plan: tuple[Any, ...], difference: State, batch: int = 1) -> Array:
        _, _, K, _, tau, sigma = plan
        return primal_dual_norm(difference, K, tau, sigma, batch)

    def best_step(self, m: float, L: float) -> float | None:
        return 1 / L if 0 < L < math.inf else None
