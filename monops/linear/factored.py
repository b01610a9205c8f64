"""An operator together with its factorisations, for whoever solves with it and its adjoint several times."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property

import torch

from monops.arrays import Array, Shape
from monops.linear.around import Around
from monops.linear.base import LinearOperator


@dataclass(frozen=True, eq=False)
class Factored(Around):
    """`op`, whose resolvents (one for each step), norm and monotonicity are kept from their first use on.

    They live as long as this object. The adjoint shares them: with F = Factored(op), `F.H.resolvent(step)` costs
    nothing once `F.resolvent(step)` is there. The factors are plain numbers, computed without gradients.
    Sums and products are those of `op`.

    Example:
        >>> import torch
        >>> from monops.linear import Dense
        >>> M = Factored(Dense(torch.eye(2)))
        >>> M.resolvent(1.0) is M.H.resolvent(1.0).H
        True
    """

    op: LinearOperator
    is_adjoint: bool = False
    factors: dict[float, LinearOperator] = field(default_factory=dict, repr=False, metadata={"memo": True})
    facts: dict[str, float] = field(default_factory=dict, repr=False, metadata={"memo": True})

    @cached_property
    def current(self) -> LinearOperator:
        """`op`, or its adjoint where this is the adjoint of a `Factored`."""
        return self.op.H if self.is_adjoint else self.op

    @property
    def domain(self) -> Shape:
        return self.op.codomain if self.is_adjoint else self.op.domain

    @property
    def codomain(self) -> Shape:
        return self.op.domain if self.is_adjoint else self.op.codomain

    def apply(self, x: Array) -> Array:
        return self.current.apply(x)

    def _plus(self, other: LinearOperator) -> LinearOperator:
        return self.current + other

    def _times(self, other: LinearOperator) -> LinearOperator:
        return self.current @ other

    def _rtimes(self, other: LinearOperator) -> LinearOperator:
        return other @ self.current

    def _scaled(self, scalar: float | Array) -> LinearOperator:
        return scalar * self.current

    def pairing(self, x: Array, w: Array) -> Array:
        return self.op.pairing(w, x) if self.is_adjoint else self.op.pairing(x, w)

    def adjoint(self) -> LinearOperator:
        return replace(self, is_adjoint=not self.is_adjoint)

    def resolvent(self, step: float) -> LinearOperator:
        if step not in self.factors:
            with torch.no_grad():
                self.factors[step] = self.op.resolvent(step)
        factor = self.factors[step]
        return factor.H if self.is_adjoint else factor

    def norm(self) -> float:
        return self._fact("norm")

    def monotonicity(self) -> float:
        return self._fact("monotonicity")

    def cocoercivity(self) -> float:
        return self._fact("cocoercivity")

    def _fact(self, name: str) -> float:
        if name not in self.facts:  # the same number for the adjoint
            self.facts[name] = getattr(self.op, name)()
        return self.facts[name]

    def to_dense(self) -> Array:
        return self.current.to_dense()

    def take(self, index: Array, shape: Shape) -> LinearOperator:
        return Factored(self.op.take(index, shape), self.is_adjoint)
