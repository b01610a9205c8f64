"""Balls of the Euclidean norm and of the largest entry."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from monops.arrays import Array, cast, clip, namespace
from monops.functions.base import Function, Separable, indicator
from monops.functions.convex_set import ConvexSet, dropped, norm, rounding, slack
from monops.functions.l1 import L1
from monops.functions.parameters import PARAMETER, require, require_narrow
from monops.functions.structured import Structured
from monops.linear import LinearOperator


@dataclass(frozen=True, eq=False)
class L2Ball(ConvexSet):
    """f(x) = 0 where ‖x‖ ≤ radius, else ∞; the prox is x min(1, radius/‖x‖).

    Args:
        radius: a number in [0, ∞), or an array with one a sample, shape (*batch, 1, …, 1).

    Raises:
        OptionError: `radius` is not in [0, ∞).
        ShapeError: `radius` is not one number a sample.

    Source:
        Bauschke & Combettes 2017, Convex Analysis and Monotone Operator Theory in Hilbert Spaces.

    Example:
        >>> import torch
        >>> L2Ball(1.0).prox(torch.tensor([[3.0, 4.0], [0.3, 0.4]]), 1.0)
        tensor([[0.6000, 0.8000],
                [0.3000, 0.4000]])
    """

    radius: float | Array = field(default=1.0, metadata=PARAMETER)

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self, (self.radius >= 0) & (self.radius < math.inf), "radius in [0, ∞)")
        require_narrow(self, "radius", self.axes)

    def conjugate_value(self, y: Array) -> Array:
        return dropped(self.radius * norm(self._admit(y), self.axes), self.axes)

    def _project(self, x: Array) -> Array:
        return self._factor(x, norm(x, self.axes)) * x

    def _projection_derivative(self, x: Array) -> LinearOperator:
        size = norm(x, self.axes)
        factor = self._factor(x, size)
        xp = namespace(x)
        outside = size > self.radius
        direction = x / xp.where(outside, size, 1.0)
        weight = xp.where(outside, -factor, 0.0)
        return Structured(factor * xp.ones_like(x), self.axes, (direction,), (weight,))

    def _factor(self, x: Array, size: Array) -> Array:
        where = namespace(x).where
        outside = size > self.radius
        return where(outside, self.radius / where(outside, size, 1.0), 1.0 + 0 * size)  # NaN stays NaN

    def _excess(self, x: Array) -> Array:
        return norm(x, self.axes) - self.radius

    def _slack(self, x: Array) -> Array:
        return rounding(x, self.axes) * (norm(x, self.axes) + self.radius)


@dataclass(frozen=True, eq=False)
class LInfBall(Separable):
    """f(x) = 0 where abs(x_i) ≤ radius for all i, else ∞; the prox clips x to [-radius, radius].

    Args:
        radius: a number or an array (then the set is a box around 0), in [0, ∞).

    Raises:
        OptionError: `radius` is not in [0, ∞).

    Source:
        Bauschke & Combettes 2017, Convex Analysis and Monotone Operator Theory in Hilbert Spaces.

    Example:
        >>> import torch
        >>> LInfBall(2.0).prox(torch.tensor([-3.0, 0.5]), 1.0)
        tensor([-2.0000,  0.5000])
    """

    takes_steps = True

    radius: float | Array = field(default=1.0, metadata=PARAMETER)

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self, (self.radius >= 0) & (self.radius < math.inf), "radius in [0, ∞)")

    @property
    def is_indicator(self) -> bool:
        return True

    def conjugate(self) -> Function:
        return L1(self.radius, axes=self.axes)

    def _value(self, x: Array) -> Array:
        return indicator(abs(x) > self.radius + slack(x, self.axes), x)

    def _prox(self, x: Array, step: float) -> Array:
        return clip(x, -self.radius, self.radius)

    def _prox_slope(self, x: Array, step: float) -> Array:
        return cast(abs(x) < self.radius, x.dtype)
