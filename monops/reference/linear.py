"""Linear algebra on explicit matrices, by LAPACK."""

from __future__ import annotations

import numpy as np
from scipy import linalg


def resolvent(matrix: np.ndarray, step: float, x: np.ndarray, transpose: bool = False) -> np.ndarray:
    """(I + step·matrix)⁻¹ x, or with the transposed matrix, for each of the rows of x (*batch, n), by LU factors."""
    n = matrix.shape[-1]
    factors = linalg.lu_factor(np.eye(n) + step * matrix)
    return linalg.lu_solve(factors, x.reshape(-1, n).T, trans=int(transpose)).T.reshape(x.shape)


def norm(matrix: np.ndarray) -> float:
    """The largest singular value."""
    return float(linalg.svdvals(matrix)[0]) if matrix.size else 0.0


def monotonicity(matrix: np.ndarray) -> float:
    """The smallest eigenvalue of the symmetric part."""
    return float(linalg.eigvalsh((matrix + matrix.T) / 2, subset_by_index=[0, 0])[0])


def paper_w(A: np.ndarray, B: np.ndarray, m: float) -> np.ndarray:
    """W = (1 - m) I - AᵀA + B - Bᵀ (Winston & Kolter 2020, proposition 1)."""
    return (1 - m) * np.eye(len(A)) - A.T @ A + B - B.T
