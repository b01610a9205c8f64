"""The simplest functions: ⟨c, x⟩, and 0."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from monops.arrays import Array, namespace
from monops.functions.base import Function, Separable
from monops.functions.box import Box
from monops.functions.parameters import PARAMETER, require


@dataclass(frozen=True, eq=False)
class Linear(Separable):
    """f(x) = ⟨c, x⟩; its prox is x - step·c, its conjugate the indicator of c.

    Args:
        c: a number or an array, finite.

    Raises:
        OptionError: `c` is not finite.

    Source:
        Bauschke & Combettes 2017, Convex Analysis and Monotone Operator Theory in Hilbert Spaces.

    Example:
        >>> import torch
        >>> Linear(torch.tensor([1.0, -2.0])).prox(torch.tensor([0.0, 0.0]), 0.5)
        tensor([-0.5000,  1.0000])
    """

    c: float | Array = field(default=1.0, metadata=PARAMETER)

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self, abs(self.c) < math.inf, "c finite")

    @property
    def smoothness(self) -> float:
        return 0.0

    def conjugate(self) -> Function:
        return Box(self.c, self.c, axes=self.axes)

    def gradient(self, x: Array) -> Array:
        return self.c + 0 * self._admit(x)

    def _value(self, x: Array) -> Array:
        return self.c * x

    def _prox(self, x: Array, step: float) -> Array:
        return x - step * self.c

    def _prox_slope(self, x: Array, step: float) -> Array:
        return namespace(x).ones_like(x)


@dataclass(frozen=True, eq=False)
class Zero(Separable):
    """f(x) = 0, the indicator of the whole space; its prox is the identity.

    Source:
        Bauschke & Combettes 2017, Convex Analysis and Monotone Operator Theory in Hilbert Spaces.

    Example:
        >>> import torch
        >>> Zero().prox(torch.tensor([3.0, -1.0]), 2.0)
        tensor([ 3., -1.])
    """

    @property
    def smoothness(self) -> float:
        return 0.0

    @property
    def is_indicator(self) -> bool:
        return True

    def conjugate(self) -> Function:
        return Box(0.0, 0.0, axes=self.axes)

    def gradient(self, x: Array) -> Array:
        return 0 * self._admit(x)

    def _value(self, x: Array) -> Array:
        return namespace(x).where(x == x, 0.0, x)

    def _prox(self, x: Array, step: float) -> Array:
        return 1 * x  # not x itself, which the caller may write to

    def _prox_slope(self, x: Array, step: float) -> Array:
        return namespace(x).ones_like(x)
