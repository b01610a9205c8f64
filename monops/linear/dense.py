"""Matrices."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch

from monops.arrays import (
    Array,
    DType,
    Shape,
    detach,
    device_of,
    eye,
    floating,
    is_torch,
    namespace,
    require_finite,
)
from monops.errors import ShapeError
from monops.inversion import inverse
from monops.linear.base import LinearOperator
from monops.linear.diagonal import Diagonal
from monops.linear.identity import Identity
from monops.linear.spectral import cocoercivity_of


@dataclass(frozen=True, eq=False)
class Dense(LinearOperator):
    """x ↦ matrix · x.

    Shapes: `matrix` (*batch, m, n), the domain is (n,), the codomain (m,).

    Sums, multiples, products, adjoints and resolvents of dense operators, and of dense with diagonal ones, are
    dense. The resolvent holds the explicit inverse (by Cholesky where `symmetric`, else by LU), since an iteration
    applies it many times: one matrix product a step.

    Args:
        matrix: a tensor or NumPy array, float32 or float64. Axes before the last two make a family of operators.
        symmetric: known to be symmetric. Assumed, not checked: with a false claim the resolvent is wrong.
            `A.H @ A` is known to be symmetric by construction.

    Raises:
        ShapeError: `matrix` has fewer than two axes.

    Example:
        >>> import torch
        >>> A = Dense(torch.tensor([[2.0, 1.0], [0.0, 1.0]]))
        >>> (A.H @ A + Identity.like(A)).resolvent(1.0).H(torch.ones(2))
        tensor([0.1000, 0.2000])
    """

    matrix: Array = field(metadata={"axes": 2})
    symmetric: bool = field(default=False, kw_only=True)

    def __post_init__(self) -> None:
        if floating(self.matrix).ndim < 2:
            raise ShapeError(f"Dense wants a matrix (*batch, m, n), got shape {tuple(self.matrix.shape)}")
        if self.symmetric and self.domain != self.codomain:
            raise ShapeError(f"a symmetric matrix is square, got shape {tuple(self.matrix.shape)}")

    @property
    def domain(self) -> Shape:
        return (self.matrix.shape[-1],)

    @property
    def codomain(self) -> Shape:
        return (self.matrix.shape[-2],)

    @property
    def dtype(self) -> DType:
        return self.matrix.dtype

    @property
    def device(self) -> torch.device:
        return device_of(self.matrix)

    @property
    def batch(self) -> Shape:
        return tuple(self.matrix.shape[:-2])

    def apply(self, x: Array) -> Array:
        matrix = self.matrix
        if matrix.ndim == 2:
            return x @ matrix.mT
        if matrix.shape[-3] == 1 and x.ndim >= 2:  # one matrix for a whole axis of samples: a true matrix product
            return x @ matrix[..., 0, :, :].mT
        return (matrix @ x[..., None])[..., 0]

    def shifted(self, b: Array, before: float, after: float) -> Callable[[Array], Array]:
        shift = before * self.apply(b) + after * b
        transposed = self.matrix.mT
        if self.matrix.ndim == 2 and is_torch(self.matrix):
            return lambda x: torch.addmm(shift, x, transposed) if x.ndim == 2 else x @ transposed + shift
        return lambda x: self.apply(x) + shift

    def adjoint(self) -> Dense:
        return self if self.symmetric else Dense(self.matrix.mT)

    def resolvent(self, step: float) -> LinearOperator:
        self._require_step(step)
        identity = eye(self.domain[0], self.dtype, self.device)
        what = f"I + {step:g}·op, op = {self.signature},"
        return Dense(inverse(identity + step * self.matrix, self.symmetric, what), symmetric=self.symmetric)

    def norm(self) -> float:
        if 0 in self.matrix.shape:
            return 0.0
        require_finite(self.matrix, self.signature)
        return float(namespace(self.matrix).linalg.matrix_norm(detach(self.matrix), ord=2).max())

    def monotonicity(self) -> float:
        self._require_square("monotonicity")
        if 0 in self.matrix.shape:
            return 0.0
        require_finite(self.matrix, self.signature)
        matrix = detach(self.matrix)
        return float(namespace(matrix).linalg.eigvalsh((matrix + matrix.mT) / 2).min())

    def cocoercivity(self) -> float:
        if self.symmetric:
            return super().cocoercivity()
        self._require_square("cocoercivity")
        require_finite(self.matrix, self.signature)
        return cocoercivity_of(torch.as_tensor(detach(self.matrix)))

    def to_dense(self) -> Array:
        return self.matrix

    def _plus(self, other: LinearOperator) -> LinearOperator:
        if isinstance(other, Identity) and is_torch(self.matrix):
            matrix = self.matrix.clone()
            matrix.diagonal(dim1=-2, dim2=-1).add_(other.scale)
            return Dense(matrix, symmetric=self.symmetric)
        if isinstance(other, Dense | Diagonal | Identity):
            return Dense(self.matrix + other.to_dense(), symmetric=self.symmetric and other.symmetric)
        return NotImplemented

    def _times(self, other: LinearOperator) -> LinearOperator:
        if isinstance(other, Dense):
            return Dense(self.matrix @ other.matrix, symmetric=self._is_adjoint_of(other))
        if isinstance(other, Diagonal) and len(other.domain) == 1:
            return Dense(self.matrix * other.entries[..., None, :])
        return NotImplemented

    def _rtimes(self, other: LinearOperator) -> LinearOperator:
        if isinstance(other, Diagonal) and len(other.domain) == 1:
            return Dense(other.entries[..., :, None] * self.matrix)
        return NotImplemented

    def _scaled(self, scalar: float | Array) -> LinearOperator:
        return Dense(scalar * self.matrix, symmetric=self.symmetric)

    def take(self, index: Array, shape: Shape) -> LinearOperator:
        is_per_sample = self.matrix.ndim == len(shape) + 1 and self.batch[0] > 1
        return Dense(self.matrix[index], symmetric=self.symmetric) if is_per_sample else self
