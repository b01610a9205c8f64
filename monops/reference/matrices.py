"""Functions of eigenvalues and of singular values on plain arrays."""

from typing import Any

import numpy as np
from scipy import linalg

from monops.reference.kinds import Array, Reference, by_point
from monops.reference.sets import indicator


def _psd_prox(v: Array, step: float) -> Array:
    """By the polar decomposition: half of a matrix and its absolute value."""
    even = 0.5 * (v + v.T)
    return 0.5 * (even + linalg.polar(even)[1])


def _psd_value(x: Array) -> Array:
    least = np.linalg.eigvalsh(0.5 * (x + x.swapaxes(-1, -2))).min(-1)
    return indicator(np.maximum(-least, np.abs(x - x.swapaxes(-1, -2)).max((-1, -2))))


def _psd_derivative(v: Array, step: float) -> Array:
    """Of the absolute value A, from A² = V²: A dA + dA A = V dV + dV V."""
    n, even = len(v), 0.5 * (v + v.T)
    size = linalg.polar(even)[1]
    rows = []
    for d in np.eye(n * n).reshape(-1, n, n):
        d = 0.5 * (d + d.T)
        rows.append(0.5 * (d + linalg.solve_continuous_lyapunov(size, even @ d + d @ even)).ravel())
    return np.array(rows).T


def _triples(x: Array) -> tuple[Array, Array, Array]:
    """Singular vectors and values, from the symmetric matrix [[0, X], [Xᵀ, 0]] with eigenvalues ±σ."""
    m, n = x.shape
    r = min(m, n)
    s, q = np.linalg.eigh(np.block([[np.zeros((m, m)), x], [x.T, np.zeros((n, n))]]))
    u, v = np.sqrt(2) * q[:m, : -r - 1 : -1], np.sqrt(2) * q[m:, : -r - 1 : -1]
    return u, s[: -r - 1 : -1], v


def _response(x: Array) -> tuple[Array, Array, Array]:
    """The derivatives of `_triples` in the entries of x, where singular values differ and none is 0.

    They are the one solution of dU S Vᵀ + U dS Vᵀ + U S dVᵀ = dX, with UᵀdU and VᵀdV skew-symmetric.

    Shapes: (m, n) → (m·n, m, r), (m·n, r), (m·n, n, r).
    """
    u, s, v = _triples(x)
    (m, r), n = u.shape, len(v)
    unknown = np.eye(m * r + r + n * r)
    du, ds, dv = np.split(unknown, [m * r, m * r + r], axis=1)
    du, dv = du.reshape(-1, m, r), dv.reshape(-1, n, r)
    moved = (du * s) @ v.T + (u * ds[:, None]) @ v.T + (u * s) @ dv.swapaxes(-1, -2)
    skew = [w.T @ d + d.swapaxes(-1, -2) @ w for w, d in ((u, du), (v, dv))]
    system = np.concatenate([part.reshape(len(unknown), -1) for part in (moved, *skew)], 1).T
    right = np.concatenate([np.eye(m * n), np.zeros((len(system) - m * n, m * n))])
    answer = np.linalg.lstsq(system, right, rcond=None)[0].T
    du, ds, dv = np.split(answer, [m * r, m * r + r], axis=1)
    return du.reshape(-1, m, r), ds, dv.reshape(-1, n, r)


def of_singular_values(f: Reference) -> Reference:
    """X ↦ f(σ(X)), f a function of one axis that depends neither on the order nor on the signs of its arguments."""

    def value(x: Array, **parameters: Any) -> Array:
        s = _triples(x)[1]
        inside = f.prox(s, 1.0, **parameters)
        exact = f.total(s, **parameters)
        # Values that are ∞ by rounding alone.
        is_near = np.linalg.norm(inside - s) <= 1e-6 * (1 + s[0])
        return f.total(inside, **parameters) if is_near and not np.isfinite(exact) else exact

    def prox(v: Array, step: float, **parameters: Any) -> Array:
        left, s, right = _triples(v)
        return (left * f.prox(s, step, **parameters)) @ right.T

    def prox_derivative(v: Array, step: float, **parameters: Any) -> Array:
        left, s, right = _triples(v)
        d_left, ds, d_right = _response(v)
        p = f.prox(s, step, **parameters)
        slope = f.prox_derivative(s, step, **parameters)
        dp = ds @ slope.T if f.axes else ds * slope
        outer = (d_left * p) @ right.T + (left * dp[:, None]) @ right.T + (left * p) @ d_right.swapaxes(-1, -2)
        return outer.reshape(v.size, v.size).T

    return Reference(by_point(value, 2), by_point(prox, 2), by_point(prox_derivative, 2), axes=2)


MATRICES: dict[str, Reference] = {
    "PSDCone": Reference(_psd_value, by_point(_psd_prox, 2), by_point(_psd_derivative, 2), axes=2),
}
