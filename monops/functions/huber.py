"""The function of Huber: a square near 0, the absolute value far away."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from monops.arrays import Array, cast, clip, epsilon, namespace
from monops.functions.base import Separable, half_square, total
from monops.functions.parameters import PARAMETER, greatest, require


@dataclass(frozen=True, eq=False)
class Huber(Separable):
    """f(x) = Σ_i weight·h(x_i), h(x) = x²/2 where abs(x) ≤ delta, else delta·abs(x) - delta²/2.

    The prox is x - s·clip(x/(1 + s), -delta, delta) with s = step·weight, the gradient weight·clip(x, -delta, delta).

    Args:
        delta: where the square ends; a number or an array, in (0, ∞).
        weight: a number or an array, in [0, ∞).

    Raises:
        OptionError: `delta` is not in (0, ∞), or `weight` not in [0, ∞).

    Source:
        Huber 1964, Robust estimation of a location parameter.

    Example:
        >>> import torch
        >>> Huber(1.0).prox(torch.tensor([-3.0, 1.0]), 1.0)
        tensor([-2.0000,  0.5000])
    """

    takes_steps = True

    delta: float | Array = field(default=1.0, metadata=PARAMETER)
    weight: float | Array = field(default=1.0, metadata=PARAMETER)

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self, (self.delta > 0) & (self.delta < math.inf), "delta in (0, ∞)")
        require(self, (self.weight >= 0) & (self.weight < math.inf), "weight in [0, ∞)")

    @property
    def smoothness(self) -> float:
        return greatest(self.weight)

    def conjugate_value(self, y: Array) -> Array:
        bound = self.weight * self.delta
        is_outside = abs(self._admit(y)) > bound + 2 * epsilon(y.dtype) * bound  # which a gradient may round to
        value = half_square(y, self.weight)
        return total(namespace(y).where(is_outside, math.inf, value), self.axes)

    def _conjugate_prox(self, x: Array, step: float) -> Array:
        bound = self.weight * self.delta
        return clip(self._admit(x) * (self.weight / (self.weight + step)), -bound, bound)

    def gradient(self, x: Array) -> Array:
        return self.weight * clip(self._admit(x), -self.delta, self.delta)

    def _value(self, x: Array) -> Array:
        inside = clip(x, -self.delta, self.delta)
        return self.weight * inside * (x - 0.5 * inside)

    def _prox(self, x: Array, step: float) -> Array:
        factor = 1 + step * self.weight
        reach = step * self.weight * self.delta
        return namespace(x).where(abs(x) <= factor * self.delta, x / factor, x - clip(x, -reach, reach))

    def _prox_slope(self, x: Array, step: float) -> Array:
        factor = 1 + step * self.weight
        inside = cast(abs(x) <= factor * self.delta, x.dtype)
        return inside / factor + (1 - inside)
