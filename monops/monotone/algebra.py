"""Multiples, translations and inverses of monotone operators."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from monops.arrays import Array, Shape, require_step
from monops.linear import Identity, LinearOperator
from monops.monotone.affine import Affine
from monops.monotone.base import MonotoneOperator, Resolvent, in_parallel, take_rows


@dataclass(frozen=True, eq=False)
class Transformed(Resolvent):
    """x ↦ keep·x + weight·J(inner·x + shift) + offset."""

    J: Resolvent
    keep: float = 0.0
    weight: float = 1.0
    inner: float = 1.0
    shift: Array | float = field(default=0.0, metadata={"axes": "domain"})
    offset: Array | float = field(default=0.0, metadata={"axes": "domain"})

    def __call__(self, x: Array) -> Array:
        return self.keep * x + self.weight * self.J(self.inner * x + self.shift) + self.offset

    def derivative(self, x: Array) -> LinearOperator:
        D = self.J.derivative(self.inner * x + self.shift)
        return self.keep * Identity.like(D) + (self.weight * self.inner) * D

    def derivative_from(self, value: Array) -> LinearOperator | None:
        if not (self.keep == 0 and self.weight == 1 and isinstance(self.offset, float) and self.offset == 0):
            return None  # rounding may hide which value of J it is
        D = self.J.derivative_from(value)
        return None if D is None else self.inner * D

    def take(self, index: Array, shape: Shape) -> Transformed:
        shift, offset = (take_rows(v, index, shape) for v in (self.shift, self.offset))
        return Transformed(self.J.take(index, shape), self.keep, self.weight, self.inner, shift, offset)


class Around(MonotoneOperator):
    """An operator made of one other, `A`, on the same space."""

    A: MonotoneOperator

    @property
    def domain(self) -> Shape | None:
        return self.A.domain

    @property
    def rank(self) -> int:
        return self.A.rank

    def zero(self) -> Array | None:
        return self.A.zero()

    def arrange(self, x: Array) -> Array:
        return self.A.arrange(x)

    @property
    def is_gradient(self) -> bool:
        return self.A.is_gradient

    @property
    def takes_steps(self) -> bool:
        return self.A.takes_steps

    def is_known(self, fact: str) -> bool:
        return self.A.is_known(fact)


@dataclass(frozen=True, eq=False)
class Multiple(Around):
    """z ↦ factor · A(z), factor > 0. Made by `factor * A`."""

    factor: float
    A: MonotoneOperator

    @property
    def strong_monotonicity(self) -> float:
        return self.factor * self.A.strong_monotonicity

    @property
    def lipschitz(self) -> float:
        return self.factor * self.A.lipschitz

    @property
    def is_zero(self) -> bool:
        return self.A.is_zero

    @property
    def cocoercivity(self) -> float:
        return self.A.cocoercivity / self.factor

    def apply(self, x: Array) -> Array:
        return self.factor * self.A.apply(x)

    def derivative(self, x: Array) -> LinearOperator:
        return self.factor * self.A.derivative(x)

    def resolvent(self, step: float) -> Resolvent:
        return self.A.resolvent(require_step(step, self, "resolvent") * self.factor)

    def as_affine(self) -> Affine | None:
        A, c = self.A.as_affine(), self.factor
        return None if A is None else Affine(c * A.linear, c * A.b, claim=None if A.claim is None else c * A.claim)

    def _scaled(self, factor: float) -> MonotoneOperator:
        return factor * self.factor * self.A

    def take(self, index: Array, shape: Shape) -> Multiple:
        return Multiple(self.factor, self.A.take(index, shape))


@dataclass(frozen=True, eq=False)
class Translated(Around):
    """z ↦ A(z - center). Made by `A.translate(center)`."""

    A: MonotoneOperator
    center: Array = field(metadata={"axes": "domain"})

    @property
    def strong_monotonicity(self) -> float:
        return self.A.strong_monotonicity

    @property
    def lipschitz(self) -> float:
        return self.A.lipschitz

    @property
    def cocoercivity(self) -> float:
        return self.A.cocoercivity

    def apply(self, x: Array) -> Array:
        return self.A.apply(x - self.center)

    def derivative(self, x: Array) -> LinearOperator:
        return self.A.derivative(x - self.center)

    def resolvent(self, step: float) -> Resolvent:
        return Transformed(self.A.resolvent(step), shift=-self.center, offset=self.center)

    def as_affine(self) -> Affine | None:
        A = self.A.as_affine()
        return None if A is None else Affine(A.linear, A.b + A.linear.apply(self.center), claim=A.claim)

    def take(self, index: Array, shape: Shape) -> Translated:
        return Translated(self.A.take(index, shape), take_rows(self.center, index, shape))


@dataclass(frozen=True, eq=False)
class Perturbed(Around):
    """z ↦ A(z) + curvature·z + shift, curvature ≥ 0. Made by `A + c * Identity(...)` and `A + v`.

    Its resolvent is that of A at step/(1 + step·curvature), of (x - step·shift)/(1 + step·curvature).
    """

    A: MonotoneOperator
    curvature: float = 0.0
    shift: Array | float = field(default=0.0, metadata={"axes": "domain"})

    @property
    def strong_monotonicity(self) -> float:
        return self.A.strong_monotonicity + self.curvature

    @property
    def lipschitz(self) -> float:
        return self.A.lipschitz + self.curvature

    @property
    def cocoercivity(self) -> float:
        together = in_parallel(self.A.cocoercivity, 1 / self.curvature if self.curvature else math.inf)
        return max(together, super().cocoercivity)

    def apply(self, x: Array) -> Array:
        return self.A.apply(x) + self.curvature * x + self.shift

    def derivative(self, x: Array) -> LinearOperator:
        D = self.A.derivative(x)
        return D + self.curvature * Identity.like(D)

    def resolvent(self, step: float) -> Resolvent:
        shrink = 1 / (1 + require_step(step, self, "resolvent") * self.curvature)
        return Transformed(self.A.resolvent(step * shrink), inner=shrink, shift=-step * shrink * self.shift)

    def as_affine(self) -> Affine | None:
        A = self.A.as_affine()
        if A is None:
            return None
        claim = None if A.claim is None else A.claim + self.curvature
        return Affine(A.linear + self.curvature * Identity.like(A.linear), A.b - self.shift, claim=claim)

    def take(self, index: Array, shape: Shape) -> Perturbed:
        return Perturbed(self.A.take(index, shape), self.curvature, take_rows(self.shift, index, shape))


@dataclass(frozen=True, eq=False)
class Inverse(Around):
    """A⁻¹. Made by `A.inverse()`.

    Its resolvent is x - step·J(x/step) with J that of A at 1/step (Bauschke & Combettes 2017, Moreau's identity).
    A β-cocoercive makes A⁻¹ β-strongly monotone (β = m/L² if no more is known), A m-strongly monotone makes it
    m-cocoercive and 1/m-Lipschitz.
    """

    A: MonotoneOperator

    @property
    def strong_monotonicity(self) -> float:
        return self.A.cocoercivity if self.A.cocoercivity < math.inf else 0.0

    @property
    def lipschitz(self) -> float:
        m = self.A.strong_monotonicity
        return 1 / m if m > 0 else math.inf

    @property
    def cocoercivity(self) -> float:
        # ⟨u - v, x - y⟩ ≥ m‖x - y‖² for u ∈ A(x), v ∈ A(y), read from A⁻¹(u) = x.
        return max(self.A.strong_monotonicity, super().cocoercivity)

    def is_known(self, fact: str) -> bool:
        return self.A.is_known("strong_monotonicity") and self.A.is_known("lipschitz")

    def inverse(self) -> MonotoneOperator:
        return self.A

    def resolvent(self, step: float) -> Resolvent:
        J = self.A.resolvent(1 / require_step(step, self, "resolvent"))
        return Transformed(J, keep=1.0, weight=-step, inner=1 / step)

    def take(self, index: Array, shape: Shape) -> Inverse:
        return Inverse(self.A.take(index, shape))
