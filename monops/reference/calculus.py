"""One of each of the functions that are made of others, and those on a simplex or a cone, on plain arrays."""

from typing import Any

import numpy as np
from scipy import linalg, special

from monops.reference.bisection import bisect, piecewise
from monops.reference.kinds import Array, Reference, by_point, constrained
from monops.reference.norms import sphere_hessian
from monops.reference.sets import indicator, l2_ball, l2_ball_derivative, simplex, simplex_face


def _norm(x: Array) -> Array:
    return np.linalg.norm(x, axis=-1)


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


def _softmax_derivative(v: Array, step: float) -> Array:
    """For x = r·y with r = √x, in which the second derivative does not blow up where x is almost 0."""
    roots = np.sqrt(_softmax(v, step))
    return by_point(lambda r: r[:, None] * constrained(np.diag((1 - step) * (r * r - 1)), r[None]) * r)(roots)


def _softmax_value(x: Array) -> Array:
    value = -special.entr(np.maximum(x, 0)).sum(-1) - 0.5 * (x * x).sum(-1)
    return value + indicator(np.abs(x.sum(-1) - 1) - x.min(-1, initial=0))


def _perspective(v: Array, step: float) -> Array:
    """The height by bisection: for a given one the best x is u/(u + step) times that of v."""
    t, x = v[..., 0], v[..., 1:]
    square = (x * x).sum(-1)
    u = bisect(
        lambda u: np.where(u < 0, -np.inf, u - t - 0.5 * step * square / (np.maximum(u, 0) + step) ** 2), t.shape
    )
    u = np.maximum(u, 0)[..., None]
    return np.concatenate([u, u / (u + step) * x], -1)


def _perspective_derivative(v: Array, step: float) -> Array:
    p = _perspective(v, step)
    u, x = p[0], p[1:]
    if u < 1e-29:
        return np.zeros((len(p), len(p)))
    mixed = -x[:, None] / u**2
    hessian = np.block([[np.array([[x @ x / u**3]]), mixed.T], [mixed, np.eye(len(x)) / u]])
    return constrained(step * hessian, np.zeros((0, len(p))))


def _perspective_value(x: Array) -> Array:
    square, t = (x[..., 1:] ** 2).sum(-1), x[..., 0]
    value = 0.5 * square / np.where(t > 0, t, 1.0)
    return np.where((t < 0) | ((t == 0) & (square > 0)), np.inf, value)


def _distance(v: Array, step: float) -> Array:
    """Of the distance to the Euclidean ball of radius 1: the norm of the prox, by bisection."""
    size = _norm(v)
    r = bisect(lambda r: step * (r > 1) + r - size, size.shape)
    return v * (r / np.where(size > 0, size, 1))[..., None]


def _distance_derivative(v: Array, step: float) -> Array:
    if _norm(v) <= 1 + step:
        return l2_ball_derivative(v, step)
    return constrained(step * sphere_hessian(_distance(v, step)), np.zeros((0, len(v))))


def _parts(v: Array, step: float) -> Array:
    """Of 0.5 abs(x_1), the simplex for x_2 and x_3, and the Euclidean ball for the others."""
    first = bisect(lambda x: 0.5 * step * np.sign(x) + x - v[..., :1], v[..., :1].shape)
    return np.concatenate([first, simplex(v[..., 1:3], step), l2_ball(v[..., 3:], step)], -1)


def _parts_derivative(v: Array, step: float) -> Array:
    first = np.array([[float(np.abs(v[0]) > 0.5 * step)]])
    second = constrained(np.zeros((2, 2)), simplex_face(v[1:3]))
    return linalg.block_diag(first, second, l2_ball_derivative(v[3:], step))


def _parts_value(x: Array) -> Array:
    outside = np.abs(x[..., 1:3].sum(-1) - 1) - x[..., 1:3].min(-1, initial=0)
    return 0.5 * np.abs(x[..., 0]) + indicator(outside) + indicator(_norm(x[..., 3:]) - 1)


def _mean_prox(v: Array, step: float, weight: float) -> Array:
    """Of weight·abs(Σ x_i): the multiplier y in [-weight, weight] of x = v - step·y by bisection."""
    n = v.shape[-1]
    total = bisect(lambda s: step * n * weight * np.sign(s) + s - v.sum(-1), v.shape[:-1])
    return v + ((total - v.sum(-1)) / n)[..., None]


def _mean_derivative(v: Array, step: float, weight: float) -> Array:
    n = len(v)
    is_kept = np.abs(v.sum()) <= step * n * weight  # the sum, at 0
    return constrained(np.zeros((n, n)), np.ones((int(is_kept), n)))


def _nothing(x: Array, **parameters: Any) -> Array:
    return np.zeros_like(x)


CALCULUS: dict[str, Reference] = {
    "Softmax": Reference(_softmax_value, _softmax, _softmax_derivative, axes=1),
    "SquarePerspective": Reference(_perspective_value, _perspective, by_point(_perspective_derivative), axes=1),
    "Distance to a ball": Reference(
        lambda x: np.maximum(_norm(x) - 1, 0), _distance, by_point(_distance_derivative), axes=1
    ),
    "SeparableSum": Reference(_parts_value, _parts, by_point(_parts_derivative), axes=1),
    "abs of a sum": Reference(
        lambda x, weight: weight * np.abs(x.sum(-1)), _mean_prox, by_point(_mean_derivative), axes=1
    ),
    "translated abs": piecewise(
        lambda x, c, w: w * np.abs(x - c), lambda x, c, w: w * np.sign(x - c), lambda c, w: (c,), _nothing
    ),
    "rescaled hinge": piecewise(
        lambda x, s: np.maximum(s * x, 0), lambda x, s: s * (s * x > 0), lambda s: (0.0,), _nothing
    ),
    "perturbed abs": piecewise(
        lambda x, w, m, c, b: w * np.abs(x) + 0.5 * m * (x - c) ** 2 + b * x,
        lambda x, w, m, c, b: w * np.sign(x) + m * (x - c) + b,
        lambda w, m, c, b: (0.0,),
        lambda x, w, m, c, b: m + np.zeros_like(x),
    ),
    "envelope of L1": piecewise(
        lambda x, w, d: np.where(np.abs(x) > w * d, w * np.abs(x) - 0.5 * w * w * d, x * x / (2 * d)),
        lambda x, w, d: np.clip(x / d, -w, w),
        lambda w, d: (),
        lambda x, w, d: np.where(np.abs(x) < w * d, 1 / d, 0.0),
    ),
}
