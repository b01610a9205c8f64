"""Multiples of the squared Euclidean norm."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from monops.arrays import Array, namespace
from monops.functions.base import Conjugate, Function, Separable, half_square, total
from monops.functions.parameters import PARAMETER, greatest, holds, least, require


@dataclass(frozen=True, eq=False)
class SquaredL2(Separable):
    """f(x) = Σ_i weight x_i² / 2; its prox is x / (1 + step·weight).

    Args:
        weight: a number or an array, in [0, ∞).

    Raises:
        OptionError: `weight` is not in [0, ∞).

    Source:
        Bauschke & Combettes 2017, Convex Analysis and Monotone Operator Theory in Hilbert Spaces.

    Example:
        >>> import torch
        >>> SquaredL2(3.0).prox(torch.tensor([-4.0, 2.0]), 1.0)
        tensor([-1.0000,  0.5000])
    """

    takes_steps = True

    weight: float | Array = field(default=1.0, metadata=PARAMETER)

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self, (self.weight >= 0) & (self.weight < math.inf), "weight in [0, ∞)")

    @property
    def strong_convexity(self) -> float:
        return least(self.weight)

    @property
    def smoothness(self) -> float:
        return greatest(self.weight)

    def conjugate(self) -> Function:
        if holds(self.weight > 0):
            return SquaredL2(1 / self.weight, axes=self.axes)
        return Conjugate(self)

    def conjugate_value(self, y: Array) -> Array:
        return total(half_square(self._admit(y), self.weight), self.axes)

    def gradient(self, x: Array) -> Array:
        return self.weight * self._admit(x)

    def _value(self, x: Array) -> Array:
        return 0.5 * self.weight * x * x

    def _prox(self, x: Array, step: float) -> Array:
        return x / (1 + step * self.weight)

    def _prox_slope(self, x: Array, step: float) -> Array:
        return namespace(x).ones_like(x) / (1 + step * self.weight)
