"""Operators made of blocks, between spaces of several parts."""

from __future__ import annotations

import functools
import operator
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch

from monops.arrays import Array, DType, Shape
from monops.errors import ShapeError
from monops.linear.base import LinearOperator
from monops.linear.frequency import Signal, apply_to, pairing, total
from monops.linear.identity import Identity
from monops.linear.table import (
    Block,
    Rows,
    checked,
    each,
    first,
    has_square_diagonal,
    is_lower,
    on_diagonal,
    product,
    total_of,
)
from monops.spaces import BlockSpace


class BlockOperator(LinearOperator):
    """What all operators made of blocks share: (x_1, …, x_n) ↦ (Σ_j rows[i][j] x_j)_i on flat states."""

    rows: Rows  # None where a block is zero

    @cached_property
    def inputs(self) -> BlockSpace:
        """The space of the domain."""
        return BlockSpace(tuple(first(column).domain for column in zip(*self.rows, strict=True)))

    @cached_property
    def outputs(self) -> BlockSpace:
        """The space of the codomain."""
        return BlockSpace(tuple(first(row).codomain for row in self.rows))

    @property
    def domain(self) -> Shape:
        return self.inputs.domain

    @property
    def codomain(self) -> Shape:
        return self.outputs.domain

    @property
    def dtype(self) -> DType:
        return first(self.rows[0]).dtype

    @property
    def device(self) -> torch.device:
        return first(self.rows[0]).device

    @property
    def batch(self) -> Shape:
        present = (block.batch for row in self.rows for block in row if block is not None)
        return tuple(torch.broadcast_shapes(*present))

    def take(self, index: Array, shape: Shape) -> LinearOperator:
        return of_blocks(each(lambda block: take_block(block, index, shape), self.rows))

    @property
    def layout(self) -> Shape:
        return self.inputs.layout

    def apply(self, x: Array) -> Array:
        signals = _signals(self.inputs, x)
        return self.outputs.join([total(row_times(row, signals)).array for row in self.rows])

    def pairing(self, x: Array, w: Array) -> Array:
        signals, others = _signals(self.inputs, x), _signals(self.outputs, w)
        terms = [
            pairing(block, signal, other)
            for row, other in zip(self.rows, others, strict=True)
            for block, signal in zip(row, signals, strict=True)
            if block is not None
        ]
        return functools.reduce(operator.add, terms)

    def adjoint(self) -> LinearOperator:
        return of_blocks(each(lambda block: block.H, zip(*self.rows, strict=True)))

    def _plus(self, other: LinearOperator) -> LinearOperator:
        if isinstance(other, Identity) and self.inputs == self.outputs:
            kind: Any = {"dtype": self.dtype, "device": self.device}
            other = BlockDiagonal(tuple(Identity(shape, other.scale, **kind) for shape in self.inputs.shapes))
        if isinstance(other, BlockOperator) and (other.inputs, other.outputs) == (self.inputs, self.outputs):
            pairs = zip(self.rows, other.rows, strict=True)
            return of_blocks([[total_of(terms) for terms in zip(*pair, strict=True)] for pair in pairs])
        return NotImplemented

    def _times(self, other: LinearOperator) -> LinearOperator:
        if not (isinstance(other, BlockOperator) and other.outputs == self.inputs):
            return NotImplemented
        columns = list(zip(*other.rows, strict=True))
        return of_blocks([[product(row, column) for column in columns] for row in self.rows])

    def _scaled(self, scalar: float | Array) -> LinearOperator:
        return of_blocks(each(lambda block: scalar * block, self.rows))


@dataclass(frozen=True, eq=False)
class Blocks(BlockOperator):
    """(x_1, …, x_n) ↦ (Σ_j rows[i][j] x_j)_i on flat states (see `BlockSpace`).

    Sums, products, multiples and adjoints are made block by block. Where no blocks remain beside the diagonal, or on
    one side of it, the result is `BlockDiagonal` or `BlockTriangular`, whose resolvents are exact; that of other
    blocks is matrix-free.

    Args:
        rows: the blocks, any linear operators; None where a block is zero.

    Raises:
        ShapeError: blocks in one column with different domains, or in one row with different codomains; rows of
            different lengths; a row or column without a block.
        OptionError: a block that is no linear operator.
        DTypeError, DeviceError: blocks of several dtypes, or on several devices.

    Example:
        >>> import torch
        >>> from monops.linear import Dense
        >>> two = Dense(torch.tensor([[2.0]]))
        >>> K = Blocks([[two, two], [None, two]])
        >>> K(torch.ones(2)), type(K + K.H).__name__, type(K + K).__name__
        (tensor([4., 2.]), 'Blocks', 'BlockTriangular')
    """

    rows: Rows

    def __post_init__(self) -> None:
        object.__setattr__(self, "rows", checked(self.rows, type(self).__name__))


