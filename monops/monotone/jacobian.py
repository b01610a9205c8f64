"""Jacobians by automatic differentiation."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import torch

from monops.arrays import Array, DType, Shape
from monops.linear import LinearOperator
from monops.monotone.base import MonotoneOperator, take_rows


@dataclass(frozen=True, eq=False)
class Jacobian(LinearOperator):
    """v ↦ A'(x) v, one operator for each sample of x, by Jacobian-vector products of `A.apply`.

    Made by `A.derivative(x)`.

    Shapes: `x` (*batch, *domain).
    """

    A: MonotoneOperator
    x: torch.Tensor = field(metadata={"axes": "domain"})
    known_symmetric: bool = False
    is_adjoint: bool = False

    @property
    def domain(self) -> Shape:
        return tuple(self.x.shape[self.x.ndim - self.A.rank :]) if self.A.domain is None else self.A.domain

    @property
    def codomain(self) -> Shape:
        return self.domain

    @property
    def dtype(self) -> DType:
        return self.x.dtype

    @property
    def device(self) -> torch.device:
        return self.x.device

    @property
    def batch(self) -> Shape:
        return tuple(self.x.shape[: self.x.ndim - len(self.domain)])

    @property
    def symmetric(self) -> bool:
        return self.known_symmetric

    def apply(self, x: Array) -> Array:
        point, v = (t.contiguous() for t in torch.broadcast_tensors(self.x, x))
        if self.is_adjoint:
            return torch.func.vjp(self.A.apply, point)[1](v)[0]
        return torch.func.jvp(self.A.apply, (point,), (v,))[1]

    def adjoint(self) -> LinearOperator:
        return self if self.symmetric else replace(self, is_adjoint=not self.is_adjoint)

    def take(self, index: Array, shape: Shape) -> LinearOperator:
        return replace(self, A=self.A.take(index, shape), x=take_rows(self.x, index, shape))
