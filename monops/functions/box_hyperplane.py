"""The part of a box in which one linear equation holds."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from monops.arrays import Array, cast, clip, detach, flatten_trailing, is_torch, known_true, namespace
from monops.errors import OptionError
from monops.functions.convex_set import ConvexSet, flat_parameter, rounding
from monops.functions.parameters import PARAMETER, require, require_narrow
from monops.functions.structured import Structured, dot
from monops.linear import LinearOperator


@dataclass(frozen=True, eq=False)
class BoxHyperplane(ConvexSet):
    """f(x) = 0 where lower ≤ x ≤ upper and ⟨a, x⟩ = b, else ∞; the prox is clip(x - λa, lower, upper).

    The multiplier λ is a zero of the decreasing, piecewise linear function ⟨a, clip(x - λa)⟩ - b. Bisection on its
    sorted kinks finds the two next to λ in log₂(2n) steps, between which it is a quotient: exact to machine precision.

    Shapes: `normal`, `lower` and `upper` broadcast against a point, and stand for arrays of its shape.

    Args:
        normal: a, an array that is not 0.
        offset: b, a number, or an array with one a sample, shape (*batch, 1, …, 1).
        lower: a number or an array, below ∞; may be -∞.
        upper: likewise, at least `lower` and above -∞.

    Raises:
        OptionError: `normal` is no array, the bounds are in the wrong order, or no point is in the set (which is
            found at construction where `normal` has the shape of a point).
        ShapeError: `offset` is not one number a sample.

    Source:
        Helgason, Kennington & Lall 1980, A polynomially bounded algorithm for a singly constrained quadratic program.

    Example:
        >>> import torch
        >>> f = BoxHyperplane(torch.ones(3), 1.0, 0.0, 0.5)
        >>> f.prox(torch.tensor([5.0, 1.0, 0.9]), 1.0)
        tensor([0.5000, 0.3000, 0.2000])
    """

    normal: Array = field(metadata=PARAMETER)
    offset: float | Array = field(default=0.0, metadata=PARAMETER)
    lower: float | Array = field(default=0.0, metadata=PARAMETER)
    upper: float | Array = field(default=1.0, metadata=PARAMETER)

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.normal, float):
            raise OptionError(f"BoxHyperplane wants an array as normal, got {self.normal}")
        require(self, (self.normal * self.normal).sum() > 0, "a normal that is not 0")
        proper = (self.lower <= self.upper) & (self.lower < math.inf) & (self.upper > -math.inf)
        require(self, proper, "lower ≤ upper, lower < ∞ and upper > -∞")
        require_narrow(self, "offset", self.axes)
        if self.normal.ndim >= self.axes:
            a = detach(self.normal)
            least, greatest = (dot(a, corner, self.axes) for corner in self._corners(a))
            size = rounding(a, self.axes) * dot(abs(a), namespace(a).ones_like(a), self.axes)
            offset = detach(self.offset)
            if known_true(((least > offset + size) | (greatest < offset - size)).any()):
                raise OptionError(f"BoxHyperplane is empty: no point of the box has ⟨normal, x⟩ = {self.offset}")

    def _project(self, x: Array) -> Array:
        point, a, low, high, b = self._parts(x)
        free, is_low, square, fallback = _pieces(*(detach(v) for v in (point, a, low, high, b)))
        xp = namespace(x)
        # The multiplier again, from data with a graph: Σ over free entries of a (x - λa) is what the others leave of b.
        # Bounds of free entries, which may be infinite, stay away from a, with which they would make NaN.
        fixed = xp.where(free | (a == 0), 0.0, xp.where(is_low, low, high))
        rest = (a * xp.where(free, point, fixed)).sum(-1, keepdims=True) - b
        multiplier = xp.where(square > 0, rest / _sum(free, a * a, square), fallback)
        p = clip(point - multiplier * a, low, high)
        # What rounding of large x left over is taken from the free entries.
        left = ((p * a).sum(-1, keepdims=True) - b) / _sum(free, a * a, square)
        return clip(p - xp.where(free & (square > 0), left * a, 0.0), low, high).reshape(x.shape)

    def _projection_derivative(self, x: Array) -> LinearOperator:
        point, a, low, high, b = (detach(v) for v in self._parts(x))
        free, _, square, _ = _pieces(point, a, low, high, b)
        xp = namespace(x)
        vector = xp.where(free, a, 0.0).reshape(x.shape)
        weight = xp.where(square > 0, -1 / xp.where(square > 0, square, 1.0), 0.0)
        weight = weight.reshape(*weight.shape[:-1], *(1,) * self.axes)
        inside = free | ((a == 0) & (low < point) & (point < high))
        return Structured(cast(inside, x.dtype).reshape(x.shape), self.axes, (vector,), (weight,))

    def _corners(self, a: Array) -> tuple[Array, Array]:
        """The points of the box with the smallest and the largest ⟨a, x⟩ (0 where a is)."""
        xp, one = namespace(a), namespace(a).ones_like(a)
        low, high = self.lower * one, self.upper * one
        smallest, largest = xp.where(a > 0, low, high), xp.where(a > 0, high, low)
        return xp.where(a == 0, 0.0, smallest), xp.where(a == 0, 0.0, largest)

    def _parts(self, x: Array) -> tuple[Array, Array, Array, Array, Array]:
        one = namespace(x).ones_like(x)
        whole = (flatten_trailing(value * one, self.axes) for value in (self.normal, self.lower, self.upper))
        a, low, high = whole
        b = flat_parameter(self.offset, self.axes) * flatten_trailing(one, self.axes)[..., :1]
        return flatten_trailing(x, self.axes), a, low, high, b

    def _excess(self, x: Array) -> Array:
        one = namespace(x).ones_like(x)
        beyond = clip(self.lower - x, 0.0, None) + clip(x - self.upper, 0.0, None)
        return abs(dot(self.normal * one, x, self.axes) - self.offset) + dot(beyond, one, self.axes)

    def _slack(self, x: Array) -> Array:
        one = namespace(x).ones_like(x)
        return 4 * rounding(x, self.axes) * (dot(abs(self.normal * one), abs(x), self.axes) + abs(self.offset))


def _sum(free: Array, values: Array, square: Array) -> Array:
    """Σ of the values over free entries, or 1 where there is none."""
    xp = namespace(values)
    summed = xp.where(free, values, 0.0).sum(-1, keepdims=True)
    return xp.where(square > 0, summed, 1.0)


def _pieces(x: Array, a: Array, low: Array, high: Array, b: Array) -> tuple[Array, Array, Array, Array]:
    """Which entries are free, which at their lower bound, Σ a² over free ones, and λ if none is free."""
    xp = namespace(x)
    divisor = xp.where(a == 0, 1.0, a)
    never = a == 0
    kinks = [xp.where(never, math.inf, (x - bound) / divisor) for bound in (low, high)]
    both = xp.cat(kinks, -1) if is_torch(x) else xp.concatenate(kinks, -1)
    kinks = both.sort(-1).values if is_torch(both) else xp.sort(both, axis=-1)

    def excess(multiplier: Array) -> Array:
        values = a * clip(x - multiplier * a, low, high)
        return xp.where(never, 0.0, values).sum(-1, keepdims=True) - b

    def at(index: Array) -> Array:
        return xp.take_along_dim(kinks, index, -1) if is_torch(x) else xp.take_along_axis(kinks, index, -1)

    # The first kink at which the excess is at most 0 lies in (left, right]; kinks at ±∞ are not looked at.
    count = kinks.shape[-1]
    left = cast(xp.zeros_like(b), xp.int64) - 1
    right = left + (count + 1)
    for _ in range(max(1, math.ceil(math.log2(count + 1)))):
        middle = (left + right) // 2
        kink = at(clip(middle, 0, count - 1))
        finite = xp.isfinite(kink)
        above = excess(xp.where(finite, kink, 0.0)) > 0
        above = xp.where(finite, above, kink < 0) & (middle < count)
        moved = (middle > left) & (middle < right)
        left, right = xp.where(moved & above, middle, left), xp.where(moved & ~above, middle, right)
    below = xp.where(left >= 0, at(clip(left, 0, count - 1)), -math.inf)
    beyond = xp.where(right < count, at(clip(right, 0, count - 1)), math.inf)
    is_low, is_high = xp.isfinite(below), xp.isfinite(beyond)
    lower, upper = xp.where(is_low, below, 0.0), xp.where(is_high, beyond, 0.0)
    inside = xp.where(
        is_low & is_high, 0.5 * (lower + upper),
        xp.where(is_high, upper - 1 - abs(upper), xp.where(is_low, lower + 1 + abs(lower), 0.0)),
    )  # fmt: skip
    moved_point = x - inside * a
    free = (moved_point > low) & (moved_point < high) & ~never
    square = xp.where(free, a * a, 0.0).sum(-1, keepdims=True)
    return free, moved_point <= low, square, inside
