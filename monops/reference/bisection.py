"""Functions of single entries, with proximal maps found by bisection.

A prox is the zero of x ↦ step·g(x) + x - v for any selection g of the subdifferential, which
increases: bisection finds it to the last digit (or to 1e-30), needs no derivative, and does not mind kinks. Where
x would lose digits next to the boundary of the domain, the unknown is s with x = tanh(s), 1/(1 +
exp(-s)) or exp(s).
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from monops.reference.kinds import Array, Map, Reference


def bisect(increasing: Callable[[Array], Array], shape: tuple[int, ...]) -> Array:
    """The zeros of an increasing function of an array, each entry by itself, to the last digit.

    Args:
        increasing: the function; it may take the values ±∞ and jump.
        shape: of its argument.
    """
    with np.errstate(all="ignore"):
        radius = 1.0
        high = np.ones(shape)
        while np.any(increasing(radius * high) < 0) or np.any(increasing(-radius * high) > 0):
            radius *= 2
            if radius > 1e300:
                raise ValueError("the function has no zero")
        low, high = -radius * high, radius * high
        for _ in range(1100):
            middle = 0.5 * (low + high)
            if np.all((middle == low) | (middle == high) | (high - low < 1e-30)):  # a zero at 0 has no last digit
                break
            below = increasing(middle) < 0
            low, high = np.where(below, middle, low), np.where(below, high, middle)
    return 0.5 * (low + high)


def piecewise(value: Map, subgradient: Map, kinks: Map, curvature: Map) -> Reference:
    """A function with kinks, from g in ∂f, the places of the kinks, and f'' between them."""

    def prox(v: Array, step: float, **parameters: Any) -> Array:
        x = bisect(lambda x: step * subgradient(x, **parameters) + x - v, np.shape(v))
        return np.where(np.abs(x) < 1e-29, 0.0, x)  # a zero at 0 that was come near from one side

    def prox_derivative(v: Array, step: float, **parameters: Any) -> Array:
        x = prox(v, step, **parameters)
        derivative = 1 / (1 + step * curvature(x, **parameters))
        for kink in kinks(**parameters):
            at_kink = np.abs(x - kink) <= 1e-13 * (1 + np.abs(v))
            derivative = np.where(at_kink, 0.0, derivative)
        return derivative

    return Reference(value, prox, prox_derivative)


def smooth(value: Map, point: Map, gradient: Map, curvature: Map) -> Reference:
    """A function with f', from s ↦ x, s ↦ f'(x) and s ↦ f''(x)."""

    def solve(v: Array, step: float) -> Array:
        return bisect(lambda s: step * gradient(s) + point(s) - v, np.shape(v))

    def prox(v: Array, step: float) -> Array:
        return point(solve(v, step))

    def prox_derivative(v: Array, step: float) -> Array:
        with np.errstate(over="ignore", divide="ignore"):
            return 1 / (1 + step * curvature(solve(v, step)))

    return Reference(value, prox, prox_derivative)
