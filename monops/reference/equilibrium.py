"""Equilibria by a semismooth Newton method on explicit matrices, and their derivatives by one dense solve."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import linalg

Map = Callable[[np.ndarray, float], np.ndarray]


def equilibrium(matrix: np.ndarray, b: np.ndarray, prox: Map, slope: Map, max_steps: int = 500) -> np.ndarray:
    """z with 0 ∈ matrix·z - b + ∂f(z), to machine precision, for each row of b (*batch, n).

    Newton's method on the natural residual z - prox(z - (matrix·z - b), 1), whose generalised Jacobian is
    I - D (I - matrix) with D the derivative of the prox. A step which does not reduce the residual is halved up to ten
    times, then replaced by a stretch of forward-backward steps of size m/L², which always contract.

    Args:
        matrix: (n, n), its symmetric part positive definite.
        b: the right-hand sides.
        prox: (v, step) ↦ the prox of step·f.
        slope: (v, step) ↦ its derivative, as entries or as a matrix.
        max_steps: Newton steps allowed for one row.

    Raises:
        ArithmeticError: a row did not reach machine precision.
    """
    n = matrix.shape[0]
    rows = [_one(matrix, row, prox, slope, max_steps) for row in b.reshape(-1, n)]
    return np.array(rows).reshape(b.shape)


def _one(matrix: np.ndarray, b: np.ndarray, prox: Map, slope: Map, max_steps: int) -> np.ndarray:
    identity = np.eye(len(b))
    z = np.zeros(len(b))
    size = np.inf
    for _ in range(max_steps):
        v = z - (matrix @ z - b)
        r = z - prox(v, 1.0)
        size = float(np.linalg.norm(r))
        scale = np.linalg.norm(z) + np.linalg.norm(b)
        if size <= 4e-16 * scale:
            return z
        D = slope(v, 1.0)
        direction = linalg.solve(identity - _after(D, identity - matrix), -r)
        for halvings in range(10):
            trial = z + 0.5**halvings * direction
            if np.linalg.norm(trial - prox(trial - (matrix @ trial - b), 1.0)) < size:
                break
        else:
            if size <= 1e-13 * scale:
                return z  # rounding, not the method, keeps the residual from falling
            trial = _forward_backward(matrix, b, prox, z)
        z = trial
    raise ArithmeticError(f"reference equilibrium: residual {size:.1e} after {max_steps} Newton steps")


def _after(D: np.ndarray, x: np.ndarray) -> np.ndarray:
    """D x, for the entries D of a diagonal matrix or a matrix D."""
    if D.ndim == 2:
        return D @ x
    return D[:, None] * x if x.ndim == 2 else D * x


def _forward_backward(matrix: np.ndarray, b: np.ndarray, prox: Map, z: np.ndarray) -> np.ndarray:
    m = linalg.eigvalsh((matrix + matrix.T) / 2, subset_by_index=[0, 0])[0]
    step = m / linalg.svdvals(matrix)[0] ** 2
    for _ in range(100):
        z = prox(z - step * (matrix @ z - b), step)
    return z


def gradient(
    matrix: np.ndarray, b: np.ndarray, z: np.ndarray, g: np.ndarray, slope: Map
) -> tuple[np.ndarray, np.ndarray]:
    """Gradients of ⟨g, z⟩ in the matrix and in b, at an equilibrium z.

    With v = z - (matrix·z - b), D = slope(v, 1) and W = I - matrix, dz = D (W dz - dmatrix·z + db), hence
    w = D (I - D W)⁻ᵀ g is the gradient in b and -Σ w zᵀ that in the matrix (Winston & Kolter 2020, theorem 2).

    Shapes: z, g, b (*batch, n) → (n, n) and (*batch, n).
    """
    n = matrix.shape[0]
    W = np.eye(n) - matrix
    flat_z, flat_g, flat_b = (x.reshape(-1, n) for x in (z, g, np.broadcast_to(b, z.shape)))
    slopes = slope(flat_z - (flat_z @ matrix.T - flat_b), 1.0)
    rows = [_after(D, linalg.solve((np.eye(n) - _after(D, W)).T, gi)) for D, gi in zip(slopes, flat_g, strict=True)]
    w = np.array(rows).reshape(flat_z.shape)
    return -w.T @ flat_z, w.reshape(z.shape)


def paper_gradient(
    A: np.ndarray, x: np.ndarray, matrix_gradient: np.ndarray, b_gradient: np.ndarray
) -> dict[str, np.ndarray]:
    """Gradients in A, B, U and the bias, from those in the matrix m I + AᵀA - B + Bᵀ and in U x + bias."""
    G = matrix_gradient
    flat = b_gradient.reshape(-1, b_gradient.shape[-1])
    return {
        "A": A @ (G + G.T),
        "B": G.T - G,
        "U": flat.T @ x.reshape(-1, x.shape[-1]),
        "bias": flat.sum(0),
    }
