"""Operators from SciPy: sparse matrices and `scipy.sparse.linalg.LinearOperator`, on NumPy arrays."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy import sparse
from scipy.sparse import linalg as sparse_linalg

from monops.arrays import Array, DType, Shape
from monops.errors import DTypeError, SingularError
from monops.linear.base import LinearOperator
from monops.linear.diagonal import Diagonal
from monops.linear.identity import Identity


@dataclass(frozen=True, eq=False)
class FromScipy(LinearOperator):
    """x ↦ op · x for a SciPy sparse matrix, or a SciPy `LinearOperator`; its states are NumPy arrays.

    Shapes: x (*batch, n) → (*batch, m) for an m × n operator.

    Sums, products and multiples of sparse matrices stay sparse, and so do their sums with diagonal operators; their
    resolvents are factorised once (`scipy.sparse.linalg.splu`). Those of a SciPy `LinearOperator` are matrix-free.

    Args:
        op: a sparse matrix or array, or a `LinearOperator` which has a product with its adjoint too; real.

    Raises:
        DTypeError: `op` is of another kind, or not of float32 or float64.

    Example:
        >>> import numpy as np, scipy.sparse as sp
        >>> M = FromScipy(sp.csc_array(np.diag([1.0, 3.0])))
        >>> M.resolvent(1.0)(np.ones(2))
        array([0.5 , 0.25])
    """

    op: Any

    def __post_init__(self) -> None:
        if sparse.issparse(self.op):
            object.__setattr__(self, "op", sparse.csc_array(self.op))
        elif not isinstance(self.op, sparse_linalg.LinearOperator):
            raise DTypeError(f"FromScipy wants a sparse matrix or LinearOperator, got {type(self.op).__name__}")
        if self.op.dtype not in (np.float32, np.float64):
            raise DTypeError(f"FromScipy wants float32 or float64 data, got {self.op.dtype}")

    @property
    def is_sparse(self) -> bool:
        """Whether this is a sparse matrix, whose structure the algebra keeps."""
        return sparse.issparse(self.op)

    @property
    def domain(self) -> Shape:
        return (self.op.shape[1],)

    @property
    def codomain(self) -> Shape:
        return (self.op.shape[0],)

    @property
    def dtype(self) -> DType:
        return np.dtype(self.op.dtype)

    def apply(self, x: Array) -> Array:
        rows = (self.op @ x.reshape(-1, x.shape[-1]).T).T
        return rows.reshape(*x.shape[:-1], *self.codomain).astype(self.dtype, copy=False)

    def adjoint(self) -> LinearOperator:
        return FromScipy(self.op.T if self.is_sparse else self.op.H)

    def resolvent(self, step: float) -> LinearOperator:
        self._require_step(step)
        if not self.is_sparse:
            return self._krylov(step)
        system = sparse.eye_array(self.domain[0], dtype=self.dtype) + step * self.op
        try:
            return SparseInverse(sparse_linalg.splu(sparse.csc_matrix(system)), self.domain[0], self.dtype)
        except RuntimeError as error:
            raise SingularError(f"I + {step:g}·op is singular for op = {self.signature}: {error}") from error

    def _plus(self, other: LinearOperator) -> LinearOperator:
        if not self.is_sparse:
            return NotImplemented
        if isinstance(other, FromScipy) and other.is_sparse:
            return FromScipy(self.op + other.op)
        if isinstance(other, Diagonal | Identity) and not other.batch:
            entries = other.apply(np.ones(self.domain, self.dtype))
            return FromScipy(self.op + sparse.diags_array(entries, dtype=self.dtype))
        return NotImplemented

    def _times(self, other: LinearOperator) -> LinearOperator:
        if self.is_sparse and isinstance(other, FromScipy) and other.is_sparse:
            return FromScipy(self.op @ other.op)
        return NotImplemented

    def _scaled(self, scalar: float | Array) -> LinearOperator:
        return FromScipy(self.op * float(scalar)) if self.is_sparse else super()._scaled(scalar)


@dataclass(frozen=True, eq=False)
class SparseInverse(LinearOperator):
    """The inverse of a sparse matrix, from its LU factors; the adjoint uses the same ones. Made by `resolvent`."""

    factors: Any
    size: int
    kind: DType
    is_adjoint: bool = field(default=False, kw_only=True)

    @property
    def dtype(self) -> DType:
        return self.kind

    @property
    def domain(self) -> Shape:
        return (self.size,)

    @property
    def codomain(self) -> Shape:
        return (self.size,)

    def apply(self, x: Array) -> Array:
        columns = np.ascontiguousarray(x.reshape(-1, self.size).T)
        solved = self.factors.solve(columns, trans="T" if self.is_adjoint else "N")
        return solved.T.reshape(x.shape)

    def adjoint(self) -> LinearOperator:
        return SparseInverse(self.factors, self.size, self.kind, is_adjoint=not self.is_adjoint)
