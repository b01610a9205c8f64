"""Korpelevich's extragradient method."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from monops.arrays import Array
from monops.errors import ConditionError
from monops.monotone import MonotoneOperator, Resolvent
from monops.splitting.base import SplittingMethod, Step, StepSize
from monops.splitting.forward_backward_forward import two_look_best_step, two_look_rate
from monops.splitting.parts import inverse_lipschitz


@dataclass(frozen=True)
class Extragradient(SplittingMethod):
    """y = J_B(z - α A(z)), z ← J_B(z - α A(y)): the step from z, taken with A as it is at y.

    Converges for A monotone and L-Lipschitz, B the subdifferential of a convex function (a normal cone, say), and α in
    (0, 1/L).

    Args:
        step: α in (0, 1/L), or "auto".
        allow_unproven: accept a step outside of the interval, and any B with a resolvent.

    Raises:
        StepSizeError: the step is not in (0, ∞); or, from `prepare`, not in (0, 1/L).
        ConditionError: from `prepare`, if A is not known to be Lipschitz, or B to be a subdifferential.

    Source: Korpelevich 1976 (*The extragradient method for finding saddle points and other problems*); Facchinei & Pang
    2003, chapter 12. Rate: as for `ForwardBackwardForward`, from the same inequality; where B is the subdifferential of
    a μ-strongly convex function, with m + μ/2 for m, and divided by √(1 + αμ).

    Example:
        >>> round(Extragradient(0.25).rate(m=1.0, L=2.0), 4)
        0.8367
    """

    step: StepSize = 1.0
    allow_unproven: bool = field(default=False, kw_only=True, repr=False)

    def prepare(self, A: MonotoneOperator, B: MonotoneOperator) -> tuple[MonotoneOperator, Resolvent]:
        if not (B.is_gradient or self.allow_unproven):
            raise ConditionError(
                f"Extragradient wants a subdifferential or a normal cone as B, got {type(B).__name__}, not "
                "known to be one; take ForwardBackwardForward, or allow_unproven=True"
            )
        return A, B.resolvent(self.require_step_below(lambda: inverse_lipschitz(self, A)))

    def advance(self, plan: tuple[MonotoneOperator, Resolvent], z: Array) -> Step:
        A, J_B = plan
        Ay = A.apply(J_B(z - self.step * A.apply(z)))
        x = J_B(z - self.step * Ay)
        return Step(state=x, point=x, gap=lambda: (z - x) / self.step - Ay + A.apply(x))

    def rate(self, m: float, L: float) -> float | None:
        return two_look_rate(self._step_for(m, L), m, L)

    def rate_for(self, A: MonotoneOperator, B: MonotoneOperator) -> float | None:
        step, L = self._step_at(A), A.lipschitz
        if step is None or not step * L < 1:
            return None
        m, m_B = A.strong_monotonicity, B.strong_monotonicity
        factor = (two_look_rate(step, m + m_B / 2, L) or 1.0) / math.sqrt(1 + step * m_B)
        return factor if factor < 1 else None

    def gap_slack(self, A: MonotoneOperator, B: MonotoneOperator) -> float | None:
        """c/(m rate) of ‖gap‖ ≤ c‖z - z*‖, as ‖y - x‖ ≤ (2 + αL)‖z - z*‖, and of m‖z⁺ - z*‖ ≤ ‖gap‖."""
        rate, m = self.rate_for(A, B), A.strong_monotonicity + B.strong_monotonicity
        if not rate:
            return None
        step = self._numeric_step()
        share = step * A.lipschitz
        return (2 + share * (2 + share)) / (step * m * rate)

    def best_step(self, m: float, L: float) -> float | None:
        return two_look_best_step(m, L)
