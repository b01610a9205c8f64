"""Douglas-Rachford splitting."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from monops.arrays import Array, slope
from monops.monotone import MonotoneOperator, Resolvent
from monops.splitting.base import SplittingMethod, Step, StepSize
from monops.splitting.rates import Facts, reflected_factor, reflections_factor


@dataclass(frozen=True)
class DouglasRachford(SplittingMethod):
    """z ← ½ z + ½ (2 J_B - I)(2 J_A - I) z.

    Converges for every step > 0 and any maximal monotone A and B whose sum has a zero.

    Args:
        step: α in (0, ∞), or "auto".

    Source: Lions & Mercier 1979. Convergence: Bauschke & Combettes 2017, theorem 26.11. Rate: (1 + r)/2 for
    the average of I and the Peaceman-Rachford operator, whose rate is r.

    Example:
        >>> round(DouglasRachford(0.5).rate(m=1.0, L=2.0), 4)
        0.7887
    """

    gap_is_step: ClassVar[bool] = True
    point_is_value: ClassVar[bool] = True

    step: StepSize = 1.0

    def prepare(self, A: MonotoneOperator, B: MonotoneOperator) -> tuple[Resolvent, Resolvent]:
        step = self._numeric_step()
        return A.resolvent(step).reflected(), B.resolvent(step)

    def advance(self, plan: tuple[Resolvent, Resolvent], z: Array) -> Step:
        R_A, J_B = plan
        u = R_A(z)
        y = J_B(u)
        state = y + (z - u) / 2  # which is z + y - x
        return Step(state, point=y, gap=lambda: slope(z, state, self.step))

    def averagedness(self, A: MonotoneOperator, B: MonotoneOperator) -> float | None:
        return 0.5

    def rate(self, m: float, L: float) -> float | None:
        step = self._step_for(m, L)
        factor = 1.0 if step is None else reflected_factor(step, Facts(m, L))
        return (1 + factor) / 2 if factor < 1 else None

    def rate_for(self, A: MonotoneOperator, B: MonotoneOperator) -> float | None:
        step = self._step_at(A)
        factor = None if step is None else reflections_factor(step, A, B)
        return None if factor is None else (1 + factor) / 2

    def best_step(self, m: float, L: float) -> float | None:
        return 1 / L if 0 < L < math.inf else None
