"""Quadratic functions on plain arrays: their proximal maps as least squares, by orthogonal factors."""

import numpy as np
from scipy import linalg

from monops.reference.kinds import Array, Reference, by_point


def _form_prox(v: Array, step: float, Q: Array, q: float | Array = 0.0) -> Array:
    """By the factor of Cholesky."""
    factor = linalg.cho_factor(np.eye(len(Q)) + step * Q)
    return linalg.cho_solve(factor, (v + step * q).reshape(-1, len(Q)).T).T.reshape(v.shape)


def _squares_prox(v: Array, step: float, A: Array, b: Array) -> Array:
    """The least squares of x - v and √step (A x - b), by an orthogonal factor of the whole system."""
    n, root = A.shape[1], np.sqrt(step)
    q, r = linalg.qr(np.vstack([np.eye(n), root * A]), mode="economic")
    right = np.concatenate([v, root * b + np.zeros((*v.shape[:-1], len(A)))], -1)
    return linalg.solve_triangular(r, (right @ q).reshape(-1, n).T).T.reshape(v.shape)


QUADRATICS: dict[str, Reference] = {
    "QuadraticForm": Reference(
        lambda x, Q, q=0.0: 0.5 * np.einsum("...i,ij,...j", x, Q, x) - (q * x).sum(-1),
        _form_prox,
        by_point(lambda v, step, Q, q=0.0: _form_prox(np.eye(len(Q)), step, Q)),
        axes=1,
    ),
    "LeastSquares": Reference(
        lambda x, A, b: 0.5 * np.linalg.norm(np.einsum("ij,...j", A, x) - b, axis=-1) ** 2,
        _squares_prox,
        by_point(lambda v, step, A, b: _squares_prox(np.eye(len(v)), step, A, 0 * b)),
        axes=1,
    ),
}
