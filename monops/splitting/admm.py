"""The alternating direction method of multipliers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

from monops.arrays import Array
from monops.linear import Identity, LinearOperator
from monops.linear.frames import frame_constant
from monops.monotone import Affine, MonotoneOperator, Resolvent
from monops.monotone.affine import AffineResolvent
from monops.splitting.base import SplittingMethod, Step, StepSize
from monops.splitting.parts import affine_part, take_apart
from monops.splitting.rates import reflections_factor


class Multipliers(NamedTuple):
    """x; w, which K x is to equal; and u, the multiplier times α."""

    x: Array
    w: Array
    u: Array


@dataclass(frozen=True)
class ADMM(SplittingMethod):
    """x = (A + KᴴK/α)⁻¹(Kᴴ(w - u)/α), w ← J_B(K x + u), u ← u + K x - w: `solve(ADMM(), A, B.precompose(K))`.

    The augmented Lagrangian with penalty 1/α. Converges for every step > 0. Without a K it takes any A with a
    resolvent. With one A + KᴴK/α is inverted, so A has to be `Affine`, or known to be affine, as the gradient of a
    multiple of `LeastSquares` is; or KᴴK = ν I, which is looked at on a random vector, and x is the resolvent of A at
    α/ν of Kᴴ(w - u)/ν.

    Args:
        step: α in (0, ∞), or "auto".

    Raises:
        ConditionError: from `prepare`, if there is a K, A is not affine, and KᴴK is no multiple of I; or if K is only
            in a part of the second operator.

    Source: Gabay & Mercier 1976; Boyd et al. 2011 (*Distributed optimization and statistical learning via the
    alternating direction method of multipliers*), equations 3.5 to 3.7. Rate: without a K it is Douglas-Rachford
    splitting of x + u (Eckstein & Bertsekas 1992), by whose rate x comes nearer on the average.

    Example:
        >>> import torch
        >>> from monops import L1, Affine, Dense, Subdifferential, solve
        >>> from monops.linear import Identity
        >>> A = Affine(Identity((2,)), torch.tensor([3.0, 1.0]))
        >>> difference = Dense(torch.tensor([[1.0, -1.0]]))
        >>> solve(ADMM(0.5), A, Subdifferential(L1()).precompose(difference)).point
        tensor([2.0000, 2.0000])
    """

    step: StepSize = 1.0

    def prepare(self, A: MonotoneOperator, B: MonotoneOperator) -> tuple[Any, ...]:
        step = self._numeric_step()
        inner, K, K_H, _ = take_apart(self, B)
        solve_x, nu = self._solver_of_x(A, K, step)
        return solve_x, inner.resolvent(step), K, K_H, nu

    def _solver_of_x(self, A: MonotoneOperator, K: Any, step: float) -> tuple[Resolvent, float]:
        """What gives x from Kᴴ(w - u)/ν, and that ν."""
        if not isinstance(K, LinearOperator):
            return A.resolvent(step), 1.0
        nu = None if isinstance(A, Affine) else frame_constant(K.H)
        if nu is not None:
            return A.resolvent(step / nu), nu
        affine = affine_part(self, A)
        S = step * affine.linear + K.H @ K
        return AffineResolvent((S - Identity.like(S)).resolvent(1.0), affine.b, step), 1.0

    def start(self, plan: tuple[Any, ...], z0: Array) -> Multipliers:
        w = plan[2](z0)
        return Multipliers(z0, w, 0 * w)

    def advance(self, plan: tuple[Any, ...], state: Multipliers) -> Step:
        solve_x, J_B, K, K_H, nu = plan
        _, w, u = state
        x = solve_x(K_H(w - u) if nu == 1 else K_H(w - u) / nu)
        Kx = K(x)
        v = J_B(Kx + u)

        def gap() -> tuple[Array, Array]:
            return K_H(w - v) / self.step, (v - Kx) / self.step

        return Step(Multipliers(x, v, u + Kx - v), point=x, gap=gap)

    def rate_for(self, A: MonotoneOperator, B: MonotoneOperator) -> float | None:
        step, is_linked = self._step_at(A), take_apart(self, B).is_linked
        factor = None if step is None or is_linked else reflections_factor(step, A, B)
        return None if factor is None else (1 + factor) / 2

    def gap_slack(self, A: MonotoneOperator, B: MonotoneOperator) -> float | None:
        """√10/rate: ‖x⁺ - w‖ falls by the rate, is at most √2 α‖gap‖, and bounds α‖gap‖ of the next step by √5."""
        rate = self.rate_for(A, B)
        return math.sqrt(10) / rate if rate else None

    def best_step(self, m: float, L: float) -> float | None:
        return 1 / L if 0 < L < math.inf else None
