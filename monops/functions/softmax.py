"""The function that the softmax belongs to."""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy import special

from monops.arrays import Array, clip, detach, flatten_trailing, is_torch, largest, namespace, require_step, xlogy
from monops.functions.base import Function
from monops.functions.convex_set import dropped, rounding
from monops.functions.exponential import excess_exp, solve_exponential
from monops.functions.structured import Structured, dot
from monops.linear import LinearOperator

_ITERATIONS = 12
_INNER = 2


@dataclass(frozen=True, eq=False)
class Softmax(Function):
    """f(x) = Σ_i x_i log x_i - ‖x‖²/2 where x ≥ 0 and Σ_i x_i = 1, else ∞: the function of the softmax.

    The prox at step 1 is exp(x_i)/Σ_j exp(x_j), over all axes of a point. At another step t it is x with
    t log x_i + (1 - t) x_i = v_i - μ, where the multiplier μ makes the sum 1: found to machine precision.
    f is 1-strongly convex, since Σ_i d_i²/x_i ≥ (Σ_i abs(d_i))² ≥ 2‖d‖² for Σ_i d_i = 0.

    Source:
        Combettes & Pesquet 2020, Deep neural network structures solving variational inequalities.

    Example:
        >>> import torch
        >>> Softmax().prox(torch.tensor([0.0, 0.0]), 1.0)
        tensor([0.5000, 0.5000])
    """

    @property
    def strong_convexity(self) -> float:
        return 1.0

    def __call__(self, x: Array) -> Array:
        xp, one = namespace(x), namespace(self._admit(x)).ones_like(x)
        inside = clip(x, 0.0, None)
        value = dot(xlogy(inside, inside) - 0.5 * x * x, one, self.axes)
        missed = abs(dot(x, one, self.axes) - 1) > 2 * rounding(x, self.axes)
        outside = missed | (dot(clip(-x, 0.0, None), one, self.axes) > 0)
        return dropped(xp.where(outside, math.inf, value), self.axes)

    def conjugate_value(self, y: Array) -> Array:
        # The proximal point method for f - ⟨·, y⟩: f is 1-strongly convex, so each step leaves 1/10001 of the error.
        x, step = 0 * self._admit(y), 1e4
        for _ in range(4):
            x = self.prox(x + step * y, step)
        inside = clip(x, 0.0, None)
        return dropped(dot(x, y, self.axes) - dot(xlogy(inside, inside) - 0.5 * x * x, 0 * x + 1, self.axes), self.axes)

    def prox(self, x: Array, step: float) -> Array:
        step = require_step(step, self, "prox")
        return _solve(flatten_trailing(self._admit(x), self.axes), step).reshape(x.shape)

    def prox_derivative(self, x: Array, step: float) -> LinearOperator:
        step = require_step(step, self, "prox_derivative")
        p = self.prox(x, step)
        slope = p / (step + (1 - step) * p) if step != 1 else p
        # With μ fixed the derivative is the slope; that of μ keeps the sum of x at 1.
        weight = -1 / dot(slope, namespace(x).ones_like(x), self.axes)
        return Structured(slope, self.axes, (slope,), (weight,))


def _solve(v: Array, step: float) -> Array:
    """The x on the last axis with Σ x = 1 and q log x + k (x - 1) = p v - μ; p, q, k are 1, t, 1 - t over max(t, 1)."""
    if step == 1:
        return v.softmax(-1) if is_torch(v) else special.softmax(v, axis=-1)
    p = 1 / max(1.0, step)
    q, k = min(1.0, step), p - min(1.0, step)
    target = (v - largest(detach(v))) * p
    s, mu = _multiplier(detach(target), q, k)
    xp = namespace(v)
    for _ in range(2):  # Newton's method for both, differentiable to second order
        x = xp.exp(s)
        residual = target - mu - (q * s + k * x - k if k > 0 else (q + k) * s + k * excess_exp(s))
        slope = _slope(s, q, k)
        share = x / slope
        change = ((share * residual).sum(-1, keepdims=True) + x.sum(-1, keepdims=True) - 1) / share.sum(
            -1, keepdims=True
        )
        s, mu = s + (residual - change) / slope, mu + change
    return xp.exp(s)


def _multiplier(target: Array, q: float, k: float) -> tuple[Array, Array]:
    """log x and μ on detached data, whose largest entry is 0, by Newton's method for log Σ x(μ) = 0 in a bracket."""
    xp, n = namespace(target), max(target.shape[-1], 1)
    zero = 0 * largest(target)
    # The largest entry of x is between 1/n and 1, and q log x + k (x - 1) increases there.
    low, high = zero, zero + (q * math.log(n) + k * (1 - 1 / n))
    mu = low
    s = target
    for _ in range(_ITERATIONS):
        s = solve_exponential(_at_most(target - mu, k), q, k, _INNER)
        x = xp.exp(s)
        mass = x.sum(-1, keepdims=True)
        is_below = mass > 1  # μ has to grow
        low, high = xp.where(is_below, mu, low), xp.where(is_below, high, mu)
        slope = (x / _slope(s, q, k)).sum(-1, keepdims=True)
        newton = mu + xp.log(mass) * mass / slope
        inside = (newton >= low) & (newton <= high)
        mu = xp.where(inside, newton, 0.5 * (low + high))
    return solve_exponential(_at_most(target - mu, k), q, k), mu


def _slope(s: Array, q: float, k: float) -> Array:
    """q + k exp(s) without cancellation."""
    xp = namespace(s)
    return q + k * xp.exp(s) if k > 0 else (q + k) + k * xp.expm1(s)


def _at_most(target: Array, k: float) -> Array:
    """The equation for log x has solutions up to 0 only where k < 0."""
    return clip(target, None, 0.0) if k < 0 else target
