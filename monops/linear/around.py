"""What operators made of one or two others take over from them."""

from __future__ import annotations

import torch

from monops.arrays import DType, Shape
from monops.linear.base import LinearOperator


class Around(LinearOperator):
    """An operator made of one other, `op`, on the same spaces."""

    op: LinearOperator

    @property
    def domain(self) -> Shape:
        return self.op.domain

    @property
    def codomain(self) -> Shape:
        return self.op.codomain

    @property
    def dtype(self) -> DType:
        return self.op.dtype

    @property
    def device(self) -> torch.device:
        return self.op.device

    @property
    def batch(self) -> Shape:
        return self.op.batch

    @property
    def symmetric(self) -> bool:
        return self.op.symmetric

    @property
    def layout(self) -> Shape:
        return self.op.layout


class Pair(LinearOperator):
    """An operator made of two others, `left` and `right`: from the right one's domain on."""

    left: LinearOperator
    right: LinearOperator

    @property
    def domain(self) -> Shape:
        return self.right.domain

    @property
    def codomain(self) -> Shape:
        return self.left.codomain

    @property
    def dtype(self) -> DType:
        return self.left.dtype

    @property
    def device(self) -> torch.device:
        return self.left.device

    @property
    def batch(self) -> Shape:
        return tuple(torch.broadcast_shapes(self.left.batch, self.right.batch))

    @property
    def layout(self) -> Shape:
        return self.right.layout
