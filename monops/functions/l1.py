"""The l1 norm, the function of the soft threshold."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from monops.arrays import Array, cast, clip
from monops.functions.base import Function, Separable
from monops.functions.box import Box
from monops.functions.parameters import PARAMETER, require


@dataclass(frozen=True, eq=False)
class L1(Separable):
    """f(x) = Σ_i weight·abs(x_i); its prox is the soft threshold x - clip(x, -w, w), w = step·weight.

    `SoftThreshold` is another name of this class.

    Args:
        weight: a number or an array, in [0, ∞).

    Raises:
        OptionError: `weight` is not in [0, ∞).

    Source:
        Bauschke & Combettes 2017, Convex Analysis and Monotone Operator Theory in Hilbert Spaces.

    Example:
        >>> import torch
        >>> L1(2.0).prox(torch.tensor([-3.0, 0.4, 5.0]), 0.5)
        tensor([-2.,  0.,  4.])
    """

    takes_steps = True

    weight: float | Array = field(default=1.0, metadata=PARAMETER)

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self, (self.weight >= 0) & (self.weight < math.inf), "weight in [0, ∞)")

    def conjugate(self) -> Function:
        return Box(-self.weight, self.weight, axes=self.axes)

    def _value(self, x: Array) -> Array:
        return self.weight * abs(x)

    def _prox(self, x: Array, step: float) -> Array:
        threshold = step * self.weight
        return x - clip(x, -threshold, threshold)

    def _prox_slope(self, x: Array, step: float) -> Array:
        # Not >, so that weight 0 gives the derivative 1 of the identity at 0 as well.
        return cast(abs(x) >= step * self.weight, x.dtype)

    def _prox_slope_from(self, p: Array, step: float) -> Array:
        return cast((p != 0) | (self.weight == 0), p.dtype)


SoftThreshold = L1
