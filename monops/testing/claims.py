"""The constants that monotone operators claim: by their values, and in the direction that is worst for each."""

from __future__ import annotations

import math

import numpy as np

from monops.arrays import Array, norm, to_numpy
from monops.errors import DTypeError, NotSingleValuedError
from monops.linear import LinearOperator
from monops.monotone import MonotoneOperator, Resolvent
from monops.testing.laws import Laws, inner

# Up to this many unknowns, claims are checked in the direction that is worst for them.
DENSE_LIMIT = 64


def jacobian(A: MonotoneOperator, x: Array) -> LinearOperator | None:
    """A'(x), where A is single-valued and its derivative is known."""
    try:
        A(x)
        return A.derivative(x)
    except (NotSingleValuedError, DTypeError):  # nothing differentiates NumPy arrays
        return None


def symmetric(laws: Laws, A: MonotoneOperator, D: LinearOperator, what: str, d: Array, rank: int, on: str) -> None:
    """A gradient has a symmetric derivative, and so has its resolvent."""
    if A.is_gradient:
        e = laws.normal(*d.shape)
        left, right, size = inner(D(d), e, rank), inner(d, D(e), rank), float(norm(D(d), d.ndim) + norm(d, d.ndim))
        laws.equal(f"{what} is symmetric, as A.is_gradient says", left, right, on, scale=size)


def constants(laws: Laws, A: MonotoneOperator, w: Array, d: Array, rank: int, on: str) -> None:
    """The inequalities for a difference w of values and a difference d of points."""
    m, L, beta = A.strong_monotonicity, A.lipschitz, A.cocoercivity
    overlap, square, values = inner(w, d, rank), inner(d, d, rank), inner(w, w, rank)
    room = 10 * laws.tol * (square + values)
    laws.at_most(f"monotone with m = {m:.6g}", m * square, overlap + room, on)
    if 0 < beta < math.inf:
        laws.at_most(f"cocoercive with β = {beta:.6g}", beta * values, overlap + (1 + beta) * room, on)
    if math.isfinite(L):
        laws.at_most(f"Lipschitz with L = {L:.6g}", values, L**2 * square + (1 + L**2) * room, on)


def claims_of_values(laws: Laws, A: MonotoneOperator, x: Array, rank: int) -> None:
    """The constants claimed, by the values of A and by its derivative."""
    try:
        y = laws.normal(*x.shape)
        constants(laws, A, A(x) - A(y), x - y, rank, "A(x)")
    except NotSingleValuedError:
        return
    D = jacobian(A, x) if math.prod(x.shape[x.ndim - rank :]) <= DENSE_LIMIT else None
    if D is not None:
        dense = to_numpy(D.to_dense()).astype(np.float64)
        _every_direction(laws, A, dense, np.broadcast_to(np.eye(dense.shape[-1]), dense.shape), "A.derivative(x)")


def claims_of_resolvent(laws: Laws, A: MonotoneOperator, J: Resolvent, x: Array, step: float) -> None:
    """The claims in the direction that is worst for them, from the derivative D of the resolvent.

    With v = (x - p)/step, small moves have dp = D dx and dv = (I - D) dx/step.
    """
    if math.prod(x.shape[x.ndim - A.rank :] if A.domain is None else A.domain) <= DENSE_LIMIT:
        D = to_numpy(J.derivative(x).to_dense()).astype(np.float64)
        _every_direction(laws, A, (np.eye(D.shape[-1]) - D) / step, D, f"J.derivative(x), step {step:g}")


def _every_direction(laws: Laws, A: MonotoneOperator, W: np.ndarray, D: np.ndarray, on: str) -> None:
    """The claims m, L and β for all moves dp = D dx of points and dv = W dx of values.

    They are that the symmetric matrices (DᴴW + WᴴD)/2 - m DᴴD, L² DᴴD - WᴴW and (DᴴW + WᴴD)/2 - β WᴴW have no negative
    eigenvalue.
    """
    m, L, beta = A.strong_monotonicity, A.lipschitz, A.cocoercivity
    D_H, W_H = D.swapaxes(-1, -2), W.swapaxes(-1, -2)
    points, values, overlap = D_H @ D, W_H @ W, (D_H @ W + W_H @ D) / 2
    size = np.linalg.norm(points, axis=(-2, -1)) + np.linalg.norm(values, axis=(-2, -1))
    claims = [(f"monotone with m = {m:.6g}", overlap - m * points, 1 + m)]
    if math.isfinite(L):
        claims.append((f"Lipschitz with L = {L:.6g}", L**2 * points - values, 1 + L**2))
    if 0 < beta < math.inf:
        claims.append((f"cocoercive with β = {beta:.6g}", overlap - beta * values, 1 + beta))
    for law, matrix, weight in claims:
        least = np.linalg.eigvalsh(matrix).min(-1, initial=0)
        laws.at_most(f"{law} in every direction", -least, 10 * laws.tol * weight * size, on)
