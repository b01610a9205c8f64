"""Convex functions of several numbers at once on plain arrays, each by another way than the package goes.

Thresholds, radii and multipliers are found by bisection, projections onto affine sets by the whole system of
optimality conditions, positive parts of matrices by their polar decomposition.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from scipy import linalg, special

from monops.reference.functions import bisect

Array = np.ndarray
Map = Callable[..., Any]


class Joint(NamedTuple):
    """A function: `value(x, **parameters)`, one number a sample, and `prox(v, step, **parameters)`."""

    value: Map
    prox: Map


def _indicator(excess: Array, size: Array | float = 1.0) -> Array:
    """0 where the excess is at most what rounding makes of it, else ∞."""
    return np.where(excess > 1e-6 * (1 + size), np.inf, 0.0)


def _norm(x: Array) -> Array:
    return np.linalg.norm(x, axis=-1)


def _simplex(v: Array, step: float, total: Any = 1.0) -> Array:
    level = bisect(lambda t: total - np.maximum(v - t[..., None], 0).sum(-1), v.shape[:-1])
    return np.maximum(v - level[..., None], 0)


def _l1_ball(v: Array, step: float, radius: Any = 1.0) -> Array:
    level = bisect(lambda t: radius - np.maximum(np.abs(v) - t[..., None], 0).sum(-1), v.shape[:-1])
    return np.sign(v) * np.maximum(np.abs(v) - np.maximum(level, 0)[..., None], 0)


def _l2_ball(v: Array, step: float, radius: Any = 1.0) -> Array:
    # The multiplier λ ≥ 0 of x (1 + λ) = v.
    factor = bisect(lambda s: np.where(s < 0, -1.0, radius * (1 + s) - _norm(v)), v.shape[:-1])
    return v / (1 + np.maximum(factor, 0))[..., None]


def _affine(v: Array, K: Array, b: Array) -> Array:
    """All optimality conditions at once: x + Kᵀy = v and K x = b."""
    m, n = K.shape
    system = np.block([[np.eye(n), K.T], [K, np.zeros((m, m))]])
    right = np.concatenate([v, b + np.zeros((*v.shape[:-1], m))], -1)
    return np.linalg.solve(system, right[..., None])[..., :n, 0]


def _half_space(v: Array, step: float, normal: Array, offset: float = 0.0) -> Array:
    on = _affine(v, normal[None], np.array([offset]))
    return np.where((v @ normal > offset)[..., None], on, v)


def _second_order_cone(v: Array, step: float) -> Array:
    # For a given height s the best x is v's, shortened to s; the slope of the distance in s is this.
    t, x, size = v[..., 0], v[..., 1:], _norm(v[..., 1:])
    s = bisect(lambda s: np.where(s < 0, -np.inf, s - t + np.minimum(s - size, 0)), t.shape)
    factor = np.minimum(1, np.maximum(s, 0) / np.where(size > 0, size, 1))
    return np.concatenate([np.maximum(s, 0)[..., None], factor[..., None] * x], -1)


def _psd_cone(v: Array, step: float) -> Array:
    flat = 0.5 * (v + v.swapaxes(-1, -2)).reshape(-1, *v.shape[-2:])
    return np.stack([0.5 * (x + linalg.polar(x)[1]) for x in flat]).reshape(v.shape)


def _psd_value(x: Array) -> Array:
    least = np.linalg.eigvalsh(0.5 * (x + x.swapaxes(-1, -2))).min(-1)
    return _indicator(np.maximum(-least, np.abs(x - x.swapaxes(-1, -2)).max((-1, -2))))


def _box_hyperplane(v: Array, step: float, normal: Array, offset: float, lower: Any, upper: Any) -> Array:
    def point(t: Array) -> Array:
        return np.clip(v - t[..., None] * normal, lower, upper)

    return point(bisect(lambda t: offset - point(t) @ normal, v.shape[:-1]))


def _box_hyperplane_value(x: Array, normal: Array, offset: float, lower: Any, upper: Any) -> Array:
    beyond = np.maximum(np.maximum(lower - x, x - upper), 0).sum(-1)
    return _indicator(np.abs(x @ normal - offset) + beyond)


def _softmax(v: Array, step: float) -> Array:
    """log x from t log x + (1 - t) x = v - μ, inside of a bisection for μ."""
    v = v - v.max(-1, keepdims=True)

    def logs(mu: Array) -> Array:
        # Above log x = 0 any increasing function does.
        def equation(s: Array) -> Array:
            return step * s + np.where(s > 0, 1 - step + max(step, 1) * s, (1 - step) * np.exp(np.minimum(s, 0)))

        return bisect(lambda s: equation(s) - (v - mu[..., None]), v.shape)

    mu = bisect(lambda mu: -special.logsumexp(logs(mu), axis=-1), v.shape[:-1])
    return np.exp(logs(mu))


def _softmax_value(x: Array) -> Array:
    value = -special.entr(np.maximum(x, 0)).sum(-1) - 0.5 * (x * x).sum(-1)
    return value + _indicator(np.abs(x.sum(-1) - 1) - x.min(-1, initial=0))


def _perspective(v: Array, step: float) -> Array:
    """The height by bisection: for a given one the best x is u/(u + step) times that of v."""
    t, x = v[..., 0], v[..., 1:]
    square = (x * x).sum(-1)
    u = bisect(
        lambda u: np.where(u < 0, -np.inf, u - t - 0.5 * step * square / (np.maximum(u, 0) + step) ** 2), t.shape
    )
    u = np.maximum(u, 0)[..., None]
    return np.concatenate([u, u / (u + step) * x], -1)


def _perspective_value(x: Array) -> Array:
    square, t = (x[..., 1:] ** 2).sum(-1), x[..., 0]
    value = 0.5 * square / np.where(t > 0, t, 1.0)
    return np.where((t < 0) | ((t == 0) & (square > 0)), np.inf, value)


def _distance(v: Array, step: float) -> Array:
    """Of the distance to the Euclidean ball of radius 1: the norm of the prox, by bisection."""
    size = _norm(v)
    r = bisect(lambda r: step * (r > 1) + r - size, size.shape)
    return v * (r / np.where(size > 0, size, 1))[..., None]


def _entrywise(value: Map, subgradient: Map) -> Joint:
    """A sum over entries, from a selection of its subdifferential."""

    def prox(v: Array, step: float, **parameters: Any) -> Array:
        return bisect(lambda x: step * subgradient(x, **parameters) + x - v, np.shape(v))

    return Joint(lambda x, **parameters: value(x, **parameters).sum(-1), prox)


def _parts(v: Array, step: float) -> Array:
    """Of 0.5 abs(x_1), the simplex for x_2 and x_3, and the Euclidean ball for the others."""
    first = bisect(lambda x: 0.5 * step * np.sign(x) + x - v[..., :1], v[..., :1].shape)
    return np.concatenate([first, _simplex(v[..., 1:3], step), _l2_ball(v[..., 3:], step)], -1)


def _parts_value(x: Array) -> Array:
    simplex = np.abs(x[..., 1:3].sum(-1) - 1) - x[..., 1:3].min(-1, initial=0)
    return 0.5 * np.abs(x[..., 0]) + _indicator(simplex) + _indicator(_norm(x[..., 3:]) - 1)


def _mean_prox(v: Array, step: float, weight: float) -> Array:
    """Of weight·abs(Σ x_i): the multiplier y in [-weight, weight] of x = v - step·y by bisection."""
    n = v.shape[-1]
    total = bisect(lambda s: step * n * weight * np.sign(s) + s - v.sum(-1), v.shape[:-1])
    return v + ((total - v.sum(-1)) / n)[..., None]


JOINT: dict[str, Joint] = {
    "Simplex": Joint(
        lambda x, total=1.0: _indicator(np.abs(x.sum(-1) - total) - x.min(-1, initial=0), np.abs(total)), _simplex
    ),
    "L1Ball": Joint(lambda x, radius=1.0: _indicator(np.abs(x).sum(-1) - radius, radius), _l1_ball),
    "L2Ball": Joint(lambda x, radius=1.0: _indicator(_norm(x) - radius, radius), _l2_ball),
    "HalfSpace": Joint(lambda x, normal, offset=0.0: _indicator(x @ normal - offset, _norm(x)), _half_space),
    "Hyperplane": Joint(
        lambda x, normal, offset=0.0: _indicator(np.abs(x @ normal - offset), _norm(x)),
        lambda v, step, normal, offset=0.0: _affine(v, normal[None], np.array([offset])),
    ),
    "AffineSet": Joint(
        lambda x, K, b: _indicator(_norm(x @ K.T - b), _norm(x)), lambda v, step, K, b: _affine(v, K, b)
    ),
    "SecondOrderCone": Joint(lambda x: _indicator(_norm(x[..., 1:]) - x[..., 0], _norm(x)), _second_order_cone),
    "PSDCone": Joint(_psd_value, _psd_cone),
    "BoxHyperplane": Joint(_box_hyperplane_value, _box_hyperplane),
    "Softmax": Joint(_softmax_value, _softmax),
    "SquarePerspective": Joint(_perspective_value, _perspective),
    "Distance to a ball": Joint(lambda x: np.maximum(_norm(x) - 1, 0), _distance),
    "SeparableSum": Joint(_parts_value, _parts),
    "abs of a sum": Joint(lambda x, weight: weight * np.abs(x.sum(-1)), _mean_prox),
    "translated abs": _entrywise(lambda x, c, w: w * np.abs(x - c), lambda x, c, w: w * np.sign(x - c)),
    "rescaled hinge": _entrywise(lambda x, s: np.maximum(s * x, 0), lambda x, s: s * (s * x > 0)),
    "perturbed abs": _entrywise(
        lambda x, w, m, c, b: w * np.abs(x) + 0.5 * m * (x - c) ** 2 + b * x,
        lambda x, w, m, c, b: w * np.sign(x) + m * (x - c) + b,
    ),
    "envelope of L1": _entrywise(
        lambda x, w, d: np.where(np.abs(x) > w * d, w * np.abs(x) - 0.5 * w * w * d, x * x / (2 * d)),
        lambda x, w, d: np.clip(x / d, -w, w),
    ),
}
