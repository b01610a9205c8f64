"""The proximal point method."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from monops.arrays import Array, slope
from monops.monotone import MonotoneOperator, Resolvent
from monops.splitting.base import SplittingMethod, Step, StepSize


@dataclass(frozen=True)
class ProximalPoint(SplittingMethod):
    """z ← (I + α(A + B))⁻¹ z: a backward step on the sum.

    Converges for every step > 0. The sum has to have a resolvent: B is zero, or the algebra knows one for `A + B`.

    Args:
        step: α in (0, ∞), or "auto".

    Raises:
        NoResolventError: from `prepare`, if no resolvent of A + B is known.

    Source: Rockafellar 1976 (*Monotone operators and the proximal point algorithm*). Convergence: Bauschke & Combettes
    2017, theorem 23.41. Rate: 1/(1 + αm) for the m of A + B.

    Example:
        >>> ProximalPoint(2.0).rate(m=0.5, L=4.0)
        0.5
    """

    gap_is_step: ClassVar[bool] = True

    step: StepSize = 1.0

    def prepare(self, A: MonotoneOperator, B: MonotoneOperator) -> tuple[Resolvent]:
        total = A if B.is_zero else A + B
        return (total.resolvent(self._numeric_step()),)

    def advance(self, plan: tuple[Resolvent], z: Array) -> Step:
        (J,) = plan
        y = J(z)
        return Step(state=y, point=y, gap=lambda: slope(z, y, self.step))

    def averagedness(self, A: MonotoneOperator, B: MonotoneOperator) -> float | None:
        return 0.5

    def rate(self, m: float, L: float) -> float | None:
        return None if self.step == "auto" or m == 0 else 1 / (1 + float(self.step) * m)

    def rate_for(self, A: MonotoneOperator, B: MonotoneOperator) -> float | None:
        return self.rate(A.strong_monotonicity + B.strong_monotonicity, A.lipschitz + B.lipschitz)
