"""Convex functions on plain arrays, with proximal maps found by bisection.

A prox is the zero of x ↦ step·g(x) + x - v for any selection g of the subdifferential, which
increases: bisection finds it to the last digit (or to 1e-30), needs no derivative, and does not mind kinks. Where
x would lose digits next to the boundary of the domain, the unknown is s with x = tanh(s), 1/(1 +
exp(-s)) or exp(s).

Most functions act on each entry by itself; values are not summed. Those of `points` act on whole points, the last axis
of their arrays.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import special

from monops.reference.kinds import Array, Map, Reference
from monops.reference.points import POINTS


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


def _piecewise(value: Map, subgradient: Map, kinks: Map, curvature: Map) -> Reference:
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


def _smooth(value: Map, point: Map, gradient: Map, curvature: Map) -> Reference:
    """A function with f', from s ↦ x, s ↦ f'(x) and s ↦ f''(x)."""

    def solve(v: Array, step: float) -> Array:
        return bisect(lambda s: step * gradient(s) + point(s) - v, np.shape(v))

    def prox(v: Array, step: float) -> Array:
        return point(solve(v, step))

    def prox_derivative(v: Array, step: float) -> Array:
        with np.errstate(over="ignore", divide="ignore"):
            return 1 / (1 + step * curvature(solve(v, step)))

    return Reference(value, prox, prox_derivative)


def _zero(x: Array, **parameters: Any) -> Array:
    return np.zeros_like(x)


def _box_value(x: Array, lower: Any = -1.0, upper: Any = 1.0) -> Array:
    return np.where((x < lower) | (x > upper), np.inf, 0.0)


def _box_subgradient(x: Array, lower: Any = -1.0, upper: Any = 1.0) -> Array:
    return np.where(x < lower, -np.inf, np.where(x > upper, np.inf, 0.0))


def _support_value(x: Array, lower: Any = -1.0, upper: Any = 1.0) -> Array:
    with np.errstate(invalid="ignore"):
        return np.where(x == 0, 0.0, np.maximum(lower * x, upper * x))


def _leaky_subgradient(x: Array, slope: Any = 0.01) -> Array:
    return (1 / slope - 1) * np.minimum(x, 0)


def _tanh_value(x: Array) -> Array:
    inside = np.clip(x, -1, 1)
    entropy = special.xlog1py(1 + inside, inside) + special.xlog1py(1 - inside, -inside)
    return np.where(np.abs(x) > 1, np.inf, 0.5 * entropy - 0.5 * x * x)


def _sigmoid_value(x: Array) -> Array:
    return -special.entr(x) - special.entr(1 - x) - 0.5 * x * x


def _softplus_value(x: Array) -> Array:
    # SciPy's spence(z) is Li₂(1 - z).
    return np.where(x < 0, np.inf, special.spence(-np.expm1(-np.maximum(x, 0))))


# tanh(s) = Σ_n (-1)ⁿ⁺¹ 2 (4ⁿ - 1) ζ(2n) / π²ⁿ s²ⁿ⁻¹, of which s - tanh(s) leaves the terms from n = 2.
_TANH_SERIES = [(-1) ** (n + 1) * 2 * (4.0**n - 1) * special.zeta(2 * n) / np.pi ** (2 * n) for n in range(2, 18)]


def _tanh_gradient(s: Array) -> Array:
    """atanh(x) - x at x = tanh(s), without cancellation."""
    near = np.clip(s, -0.4, 0.4)
    series = np.polynomial.polynomial.polyval(near * near, _TANH_SERIES)
    return np.where(np.abs(s) < 0.4, -(near**3) * series, s - np.tanh(s))


def _softplus_gradient(s: Array) -> Array:
    """log(1 - exp(-x)) at x = exp(s), without cancellation on either side of x = log 2."""
    x = np.exp(s)
    return np.where(x > np.log(2), np.log1p(-np.exp(-x)), np.log(-np.expm1(-x)))


def _logistic_curvature(s: Array) -> Array:
    """1/(x (1-x)) - 1 at x = 1/(1 + exp(-s))."""
    return 1 + np.exp(s) + np.exp(-s)


def _huber_value(x: Array, delta: Any = 1.0, weight: Any = 1.0) -> Array:
    return weight * special.huber(delta, x)


def _below(subgradient: Map) -> Map:
    """A subgradient on x > 0, with -∞ elsewhere."""

    def extended(x: Array, **parameters: Any) -> Array:
        with np.errstate(all="ignore"):
            return np.where(x > 0, subgradient(np.where(x > 0, x, 1.0), **parameters), -np.inf)

    return extended


def _positive(value: Map) -> Map:
    """A value on x ≥ 0, with ∞ elsewhere."""

    def extended(x: Array, **parameters: Any) -> Array:
        with np.errstate(all="ignore"):
            return np.where(x >= 0, value(np.maximum(x, 0), **parameters), np.inf)

    return extended


def _no_kinks(**parameters: Any) -> tuple[float, ...]:
    return ()


def _quiet(curvature: Map) -> Map:
    """A curvature that may be ∞."""

    def silent(x: Array, **parameters: Any) -> Array:
        with np.errstate(all="ignore"):
            return curvature(x, **parameters)

    return silent


FUNCTIONS: dict[str, Reference] = {
    "ReLU": _piecewise(
        lambda x: _box_value(x, 0.0, np.inf),
        lambda x: _box_subgradient(x, 0.0, np.inf),
        lambda: (0.0,),
        _zero,
    ),
    "LeakyReLU": _piecewise(
        lambda x, slope=0.01: 0.5 * (1 / slope - 1) * np.minimum(x, 0) ** 2,
        _leaky_subgradient,
        lambda slope=0.01: (),
        lambda x, slope=0.01: np.where(x < 0, 1 / slope - 1, 0.0),
    ),
    "Box": _piecewise(
        _box_value,
        _box_subgradient,
        lambda lower=-1.0, upper=1.0: (lower, upper),
        _zero,
    ),
    "Support": _piecewise(
        _support_value,
        lambda x, lower=-1.0, upper=1.0: np.where(x < 0, lower, upper),
        lambda lower=-1.0, upper=1.0: (0.0,),
        _zero,
    ),
    "L1": _piecewise(
        lambda x, weight=1.0: weight * np.abs(x),
        lambda x, weight=1.0: weight * np.sign(x),
        lambda weight=1.0: (0.0,),
        _zero,
    ),
    "SquaredL2": _piecewise(
        lambda x, weight=1.0: 0.5 * weight * x * x,
        lambda x, weight=1.0: weight * x,
        lambda weight=1.0: (),
        lambda x, weight=1.0: weight + np.zeros_like(x),
    ),
    "Tanh": _smooth(_tanh_value, np.tanh, _tanh_gradient, lambda s: np.sinh(s) ** 2),
    "Sigmoid": _smooth(_sigmoid_value, special.expit, lambda s: s - special.expit(s), _logistic_curvature),
    "Softplus": _smooth(
        _softplus_value,
        np.exp,
        _softplus_gradient,
        lambda s: 1 / np.expm1(np.exp(s)),
    ),
    "ElasticNet": _piecewise(
        lambda x, l1=1.0, l2=1.0: l1 * np.abs(x) + 0.5 * l2 * x * x,
        lambda x, l1=1.0, l2=1.0: l1 * np.sign(x) + l2 * x,
        lambda l1=1.0, l2=1.0: (0.0,),
        lambda x, l1=1.0, l2=1.0: l2 + np.zeros_like(x),
    ),
    "Huber": _piecewise(
        _huber_value,
        lambda x, delta=1.0, weight=1.0: weight * np.clip(x, -delta, delta),
        _no_kinks,
        lambda x, delta=1.0, weight=1.0: np.where(np.abs(x) < delta, weight, 0.0),
    ),
    "LogBarrier": _piecewise(
        _positive(lambda x, weight=1.0: -weight * np.log(x)),
        _below(lambda x, weight=1.0: -weight / x),
        _no_kinks,
        _quiet(lambda x, weight=1.0: weight / x**2),
    ),
    "Poisson": _piecewise(
        _positive(lambda x, count=1.0: x - special.xlogy(count, x)),
        _below(lambda x, count=1.0: 1 - count / x),
        lambda count=1.0: (0.0,),
        _quiet(lambda x, count=1.0: count / x**2),
    ),
    "KullbackLeibler": _piecewise(
        _positive(lambda x, base=1.0: special.kl_div(x, base)),
        _below(lambda x, base=1.0: np.log(x / base)),
        _no_kinks,
        _quiet(lambda x, base=1.0: 1 / x),
    ),
    "NegativeEntropy": _piecewise(
        _positive(lambda x: -special.entr(x)), _below(lambda x: np.log(x) + 1), _no_kinks, _quiet(lambda x: 1 / x)
    ),
    "Logistic": _piecewise(
        lambda x, label=1.0: np.logaddexp(0, -label * x),
        lambda x, label=1.0: -label * special.expit(-label * x),
        _no_kinks,
        lambda x, label=1.0: label**2 * special.expit(label * x) * special.expit(-label * x),
    ),
    "Hinge": _piecewise(
        lambda x, label=1.0: np.maximum(0, 1 - label * x),
        lambda x, label=1.0: np.where(label * x < 1, -label, 0.0),
        lambda label=1.0: (1 / label,),
        _zero,
    ),
    "SquaredHinge": _piecewise(
        lambda x, label=1.0: np.maximum(0, 1 - label * x) ** 2,
        lambda x, label=1.0: -2 * label * np.maximum(0, 1 - label * x),
        _no_kinks,
        lambda x, label=1.0: np.where(label * x < 1, 2.0 * label**2, 0.0),
    ),
    "Linear": _piecewise(lambda x, c=1.0: c * x, lambda x, c=1.0: c + np.zeros_like(x), _no_kinks, _zero),
    "Zero": _piecewise(_zero, _zero, _no_kinks, _zero),
}


def _elu_value(x: Array, alpha: Any = 1.0) -> Array:
    inside = np.clip(x, -alpha, 0.0)
    value = special.xlogy(inside + alpha, 1 + inside / alpha) - inside - 0.5 * inside**2
    return np.where(x < -alpha, np.inf, value)


def _elu_subgradient(x: Array, alpha: Any = 1.0) -> Array:
    inside = np.minimum(x, 0)
    return np.where(x <= -alpha, -np.inf, np.log1p(inside / alpha) - inside)


def _elu_curvature(x: Array, alpha: Any = 1.0) -> Array:
    with np.errstate(divide="ignore"):
        return np.where(x < 0, 1 / (np.maximum(np.minimum(x, 0), -alpha) + alpha) - 1, 0.0)


def _open_value(value: Map) -> Map:
    """A value on (-1, 1), ∞ at the ends."""
    return lambda x: np.where(np.abs(x) < 1, value(np.where(np.abs(x) < 1, x, 0.0)), np.inf)


FUNCTIONS |= {
    "ELU": _piecewise(
        _elu_value,
        _elu_subgradient,
        lambda alpha=1.0: (),
        _elu_curvature,
    ),
    "Arctan": _smooth(
        _open_value(lambda x: -2 / np.pi * np.log(np.cos(0.5 * np.pi * x)) - 0.5 * x * x),
        lambda s: 2 / np.pi * np.arctan(s),
        lambda s: s - 2 / np.pi * np.arctan(s),
        lambda s: 0.5 * np.pi * (1 + s * s) - 1,
    ),
    "Softsign": _smooth(
        _open_value(lambda x: -np.abs(x) - np.log1p(-np.abs(x)) - 0.5 * x * x),
        lambda s: s / (1 + np.abs(s)),
        lambda s: s * np.abs(s) / (1 + np.abs(s)),
        lambda s: np.abs(s) * (2 + np.abs(s)),
    ),
    "LInfBall": _piecewise(
        lambda x, radius=1.0: _box_value(x, -radius, radius),
        lambda x, radius=1.0: _box_subgradient(x, -radius, radius),
        lambda radius=1.0: (-radius, radius),
        _zero,
    ),
}


def _supported(reference: Reference) -> Reference:
    """The same function where the parameter `mask` is one, and zero kept where it is zero."""

    def value(x: Array, mask: Any = 1.0, **parameters: Any) -> Array:
        return np.where(mask == 1, reference.value(x, **parameters), np.where(x == 0, 0.0, np.inf))

    def prox(v: Array, step: float, mask: Any = 1.0, **parameters: Any) -> Array:
        return np.where(mask == 1, reference.prox(v, step, **parameters), 0.0)

    def prox_derivative(v: Array, step: float, mask: Any = 1.0, **parameters: Any) -> Array:
        return np.where(mask == 1, reference.prox_derivative(v, step, **parameters), 0.0)

    return Reference(value, prox, prox_derivative)


FUNCTIONS |= {f"Supported {name}": _supported(reference) for name, reference in FUNCTIONS.items()}
FUNCTIONS |= POINTS
