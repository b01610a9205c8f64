"""Extreme singular values and eigenvalues of operators without structure."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy.sparse import linalg as sparse_linalg

from monops.arrays import to_numpy
from monops.errors import NotConvergedError, ShapeError

if TYPE_CHECKING:
    from monops.linear.base import LinearOperator

# Up to this many unknowns all eigenvalues of the dense matrix cost less than a Lanczos run.
DENSE_LIMIT = 512


def norm(op: LinearOperator) -> float:
    """The largest singular value of `op`: dense when small, else by Lanczos on op.H @ op to working precision."""
    if _is_small(op):
        return float(np.max(np.linalg.norm(to_numpy(op.to_dense()), 2, axis=(-2, -1)), initial=0))
    return math.sqrt(max(0.0, _extreme(op.H @ op, "LA")))


def monotonicity(op: LinearOperator) -> float:
    """The smallest eigenvalue of (op + op.H)/2: dense when small, else by Lanczos to working precision."""
    if _is_small(op):
        dense = to_numpy(op.to_dense())
        symmetric = (dense + dense.swapaxes(-1, -2)) / 2
        return float(np.min(np.linalg.eigvalsh(symmetric), initial=math.inf))
    return _extreme(0.5 * (op + op.H), "SA")


def cocoercivity(op: LinearOperator) -> float:
    """The largest β with ⟨op(x), x⟩ ≥ β‖op(x)‖²: of the dense matrix when small, else the m/L² that is known."""
    if _is_small(op):
        return cocoercivity_of(torch.as_tensor(to_numpy(op.to_dense())))
    m, L = max(0.0, op.monotonicity()), op.norm()
    return m / L**2 if L > 0 else math.inf


def cocoercivity_of(matrices: torch.Tensor) -> float:
    """The largest β ≥ 0 with Re⟨M x, x⟩ ≥ β‖M x‖² for all of some matrices (*batch, n, n), real or complex.

    With S = (M + Mᴴ)/2 it is 1/‖M S^(-1/2)‖² where M vanishes wherever S does, and 0 elsewhere.
    """
    if 0 in matrices.shape:
        return math.inf
    rounding = 100 * matrices.shape[-1] * torch.finfo(matrices.dtype).eps
    M = matrices.to(torch.complex128 if matrices.is_complex() else torch.float64)
    values, vectors = torch.linalg.eigh((M + M.mH) / 2)
    size = torch.linalg.matrix_norm(M, ord=2)[..., None]
    vanishes = values <= rounding * size
    images = M @ vectors
    lost = torch.where(vanishes, torch.linalg.vector_norm(images, dim=-2), 0.0)
    if bool((values < -rounding * size).any() or (lost > rounding * size).any()):
        return 0.0
    roots = torch.where(vanishes, 0.0, values.clamp(min=1e-300) ** -0.5)
    norm = float(torch.linalg.matrix_norm(images * roots[..., None, :], ord=2).max())
    return 1 / norm**2 if norm > 0 else math.inf


def _is_small(op: LinearOperator) -> bool:
    return min(math.prod(op.domain), math.prod(op.codomain)) <= DENSE_LIMIT


def _extreme(symmetric: LinearOperator, which: str) -> float:
    """An extreme eigenvalue, moved outwards by the residual of its eigenvector so that it is a bound."""
    if symmetric.batch:
        raise ShapeError(
            f"spectral facts of a family are computed densely, up to {DENSE_LIMIT} unknowns; "
            f"got {symmetric.signature} for each of {symmetric.batch}"
        )
    matrix = symmetric.to_scipy()
    start = np.random.default_rng(0).standard_normal(matrix.shape[0]).astype(matrix.dtype)
    try:
        values, vectors = sparse_linalg.eigsh(matrix, k=1, which=which, v0=start)
    except sparse_linalg.ArpackNoConvergence as error:
        raise NotConvergedError(
            f"an extreme eigenvalue of {symmetric.signature} was not found: {error}; where it is known, claim it"
        ) from error
    residual = np.linalg.norm(matrix.matvec(vectors[:, 0]) - values[0] * vectors[:, 0])
    return float(values[0] + residual if which == "LA" else values[0] - residual)
