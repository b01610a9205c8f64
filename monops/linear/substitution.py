"""Inverses of block-triangular operators."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch

from monops.arrays import Array, DType, Shape
from monops.linear.base import LinearOperator
from monops.linear.block import row_times, take_block
from monops.linear.frequency import FrequencyMap, Signal, apply_to, total
from monops.linear.table import Rows, each, is_lower
from monops.spaces import BlockSpace


@dataclass(frozen=True, eq=False)
class BlockSubstitution(LinearOperator):
    """The inverse of D⁻¹ + N, D block-diagonal and N strictly triangular, by substitution. Made by `resolvent`.

    x_i = D_i (b_i - Σ_j N_ij x_j), from the first to the last or the other way round.

    Shapes: flat states of a `BlockSpace` with the domains of the diagonal blocks.

    Args:
        diagonal: the blocks D_i, square.
        beside: rows of the blocks N_ij; None where a block is zero, and on the diagonal.

    Example:
        >>> import torch
        >>> from monops.linear import BlockTriangular, Dense
        >>> two = Dense(torch.tensor([[2.0]]))
        >>> inverse = BlockTriangular([[two, None], [two, two]]).resolvent(0.5)
        >>> type(inverse).__name__, inverse(torch.tensor([2.0, 3.0]))
        ('BlockSubstitution', tensor([1., 1.]))
    """

    diagonal: Sequence[LinearOperator]
    beside: Rows

    @cached_property
    def space(self) -> BlockSpace:
        """Of domain and codomain."""
        return BlockSpace(tuple(block.domain for block in self.diagonal))

    @property
    def domain(self) -> Shape:
        return self.space.domain

    @property
    def codomain(self) -> Shape:
        return self.space.domain

    @property
    def dtype(self) -> DType:
        return self.diagonal[0].dtype

    @property
    def device(self) -> torch.device:
        return self.diagonal[0].device

    @property
    def batch(self) -> Shape:
        beside = (block.batch for row in self.beside for block in row if block is not None)
        return tuple(torch.broadcast_shapes(*(block.batch for block in self.diagonal), *beside))

    def take(self, index: Array, shape: Shape) -> LinearOperator:
        def taken(block: LinearOperator) -> LinearOperator:
            return take_block(block, index, shape)

        return BlockSubstitution(tuple(map(taken, self.diagonal)), each(taken, self.beside))

    def prepared(self) -> LinearOperator:
        diagonal = tuple(block.prepared() for block in self.diagonal)
        return BlockSubstitution(diagonal, each(lambda block: block.prepared(), self.beside))

    @property
    def layout(self) -> Shape:
        return self.space.layout

    def apply(self, x: Array) -> Array:
        # Where the operators act on spectra, a coupling needs neither the inverse transform of what it is applied to,
        # nor one of its own before it is subtracted.
        shapes = self.space.shapes
        right = [Signal(part, shape) for part, shape in zip(self.space.split(x), shapes, strict=True)]
        order = range(len(right)) if is_lower(self.beside) else reversed(range(len(right)))
        solved = list(right)
        for i in order:
            J, coupled = self.diagonal[i], row_times(self.beside[i], solved)
            b = right[i].minus(total(coupled), on_spectra=isinstance(J, FrequencyMap)) if coupled else right[i]
            solved[i] = apply_to(J, b)
        return self.space.join([signal.array for signal in solved])

    def adjoint(self) -> LinearOperator:
        diagonal = tuple(block.H for block in self.diagonal)
        return BlockSubstitution(diagonal, each(lambda block: block.H, zip(*self.beside, strict=True)))
