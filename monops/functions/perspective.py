"""The perspective of the squared Euclidean norm."""

from __future__ import annotations

import math
from dataclasses import dataclass

from monops.arrays import Array, clip, concatenate, detach, namespace, require_step
from monops.errors import OptionError, ShapeError
from monops.functions.base import Function, indicator
from monops.functions.convex_set import norm, rounding
from monops.functions.structured import Structured, dot
from monops.linear import LinearOperator


@dataclass(frozen=True, eq=False)
class SquarePerspective(Function):
    """f(t, x) = ‖x‖²/(2t) where t > 0, 0 at (0, 0), else ∞; the prox is (u, u x/(u + step)), u from a cubic equation.

    u solves u - t = step ‖x‖²/(2 (u + step)²), or is 0 where t + ‖x‖²/(2 step) ≤ 0: found to machine precision.
    The conjugate is the indicator of t + ‖x‖²/2 ≤ 0.

    Shapes: points are (*batch, 1 + n): t is the first number, x the others.

    Raises:
        OptionError: points have other than 1 axis.

    Source:
        Combettes & Müller 2018, Perspective functions: proximal calculus and applications in high-dimensional
        statistics.

    Example:
        >>> import torch
        >>> SquarePerspective().prox(torch.tensor([0.5, 2.0, 0.0]), 1.0)
        tensor([1., 1., 0.])
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.axes != 1:
            raise OptionError(f"the points (t, x) of a SquarePerspective have 1 axis, got {self.axes}")

    def __call__(self, x: Array) -> Array:
        xp, t = namespace(x), self._admit(x)[..., 0]
        square = dot(x[..., 1:], x[..., 1:], 1)[..., 0]
        value = 0.5 * square / xp.where(t > 0, t, 1.0)
        outside = (t < 0) | ((t == 0) & (square > 0))
        return xp.where(outside, math.inf, value + 0 * t)

    def conjugate_value(self, y: Array) -> Array:
        size = 0.5 * dot(self._admit(y)[..., 1:], y[..., 1:], 1)[..., 0]
        excess = y[..., 0] + size
        return indicator(excess > rounding(y, 1) * (size + norm(y, 1)[..., 0]), excess)

    def prox(self, x: Array, step: float) -> Array:
        u, share, _ = self._parts(x, require_step(step, self, "prox"))
        return concatenate([u, share * x[..., 1:]])

    def prox_derivative(self, x: Array, step: float) -> LinearOperator:
        # The inverse of I + step ∇²f, whose eigenvectors are (1, r w), (-r, w) and those orthogonal to w = x/‖x‖
        # in the second part, with r = ‖x‖/(u + step).
        u, share, size = self._parts(x, require_step(step, self, "prox_derivative"))
        xp = namespace(x)
        r = size / (u + step)
        w = x[..., 1:] / xp.where(size == 0, 1.0, size)
        square = 1 + r * r
        one = xp.ones_like(u)
        upward, across = concatenate([one, r * w]), concatenate([-r, w])
        is_flat = share == 0
        up = xp.where(is_flat, 0.0, (1 - share) / square)
        down = xp.where(is_flat, 0.0, (u / (u + step * square) - share) / square)
        return Structured(share * xp.ones_like(x), 1, (upward, across), (up, down))

    def _admit(self, x: Array) -> Array:
        if super()._admit(x).shape[-1] < 1:
            raise ShapeError(f"a SquarePerspective wants points (t, x), got an array of shape {tuple(x.shape)}")
        return x

    def _parts(self, x: Array, step: float) -> tuple[Array, Array, Array]:
        """u, u/(u + step), and ‖x‖."""
        t, rest = self._admit(x)[..., :1], x[..., 1:]
        xp, size = namespace(x), norm(rest, 1)
        k = 0.5 * step * dot(rest, rest, 1)
        is_zero = t * step + 0.5 * size * size <= 0
        u = _start(detach(t) + step, detach(k)) - step
        for i in range(4):  # Newton's method in u itself, of which the last two steps are differentiable
            t_i, k_i = (t, k) if i >= 2 else (detach(t), detach(k))
            u = clip(u, 0.0, None) if i < 2 else u
            v = u + step
            u = u - ((u - t_i) - k_i / (v * v)) / (1 + 2 * k_i / (v * v * v))
        u = xp.where(is_zero, 0 * u, clip(u, 0.0, None))
        return u, u / (u + step), size


def _start(c: Array, k: Array) -> Array:
    """The root v ≥ 0 of v²(v - c) = k ≥ 0, from above by Newton's method."""
    xp = namespace(c)
    root = xp.where(k > 0, k, 1.0) ** (1 / 3)
    root = xp.where(k > 0, root, 0.0)
    size = xp.where(c == 0, 1.0, abs(c))
    above = c + xp.where(c > 0, xp.minimum(root, k / (size * size)), 0.0)
    below = xp.where(c < 0, xp.minimum(root, xp.sqrt(k / size)), root)
    v = xp.where(c > 0, above, below)
    for _ in range(6):
        slope = v * (3 * v - 2 * c)
        v = v - xp.where(slope > 0, (v * v * (v - c) - k) / xp.where(slope > 0, slope, 1.0), 0.0)
    return v
