"""Logarithms of the entries: the barrier of the positive orthant, and the loss of Poisson counts."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from monops.arrays import Array, namespace, xlogy
from monops.functions.base import Separable, total
from monops.functions.parameters import PARAMETER, require


@dataclass(frozen=True, eq=False)
class LogBarrier(Separable):
    """f(x) = -Σ_i weight·log(x_i) on x > 0, also known as Burg's entropy; its prox is (x + √(x² + 4 step·weight)) / 2.

    Args:
        weight: a number or an array, in (0, ∞).

    Raises:
        OptionError: `weight` is not in (0, ∞).

    Source:
        Bauschke & Combettes 2017, Convex Analysis and Monotone Operator Theory in Hilbert Spaces.

    Example:
        >>> import torch
        >>> LogBarrier(2.0).prox(torch.tensor([-1.0, 0.0, 1.0]), 1.0)
        tensor([1.0000, 1.4142, 2.0000])
    """

    weight: float | Array = field(default=1.0, metadata=PARAMETER)

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self, (self.weight > 0) & (self.weight < math.inf), "weight in (0, ∞)")

    def conjugate_value(self, y: Array) -> Array:
        return total(_dual(-self._admit(y), self.weight), self.axes)

    def _conjugate_prox(self, x: Array, step: float) -> Array:
        return -_root(-self._admit(x), step * self.weight)

    def _value(self, x: Array) -> Array:
        xp = namespace(x)
        return xp.where(x <= 0, math.inf, -self.weight * xp.log(xp.where(x > 0, x, 1.0) * xp.where(x == x, 1.0, x)))

    def _prox(self, x: Array, step: float) -> Array:
        return _root(x, step * self.weight)

    def _prox_slope(self, x: Array, step: float) -> Array:
        p = self._prox(x, step)
        return p * p / (p * p + step * self.weight)


@dataclass(frozen=True, eq=False)
class Poisson(Separable):
    """f(x) = Σ_i x_i - count_i log(x_i) on x ≥ 0: minus the log-likelihood of intensities x, without constants.

    Up to these it is the Kullback-Leibler divergence of x from the counts. The prox is that of `LogBarrier(count)`
    at x - step.

    Args:
        count: what was counted; a number or an array, in [0, ∞). Where it is 0, f is x on x ≥ 0.

    Raises:
        OptionError: `count` is not in [0, ∞).

    Source:
        Combettes & Pesquet 2007, A Douglas-Rachford splitting approach to nonsmooth convex variational signal recovery.

    Example:
        >>> import torch
        >>> Poisson(2.0).prox(torch.tensor([0.0, 2.0, 5.0]), 1.0)
        tensor([1.0000, 2.0000, 4.4495])
    """

    count: float | Array = field(default=1.0, metadata=PARAMETER)

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self, (self.count >= 0) & (self.count < math.inf), "count in [0, ∞)")

    def conjugate_value(self, y: Array) -> Array:
        return total(_dual(1 - self._admit(y), self.count), self.axes)

    def _conjugate_prox(self, x: Array, step: float) -> Array:
        return 1 - _root(1 - self._admit(x), step * self.count)

    def _value(self, x: Array) -> Array:
        xp = namespace(x)
        count = self.count + 0 * x
        is_outside = (x < 0) | ((x == 0) & (count > 0))
        return xp.where(is_outside, math.inf, x - xlogy(count, xp.where(x > 0, x, 1.0)))

    def _prox(self, x: Array, step: float) -> Array:
        return _root(x - step, step * self.count)

    def _prox_slope(self, x: Array, step: float) -> Array:
        p = self._prox(x, step)
        square = p * p + step * self.count
        return namespace(x).where(square > 0, p * p / namespace(x).where(square > 0, square, 1.0), square)


def _root(v: Array, c: float | Array) -> Array:
    """The x ≥ 0 with x² - v x = c, without cancellation; differentiable, c = v = 0 included."""
    xp = namespace(v)
    size = xp.where(v > 0, v, -v)  # not abs, whose derivative at 0 is 0
    square = size * size + 4 * c
    large = 0.5 * (size + xp.sqrt(xp.where(square > 0, square, 1.0))) * (square != 0)
    return xp.where(v > 0, large, c / xp.where(large > 0, large, 1.0) + 0 * v)


def _dual(z: Array, c: float | Array) -> Array:
    """The conjugate of -c log at -z: -c + c log(c / z), +∞ for z < 0."""
    xp = namespace(z)
    c = c + 0 * z
    inside = xlogy(c, c) - c - xlogy(c, xp.where(z > 0, z, 1.0))
    return xp.where((z < 0) | ((z == 0) & (c > 0)), math.inf, inside)
