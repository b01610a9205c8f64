"""Tseng's forward-backward-forward splitting."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from monops.arrays import Array
from monops.monotone import MonotoneOperator, Resolvent
from monops.splitting.base import SplittingMethod, Step, StepSize
from monops.splitting.parts import inverse_lipschitz


@dataclass(frozen=True)
class ForwardBackwardForward(SplittingMethod):
    """y = J_B(z - α A(z)), z ← y - α (A(y) - A(z)): a forward-backward step, corrected by a second look at A.

    Converges for A monotone and L-Lipschitz, not necessarily cocoercive, and α in (0, 1/L).

    Args:
        step: α in (0, 1/L), or "auto".
        allow_unproven: accept a step outside of the interval.

    Raises:
        StepSizeError: the step is not in (0, ∞); or, from `prepare`, not in (0, 1/L).
        ConditionError: from `prepare`, if A is not known to be Lipschitz.

    Source: Tseng 2000 (*A modified forward-backward splitting method for maximal monotone mappings*), theorem 3.4.
    Rate: √(1 - c) with 1/c = 1/(1 - α²L²) + 1/(2αm), from ‖z⁺ - z*‖² ≤ ‖z - z*‖² - (1 - α²L²)‖z - y‖² - 2αm‖y - z*‖²,
    with the m of A + B.

    Example:
        >>> round(ForwardBackwardForward(0.25).rate(m=1.0, L=2.0), 4)
        0.8367
    """

    step: StepSize = 1.0
    allow_unproven: bool = field(default=False, kw_only=True, repr=False)

    def prepare(self, A: MonotoneOperator, B: MonotoneOperator) -> tuple[MonotoneOperator, Resolvent]:
        return A, B.resolvent(self.require_step_below(lambda: inverse_lipschitz(self, A)))

    def advance(self, plan: tuple[MonotoneOperator, Resolvent], z: Array) -> Step:
        A, J_B = plan
        Az = A.apply(z)
        y = J_B(z - self.step * Az)
        Ay = A.apply(y)
        return Step(y - self.step * (Ay - Az), point=y, gap=lambda: (z - y) / self.step - Az + Ay)

    def rate(self, m: float, L: float) -> float | None:
        return two_look_rate(self._step_for(m, L), m, L)

    def rate_for(self, A: MonotoneOperator, B: MonotoneOperator) -> float | None:
        return two_look_rate(self._step_at(A), A.strong_monotonicity + B.strong_monotonicity, A.lipschitz)

    def gap_slack(self, A: MonotoneOperator, B: MonotoneOperator) -> float | None:
        """c₁c₂ of ‖gap‖ ≤ c₁‖z - z*‖, as ‖z - y‖ ≤ (2 + αL)‖z - z*‖, and of ‖z - z*‖ ≤ ‖z - y‖ + ‖y - z*‖ ≤ c₂‖gap‖."""
        step, m = self._numeric_step(), A.strong_monotonicity + B.strong_monotonicity
        share = step * A.lipschitz
        if not (m > 0 and share < 1):
            return None
        return (1 + share) * (2 + share) * (1 / (1 - share) + 1 / (step * m))

    def best_step(self, m: float, L: float) -> float | None:
        return two_look_best_step(m, L)


def two_look_rate(step: float | None, m: float, L: float) -> float | None:
    """√(1 - c), 1/c = 1/(1 - α²L²) + 1/(2αm): the rate of methods that look at A twice a step."""
    if step is None or not (m > 0 and step * L < 1):
        return None
    return math.sqrt(1 - 1 / (1 / (1 - (step * L) ** 2) + 1 / (2 * step * m)))


def two_look_best_step(m: float, L: float) -> float | None:
    """The α with the smallest `two_look_rate`: the zero of its derivative, 4α³L²m = (1 - α²L²)², by bisection."""
    if not (m > 0 and 0 < L < math.inf):
        return None
    low, high = 0.0, 1 / L
    for _ in range(200):
        step = 0.5 * (low + high)
        is_below = 4 * step**3 * L**2 * m < (1 - (step * L) ** 2) ** 2
        low, high = (step, high) if is_below else (low, step)
    return low
