"""Sums, products and multiples of operators whose structures do not combine: evaluated term by term."""

from __future__ import annotations

from dataclasses import dataclass, field

from monops.arrays import Array, Shape, detach
from monops.linear.around import Around, Pair
from monops.linear.base import LinearOperator, structured_product


@dataclass(frozen=True, eq=False)
class Sum(Pair):
    """x ↦ left(x) + right(x). Made by `left + right`."""

    left: LinearOperator
    right: LinearOperator

    @property
    def symmetric(self) -> bool:
        return self.left.symmetric and self.right.symmetric

    @property
    def layout(self) -> Shape:
        return self.left.layout or self.right.layout

    def apply(self, x: Array) -> Array:
        return self.left.apply(x) + self.right.apply(x)

    def adjoint(self) -> LinearOperator:
        return self.left.H + self.right.H

    def take(self, index: Array, shape: Shape) -> LinearOperator:
        return Sum(self.left.take(index, shape), self.right.take(index, shape))


@dataclass(frozen=True, eq=False)
class Composed(Pair):
    """x ↦ left(right(x)). Made by `left @ right`; `A.H @ A` is known to be symmetric."""

    left: LinearOperator
    right: LinearOperator
    symmetric: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "symmetric", self.left._is_adjoint_of(self.right))

    def apply(self, x: Array) -> Array:
        return self.left.apply(self.right.apply(x))

    def adjoint(self) -> LinearOperator:
        return self.right.H @ self.left.H

    def _times(self, other: LinearOperator) -> LinearOperator:
        inner = structured_product(self.right, other)
        return NotImplemented if inner is NotImplemented else self.left @ inner

    def _rtimes(self, other: LinearOperator) -> LinearOperator:
        inner = structured_product(other, self.left)
        return NotImplemented if inner is NotImplemented else inner @ self.right

    def _scaled(self, scalar: float | Array) -> LinearOperator:
        return super()._scaled(scalar) if self.symmetric else Composed(scalar * self.left, self.right)

    def take(self, index: Array, shape: Shape) -> LinearOperator:
        taken = Composed(self.left.take(index, shape), self.right.take(index, shape))
        object.__setattr__(taken, "symmetric", self.symmetric)
        return taken


@dataclass(frozen=True, eq=False)
class Scaled(Around):
    """x ↦ scalar · op(x). Made by `scalar * op`; the scalar is a number or a tensor with no axes."""

    scalar: float | Array = field(metadata={"axes": "domain"})
    op: LinearOperator

    def apply(self, x: Array) -> Array:
        return self.scalar * self.op.apply(x)

    def adjoint(self) -> LinearOperator:
        return self.scalar * self.op.H

    def norm(self) -> float:
        return abs(float(detach(self.scalar))) * self.op.norm()

    def _scaled(self, scalar: float | Array) -> LinearOperator:
        return (scalar * self.scalar) * self.op

    def take(self, index: Array, shape: Shape) -> LinearOperator:
        return Scaled(self.scalar, self.op.take(index, shape))
