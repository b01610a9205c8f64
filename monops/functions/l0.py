"""The number of entries that are not zero: a penalty with a prox that is not convex."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from monops.arrays import Array, cast, namespace
from monops.functions.base import Function, Separable
from monops.functions.box import Box
from monops.functions.parameters import PARAMETER, require


@dataclass(frozen=True, eq=False)
class L0(Separable):
    """f(x) = weight · (the number of i with x_i ≠ 0), **not convex**; its prox keeps entries beyond √(2 step·weight).

    The prox is a minimiser, though not the only one where an entry lies on the threshold, where it jumps. `is_convex`
    is false: `Subdifferential` and `Conjugate` refuse it, and nothing is proven of splitting methods with it.

    Args:
        weight: a number or an array, in [0, ∞).

    Raises:
        OptionError: `weight` is not in [0, ∞).

    Source:
        Blumensath & Davies 2008, Iterative thresholding for sparse approximations.

    Example:
        >>> import torch
        >>> L0(2.0).prox(torch.tensor([-3.0, 1.9, 2.1]), 1.0)
        tensor([-3.0000,  0.0000,  2.1000])
    """

    weight: float | Array = field(default=1.0, metadata=PARAMETER)

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self, (self.weight >= 0) & (self.weight < math.inf), "weight in [0, ∞)")

    @property
    def is_convex(self) -> bool:
        return False

    def conjugate(self) -> Function:
        """The indicator of 0; its own conjugate is 0, the convex hull of f, not f, and Moreau's identity fails."""
        return Box(0.0, 0.0, axes=self.axes)

    def _value(self, x: Array) -> Array:
        return namespace(x).where(x == x, self.weight * cast(x != 0, x.dtype), x)

    def _prox(self, x: Array, step: float) -> Array:
        return x * self._prox_slope(x, step)

    def _prox_slope(self, x: Array, step: float) -> Array:
        kept = cast(x * x >= 2 * step * self.weight, x.dtype)
        return namespace(x).where(x == x, kept, x)
