"""Inverses of matrices, and of batches of them, which are refused where no digit would be right."""

from __future__ import annotations

import numpy as np
import torch

from monops.arrays import (
    Array,
    detach,
    device_of,
    epsilon,
    eye,
    is_torch,
    known_true,
    namespace,
    norm,
    require_finite,
    to_numpy,
)
from monops.errors import SingularError


def inverse(matrix: Array, symmetric: bool, what: str) -> Array:
    """The inverse of `matrix` (*batch, n, n): by Cholesky where it is symmetric positive definite, else by LU.

    Differentiable for tensors, to any order.

    Raises:
        SingularError: singular, or so near to it that no digit of the result would be right.
        NonFiniteError: there is a NaN or an infinity in `matrix`.
    """
    try:
        result = _cholesky_inverse(matrix) if symmetric else _lu_inverse(matrix)
    except np.linalg.LinAlgError as error:
        require_finite(matrix, what)
        raise SingularError(f"{what} is singular: {error}") from error
    pair = detach(matrix), detach(result)
    bound = 1 / epsilon(matrix.dtype)
    # Frobenius norms first, which are cheaper; their product bounds the spectral condition number. NaN is singular.
    with np.errstate(all="ignore"):  # squares may overflow: then the next norms decide
        is_sound = (_frobenius(pair[0]) * _frobenius(pair[1]) < bound).all()
    if known_true(~is_sound):
        condition = _one_norm(pair[0]) * _one_norm(pair[1])
        if (condition < bound).all():
            return result
        require_finite(matrix, what)
        numbers = np.nan_to_num(to_numpy(condition).reshape(-1), nan=np.inf)
        which = f"matrix {int(numbers.argmax())} of {numbers.size} " if numbers.size > 1 else ""
        raise SingularError(f"{what} is singular: {which}has condition number {numbers.max():.1e}")
    return result


def may_be_semidefinite(matrix: Array) -> bool:
    """Whether a symmetric matrix, or each of a batch, is positive semidefinite up to rounding, by Cholesky.

    Costs a sixth of an inverse, and one wait for the device. True where numbers cannot be read, inside of `vmap` say.
    """
    xp, n = namespace(matrix), matrix.shape[-1]
    room = 50 * epsilon(matrix.dtype) * norm(matrix, 2)[..., None, None]
    lifted = matrix + (room + float(xp.finfo(matrix.dtype).tiny)) * eye(n, matrix.dtype, device_of(matrix))
    if is_torch(matrix):
        return not known_true((torch.linalg.cholesky_ex(lifted).info != 0).any())
    try:
        np.linalg.cholesky(lifted)
    except np.linalg.LinAlgError:
        return False
    return True


def _lu_inverse(matrix: Array) -> Array:
    # inv_ex leaves the verdict to the caller's one look at the condition number, so a GPU is asked only once.
    return torch.linalg.inv_ex(matrix).inverse if is_torch(matrix) else np.linalg.inv(matrix)


def _cholesky_inverse(matrix: Array) -> Array:
    if not is_torch(matrix):
        return np.linalg.inv(matrix)
    factor, info = torch.linalg.cholesky_ex(matrix)
    return _lu_inverse(matrix) if known_true((info != 0).any()) else torch.cholesky_inverse(factor)


def _frobenius(matrix: Array) -> Array:
    """√Σ|entry|² of each matrix, by products, which are several times faster than the library's norm."""
    if not is_torch(matrix):
        return np.linalg.norm(matrix, axis=(-2, -1))
    entries = torch.view_as_real(matrix.resolve_conj()) if matrix.is_complex() else matrix
    flat = entries.reshape(*matrix.shape[:-2], 1, -1 if entries.numel() else 0)
    return (flat @ flat.mT)[..., 0, 0].sqrt()


def _one_norm(matrix: Array) -> Array:
    if 0 in matrix.shape:
        return matrix.new_zeros(()) if is_torch(matrix) else np.zeros(())
    columns = abs(matrix).sum(-2)
    return columns.amax(-1) if is_torch(matrix) else columns.max(-1)
