"""The function that the leaky rectified linear unit belongs to."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from monops.arrays import Array, clip, namespace
from monops.functions.base import Separable, half_square, total
from monops.functions.parameters import PARAMETER, greatest, require


@dataclass(frozen=True, eq=False)
class LeakyReLU(Separable):
    """f(x) = Σ_i (1/slope - 1) min(x_i, 0)² / 2; its prox at step 1 is x where x > 0, else slope·x.

    At another step the prox is the leaky ReLU of another slope, slope / (slope + step (1 - slope)).

    Args:
        slope: a number or an array, in (0, 1].

    Raises:
        OptionError: `slope` is not in (0, 1].

    Source:
        Combettes & Pesquet 2020, Deep neural network structures solving variational inequalities.

    Example:
        >>> import torch
        >>> LeakyReLU(0.25).prox(torch.tensor([-4.0, 3.0]), 1.0)
        tensor([-1.,  3.])
    """

    slope: float | Array = field(default=0.01, metadata=PARAMETER)

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self, (self.slope > 0) & (self.slope <= 1), "slope in (0, 1]")

    @property
    def smoothness(self) -> float:
        return greatest(self._curvature())

    def conjugate_value(self, y: Array) -> Array:
        below = half_square(clip(self._admit(y), None, 0.0), self._curvature())
        return total(namespace(y).where(y > 0, math.inf, below), self.axes)

    def gradient(self, x: Array) -> Array:
        return self._curvature() * clip(self._admit(x), None, 0.0)

    def _value(self, x: Array) -> Array:
        below = clip(x, None, 0.0)
        return 0.5 * self._curvature() * below * below

    def _prox(self, x: Array, step: float) -> Array:
        return namespace(x).where(x > 0, x, self._slope_at(step) * x)

    def _prox_slope(self, x: Array, step: float) -> Array:
        xp = namespace(x)
        return xp.where(x > 0, xp.ones_like(x), self._slope_at(step))

    def _prox_slope_from(self, p: Array, step: float) -> Array:
        return self._prox_slope(p, step)  # since p has the sign of x

    def _curvature(self) -> float | Array:
        """f'' below 0."""
        return (1 - self.slope) / self.slope

    def _slope_at(self, step: float) -> float | Array:
        if step == 1:
            return self.slope  # which the formula gives up to rounding
        return self.slope / (self.slope + step * (1 - self.slope))
