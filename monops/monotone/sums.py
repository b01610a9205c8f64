"""Sums of monotone operators."""

from __future__ import annotations

from dataclasses import dataclass

from monops.arrays import Array, Shape
from monops.errors import NoResolventError
from monops.linear import Identity, LinearOperator
from monops.monotone.affine import Affine
from monops.monotone.base import MonotoneOperator, Resolvent, common_domain, common_rank, in_parallel


@dataclass(frozen=True, eq=False)
class MonotoneSum(MonotoneOperator):
    """z ↦ A(z) + B(z). Made by `A + B`. No resolvent: splitting methods take the two terms apart."""

    A: MonotoneOperator
    B: MonotoneOperator

    @property
    def domain(self) -> Shape | None:
        return common_domain(self.A, self.B)

    @property
    def rank(self) -> int:
        return common_rank(self.A, self.B)

    def zero(self) -> Array | None:
        zero = self.A.zero()
        return self.B.zero() if zero is None else zero

    def arrange(self, x: Array) -> Array:
        return self.A.arrange(x)

    def is_known(self, fact: str) -> bool:
        return self.A.is_known(fact) and self.B.is_known(fact)

    @property
    def strong_monotonicity(self) -> float:
        return self.A.strong_monotonicity + self.B.strong_monotonicity

    @property
    def lipschitz(self) -> float:
        return self.A.lipschitz + self.B.lipschitz

    @property
    def is_zero(self) -> bool:
        return self.A.is_zero and self.B.is_zero

    @property
    def is_gradient(self) -> bool:
        return self.A.is_gradient and self.B.is_gradient

    @property
    def cocoercivity(self) -> float:
        return max(in_parallel(self.A.cocoercivity, self.B.cocoercivity), super().cocoercivity)

    def apply(self, x: Array) -> Array:
        return self.A.apply(x) + self.B.apply(x)

    def derivative(self, x: Array) -> LinearOperator:
        return self.A.derivative(x) + self.B.derivative(x)

    def resolvent(self, step: float) -> Resolvent:
        raise NoResolventError(
            f"the resolvent of {type(self.A).__name__} + {type(self.B).__name__} is not known; hand the two terms "
            "to a splitting method instead"
        )

    def as_affine(self) -> Affine | None:
        A, B = self.A.as_affine(), self.B.as_affine()
        return None if A is None or B is None else Affine(A.linear + B.linear, A.b + B.b)

    def translate(self, center: Array) -> MonotoneSum:
        return MonotoneSum(self.A.translate(center), self.B.translate(center))

    def _plus(self, other: object) -> MonotoneOperator:
        if isinstance(other, MonotoneOperator) or (isinstance(other, LinearOperator) and type(other) is not Identity):
            return super()._plus(other)
        # A multiple of I, or an array, changes one term, which keeps its structure and its resolvent.
        if isinstance(self.A, Affine):
            return MonotoneSum(self.A + other, self.B)
        return MonotoneSum(self.A, self.B + other)

    def _scaled(self, factor: float) -> MonotoneOperator:
        return MonotoneSum(factor * self.A, factor * self.B)

    def take(self, index: Array, shape: Shape) -> MonotoneSum:
        return MonotoneSum(self.A.take(index, shape), self.B.take(index, shape))
