"""Monotone operators composed with linear ones."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property

from monops.arrays import Array, Shape, epsilon, require_step
from monops.errors import NoResolventError, OptionError, ShapeError
from monops.linear import Composed, Identity, LinearOperator
from monops.linear.frames import frame_constant
from monops.linear.spectral import DENSE_LIMIT
from monops.monotone.affine import Affine
from monops.monotone.base import MonotoneOperator, Resolvent


@dataclass(frozen=True, eq=False)
class Precomposed(MonotoneOperator):
    """Kᴴ ∘ A ∘ K for a linear K. Made by `A.precompose(K)`.

    Where K Kᴴ = ν I with ν > 0, which is looked at on a random vector, the resolvent is x - Kᴴ(K x - J(K x))/ν with J
    that of A at ν·step (Bauschke & Combettes 2017, proposition 23.25). Otherwise there is none: primal-dual methods
    such as `ChambollePock` take A and K apart.

    With σ the smallest singular value of K: A m-strongly monotone makes it σ²m-strongly monotone, A L-Lipschitz makes
    it ‖K‖²L-Lipschitz, and A β-cocoercive makes it β/‖K‖²-cocoercive.

    Args:
        A: on the codomain of K.
        K: any linear operator.

    Raises:
        OptionError: `K` is not a linear operator.
        ShapeError: A acts on another space than the codomain of K.

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
        A, K = self.A, self.K
        if not isinstance(K, LinearOperator):
            raise OptionError(
                f"A.precompose(K) wants a LinearOperator such as Dense(matrix) as K, got {type(K).__name__}"
            )
        if A.domain not in (None, K.codomain) or A.rank > len(K.codomain):
            on = f"points of {A.rank} axes" if A.domain is None else A.domain
            raise ShapeError(
                f"KᴴAK wants an A on the codomain {K.codomain} of K, got {K.signature} and {type(A).__name__} on {on}"
            )
        object.__setattr__(self, "nu", frame_constant(self.K))

    @property
    def domain(self) -> Shape:
        return self.K.domain

    @property
    def strong_monotonicity(self) -> float:
        m = self.A.strong_monotonicity
        return m * self._least_square if m > 0 else 0.0

    @property
    def lipschitz(self) -> float:
        L = self.A.lipschitz
        return self._square_norm * L if math.inf > L else L

    def is_known(self, fact: str) -> bool:
        return self.A.is_known(fact)

    @property
    def is_zero(self) -> bool:
        return self.A.is_zero

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

    @cached_property
    def _least_square(self) -> float:
        """σ² for the smallest singular value σ of K; 0 where that is not known, or costs many products with K."""
        K = self.K
        if math.prod(K.domain) > math.prod(K.codomain):
            return 0.0
        if self.nu is not None and math.prod(K.domain) == math.prod(K.codomain):
            return self.nu
        gram = K.H @ K
        if isinstance(gram, Composed) and math.prod(K.domain) > DENSE_LIMIT:
            return 0.0
        least = gram.monotonicity()
        return least if least > 100 * epsilon(K.dtype) * self._square_norm else 0.0  # not from rounding alone

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
