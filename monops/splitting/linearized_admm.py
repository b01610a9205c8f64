"""ADMM with its quadratic term linearised."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from monops.arrays import Array, require_step
from monops.errors import StepSizeError
from monops.monotone import MonotoneOperator
from monops.splitting.admm import Multipliers
from monops.splitting.base import SplittingMethod, Step, StepSize
from monops.splitting.parts import second_step, take_apart


@dataclass(frozen=True)
class LinearizedADMM(SplittingMethod):
    """x ← J_A(x - (τ/α) Kᴴ(K x - w + u)), w ← J_B(K x + u), u ← u + K x - w, with τ as the step on A.

    As `ADMM`, but by the resolvents of A and B alone. Converges for τ‖K‖² ≤ α.

    Args:
        step: α in (0, ∞), or "auto".
        primal_step: τ in (0, α/‖K‖²], any in (0, ∞) where K = 0; the largest unless given.

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

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.primal_step is not None:
            require_step(self.primal_step, self, "primal_step")

    def prepare(self, A: MonotoneOperator, B: MonotoneOperator) -> tuple[Any, ...]:
        step = self._numeric_step()
        inner, K, K_H, norm = take_apart(self, B)
        tau, limit = second_step(self.primal_step, step, norm)
        if not tau <= limit * (1 + 1e-12):
            raise StepSizeError(
                f"LinearizedADMM wants τ‖K‖² ≤ α, so primal_step in (0, {limit:.6g}] with α = {step:.6g} and ‖K‖ = "
                f"{norm:.6g}; got {tau:.6g}"
            )
        return A.resolvent(tau), inner.resolvent(step), K, K_H, tau

    def start(self, plan: tuple[Any, ...], z0: Array) -> Multipliers:
        w = plan[2](z0)
        return Multipliers(z0, w, 0 * w)

    def advance(self, plan: tuple[Any, ...], state: Multipliers) -> Step:
        J_A, J_B, K, K_H, tau = plan
        x, w, u = state
        pull = K_H(K(x) - w + u) / self.step
        p = J_A(x - tau * pull)
        Kp = K(p)
        v = J_B(Kp + u)
        total = u + Kp - v

        def gap() -> tuple[Array, Array]:
            return (x - p) / tau - pull + K_H(total) / self.step, (v - Kp) / self.step

        return Step(Multipliers(p, v, total), point=p, gap=gap)

    def best_step(self, m: float, L: float) -> float | None:
        return 1 / L if 0 < L < math.inf else None
