"""Convex functions of whole points, on plain arrays: the last axis is the point, and there is one value for each.

Derivatives of proximal maps are matrices, one for each point.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import optimize

from monops.reference.kinds import Array, Reference


def _by_point(one: Callable[..., Array]) -> Callable[..., Array]:
    """A map of single points, as one of arrays of points."""

    def every(v: Array, *arguments: Any, **parameters: Any) -> Array:
        rows = [one(row, *arguments, **parameters) for row in v.reshape(-1, v.shape[-1])]
        out = np.array(rows)
        return out.reshape(*v.shape[:-1], *out.shape[1:])

    return every


def _l2_prox(v: Array, step: float, weight: float = 1.0) -> Array:
    """By Moreau's identity: what the projection on a ball leaves."""
    size = np.linalg.norm(v)
    return v - v * min(1.0, step * weight / size) if size else v


def _l2_derivative(v: Array, step: float, weight: float = 1.0) -> Array:
    """The inverse of I + step f'' at the prox; 0 at the kink."""
    p = _l2_prox(v, step, weight)
    size = np.linalg.norm(p)
    if size <= 1e-13 * np.linalg.norm(v):
        return np.zeros((len(v), len(v)))
    curvature = weight * (np.eye(len(v)) - np.outer(p, p) / size**2) / size
    return np.linalg.inv(np.eye(len(v)) + step * curvature)


def _linf_prox(v: Array, step: float, weight: float = 1.0) -> Array:
    """The height to cut at, by bisection on how much is cut."""
    low, high = 0.0, float(np.max(np.abs(v)))
    for _ in range(200):
        height = 0.5 * (low + high)
        is_too_low = np.maximum(np.abs(v) - height, 0).sum() > step * weight
        low, high = (height, high) if is_too_low else (low, height)
    return np.clip(v, -high, high)


def _linf_derivative(v: Array, step: float, weight: float = 1.0) -> Array:
    """What is cut moves together, the projection on one direction; the rest moves freely."""
    p = _linf_prox(v, step, weight)
    height = np.max(np.abs(p))
    if height <= 1e-13 * np.max(np.abs(v)):
        return np.zeros((len(v), len(v)))
    is_cut = np.abs(v) > height * (1 + 1e-13)
    direction = np.where(is_cut, np.sign(v), 0.0)
    return np.diag(np.where(is_cut, 0.0, 1.0)) + np.outer(direction, direction) / max(1, is_cut.sum())


def _differences(n: int) -> Array:
    return np.diff(np.eye(n), axis=0)


def _tv_dual(v: Array, step: float, weight: float) -> Array:
    """u in a box with ‖v - Dᴴu‖ least, by an active-set method."""
    bound = step * weight
    D = _differences(len(v))
    return optimize.lsq_linear(D.T, v, (-bound, bound), method="bvls", tol=1e-15).x


def _tv_prox(v: Array, step: float, weight: float = 1.0) -> Array:
    if len(v) == 1 or weight == 0:
        return v
    return v - _differences(len(v)).T @ _tv_dual(v, step, weight)


def _tv_derivative(v: Array, step: float, weight: float = 1.0) -> Array:
    """The projection on what is constant wherever the dual solution is off its bounds."""
    n = len(v)
    if n == 1 or weight == 0:
        return np.eye(n)
    u = _tv_dual(v, step, weight)
    free = _differences(n)[np.abs(u) < step * weight * (1 - 1e-12)]
    return np.eye(n) - np.linalg.pinv(free) @ free


POINTS: dict[str, Reference] = {
    "L2": Reference(
        lambda x, weight=1.0: weight * np.linalg.norm(x, axis=-1), _by_point(_l2_prox), _by_point(_l2_derivative), False
    ),
    "LInf": Reference(
        lambda x, weight=1.0: weight * np.abs(x).max(-1), _by_point(_linf_prox), _by_point(_linf_derivative), False
    ),
    "TV1D": Reference(
        lambda x, weight=1.0: weight * np.abs(np.diff(x)).sum(-1), _by_point(_tv_prox), _by_point(_tv_derivative), False
    ),
}
