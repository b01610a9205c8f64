"""The function that the rectified linear unit belongs to."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from monops.arrays import Array, cast, relu, require_step
from monops.functions.base import Function, Separable, indicator
from monops.functions.box import Box
from monops.functions.convex_set import slack


@dataclass(frozen=True, eq=False)
class ReLU(Separable):
    """f(x) = 0 where x ≥ 0, else ∞; its prox is max(x, 0) at every step.

    `NonNegative`, the indicator of the nonnegative orthant, is another name of this class.

    Source:
        Combettes & Pesquet 2020, Deep neural network structures solving variational inequalities.

    Example:
        >>> import torch
        >>> ReLU().prox(torch.tensor([-2.0, 3.0]), 0.7)
        tensor([0., 3.])
    """

    takes_steps = True

    @property
    def is_indicator(self) -> bool:
        return True

    def reflection_at(self, step: float) -> Callable[[Array], Array]:
        require_step(step, self, "prox")
        return abs

    def conjugate(self) -> Function:
        return Box(-math.inf, 0.0, axes=self.axes)

    def _value(self, x: Array) -> Array:
        return indicator(x < -slack(x, self.axes), x)

    def _prox(self, x: Array, step: float) -> Array:
        return relu(x)

    def _prox_slope(self, x: Array, step: float) -> Array:
        return cast(x > 0, x.dtype)

    def _prox_slope_from(self, p: Array, step: float) -> Array:
        return self._prox_slope(p, step)


NonNegative = ReLU
