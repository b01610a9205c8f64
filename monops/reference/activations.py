"""Activations of neural networks: sums over entries, of which most have a second derivative."""

from typing import Any

import numpy as np
from scipy import special

from monops.reference.bisection import piecewise, smooth
from monops.reference.kinds import Array, Map, Reference


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


ACTIVATIONS: dict[str, Reference] = {
    "LeakyReLU": piecewise(
        lambda x, slope=0.01: 0.5 * (1 / slope - 1) * np.minimum(x, 0) ** 2,
        _leaky_subgradient,
        lambda slope=0.01: (),
        lambda x, slope=0.01: np.where(x < 0, 1 / slope - 1, 0.0),
    ),
    "Tanh": smooth(_tanh_value, np.tanh, _tanh_gradient, lambda s: np.sinh(s) ** 2),
    "Sigmoid": smooth(_sigmoid_value, special.expit, lambda s: s - special.expit(s), _logistic_curvature),
    "Softplus": smooth(
        _softplus_value,
        np.exp,
        _softplus_gradient,
        lambda s: 1 / np.expm1(np.exp(s)),
    ),
    "ELU": piecewise(
        _elu_value,
        _elu_subgradient,
        lambda alpha=1.0: (),
        _elu_curvature,
    ),
    "Arctan": smooth(
        _open_value(lambda x: -2 / np.pi * np.log(np.cos(0.5 * np.pi * x)) - 0.5 * x * x),
        lambda s: 2 / np.pi * np.arctan(s),
        lambda s: s - 2 / np.pi * np.arctan(s),
        lambda s: 0.5 * np.pi * (1 + s * s) - 1,
    ),
    "Softsign": smooth(
        _open_value(lambda x: -np.abs(x) - np.log1p(-np.abs(x)) - 0.5 * x * x),
        lambda s: s / (1 + np.abs(s)),
        lambda s: s * np.abs(s) / (1 + np.abs(s)),
        lambda s: np.abs(s) * (2 + np.abs(s)),
    ),
}
