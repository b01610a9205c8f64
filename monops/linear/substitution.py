"""Inverses of block-triangular operators."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch

from monops.arrays import Array, DType, Shape, add_multiple, is_torch, may_write, namespace, reflect
from monops.linear.base import LinearOperator
from monops.linear.block import take_block
from monops.linear.decimated import Interpolated
from monops.linear.frequency import FrequencyMap, Signal, apply_to, total
from monops.linear.gram import CirculantPlusGram
from monops.linear.lazy import Composed
from monops.linear.table import Block, Rows, each, is_lower
from monops.spaces import BlockSpace, batch_first


@dataclass(frozen=True, eq=False)
class BlockSubstitution(LinearOperator):
    """The inverse of D⁻¹ + N, D block-diagonal and N strictly triangular, by substitution. Made by `resolvent`.

    x_i = D_i (b_i - Σ_j N_ij x_j), from the first to the last or the other way round. Or b ↦ 2x - b, the reflection.

    Shapes: flat states of a `BlockSpace` with the domains of the diagonal blocks.

    Args:
        diagonal: the blocks D_i, square.
        beside: rows of the blocks N_ij; None where a block is zero, and on the diagonal.
        reflects: whether it maps b to 2x - b instead of x.

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
    reflects: bool = False

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

        return BlockSubstitution(tuple(map(taken, self.diagonal)), each(taken, self.beside), self.reflects)

    def prepared(self) -> LinearOperator:
        diagonal = tuple(block.prepared() for block in self.diagonal)
        return BlockSubstitution(diagonal, each(lambda block: block.prepared(), self.beside), self.reflects)

    def reflected(self) -> LinearOperator:
        return super().reflected() if self.reflects else replace(self, reflects=True)

    @property
    def layout(self) -> Shape:
        return self.space.layout

    def apply(self, x: Array) -> Array:
        return self._substitute(x, None, 0.0, 0.0)

    def _apply_between(self, x: Array, b: Array, before: float, after: float) -> Array:
        return self._substitute(x, b, before, after)

    def _substitute(self, x: Array, b: Array | None, before: float, after: float) -> Array:
        """op(x + before · b) + after · b, part by part: each is done with while it is in the processor's cache."""
        if b is not None:
            x = namespace(x).broadcast_to(x, torch.broadcast_shapes(x.shape, b.shape))
        shapes, parts = self.space.shapes, self.space.split(x)
        shifts = [None] * len(parts) if b is None else self.space.split(b)
        state = self._room(x)
        targets = [None] * len(parts) if state is None else self.space.split(state)
        solved: list[Signal | None] = [None] * len(parts)
        finished = list(parts)
        for i in range(len(parts)) if is_lower(self.beside) else reversed(range(len(parts))):
            right = parts[i] if before == 0 else add_multiple(parts[i], before, shifts[i])
            y = solved[i] = self._solve(i, Signal(right, shapes[i]), solved)
            finished[i] = self._finish(y, right, shifts[i], after, targets[i])
        return self.space.join(finished) if state is None else state

    def _room(self, x: Array) -> Array | None:
        """A state like x to be written into, or None where the parts are to be joined in the end."""
        if not (is_torch(x) and self.space.layout and may_write()) or self.batch:
            return None
        return batch_first(torch.empty(x.shape[-1], *x.shape[:-1], dtype=x.dtype, device=x.device))

    def _solve(self, i: int, right: Signal, solved: Sequence[Signal | None]) -> Signal:
        """x_i. Where the operators act on spectra, no coupling takes or makes transforms of its own."""
        J = self.diagonal[i]
        coupled: list[Signal] = []
        entering: list[Signal] = []
        for block, entrance, signal in zip(self.beside[i], self.entrances[i], solved, strict=True):
            if block is not None:
                assert signal is not None
                where, op = (coupled, block) if entrance is None else (entering, entrance)
                where.append(apply_to(op, signal))
        on_spectra = isinstance(J, FrequencyMap) and J.takes_spectra
        b = right.minus(total(coupled), on_spectra) if coupled else right
        if isinstance(J, CirculantPlusGram):
            return J.through(b, total(entering) if entering else None, is_read=self.are_read[i])
        return apply_to(J, b)

    def _finish(self, y: Signal, x: Array, b: Array | None, after: float, target: Array | None) -> Array:
        """y, or its reflection, + after · b: in `target` if there is one."""
        if target is None:
            array = reflect(y.array, x) if self.reflects else y.array
            return array if b is None or after == 0 else add_multiple(array, after, b)
        y.write(target)
        if self.reflects:
            reflect(target, x, out=target)
        if b is not None and after != 0:
            target.add_(b, alpha=after)
        return target

    @cached_property
    def entrances(self) -> Rows:
        """Of each block Dᴴ G beside a resolvent that lets G x enter where Dᴴ would have taken it (its `writes`): G."""
        is_family = bool(self.batch)  # whose signals have batch axes of their own
        return tuple(
            tuple(None if is_family else _entrance(block, getattr(J, "writes", None)) for block in row)
            for J, row in zip(self.diagonal, self.beside, strict=True)
        )

    @cached_property
    def are_read(self) -> Sequence[bool]:
        """Of each resolvent, whether a block takes from its result what it `reads`."""
        return tuple(
            any(_begins_with(block, getattr(J, "reads", None)) for block in column)
            for J, column in zip(self.diagonal, zip(*self.beside, strict=True), strict=True)
        )

    def adjoint(self) -> LinearOperator:
        diagonal = tuple(block.H for block in self.diagonal)
        return BlockSubstitution(diagonal, each(lambda block: block.H, zip(*self.beside, strict=True)), self.reflects)


def _begins_with(block: Block, D: LinearOperator | None) -> bool:
    """Whether the block applies D first."""
    while isinstance(block, Composed):
        block = block.right
    return D is not None and block is D


def _entrance(block: Block, D: LinearOperator | None) -> Block:
    """G where the block is Dᴴ G, else None."""
    if D is None or not isinstance(block, Composed):
        return None
    if isinstance(block.left, Interpolated):
        return block.right if block.left.op is D else None
    inner = _entrance(block.left, D)
    return None if inner is None else inner @ block.right
