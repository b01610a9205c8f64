"""Penalties, losses and constraints that act on each entry by itself."""

from typing import Any

import numpy as np
from scipy import special

from monops.reference.bisection import piecewise
from monops.reference.kinds import Array, Map, Reference


def _zero(x: Array, **parameters: Any) -> Array:
    return np.zeros_like(x)


def _box_value(x: Array, lower: Any = -1.0, upper: Any = 1.0) -> Array:
    return np.where((x < lower) | (x > upper), np.inf, 0.0)


def _box_subgradient(x: Array, lower: Any = -1.0, upper: Any = 1.0) -> Array:
    return np.where(x < lower, -np.inf, np.where(x > upper, np.inf, 0.0))


def _support_value(x: Array, lower: Any = -1.0, upper: Any = 1.0) -> Array:
    with np.errstate(invalid="ignore"):
        return np.where(x == 0, 0.0, np.maximum(lower * x, upper * x))


def _huber_value(x: Array, delta: Any = 1.0, weight: Any = 1.0) -> Array:
    return weight * special.huber(delta, x)


def _stays(v: Array, step: float, weight: Any) -> Array:
    """Where x = v, at the price of the weight, is better than x = 0, at the price of the distance."""
    return np.square(v) / (2 * step) >= weight


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


ENTRIES: dict[str, Reference] = {
    "ReLU": piecewise(
        lambda x: _box_value(x, 0.0, np.inf),
        lambda x: _box_subgradient(x, 0.0, np.inf),
        lambda: (0.0,),
        _zero,
    ),
    "Box": piecewise(
        _box_value,
        _box_subgradient,
        lambda lower=-1.0, upper=1.0: (lower, upper),
        _zero,
    ),
    "LInfBall": piecewise(
        lambda x, radius=1.0: _box_value(x, -radius, radius),
        lambda x, radius=1.0: _box_subgradient(x, -radius, radius),
        lambda radius=1.0: (-radius, radius),
        _zero,
    ),
    "Support": piecewise(
        _support_value,
        lambda x, lower=-1.0, upper=1.0: np.where(x < 0, lower, upper),
        lambda lower=-1.0, upper=1.0: (0.0,),
        _zero,
    ),
    "L1": piecewise(
        lambda x, weight=1.0: weight * np.abs(x),
        lambda x, weight=1.0: weight * np.sign(x),
        lambda weight=1.0: (0.0,),
        _zero,
    ),
    "SquaredL2": piecewise(
        lambda x, weight=1.0: 0.5 * weight * x * x,
        lambda x, weight=1.0: weight * x,
        lambda weight=1.0: (),
        lambda x, weight=1.0: weight + np.zeros_like(x),
    ),
    "ElasticNet": piecewise(
        lambda x, l1=1.0, l2=1.0: l1 * np.abs(x) + 0.5 * l2 * x * x,
        lambda x, l1=1.0, l2=1.0: l1 * np.sign(x) + l2 * x,
        lambda l1=1.0, l2=1.0: (0.0,),
        lambda x, l1=1.0, l2=1.0: l2 + np.zeros_like(x),
    ),
    "Huber": piecewise(
        _huber_value,
        lambda x, delta=1.0, weight=1.0: weight * np.clip(x, -delta, delta),
        _no_kinks,
        lambda x, delta=1.0, weight=1.0: np.where(np.abs(x) < delta, weight, 0.0),
    ),
    "LogBarrier": piecewise(
        _positive(lambda x, weight=1.0: -weight * np.log(x)),
        _below(lambda x, weight=1.0: -weight / x),
        _no_kinks,
        _quiet(lambda x, weight=1.0: weight / x**2),
    ),
    "Poisson": piecewise(
        _positive(lambda x, count=1.0: x - special.xlogy(count, x)),
        _below(lambda x, count=1.0: 1 - count / x),
        lambda count=1.0: (0.0,),
        _quiet(lambda x, count=1.0: count / x**2),
    ),
    "KullbackLeibler": piecewise(
        _positive(lambda x, base=1.0: special.kl_div(x, base)),
        _below(lambda x, base=1.0: np.log(x / base)),
        _no_kinks,
        _quiet(lambda x, base=1.0: 1 / x),
    ),
    "NegativeEntropy": piecewise(
        _positive(lambda x: -special.entr(x)), _below(lambda x: np.log(x) + 1), _no_kinks, _quiet(lambda x: 1 / x)
    ),
    "Logistic": piecewise(
        lambda x, label=1.0: np.logaddexp(0, -label * x),
        lambda x, label=1.0: -label * special.expit(-label * x),
        _no_kinks,
        lambda x, label=1.0: label**2 * special.expit(label * x) * special.expit(-label * x),
    ),
    "Hinge": piecewise(
        lambda x, label=1.0: np.maximum(0, 1 - label * x),
        lambda x, label=1.0: np.where(label * x < 1, -label, 0.0),
        lambda label=1.0: (1 / label,),
        _zero,
    ),
    "SquaredHinge": piecewise(
        lambda x, label=1.0: np.maximum(0, 1 - label * x) ** 2,
        lambda x, label=1.0: -2 * label * np.maximum(0, 1 - label * x),
        _no_kinks,
        lambda x, label=1.0: np.where(label * x < 1, 2.0 * label**2, 0.0),
    ),
    "Linear": piecewise(lambda x, c=1.0: c * x, lambda x, c=1.0: c + np.zeros_like(x), _no_kinks, _zero),
    "Zero": piecewise(_zero, _zero, _no_kinks, _zero),
    "L0": Reference(
        lambda x, weight=1.0: weight * (x != 0.0),
        lambda v, step, weight=1.0: v * _stays(v, step, weight),
        lambda v, step, weight=1.0: 1.0 * _stays(v, step, weight),
    ),
}
