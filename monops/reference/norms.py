"""Norms of whole points on plain arrays, by bisection for what is left or cut, and by nonnegative least squares."""

from collections.abc import Sequence

import numpy as np
from scipy import optimize

from monops.reference.bisection import bisect
from monops.reference.kinds import Array, Reference, by_point, constrained


def l2_prox(v: Array, step: float, weight: float = 1.0) -> Array:
    """In the direction of v; its size by bisection."""
    size = np.linalg.norm(v, axis=-1)
    left = bisect(lambda r: step * weight * np.sign(r) + r - size, size.shape)
    return v * (np.where(left < 1e-29, 0.0, left) / np.where(size > 0, size, 1.0))[..., None]


def sphere_hessian(p: Array) -> Array:
    """The second derivative of the Euclidean norm at p ≠ 0."""
    size = np.linalg.norm(p)
    return (np.eye(len(p)) - np.outer(p, p) / size**2) / size


def _l2_derivative(v: Array, step: float, weight: float = 1.0) -> Array:
    p = l2_prox(v, step, weight)
    if np.linalg.norm(p) <= 1e-13 * np.linalg.norm(v):
        return np.zeros((len(v), len(v)))
    return constrained(step * weight * sphere_hessian(p), np.zeros((0, len(v))))


Groups = Sequence[Sequence[int]]


def _group_weights(weight: float | Array, groups: Groups, n: int) -> list[float]:
    every = np.broadcast_to(weight, (n,))
    return [float(every[group[0]]) for group in groups]


def _group_value(x: Array, groups: Groups, weight: float | Array = 1.0) -> Array:
    weights = _group_weights(weight, groups, x.shape[-1])
    return sum(w * np.sqrt((x[..., list(g)] ** 2).sum(-1)) for w, g in zip(weights, groups, strict=True))


def _group_prox(v: Array, step: float, groups: Groups, weight: float | Array = 1.0) -> Array:
    p = np.full_like(v, np.nan)
    for w, g in zip(_group_weights(weight, groups, v.shape[-1]), groups, strict=True):
        p[..., list(g)] = l2_prox(v[..., list(g)], step, w)
    return p


def _group_derivative(v: Array, step: float, groups: Groups, weight: float | Array = 1.0) -> Array:
    J = np.zeros((len(v), len(v)))
    for w, g in zip(_group_weights(weight, groups, len(v)), groups, strict=True):
        J[np.ix_(g, g)] = _l2_derivative(v[list(g)], step, w)
    return J


def _linf_prox(v: Array, step: float, weight: float = 1.0) -> Array:
    """The height to cut at, by bisection on how much is cut."""
    low, high = 0.0, float(np.max(np.abs(v)))
    for _ in range(200):
        height = 0.5 * (low + high)
        is_too_low = np.maximum(np.abs(v) - height, 0).sum() > step * weight
        low, high = (height, high) if is_too_low else (low, height)
    return np.clip(v, -high, high)


def _linf_derivative(v: Array, step: float, weight: float = 1.0) -> Array:
    """What is cut stays at one height."""
    height = np.max(np.abs(_linf_prox(v, step, weight)))
    n = len(v)
    if height <= 1e-13 * np.max(np.abs(v)):
        return np.zeros((n, n))
    cut = np.flatnonzero(np.abs(v) > height * (1 + 1e-13))
    heights = np.sign(v[cut])[:, None] * np.eye(n)[cut]
    return constrained(np.zeros((n, n)), np.diff(heights, axis=0))


def _drops(v: Array, step: float, weights: Array) -> tuple[Array, Array]:
    """The x_1 ≥ … ≥ x_n ≥ 0 next to the sorted sizes of v less their price: C y for the drops y ≥ 0.

    Returns y, and the matrix that makes the prox of it: C's rows with the signs and in the order of v.
    """
    order = np.argsort(-np.abs(v), kind="stable")
    C = np.triu(np.ones((len(v), len(v))))
    y = optimize.nnls(C, np.abs(v)[order] - step * weights)[0]
    back = np.empty_like(C)
    back[order] = C
    return y, np.where(v < 0, -1.0, 1.0)[:, None] * back


def _sorted_prox(v: Array, step: float, weights: Array) -> Array:
    y, back = _drops(v, step, weights)
    return back @ y


def _sorted_derivative(v: Array, step: float, weights: Array) -> Array:
    """The projection on the points with drops at the same places."""
    y, back = _drops(v, step, weights)
    free = back[:, y > 1e-13 * np.abs(v).max()]
    return free @ np.linalg.pinv(free)


NORMS: dict[str, Reference] = {
    "L2": Reference(
        lambda x, weight=1.0: weight * np.linalg.norm(x, axis=-1), l2_prox, by_point(_l2_derivative), axes=1
    ),
    "GroupL2": Reference(_group_value, _group_prox, by_point(_group_derivative), axes=1),
    "LInf": Reference(
        lambda x, weight=1.0: weight * np.abs(x).max(-1), by_point(_linf_prox), by_point(_linf_derivative), axes=1
    ),
    "SortedL1": Reference(
        lambda x, weights: -np.sort(-np.abs(x), -1) @ weights, by_point(_sorted_prox), by_point(_sorted_derivative), 1
    ),
}
