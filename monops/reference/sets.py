"""Indicators of convex sets on plain arrays, each projection by another way than the package goes.

Thresholds, radii and multipliers are found by bisection, projections onto affine sets by the whole system of optimality
conditions.
"""

from typing import Any

import numpy as np

from monops.reference.bisection import bisect
from monops.reference.kinds import Array, Map, Reference, by_point, constrained
from monops.reference.norms import sphere_hessian


def indicator(excess: Array, size: Array | float = 1.0) -> Array:
    """0 where the excess is at most what rounding makes of it, else ∞."""
    return np.where(excess > 1e-6 * (1 + size), np.inf, 0.0)


def _norm(x: Array) -> Array:
    return np.linalg.norm(x, axis=-1)


def simplex(v: Array, step: float, total: Any = 1.0) -> Array:
    """By bisection for the threshold."""
    level = bisect(lambda t: total - np.maximum(v - t[..., None], 0).sum(-1), v.shape[:-1])
    return np.maximum(v - level[..., None], 0)


def _l1_ball(v: Array, step: float, radius: Any = 1.0) -> Array:
    level = bisect(lambda t: radius - np.maximum(np.abs(v) - t[..., None], 0).sum(-1), v.shape[:-1])
    return np.sign(v) * np.maximum(np.abs(v) - np.maximum(level, 0)[..., None], 0)


def l2_ball(v: Array, step: float, radius: Any = 1.0) -> Array:
    """By bisection for the multiplier λ ≥ 0 of x (1 + λ) = v."""
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


def _box_hyperplane(v: Array, step: float, normal: Array, offset: float, lower: Any, upper: Any) -> Array:
    def point(t: Array) -> Array:
        return np.clip(v - t[..., None] * normal, lower, upper)

    return point(bisect(lambda t: offset - point(t) @ normal, v.shape[:-1]))


def _box_hyperplane_value(x: Array, normal: Array, offset: float, lower: Any, upper: Any) -> Array:
    beyond = np.maximum(np.maximum(lower - x, x - upper), 0).sum(-1)
    return indicator(np.abs(x @ normal - offset) + beyond)


def _on_face(normals: Map) -> Map:
    """The derivative of a projection on a polyhedron: the face on which the projection is stays the same."""

    def derivative(v: Array, step: float, **parameters: Any) -> Array:
        return constrained(np.zeros((len(v), len(v))), normals(v, **parameters))

    return by_point(derivative)


def _axes(n: int, is_fixed: Array) -> Array:
    return np.eye(n)[is_fixed]


def simplex_face(v: Array, total: Any = 1.0) -> Array:
    """The normals of what holds at the projection: its zeros, and its sum."""
    return np.vstack([_axes(len(v), simplex(v, 1.0, total) == 0), np.ones(len(v))])


def _l1_face(v: Array, radius: Any = 1.0) -> Array:
    if np.abs(v).sum() < radius:
        return np.zeros((0, len(v)))
    x = _l1_ball(v, 1.0, radius)
    return np.vstack([_axes(len(v), x == 0), np.sign(x)])


def _box_hyperplane_face(v: Array, normal: Array, offset: float, lower: Any, upper: Any) -> Array:
    x = _box_hyperplane(v, 1.0, normal, offset, lower, upper)
    return np.vstack([_axes(len(v), (x <= lower) | (x >= upper)), normal])


def l2_ball_derivative(v: Array, step: float, radius: Any = 1.0) -> Array:
    """From the optimality conditions x (1 + λ) = v and ‖x‖ = radius."""
    size, n = _norm(v), len(v)
    if size <= radius:
        return np.eye(n)
    return constrained((size / radius - 1) * np.eye(n), v[None]) if radius else np.zeros((n, n))


def _second_order_derivative(v: Array, step: float) -> Array:
    """On the surface, from x + λ∇g(x) = v and g(x) = 0 for g(s, x) = ‖x‖ - s."""
    n, size = len(v), _norm(v[1:])
    if size <= v[0]:
        return np.eye(n)
    if size <= -v[0]:
        return np.zeros((n, n))
    x = _second_order_cone(v, step)
    hessian = np.zeros((n, n))
    hessian[1:, 1:] = (x[0] - v[0]) * sphere_hessian(x[1:])
    return constrained(hessian, np.concatenate([[-1.0], x[1:] / _norm(x[1:])])[None])


SETS: dict[str, Reference] = {
    "Simplex": Reference(
        lambda x, total=1.0: indicator(np.abs(x.sum(-1) - total) - x.min(-1, initial=0), np.abs(total)),
        simplex,
        _on_face(simplex_face),
        axes=1,
    ),
    "L1Ball": Reference(
        lambda x, radius=1.0: indicator(np.abs(x).sum(-1) - radius, radius), _l1_ball, _on_face(_l1_face), axes=1
    ),
    "L2Ball": Reference(
        lambda x, radius=1.0: indicator(_norm(x) - radius, radius), l2_ball, by_point(l2_ball_derivative), axes=1
    ),
    "HalfSpace": Reference(
        lambda x, normal, offset=0.0: indicator(x @ normal - offset, _norm(x)),
        _half_space,
        _on_face(lambda v, normal, offset=0.0: normal[None][: int(v @ normal > offset)]),
        axes=1,
    ),
    "Hyperplane": Reference(
        lambda x, normal, offset=0.0: indicator(np.abs(x @ normal - offset), _norm(x)),
        lambda v, step, normal, offset=0.0: _affine(v, normal[None], np.array([offset])),
        _on_face(lambda v, normal, offset=0.0: normal[None]),
        axes=1,
    ),
    "AffineSet": Reference(
        lambda x, K, b: indicator(_norm(x @ K.T - b), _norm(x)),
        lambda v, step, K, b: _affine(v, K, b),
        _on_face(lambda v, K, b: K),
        axes=1,
    ),
    "SecondOrderCone": Reference(
        lambda x: indicator(_norm(x[..., 1:]) - x[..., 0], _norm(x)),
        _second_order_cone,
        by_point(_second_order_derivative),
        axes=1,
    ),
    "BoxHyperplane": Reference(_box_hyperplane_value, _box_hyperplane, _on_face(_box_hyperplane_face), axes=1),
}
