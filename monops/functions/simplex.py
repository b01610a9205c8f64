"""The simplex and the ball of the l1 norm, by the same threshold."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from monops.arrays import Array, cast, clip, descending, detach, flatten_trailing, largest, namespace
from monops.functions.convex_set import (
    ConvexSet,
    flat_parameter,
    rounding,
)
from monops.functions.parameters import PARAMETER, require, require_narrow
from monops.functions.structured import Structured, dot
from monops.linear import LinearOperator


@dataclass(frozen=True, eq=False)
class Simplex(ConvexSet):
    """f(x) = 0 where x ≥ 0 and Σ_i x_i = total, else ∞; the prox is max(x - τ, 0), with τ found by sorting.

    Args:
        total: a number in [0, ∞), or an array with one a sample, shape (*batch, 1, …, 1).

    Raises:
        OptionError: `total` is not in [0, ∞).
        ShapeError: `total` is not one number a sample.

    Source:
        Held, Wolfe & Crowder 1974, Validation of subgradient optimization.

    Example:
        >>> import torch
        >>> Simplex().prox(torch.tensor([2.0, 1.5, -3.0]), 1.0)
        tensor([0.7500, 0.2500, 0.0000])
    """

    total: float | Array = field(default=1.0, metadata=PARAMETER)

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self, (self.total >= 0) & (self.total < math.inf), "total in [0, ∞)")
        require_narrow(self, "total", self.axes)

    def conjugate_value(self, y: Array) -> Array:
        top = largest(flatten_trailing(self._admit(y), self.axes))
        return (flat_parameter(self.total, self.axes) * top)[..., 0]

    def _project(self, x: Array) -> Array:
        point = flatten_trailing(x, self.axes)
        shifted = point - largest(detach(point))  # next to the largest entry nothing is lost to a common offset
        tau, _ = threshold(shifted, flat_parameter(self.total, self.axes))
        return clip(shifted - tau, 0.0, None).reshape(x.shape)

    def _projection_derivative(self, x: Array) -> LinearOperator:
        point = flatten_trailing(detach(x), self.axes)
        _, support = threshold(point - largest(point), flat_parameter(self.total, self.axes))
        return _centred(cast(support, x.dtype).reshape(x.shape), self.axes)

    def _excess(self, x: Array) -> Array:
        ones = namespace(x).ones_like(x)
        return abs(dot(ones, x, self.axes) - self.total) + dot(ones, clip(-x, 0.0, None), self.axes)

    def _slack(self, x: Array) -> Array:
        return rounding(x, self.axes) * (dot(abs(x), namespace(x).ones_like(x), self.axes) + self.total)


@dataclass(frozen=True, eq=False)
class L1Ball(ConvexSet):
    """f(x) = 0 where Σ_i abs(x_i) ≤ radius, else ∞; the prox is a soft threshold at a level found by sorting.

    Args:
        radius: a number in [0, ∞), or an array with one a sample, shape (*batch, 1, …, 1).

    Raises:
        OptionError: `radius` is not in [0, ∞).
        ShapeError: `radius` is not one number a sample.

    Source:
        Duchi, Shalev-Shwartz, Singer & Chandra 2008, Efficient projections onto the l1-ball for learning in high
        dimensions.

    Example:
        >>> import torch
        >>> L1Ball(1.0).prox(torch.tensor([2.0, -1.5, 0.1]), 1.0)
        tensor([ 0.7500, -0.2500,  0.0000])
    """

    radius: float | Array = field(default=1.0, metadata=PARAMETER)

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self, (self.radius >= 0) & (self.radius < math.inf), "radius in [0, ∞)")
        require_narrow(self, "radius", self.axes)

    def conjugate_value(self, y: Array) -> Array:
        top = largest(flatten_trailing(abs(self._admit(y)), self.axes))
        return (flat_parameter(self.radius, self.axes) * top)[..., 0]

    def _project(self, x: Array) -> Array:
        xp, point = namespace(x), flatten_trailing(x, self.axes)
        size, radius = abs(point), flat_parameter(self.radius, self.axes)
        top = largest(detach(size))
        tau, _ = threshold(size - top, radius)
        shrunk = xp.sign(point) * clip(size - top - tau, 0.0, None)
        return xp.where(self._inside(point, radius), point, shrunk).reshape(x.shape)

    def _projection_derivative(self, x: Array) -> LinearOperator:
        xp, point = namespace(x), flatten_trailing(detach(x), self.axes)
        size, radius = abs(point), flat_parameter(self.radius, self.axes)
        _, support = threshold(size - largest(size), radius)
        signs = cast(support, x.dtype) * xp.sign(point)
        inside = self._inside(point, radius)
        signs = xp.where(inside, 0.0, signs)
        entries = xp.where(inside, 1.0, abs(signs))
        return _centred(entries.reshape(x.shape), self.axes, signs.reshape(x.shape))

    @staticmethod
    def _inside(point: Array, radius: float | Array) -> Array:
        return detach(abs(point).sum(-1, keepdims=True)) <= detach(radius)

    def _excess(self, x: Array) -> Array:
        return dot(abs(x), namespace(x).ones_like(x), self.axes) - self.radius

    def _slack(self, x: Array) -> Array:
        return rounding(x, self.axes) * (dot(abs(x), namespace(x).ones_like(x), self.axes) + self.radius)


def threshold(point: Array, mass: float | Array) -> tuple[Array, Array]:
    """The τ with Σ_i max(x_i - τ, 0) = mass, over the last axis, which stays; and where x > τ.

    Which entries are above τ is found on sorted, detached data; τ is their mean less mass, so its derivatives are
    exact.
    """
    xp, held = namespace(point), detach(point)
    fixed = detach(mass)
    ordered = descending(held)
    level = (ordered.cumsum(-1) - fixed) / xp.ones_like(ordered).cumsum(-1)
    # The level of the k largest entries rises with k as long as these are above it, and falls from there on.
    support = held > largest(level)
    weights = cast(support, held.dtype)
    number = clip(weights.sum(-1, keepdims=True), 1.0, None)
    return ((point * weights).sum(-1, keepdims=True) - mass) / number, support


def _centred(entries: Array, axes: int, vector: Array | None = None) -> LinearOperator:
    """x ↦ entries·x - v ⟨v, x⟩ / ‖v‖², where v is `entries` unless given, and no last term where v = 0."""
    vector = entries if vector is None else vector
    square = dot(vector, vector, axes)
    weight = namespace(entries).where(square == 0, 0.0, -1 / clip(square, 1.0, None))
    return Structured(entries, axes, (vector,), (weight,))
