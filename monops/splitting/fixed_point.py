"""Plain fixed-point iteration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from monops.arrays import Array
from monops.linear import Identity
from monops.monotone import MonotoneOperator, Resolvent
from monops.options import require_number
from monops.splitting.base import SplittingMethod, Step
from monops.splitting.rates import Facts, forward_factor


@dataclass(frozen=True)
class FixedPoint(SplittingMethod):
    """z ← (1 - λ) z + λ σ(W z + b): the layer itself again and again, with damping, to compare with.

    With σ = J_B at step 1 and A(z) = z - W z - b it is a damped forward-backward step at α = 1. It converges where W is
    a contraction; nothing is refused elsewhere, where it may diverge.

    Args:
        damping: λ in (0, 1]: 1 for none.

    Raises:
        OptionError: the damping is outside its range.

    Source: Bai, Kolter & Koltun 2019 (*Deep equilibrium models*), as the simplest forward solve. Convergence: Banach's
    fixed-point theorem. Rate: 1 - λ + λ√(1 - 2m + L²), where that is below 1, from that of `ForwardBackward` at α = 1;
    less where more is known, as there, and 1 - λ + λ‖W‖ where W is at hand.

    Example:
        >>> round(FixedPoint(0.5).rate(m=1.0, L=1.2), 4)
        0.8317
    """

    gap_is_step: ClassVar[bool] = True

    damping: float = 1.0

    def __post_init__(self) -> None:
        require_number("FixedPoint.damping", self.damping, 0, 1, closed="]")

    def prepare(self, A: MonotoneOperator, B: MonotoneOperator) -> tuple[MonotoneOperator, Resolvent]:
        return A, B.resolvent(1.0)

    def advance(self, plan: tuple[MonotoneOperator, Resolvent], z: Array) -> Step:
        A, J_B = plan
        y = J_B(z - A.apply(z))
        return Step(z + self.damping * (y - z), point=y, gap=lambda: z - y)

    def rate(self, m: float, L: float) -> float | None:
        return self._damped(forward_factor(1.0, Facts(m, L)))

    def rate_for(self, A: MonotoneOperator, B: MonotoneOperator) -> float | None:
        affine, inner = A.as_affine(), forward_factor(1.0, Facts.of(A))
        if affine is not None:
            W = Identity.like(affine.linear) - affine.linear
            inner = min(inner, W.norm())
        return self._damped(inner / (1 + B.strong_monotonicity))

    def _damped(self, inner: float) -> float | None:
        factor = 1 - self.damping + self.damping * inner
        return factor if factor < 1 else None
