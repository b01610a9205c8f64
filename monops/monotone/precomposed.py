"""Monotone operators composed with linear ones."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from monops.arrays import Array, Shape, require_step
from monops.linear import Identity, LinearOperator
from monops.linear.frames import frame_constant
from monops.monotone.base import MonotoneOperator, Resolvent


@dataclass(frozen=True, eq=False)
class Precomposed(MonotoneOperator):
    """Kᴴ ∘ A ∘ K, for K with K Kᴴ = ν I and ν > 0. Made by `A.precompose(K)`.

    The condition is checked at construction on a random vector, which also gives ν. The resolvent is
    x - Kᴴ(K x - J(K x))/ν with J that of A at ν·step (Bauschke & Combettes 2017, proposition 23.25).

    Raises:
        OptionError: K Kᴴ is no multiple of the identity.
    """

    A: MonotoneOperator
    K: LinearOperator
    nu: float = field(default=0.0, init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "nu", frame_constant(self.K))

    @property
    def domain(self) -> Shape:
        return self.K.domain

    @property
    def strong_monotonicity(self) -> float:
        is_square = math.prod(self.K.domain) == math.prod(self.K.codomain)
        return self.nu * self.A.strong_monotonicity if is_square else 0.0

    @property
    def lipschitz(self) -> float:
        return self.nu * self.A.lipschitz

    def apply(self, x: Array) -> Array:
        return self.K.H.apply(self.A.apply(self.K.apply(x)))

    def derivative(self, x: Array) -> LinearOperator:
        return self.K.H @ self.A.derivative(self.K.apply(x)) @ self.K

    def resolvent(self, step: float) -> PrecomposedResolvent:
        J = self.A.resolvent(self.nu * require_step(step, self, "resolvent"))
        return PrecomposedResolvent(J, self.K, self.nu)

    def take(self, index: Array, shape: Shape) -> Precomposed:
        return Precomposed(self.A.take(index, shape), self.K.take(index, shape))


@dataclass(frozen=True, eq=False)
class PrecomposedResolvent(Resolvent):
    """x ↦ x - Kᴴ(K x - J(K x))/ν."""

    J: Resolvent
    K: LinearOperator
    nu: float

    def __call__(self, x: Array) -> Array:
        y = self.K.apply(x)
        return x - self.K.H.apply(y - self.J(y)) / self.nu

    def derivative(self, x: Array) -> LinearOperator:
        D = self.J.derivative(self.K.apply(x))
        return Identity.like(self.K) - self.K.H @ (Identity.like(D) - D) @ self.K / self.nu

    def take(self, index: Array, shape: Shape) -> PrecomposedResolvent:
        return PrecomposedResolvent(self.J.take(index, shape), self.K.take(index, shape), self.nu)
