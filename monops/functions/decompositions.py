"""Singular values and eigenvalues of matrices that may hold what is not finite, which LAPACK refuses."""

from __future__ import annotations

import math

from monops.arrays import Array, namespace


def svd(x: Array) -> tuple[Array, Array, Array]:
    """U, s and Vᴴ with x = U diag(s) Vᴴ, the reduced one; s is NaN for a matrix that is not finite."""
    u, s, vh = namespace(x).linalg.svd(_finite(x), full_matrices=False)
    return u, _marked(s, x), vh


def svdvals(x: Array) -> Array:
    """The singular values, the largest first; NaN for a matrix that is not finite."""
    return _marked(namespace(x).linalg.svdvals(_finite(x)), x)


def eigh(x: Array) -> tuple[Array, Array]:
    """Eigenvalues in ascending order, and eigenvectors, of symmetric matrices; values NaN where one is not finite."""
    values, vectors = namespace(x).linalg.eigh(_finite(x))
    return _marked(values, x), vectors


def eigvalsh(x: Array) -> Array:
    """The eigenvalues of symmetric matrices, in ascending order; NaN for a matrix that is not finite."""
    return _marked(namespace(x).linalg.eigvalsh(_finite(x)), x)


def _is_finite(x: Array) -> Array:
    return namespace(x).isfinite(x).all(-1).all(-1)[..., None]


def _finite(x: Array) -> Array:
    return namespace(x).where(_is_finite(x)[..., None], x, 0.0)


def _marked(values: Array, x: Array) -> Array:
    return namespace(x).where(_is_finite(x), values, math.nan)
