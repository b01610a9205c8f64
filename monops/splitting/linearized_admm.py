"""ADMM with its quadratic term linearised."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from monops.arrays import Array, require_step
from monops.monotone import MonotoneOperator
from monops.splitting.base import SplittingMethod, Step, StepSize
from monops.splitting.parts import require_second_step, second_step, take_apart


class Apart(NamedTuple):
    """x; r = K x - w, how far K x is from the w which it is to equal; and u, the multiplier times α."""

    x: Array
    r: Array
    u: Array


@dataclass(frozen=True)
class LinearizedADMM(SplittingMethod):
    """x ← J_A(x - (τ/α) Kᴴ(K x - w + u)), w ← J_B(K x + u), u ← u + K x - w, with τ as the step on A.

    As `ADMM`, but by the resolvents of A and B alone. Converges for τ‖K‖² ≤ α.

    Args:
        step: α in (0, ∞), or "auto".
        primal_step: τ in (0, α/‖K‖²], any in (0, ∞) where K = 0; the largest unless given.
        allow_unproven: accept steps with τ‖K‖² > α.

    Raises:
        StepSizeError: a step is not in (0, ∞); or, from `prepare`, τ‖K‖² > α.
        ConditionError: from `prepare`, if K is only in a part of the second operator.

    Source: Parikh & Boyd 2014 (*Proximal algorithms*), section 4.4.2.

    Example:
        >>> import torch
        >>> from monops import L1, Affine, Dense, Subdifferential, solve
        >>> from monops.linear import Identity
        >>> A = Affine(Identity((2,)), torch.tensor([3.0, 1.0]))
        >>> difference = Dense(torch.tensor([[1.0, -1.0]]))
        >>> solve(LinearizedADMM(1.0), A, Subdifferential(L1()).precompose(difference)).point
        tensor([2.0000, 2.0000])
    """

    step: StepSize = 1.0
    primal_step: float | None = None
    allow_unproven: bool = field(default=False, kw_only=True, repr=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.primal_step is not None:
            require_step(self.primal_step, self, "primal_step")

    def prepare(self, A: MonotoneOperator, B: MonotoneOperator) -> tuple[Any, ...]:
        step = self._numeric_step()
        inner, K, K_H, norm = take_apart(self, B)
        tau, limit = second_step(self.primal_step, step, norm)
        known = f"α = {step:.6g} and ‖K‖ = {norm:.6g}"
        require_second_step(self, "primal_step", tau, limit, "τ‖K‖² ≤ α", known)
        return A.resolvent(tau), inner.resolvent(step), K, K_H, tau

    def start(self, plan: tuple[Any, ...], z0: Array) -> Apart:
        nothing = 0 * plan[2](z0)  # with w = K z₀
        return Apart(z0, nothing, nothing)

    def advance(self, plan: tuple[Any, ...], state: Apart) -> Step:
        J_A, J_B, K, K_H, tau = plan
        x, r, u = state
        pull = K_H(r + u) / self.step
        p = J_A(x - tau * pull)
        Kp = K(p)
        apart = Kp - J_B(Kp + u)
        total = u + apart

        def gap() -> tuple[Array, Array]:
            return (x - p) / tau - pull + K_H(total) / self.step, -apart / self.step

        return Step(Apart(p, apart, total), point=p, gap=gap)

    def best_step(self, m: float, L: float) -> float | None:
        return 1 / L if 0 < L < math.inf else None
