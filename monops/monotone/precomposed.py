"""Monotone operators composed with linear ones."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property

from monops.arrays import Array, Shape, require_step
from monops.errors import NoResolventError
from monops.linear import Identity, LinearOperator
from monops.linear.frames import frame_constant
from monops.monotone.affine import Affine
from monops.monotone.base import MonotoneOperator, Resolvent


@dataclass(frozen=True, eq=False)
class Precomposed(MonotoneOperator):
    """Kᴴ ∘ A ∘ K for a linear K. Made by `A.precompose(K)`.

    Where K Kᴴ = ν I with ν > 0, which is looked at on a random vector, the resolvent is x - Kᴴ(K x - J(K x))/ν with J
    that of A at ν·step (Bauschke & Combettes 2017, proposition 23.25). Otherwise there is none: primal-dual methods
    such as `ChambollePock` take A and K apart.

    Args:
        A: on the codomain of K.
        K: any linear operator.

    Example:
        >>> import torch
        >>> from monops import L1, Subdifferential
        >>> from monops.linear import Dense
        >>> turned = Subdifferential(L1()).precompose(Dense(torch.tensor([[0.0, 1.0], [-1.0, 0.0]])))
        >>> turned.resolvent(0.5)(torch.tensor([2.0, 0.2]))
        tensor([1.5000, 0.0000])
    """

    A: MonotoneOperator
    K: LinearOperator
    nu: float | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "nu", frame_constant(self.K))

    @property
    def domain(self) -> Shape:
        return self.K.domain

    @property
    def strong_monotonicity(self) -> float:
        is_square = math.prod(self.K.domain) == math.prod(self.K.codomain)
        return self.nu * self.A.strong_monotonicity if is_square and self.nu is not None else 0.0

    @property
    def lipschitz(self) -> float:
        L = self.A.lipschitz
        return self._square_norm * L if math.inf > L else L

    @property
    def is_gradient(self) -> bool:
        return self.A.is_gradient

    @property
    def cocoercivity(self) -> float:
        square = self._square_norm
        return self.A.cocoercivity / square if square > 0 else math.inf

    @cached_property
    def _square_norm(self) -> float:
        return self.K.norm() ** 2 if self.nu is None else self.nu

    def apply(self, x: Array) -> Array:
        return self.K.H.apply(self.A.apply(self.K.apply(x)))

    def derivative(self, x: Array) -> LinearOperator:
        return self.K.H @ self.A.derivative(self.K.apply(x)) @ self.K

    def resolvent(self, step: float) -> PrecomposedResolvent:
        if self.nu is None:
            raise NoResolventError(
                f"KᴴAK has a known resolvent only where K Kᴴ = ν I, which is false for K = {self.K.signature}; hand "
                "it as B to a primal-dual method such as ChambollePock or CondatVu"
            )
        J = self.A.resolvent(self.nu * require_step(step, self, "resolvent"))
        return PrecomposedResolvent(J, self.K, self.nu)

    def as_affine(self) -> Affine | None:
        A = self.A.as_affine()
        return None if A is None else Affine(self.K.H @ A.linear @ self.K, self.K.H.apply(A.b))

    def precompose(self, K: LinearOperator) -> Precomposed:
        return Precomposed(self.A, self.K @ K)

    def translate(self, center: Array) -> Precomposed:
        return Precomposed(self.A.translate(self.K.apply(center)), self.K)

    def _scaled(self, factor: float) -> Precomposed:
        return Precomposed(factor * self.A, self.K)

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