@dataclass(frozen=True, eq=False)
class BlockTriangular(BlockOperator):
    """`Blocks` without any above the diagonal, or without any below it; those on the diagonal are square.

    The resolvent is exact, by forward or backward substitution with the resolvents of the diagonal blocks; the
    adjoint swaps the two. Arguments as for `Blocks`.

    Raises:
        ShapeError: as for `Blocks`; and if there are blocks on both sides of the diagonal, or one on it is missing or
            not square.
        DTypeError, DeviceError: as for `Blocks`.

    Example:
        >>> import torch
        >>> from monops.linear import Dense
        >>> two = Dense(torch.tensor([[2.0]]))
        >>> BlockTriangular([[two, None], [two, two]]).resolvent(0.5)(torch.tensor([2.0, 3.0]))
        tensor([1., 1.])
    """

    rows: Rows

    def __post_init__(self) -> None:
        object.__setattr__(self, "rows", checked(self.rows, type(self).__name__))
        if not (is_lower(self.rows) or is_lower(list(zip(*self.rows, strict=True)))):
            places = [(i, j) for i, row in enumerate(self.rows) for j, b in enumerate(row) if b is not None and i != j]
            raise ShapeError(
                f"BlockTriangular wants all blocks on one side of the diagonal, got some at {places}; use Blocks"
            )
        if not has_square_diagonal(self.rows):
            got = [block and block.signature for row in self.rows for block in row]
            raise ShapeError(f"BlockTriangular wants square blocks all along the diagonal, got {got}")

    def resolvent(self, step: float) -> LinearOperator:
        self._require_step(step)
        diagonal = tuple(row[i].resolvent(step) for i, row in enumerate(self.rows))  # type: ignore[union-attr]
        beside = [[None if i == j else b for j, b in enumerate(row)] for i, row in enumerate(self.rows)]
        from monops.linear.substitution import BlockSubstitution  # which needs this module

        return BlockSubstitution(diagonal, each(lambda block: step * block, beside))


@dataclass(frozen=True, eq=False)
class BlockDiagonal(BlockOperator):
    """(x_1, …, x_n) ↦ (diagonal[0] x_1, …, diagonal[n-1] x_n) on flat states (see `BlockSpace`).

    Each part is laid out in Fortran order within a flat state; `BlockSpace.join` and `split` know.

    Args:
        diagonal: any linear operators.

    Raises:
        ShapeError: none are given.
        OptionError: something else than a linear operator is given.
        DTypeError, DeviceError: operators of several dtypes, or on several devices.

    Example:
        >>> import torch
        >>> from monops.linear import Dense, Diagonal
        >>> M = BlockDiagonal([Dense(torch.tensor([[1.0, 1.0], [0.0, 1.0]])), Diagonal(torch.tensor([3.0]))])
        >>> M(torch.ones(3)), M.resolvent(1.0)(torch.ones(3))
        (tensor([2., 1., 3.]), tensor([0.2500, 0.5000, 0.2500]))
    """

    diagonal: Sequence[LinearOperator]

    def __post_init__(self) -> None:
        object.__setattr__(self, "diagonal", tuple(self.diagonal))
        checked(self.rows, type(self).__name__)

    @property
    def rows(self) -> Rows:  # type: ignore[override]
        return on_diagonal(self.diagonal)

    @property
    def symmetric(self) -> bool:
        return all(block.symmetric for block in self.diagonal)

    def resolvent(self, step: float) -> LinearOperator:
        self._require_step(step)
        return BlockDiagonal(tuple(block.resolvent(step) for block in self.diagonal))

    def norm(self) -> float:
        return max(block.norm() for block in self.diagonal)

    def monotonicity(self) -> float:
        self._require_square("monotonicity")
        return min(block.monotonicity() for block in self.diagonal)


def of_blocks(rows: Iterable[Iterable[Block]]) -> LinearOperator:
    """The operator of the most special kind with these blocks."""
    table = tuple(tuple(row) for row in rows)
    if not has_square_diagonal(table):
        return Blocks(table)
    if is_lower(table) and is_lower(list(zip(*table, strict=True))):
        return BlockDiagonal(tuple(row[i] for i, row in enumerate(table)))  # type: ignore[misc]
    if is_lower(table) or is_lower(list(zip(*table, strict=True))):
        return BlockTriangular(table)
    return Blocks(table)


def _signals(space: BlockSpace, x: Array) -> list[Signal]:
    """The parts of a state."""
    return [Signal(part, shape) for part, shape in zip(space.split(x), space.shapes, strict=True)]


def take_block(block: LinearOperator, index: Array, shape: Shape) -> LinearOperator:
    """The block of some samples, of states of a flat shape (*batch, size)."""
    return block.take(index, (*shape[:-1], *block.domain))


def row_times(row: Sequence[Block], signals: Sequence[Signal]) -> list[Signal]:
    """row[j](signals[j]) for each block that is there."""
    return [apply_to(block, signal) for block, signal in zip(row, signals, strict=True) if block is not None]
