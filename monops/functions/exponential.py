"""The equation q u + k (exp(u) - 1) = target, which the proximal maps of ELU and softmax lead to."""

from __future__ import annotations

import math

from monops.arrays import Array, clip, detach, namespace
from monops.functions.activation import saturation

# exp(u) - 1 - u = u²/2 + u³/6 + …, of which so many terms give all digits of float64 for |u| ≤ 1/2.
_TERMS = 14


def excess_exp(u: Array) -> Array:
    """exp(u) - 1 - u without cancellation."""
    xp = namespace(u)
    near = clip(u, -0.5, 0.5)
    series = xp.zeros_like(u)
    for n in range(_TERMS + 1, 1, -1):
        series = (series + 1.0) * near / n
    return xp.where(abs(u) < 0.5, series * near, xp.expm1(u) - u)


def solve_exponential(target: Array, q: float, k: float | Array, iterations: int = 5) -> Array:
    """The u with q u + k (exp(u) - 1) = target, to machine precision, by Newton's and Householder's methods.

    The last iteration starts from a constant u and is differentiable in target and k up to third order, as that in
    `monops.functions.activation`.

    Args:
        target: the right side; at most 0 where k < 0, and then so is u.
        q: in (0, ∞).
        k: a number or an array, k > -q; or k = -q where target < 0.
        iterations: 5 reach machine precision, 2 about half of the digits.
    """
    held, factor = detach(target), detach(k)
    u = _start(held, q, factor)
    for _ in range(iterations - 1):
        u = _improved(u, held, q, factor)
    return _improved(u, target, q, k)


def _improved(u: Array, target: Array, q: float, k: float | Array) -> Array:
    """One step of Householder's third-order method."""
    xp = namespace(u)
    slope_of_exp = k * xp.exp(u)
    # Where k < 0 as (q + k) u + k (exp(u) - 1 - u), in which nothing cancels.
    is_positive = k + xp.zeros_like(u) > 0
    value = xp.where(is_positive, q * u + k * xp.expm1(u), (q + k) * u + k * excess_exp(u))
    slope = xp.where(is_positive, q + slope_of_exp, (q + k) + k * xp.expm1(u))
    slope = xp.where(slope == 0, 1.0, slope)
    r = (target - value) / slope
    bend = 0.5 * slope_of_exp * r / slope
    return u + r * (1 + bend) / (1 + 2 * bend + slope_of_exp * r * r / (6 * slope))


def _start(target: Array, q: float, k: float | Array) -> Array:
    """An approximate solution."""
    xp = namespace(target)
    k = k + xp.zeros_like(target)
    # k > 0: y = -u solves y - (k/q) exp(-y) = -(target + k)/q, by Lambert's W.
    positive = xp.where(k > 0, k, 1.0)
    above = -saturation(xp.log(positive) - math.log(q), -(target + positive) / q)
    # k < 0: with w = -u and h = -k/q, (1 - h) w + h (exp(-w) - 1 + w) = s. For small w, exp(-w) - 1 + w is about
    # w²/(2 + 2w/3); for large w about w - 1.
    h, s = clip(-k / q, 0.0, 1.0), clip(-target / q, 0.0, None)
    a, b = (1 - h) / 3 + h / 2, (1 - h) - s / 3
    root = xp.sqrt(b * b + 4 * a * s)
    w = xp.where(b > 0, 2 * s / xp.where(b > 0, b + root, 1.0), (root - b) / (2 * a))
    far = s + h * (1 - xp.exp(-w))
    far = s + h * (1 - xp.exp(-far))
    below = -xp.where(w < 1, w, far)
    return xp.where(k > 0, above, xp.where(k < 0, below, target / q))
