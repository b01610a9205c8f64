"""Forward-backward splitting."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import ClassVar

from monops.arrays import Array, slope
from monops.monotone import MonotoneOperator, Resolvent
from monops.splitting.base import SplittingMethod, Step, StepSize
from monops.splitting.parts import forward_step, twice_cocoercivity
from monops.splitting.rates import Facts, forward_factor


@dataclass(frozen=True)
class ForwardBackward(SplittingMethod):
    """z ← J_B(z - α A(z)): a forward step on A, a backward one on B.

    A must be single-valued and β-cocoercive; with only m and L known, β = m/L². Converges for α in (0, 2β), which is
    (0, 2m/L²), or (0, 2/L) for the gradient of a convex function.

    Args:
        step: α in (0, 2β), or "auto".
        allow_unproven: accept a step outside of the interval, and an A for which no bound is known.

    Raises:
        StepSizeError: the step is not in (0, ∞); or, from `prepare`, not in (0, 2β).
        ConditionError: from `prepare`, if A is not known to be cocoercive.

    Source: Bauschke & Combettes 2017, theorem 26.14; used for equilibrium networks by Winston & Kolter 2020. Rate:
    √(1 - 2αm + α²L²); less for a gradient, or where more is known (`monops.splitting.rates.forward_factor`), and that
    divided by 1 + αm where B is m-strongly monotone.

    Example:
        >>> round(ForwardBackward(0.25).rate(m=1.0, L=2.0), 4)
        0.866
    """

    gap_is_step: ClassVar[bool] = True
    point_is_value: ClassVar[bool] = True

    step: StepSize = 1.0
    allow_unproven: bool = field(default=False, kw_only=True, repr=False)

    def prepare(self, A: MonotoneOperator, B: MonotoneOperator) -> tuple[MonotoneOperator, Resolvent]:
        return A, B.resolvent(self.require_step_below(lambda: twice_cocoercivity(A)))

    def advance(self, plan: tuple[MonotoneOperator, Resolvent], z: Array) -> Step:
        A, J_B = plan
        y = J_B(z - self.step * A.apply(z))
        return Step(state=y, point=y, gap=lambda: slope(z, y, self.step))

    def averagedness(self, A: MonotoneOperator, B: MonotoneOperator) -> float | None:
        beta = A.cocoercivity
        return 1 / (2 - self._numeric_step() / (2 * beta)) if 0 < self._numeric_step() < 2 * beta else None

    def rate(self, m: float, L: float) -> float | None:
        step = self._step_for(m, L)
        factor = math.inf if step is None else forward_factor(step, Facts(m, L))
        return factor if factor < 1 else None

    def rate_for(self, A: MonotoneOperator, B: MonotoneOperator) -> float | None:
        step = self._step_at(A)
        if step is None:
            return None
        factor = forward_factor(step, Facts.of(A)) / (1 + step * B.strong_monotonicity)
        return factor if factor < 1 else None

    def best_step(self, m: float, L: float) -> float | None:
        return m / L**2 if m > 0 and 0 < L < math.inf else None

    def starting_step(self, A: MonotoneOperator) -> float | None:
        return forward_step(A)
