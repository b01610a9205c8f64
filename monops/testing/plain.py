"""Random operators without a grid, each with its matrix."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import sparse

from monops.arrays import is_torch
from monops.linear import (
    Dense,
    Diagonal,
    Factored,
    FiniteDifference,
    FromCallable,
    FromScipy,
    Identity,
    Krylov,
    Zero,
)
from monops.testing.draw import Draw, LinearCase


def _identity(draw: Draw) -> LinearCase:
    return LinearCase(Identity((draw.size,), -0.75, **draw.kind), -0.75 * np.eye(draw.size))


def _zero(draw: Draw) -> LinearCase:
    n = draw.size
    return LinearCase(Zero((n,), (n + 1,), **draw.kind), np.zeros((n + 1, n)))


def _diagonal(draw: Draw) -> LinearCase:
    entries = draw.array(draw.size)
    return LinearCase(Diagonal(draw.put(entries)), np.diag(entries))


def _dense(draw: Draw) -> LinearCase:
    matrix = draw.array(draw.size + 2, draw.size)
    return LinearCase(Dense(draw.put(matrix)), matrix)


def _symmetric(draw: Draw) -> LinearCase:
    half = draw.array(draw.size, draw.size)
    A = Dense(draw.put(half))
    return LinearCase(A.H @ A, half.T @ half)


def _paper(draw: Draw) -> LinearCase:
    n, m = draw.size, 0.5
    a, b = draw.array(n, n, scale=n**-0.5), draw.array(n, n, scale=n**-0.5)
    A, B, I = Dense(draw.put(a)), Dense(draw.put(b)), Identity((n,), **draw.kind)  # noqa: E741
    W = (1 - m) * I - A.H @ A + B - B.H
    return LinearCase(I - W, m * np.eye(n) + a.T @ a - b + b.T)


def _callable(draw: Draw) -> LinearCase:
    """A weighted shift: x ↦ weights · (x moved by one place)."""
    n = draw.size
    weights = draw.array(n)
    matrix = np.zeros((n, n))
    matrix[np.arange(n), np.arange(n) - 1] = weights
    if is_torch(draw.dtype):
        op = FromCallable(
            lambda x, w: w * x.roll(1, -1),
            lambda y, w: (w * y).roll(-1, -1),
            (n,),
            params=(draw.put(weights),),
            **draw.kind,
        )
    else:
        w = draw.put(weights)
        op = FromCallable(lambda x: w * np.roll(x, 1, -1), lambda y: np.roll(w * y, -1, -1), (n,), **draw.kind)
    return LinearCase(op, matrix)


def _sum(draw: Draw) -> LinearCase:
    left, right = _callable(draw), _symmetric(draw)
    return LinearCase(left.op + right.op, left.matrix + right.matrix)


def _composed(draw: Draw) -> LinearCase:
    left = _callable(draw)
    return LinearCase(left.op.H @ left.op, left.matrix.T @ left.matrix)


def _scaled(draw: Draw) -> LinearCase:
    case = _callable(draw)
    return LinearCase(-1.5 * case.op, -1.5 * case.matrix)


def _krylov(draw: Draw) -> LinearCase:
    case = _callable(draw)
    step = 0.5 / (1 + float(np.linalg.norm(case.matrix, 2)))
    return LinearCase(Krylov(case.op, step), np.linalg.inv(np.eye(draw.size) + step * case.matrix))


def _factored(draw: Draw) -> LinearCase:
    case = _paper(draw)
    return LinearCase(Factored(case.op), case.matrix)


def _difference(draw: Draw) -> LinearCase:
    """Along both axes of a grid of (2, n) points, ends open."""
    rows, n = 2, draw.size

    def along(k: int) -> np.ndarray:
        matrix = np.eye(k, k, 1) - np.eye(k)
        matrix[-1] = 0
        return matrix

    both = np.stack([np.kron(along(rows), np.eye(n)), np.kron(np.eye(rows), along(n))], 1)
    return LinearCase(FiniteDifference((rows, n), **draw.kind), both.reshape(-1, rows * n))


def _periodic_difference(draw: Draw) -> LinearCase:
    n = draw.size
    matrix = np.kron(np.eye(2), np.roll(np.eye(n), 1, 1) - np.eye(n))
    return LinearCase(FiniteDifference((2, n), (-1,), periodic=True, **draw.kind), matrix)


def _scipy(draw: Draw) -> LinearCase:
    matrix = draw.array(draw.size, draw.size) * (draw.rng.random((draw.size, draw.size)) < 0.5)
    return LinearCase(FromScipy(sparse.csc_array(matrix.astype(draw.dtype))), matrix)


def _scipy_matrix_free(draw: Draw) -> LinearCase:
    case = _callable(draw)
    return LinearCase(FromScipy(case.op.to_scipy()), case.matrix)


PLAIN: dict[str, Callable[[Draw], LinearCase]] = {
    "Identity": _identity,
    "Zero": _zero,
    "Diagonal": _diagonal,
    "Dense": _dense,
    "Dense, A.H @ A": _symmetric,
    "Dense, I - W of the paper": _paper,
    "FromCallable": _callable,
    "Sum": _sum,
    "Composed": _composed,
    "Scaled": _scaled,
    "Krylov": _krylov,
    "Factored": _factored,
    "FiniteDifference": _difference,
    "FiniteDifference, periodic": _periodic_difference,
}
SCIPY: dict[str, Callable[[Draw], LinearCase]] = {
    "FromScipy, sparse": _scipy,
    "FromScipy, matrix-free": _scipy_matrix_free,
}
