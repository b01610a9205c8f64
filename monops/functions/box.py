"""The indicator of a box (the function of the hard tanh), and its conjugate."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch

from monops.arrays import Array, cast, clip, is_tracked, namespace
from monops.functions.base import Function, Separable, indicator
from monops.functions.convex_set import slack
from monops.functions.parameters import PARAMETER, require


@dataclass(frozen=True, eq=False)
class Box(Separable):
    """f(x) = 0 where lower ≤ x ≤ upper, else ∞; its prox clips x to the bounds, at every step.

    With the default bounds the prox is the hard tanh, which is why `HardTanh` is another name of
    this class.

    Args:
        lower: a number or an array, below ∞; may be -∞.
        upper: likewise, at least `lower` and above -∞.

    Raises:
        OptionError: the bounds are in the wrong order.

    Source:
        Combettes & Pesquet 2020, Deep neural network structures solving variational inequalities.

    Example:
        >>> import torch
        >>> Box(0.0, 1.0).prox(torch.tensor([-2.0, 0.4, 3.0]), 1.0)
        tensor([0.0000, 0.4000, 1.0000])
    """

    takes_steps = True

    lower: float | Array = field(default=-1.0, metadata=PARAMETER)
    upper: float | Array = field(default=1.0, metadata=PARAMETER)

    def __post_init__(self) -> None:
        super().__post_init__()
        _require_order(self, self.lower, self.upper)

    @property
    def is_indicator(self) -> bool:
        return True

    def conjugate(self) -> Function:
        return Support(self.lower, self.upper, axes=self.axes)

    def _value(self, x: Array) -> Array:
        room = slack(x, self.axes)
        return indicator((x < self.lower - room) | (x > self.upper + room), x)

    def _prox(self, x: Array, step: float) -> Array:
        return _within(x, self.lower, self.upper)

    def _prox_slope(self, x: Array, step: float) -> Array:
        return cast((self.lower < x) & (x < self.upper), x.dtype)

    def _prox_slope_from(self, p: Array, step: float) -> Array:
        return self._prox_slope(p, step)


HardTanh = Box


def _within(x: Array, lower: float | Array, upper: float | Array) -> Array:
    """x clipped, differentiable in the bounds, also where they are equal, of which clip would drop the lower one."""
    if any(isinstance(bound, torch.Tensor) and is_tracked(bound) for bound in (lower, upper)):
        return clip(clip(x, None, upper), lower, None)
    return clip(x, lower, upper)


@dataclass(frozen=True, eq=False)
class Support(Separable):
    """f(x) = Σ_i max(lower x_i, upper x_i), conjugate to the box; its prox is x - clip(x, step·lower, step·upper).

    Args:
        lower: a number or an array, below ∞; may be -∞.
        upper: likewise, at least `lower` and above -∞.

    Raises:
        OptionError: the bounds are in the wrong order.

    Source:
        Bauschke & Combettes 2017, Convex Analysis and Monotone Operator Theory in Hilbert Spaces.

    Example:
        >>> import torch
        >>> Support(-1.0, 3.0)(torch.tensor([-2.0, 2.0]))
        tensor(8.)
    """

    takes_steps = True

    lower: float | Array = field(default=-1.0, metadata=PARAMETER)
    upper: float | Array = field(default=1.0, metadata=PARAMETER)

    def __post_init__(self) -> None:
        super().__post_init__()
        _require_order(self, self.lower, self.upper)

    def conjugate(self) -> Function:
        return Box(self.lower, self.upper, axes=self.axes)

    def _value(self, x: Array) -> Array:
        # The inner `where` keeps an infinite bound away from 0, with which it would make NaN.
        where = namespace(x).where
        above = self.upper * where(x > 0, x, 1.0)
        below = self.lower * where(x < 0, x, 1.0)
        return where(x > 0, above, where(x < 0, below, 0 * x))

    def _prox(self, x: Array, step: float) -> Array:
        return x - _within(x, step * self.lower, step * self.upper)

    def _prox_slope(self, x: Array, step: float) -> Array:
        return 1 - cast((step * self.lower < x) & (x < step * self.upper), x.dtype)


def _require_order(function: Function, lower: float | Array, upper: float | Array) -> None:
    proper = (lower <= upper) & (lower < math.inf) & (upper > -math.inf)
    require(function, proper, "lower ≤ upper, lower < ∞ and upper > -∞")
