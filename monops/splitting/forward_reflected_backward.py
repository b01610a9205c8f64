"""Forward-reflected-backward splitting."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import NamedTuple

from monops.arrays import Array
from monops.monotone import MonotoneOperator, Resolvent
from monops.splitting.base import SplittingMethod, Step, StepSize
from monops.splitting.parts import inverse_lipschitz


class Reflected(NamedTuple):
    """A point, and A at the point before it."""

    z: Array
    A_before: Array


@dataclass(frozen=True)
class ForwardReflectedBackward(SplittingMethod):
    """z ← J_B(z - α (2 A(z) - A(z₋))), with z₋ the point before: one evaluation of A a step.

    Converges for A monotone and L-Lipschitz, not necessarily cocoercive, and α in (0, 1/(2L)).

    Args:
        step: α in (0, 1/(2L)), or "auto".
        allow_unproven: accept a step outside of the interval.

    Raises:
        StepSizeError: the step is not in (0, ∞); or, from `prepare`, not in (0, 1/(2L)).
        ConditionError: from `prepare`, if A is not known to be Lipschitz.

    Source: Malitsky & Tam 2020 (*A forward-backward splitting method for monotone inclusions without cocoercivity*),
    theorem 2.5. Rate: √q with q = max((1 + αL)/(1 + αL + 2αm), 2αL) and the m of A + B, on the average: by q falls
    (1 + 2αm)‖z - z*‖² + 2α⟨A(z) - A(z₋), z* - z⟩ + (1 - αL)‖z - z₋‖², as the proof of theorem 2.9 shows.

    Example:
        >>> round(ForwardReflectedBackward("auto").best_step(m=1.0, L=2.0), 4)
        0.225
    """

    step: StepSize = 1.0
    allow_unproven: bool = field(default=False, kw_only=True, repr=False)

    def prepare(self, A: MonotoneOperator, B: MonotoneOperator) -> tuple[MonotoneOperator, Resolvent]:
        return A, B.resolvent(self.require_step_below(lambda: inverse_lipschitz(self, A, 2)))

    def start(self, plan: tuple[MonotoneOperator, Resolvent], z0: Array) -> Reflected:
        return Reflected(z0, plan[0].apply(z0))

    def advance(self, plan: tuple[MonotoneOperator, Resolvent], state: Reflected) -> Step:
        A, J_B = plan
        z, Az = state.z, A.apply(state.z)
        forward = 2 * Az - state.A_before
        x = J_B(z - self.step * forward)
        return Step(Reflected(x, Az), point=x, gap=lambda: (z - x) / self.step - forward + A.apply(x))

    def rate_for(self, A: MonotoneOperator, B: MonotoneOperator) -> float | None:
        step, L = self._step_at(A), A.lipschitz
        m = A.strong_monotonicity + B.strong_monotonicity
        if step is None or not (m > 0 and 2 * step * L < 1):
            return None
        return math.sqrt(max((1 + step * L) / (1 + step * L + 2 * step * m), 2 * step * L))

    def gap_slack(self, A: MonotoneOperator, B: MonotoneOperator) -> float | None:
        """A hundred times what is proven from z₋ = z₀ on, as the first look is a later one.

        With a = ‖z⁺ - z*‖ ≤ ‖gap‖/m and b = ‖z⁺ - z‖ ≤ α‖gap‖/(1 - αL) after the first step, the falling quantity V is
        at most (1 + 2αm)a² + 2αL a b + (1 - αL)b²; and ‖gap‖ ≤ (1/α + 2L)√(V/(1 - 2αL)) at every later one.
        """
        rate, m = self.rate_for(A, B), A.strong_monotonicity + B.strong_monotonicity
        if not rate:
            return None
        step = self._numeric_step()
        share = step * A.lipschitz
        a, b = 1 / m, step / (1 - share)
        V = (1 + 2 * step * m) * a**2 + 2 * share * a * b + (1 - share) * b**2
        return 100 * (1 / step + 2 * A.lipschitz) * math.sqrt(V / (1 - 2 * share)) / rate

    def best_step(self, m: float, L: float) -> float | None:
        return 0.45 / L if 0 < L < math.inf else None
