"""Peaceman-Rachford splitting."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import ClassVar

from monops.arrays import Array, slope
from monops.errors import ConditionError
from monops.monotone import MonotoneOperator, Resolvent
from monops.splitting.base import SplittingMethod, Step, StepSize
from monops.splitting.parts import may_be_strongly_monotone
from monops.splitting.rates import Facts, reflected_factor, reflections_factor


@dataclass(frozen=True)
class PeacemanRachford(SplittingMethod):
    """z ← (2 J_B - I)(2 J_A - I) z: two reflections, no averaging.

    Converges for every step > 0 where one of A and B is strongly monotone and Lipschitz. Elsewhere its steps only keep
    distances, and may go round in circles: it refuses an A and a B which both claim m = 0, as functions and sets do.
    The m of an `Affine` is asked for only where it is claimed, since it costs an eigenvalue.

    Args:
        step: α in (0, ∞), or "auto".
        allow_unproven: accept operators of which neither is known to be strongly monotone.

    Raises:
        ConditionError: from `prepare`, if both have claims, and neither is strongly monotone.

    Source: Lions & Mercier 1979; used for equilibrium networks by Winston & Kolter 2020. Convergence: Bauschke
    & Combettes 2017, proposition 26.13. Rate: √(1 - 4αm/(1 + 2αm + α²L²)), by which the reflection in A contracts
    (Giselsson 2017); less for a gradient, or where more is known (`monops.splitting.rates.reflected_factor`), and
    times that of B.

    Example:
        >>> PeacemanRachford("auto").best_step(m=1.0, L=4.0)
        0.25
    """

    gap_is_step: ClassVar[bool] = True
    point_is_value: ClassVar[bool] = True

    step: StepSize = 1.0
    allow_unproven: bool = field(default=False, kw_only=True, repr=False)

    def prepare(self, A: MonotoneOperator, B: MonotoneOperator) -> tuple[Resolvent, Resolvent, Resolvent]:
        step = self._numeric_step()
        if not (self.allow_unproven or may_be_strongly_monotone(A) or may_be_strongly_monotone(B)):
            raise ConditionError(
                f"PeacemanRachford may go round in circles unless A or B is strongly monotone, and {type(A).__name__} "
                f"and {type(B).__name__} are not known to be; take DouglasRachford, or allow_unproven=True"
            )
        J_B = B.resolvent(step)
        return A.resolvent(step).reflected(), J_B, J_B.reflected()

    def advance(self, plan: tuple[Resolvent, Resolvent, Resolvent], z: Array) -> Step:
        R_A, J_B, R_B = plan
        u = R_A(z)
        state = R_B(u)
        return Step(state, point=lambda: J_B(u), gap=lambda: slope(z, state, 2 * self.step))

    def unguarded(self) -> PeacemanRachford:
        return replace(self, allow_unproven=True)

    def averagedness(self, A: MonotoneOperator, B: MonotoneOperator) -> float | None:
        return 1.0

    def rate(self, m: float, L: float) -> float | None:
        step = self._step_for(m, L)
        factor = 1.0 if step is None else reflected_factor(step, Facts(m, L))
        return factor if factor < 1 else None

    def rate_for(self, A: MonotoneOperator, B: MonotoneOperator) -> float | None:
        step = self._step_at(A)
        return None if step is None else reflections_factor(step, A, B)

    def best_step(self, m: float, L: float) -> float | None:
        return 1 / L if 0 < L < math.inf else None
