"""Forward-backward splitting that measures its step size as it goes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

from monops.arrays import Array, detach, norm
from monops.errors import OptionError
from monops.monotone import MonotoneOperator
from monops.splitting.base import SplittingMethod, Step
from monops.splitting.parts import rank_of, require_gradient


class Measured(NamedTuple):
    """A point and the one before it, with A there; the step size, and its ratio to the one before."""

    x: Array
    before: Array
    A_before: Array
    step: float
    ratio: float


@dataclass(frozen=True)
class AdaptiveForwardBackward(SplittingMethod):
    """x ← J_B(x - αₖ A(x)), with αₖ from the differences of the last two gradients: no constant has to be known.

    For A = ∇f with f convex and locally smooth. αₖ₊₁ = min(√(⅔ + αₖ/αₖ₋₁) αₖ, αₖ/√[2αₖ²Lₖ² - 1]₊) with Lₖ = ‖A(x) -
    A(x₋)‖/‖x - x₋‖, the largest of all samples, which are given one step. Each step waits for the device once.

    Args:
        first_step: α₀ in (0, ∞). Far too small a one costs steps; the result does not depend on it.
        allow_unproven: accept an A that is not known to be a gradient.

    Raises:
        ConditionError: from `prepare`, if A is not known to be a gradient.
        OptionError: `first_step` is outside its range.

    Source: Malitsky & Mishchenko 2024 (*Adaptive proximal gradient method for convex optimization*), algorithm 3.

    Example:
        >>> AdaptiveForwardBackward().first_step
        0.001
    """

    couples_samples: ClassVar[bool] = True

    first_step: float = 1e-3
    allow_unproven: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.first_step < math.inf:
            raise OptionError(f"AdaptiveForwardBackward wants first_step in (0, ∞), got {self.first_step}")

    def prepare(self, A: MonotoneOperator, B: MonotoneOperator) -> tuple[Any, ...]:
        if not self.allow_unproven:
            require_gradient(self, A)
        return A, B, rank_of(A, B)

    def start(self, plan: tuple[Any, ...], z0: Array) -> Measured:
        A, B, _ = plan
        Az = A.apply(z0)
        return Measured(B.resolvent(self.first_step)(z0 - self.first_step * Az), z0, Az, self.first_step, 1 / 3)

    def advance(self, plan: tuple[Any, ...], state: Measured) -> Step:
        A, B, rank = plan
        x, Ax = state.x, A.apply(state.x)
        moved, turned = norm(detach(x - state.before), rank), norm(detach(Ax - state.A_before), rank)
        known = (moved > 0) & (turned > 0) & (turned < math.inf)  # a sample at rest, or spoilt, says nothing
        L = float((turned[known] / moved[known]).max()) if bool(known.any()) else 0.0
        bend = 2 * (state.step * L) ** 2 - 1
        step = state.step * min(math.sqrt(2 / 3 + state.ratio), 1 / math.sqrt(bend) if bend > 0 else math.inf)
        step = min(step, 1e12)
        p = B.resolvent(step)(x - step * Ax)
        return Step(Measured(p, x, Ax, step, step / state.step), point=p, gap=lambda: (x - p) / step - Ax + A.apply(p))
