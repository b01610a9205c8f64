"""Plain fixed-point iteration."""

from __future__ import annotations

import math
import numbers
from dataclasses import dataclass
from typing import ClassVar

from monops.arrays import Array
from monops.errors import OptionError
from monops.monotone import MonotoneOperator, Resolvent
from monops.splitting.base import SplittingMethod, Step


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
    fixed-point theorem. Rate: 1 - λ + λ√(1 - 2m + L²), where that is below 1, from that of `ForwardBackward` at α = 1.

    Example:
        >>> round(FixedPoint(0.5).rate(m=1.0, L=1.2), 4)
        0.8317
    """

    gap_is_step: ClassVar[bool] = True

    damping: float = 1.0

    def __post_init__(self) -> None:
        if not (isinstance(self.damping, numbers.Real) and 0 < self.damping <= 1):
            raise OptionError(f"FixedPoint wants a damping in (0, 1], got {self.damping!r}")

    def prepare(self, A: MonotoneOperator, B: MonotoneOperator) -> tuple[MonotoneOperator, Resolvent]:
        return A, B.resolvent(1.0)

    def advance(self, plan: tuple[MonotoneOperator, Resolvent], z: Array) -> Step:
        A, J_B = plan
        y = J_B(z - A.apply(z))
        return Step(z + self.damping * (y - z), point=y, gap=lambda: z - y)

    def rate(self, m: float, L: float) -> float | None:
        if not math.inf > L:
            return None
        factor = 1 - self.damping + self.damping * math.sqrt(max(0.0, 1 - 2 * m + L**2))
        return factor if factor < 1 else None
