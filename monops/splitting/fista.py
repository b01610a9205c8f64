"""Forward-backward splitting with inertia."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple

from monops.arrays import Array, device_of, full, namespace
from monops.monotone import MonotoneOperator
from monops.monotone.base import common_rank
from monops.options import require_flag
from monops.splitting.base import SplittingMethod, Step, StepSize
from monops.splitting.parts import inverse_lipschitz, require_gradient
from monops.splitting.state import per_sample


class Inertial(NamedTuple):
    """A point, the one before it, and how far the inertia has grown (one number a sample)."""

    x: Array
    before: Array
    t: Array


@dataclass(frozen=True)
class FISTA(SplittingMethod):
    """y = x + β (x - x₋), x ← J_B(y - α A(y)): forward-backward splitting for convex functions, with inertia.

    For A = ∇f with f convex and L-smooth, and α in (0, 1/L]. β = (t₋ - 1)/t with t = ½ + √(¼ + t₋²), started anew in
    each sample where the step goes against the inertia; so it converges fast on strongly convex problems too, without
    knowing m. Without restarts (f + g)(xₖ) - min(f + g) ≤ 2‖x₀ - x*‖²/(α(k + 1)²), where B = ∂g.

    Args:
        step: α in (0, 1/L], or "auto".
        restart: start the inertia anew where ⟨y - x⁺, x⁺ - x⟩ > 0.
        allow_unproven: accept a step outside of the interval, and an A that is not known to be a gradient.

    Raises:
        OptionError: `restart` is neither True nor False.
        StepSizeError: the step is not in (0, ∞); or, from `prepare`, not in (0, 1/L].
        ConditionError: from `prepare`, if A is not known to be a gradient, or to be Lipschitz.

    Source: Beck & Teboulle 2009 (*A fast iterative shrinkage-thresholding algorithm for linear inverse problems*),
    equations 4.1 to 4.3 and theorem 4.4. Restart: O'Donoghue & Candès 2015, the gradient scheme.

    Example:
        >>> FISTA("auto").best_step(m=0.0, L=4.0)
        0.25
    """

    remembers: ClassVar[bool] = True

    step: StepSize = 1.0
    restart: bool = field(default=True, kw_only=True)
    allow_unproven: bool = field(default=False, kw_only=True, repr=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        require_flag("FISTA.restart", self.restart)

    def prepare(self, A: MonotoneOperator, B: MonotoneOperator) -> tuple[Any, ...]:
        if not self.allow_unproven:
            require_gradient(self, A)
        step = self.require_step_below(lambda: inverse_lipschitz(self, A), closed=True)
        return A, B.resolvent(step), common_rank(A, B)

    def start(self, plan: tuple[Any, ...], z0: Array) -> Inertial:
        ones = full((*z0.shape[: z0.ndim - plan[2]], *(1,) * plan[2]), 1.0, z0.dtype, device_of(z0))
        return Inertial(z0, z0, ones)

    def advance(self, plan: tuple[Any, ...], state: Inertial) -> Step:
        A, J_B, rank = plan
        x, before, t = state
        grown = 0.5 + (0.25 + t * t) ** 0.5
        y = x + (t - 1) / grown * (x - before)
        Ay = A.apply(y)
        p = J_B(y - self.step * Ay)
        if self.restart:
            against = per_sample((y - p) * (p - x), rank) > 0
            grown = namespace(x).where(against, 1.0, grown)
        return Step(Inertial(p, x, grown), point=p, gap=lambda: (y - p) / self.step - Ay + A.apply(p))

    def best_step(self, m: float, L: float) -> float | None:
        return 1 / L if 0 < L < math.inf else None
