"""Davis-Yin splitting of three operators."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import ClassVar

from monops.arrays import Array, slope
from monops.monotone import MonotoneOperator, Resolvent
from monops.splitting.base import SplittingMethod, Step, StepSize
from monops.splitting.parts import forward_step, twice_cocoercivity, two_terms
from monops.splitting.rates import Facts, three_operator_factor

Plan = tuple[Resolvent, Resolvent, MonotoneOperator]


@dataclass(frozen=True)
class DavisYin(SplittingMethod):
    """x = J_B(z), y = J_A(2x - z - α C(x)), z ← z + y - x, for 0 ∈ A + B + C: `solve(DavisYin(), A + C, B)`.

    Converges for β-cocoercive C and α in (0, 2β). With C = 0 it is Douglas-Rachford splitting, with A = 0
    forward-backward splitting.

    Args:
        step: α in (0, 2β), or "auto".
        allow_unproven: accept a step outside of the interval.

    Raises:
        StepSizeError: the step is not in (0, ∞); or, from `prepare`, not in (0, 2β).
        ConditionError: from `prepare`, if more than one term of A + C is not known to be cocoercive.

    Source: Davis & Yin 2017 (*A three-operator splitting scheme and its optimization applications*), algorithm 1. Rate,
    by which any two states contract: `monops.splitting.rates.three_operator_factor`, where A is strongly monotone and
    Lipschitz, or B cocoercive and one of B and C strongly monotone.

    Example:
        >>> import torch
        >>> from monops import L1, Affine, Box, Diagonal, NormalCone, Subdifferential, solve
        >>> C = Affine(Diagonal(torch.tensor([1.0, 2.0])), torch.tensor([3.0, 1.0]))
        >>> solve(DavisYin(0.5), Subdifferential(L1()) + C, NormalCone(Box(0.0, 1.0)), torch.zeros(2)).point
        tensor([1., 0.])
    """

    gap_is_step: ClassVar[bool] = True

    step: StepSize = 1.0
    allow_unproven: bool = field(default=False, kw_only=True, repr=False)

    def prepare(self, A: MonotoneOperator, B: MonotoneOperator) -> Plan:
        first, C = two_terms(self, A)
        step = self.require_step_below(lambda: twice_cocoercivity(C))
        return first.resolvent(step), B.resolvent(step), C

    def advance(self, plan: Plan, z: Array) -> Step:
        J_A, J_B, C = plan
        x = J_B(z)
        y = J_A(2 * x - z - self.step * C.apply(x))
        return Step(z + y - x, point=x, gap=lambda: slope(x, y, self.step))

    def averagedness(self, A: MonotoneOperator, B: MonotoneOperator) -> float | None:
        beta = two_terms(self, A)[1].cocoercivity
        if math.isinf(beta):
            return 0.5
        return 2 * beta / (4 * beta - self._numeric_step()) if 0 < self._numeric_step() < 2 * beta else None

    def rate_for(self, A: MonotoneOperator, B: MonotoneOperator) -> float | None:
        step, (first, C) = self._step_at(A), two_terms(self, A)
        if step is None:
            return None
        factor = three_operator_factor(step, Facts.of(first), Facts.of(C), Facts.of(B))
        return factor if factor < 1 else None

    def best_step(self, m: float, L: float) -> float | None:
        return m / L**2 if m > 0 and 0 < L < math.inf else None

    def starting_step(self, A: MonotoneOperator) -> float | None:
        return forward_step(two_terms(self, A)[1])
