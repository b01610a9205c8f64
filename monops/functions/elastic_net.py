"""The elastic net: the l1 norm and the squared Euclidean norm together."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from monops.arrays import Array, cast, clip, relu
from monops.functions.base import Conjugate, Function, Separable, half_square, total
from monops.functions.box import Box
from monops.functions.parameters import PARAMETER, holds, least, require


@dataclass(frozen=True, eq=False)
class ElasticNet(Separable):
    """f(x) = Σ_i l1·abs(x_i) + l2 x_i²/2; its prox is the soft threshold at step·l1, over 1 + step·l2.

    Args:
        l1: a number or an array, in [0, ∞).
        l2: likewise; the function is strongly convex with the least of it.

    Raises:
        OptionError: a weight is not in [0, ∞).

    Source:
        Zou & Hastie 2005, Regularization and variable selection via the elastic net.

    Example:
        >>> import torch
        >>> ElasticNet(2.0, 1.0).prox(torch.tensor([-3.0, 0.4, 5.0]), 1.0)
        tensor([-0.5000,  0.0000,  1.5000])
    """

    takes_steps = True

    l1: float | Array = field(default=1.0, metadata=PARAMETER)
    l2: float | Array = field(default=1.0, metadata=PARAMETER)

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self, (self.l1 >= 0) & (self.l1 < math.inf), "l1 in [0, ∞)")
        require(self, (self.l2 >= 0) & (self.l2 < math.inf), "l2 in [0, ∞)")

    @property
    def strong_convexity(self) -> float:
        return least(self.l2)

    def conjugate(self) -> Function:
        return Box(-self.l1, self.l1, axes=self.axes) if holds(self.l2 == 0) else Conjugate(self)

    def conjugate_value(self, y: Array) -> Array:
        return total(half_square(relu(abs(self._admit(y)) - self.l1), self.l2), self.axes)

    def _value(self, x: Array) -> Array:
        return self.l1 * abs(x) + 0.5 * self.l2 * x * x

    def _prox(self, x: Array, step: float) -> Array:
        threshold = step * self.l1
        return (x - clip(x, -threshold, threshold)) / (1 + step * self.l2)

    def _prox_slope(self, x: Array, step: float) -> Array:
        return cast(abs(x) >= step * self.l1, x.dtype) / (1 + step * self.l2)
