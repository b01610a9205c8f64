"""How functions are combined: the operators and methods that make functions of functions."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from monops.arrays import Array
from monops.linear import LinearOperator

if TYPE_CHECKING:
    from monops.functions.base import Function


class Combinable:
    """The algebra of functions. The classes that it makes are functions too, so they are imported when called for."""

    def __rmul__(self, factor: float) -> Function:
        """factor · f, for a number in (0, ∞)."""
        from monops.functions.scaled import Multiple

        return Multiple(_function(self), factor)

    __mul__ = __rmul__

    def __add__(self, other: Function) -> Function:
        """f + ½ρ‖·‖², for a `SquaredL2`; other sums have no prox in general."""
        from monops.functions.algebra import add

        return add(_function(self), other)

    def translate(self, center: Array | float) -> Function:
        """x ↦ f(x - center)."""
        from monops.functions.algebra import Translated

        return Translated(_function(self), center)

    def rescale(self, scale: float) -> Function:
        """x ↦ f(scale · x), scale ≠ 0."""
        from monops.functions.scaled import Rescaled

        return Rescaled(_function(self), scale)

    def perturb(self, curvature: float = 0.0, shift: Array | float = 0.0, *, center: Array | float = 0.0) -> Function:
        """x ↦ f(x) + curvature/2 ‖x - center‖² + ⟨shift, x⟩."""
        from monops.functions.algebra import Perturbed

        return Perturbed(_function(self), curvature, shift, center)

    def precompose(self, K: LinearOperator, offset: Array | float = 0.0) -> Function:
        """x ↦ f(K x + offset), for K with K Kᴴ = ν I."""
        from monops.functions.precomposed import Precomposed

        return Precomposed(_function(self), K, offset)

    def envelope(self, scale: float) -> Function:
        """The Moreau envelope x ↦ min_u f(u) + ‖u - x‖² / (2 scale)."""
        from monops.functions.envelope import MoreauEnvelope

        return MoreauEnvelope(_function(self), scale)


def _function(f: Combinable) -> Function:
    """f as what it is: only functions derive from `Combinable`."""
    return cast("Function", f)
