"""Douglas-Rachford splitting."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from monops.arrays import Array, slope
from monops.monotone import MonotoneOperator, Resolvent
from monops.splitting.base import SplittingMethod, Step, StepSize
from monops.splitting.peaceman_rachford import reflected_rate


@dataclass(frozen=True)
class DouglasRachford(SplittingMethod):
    """z ← ½ z + ½ (2 J_B - I)(2 J_A - I) z.

    Converges for every step > 0 and any maximal monotone A and B whose sum has a zero.

    Args:
        step: α in (0, ∞), or "auto".

    Source: Lions & Mercier 1979. Convergence: Bauschke & Combettes 2017, theorem 26.11. Rate: Giselsson 2017, for the
    average of I and the Peaceman-Rachford operator.

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
        reflected = None if step is None else reflected_rate(step, m, L)
        return None if reflected is None else (1 + reflected) / 2

    def best_step(self, m: float, L: float) -> float | None:
        return 1 / L if 0 < L < math.inf else None
