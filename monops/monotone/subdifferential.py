"""Subdifferentials of convex functions, and normal cones of sets."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, replace

import torch

from monops.arrays import Array, Shape, require_step
from monops.errors import OptionError
from monops.functions import Function
from monops.linear import LinearOperator
from monops.linear.memo import by_mode
from monops.monotone.affine import Affine
from monops.monotone.base import MonotoneOperator, Reflection, Resolvent


@dataclass(frozen=True, eq=False)
class Subdifferential(MonotoneOperator):
    """∂f, whose resolvent is the prox of f.

    Args:
        f: a proper closed convex function.

    Raises:
        OptionError: `f` is no function, or not convex.

    Example:
        >>> import torch
        >>> from monops.functions import L1
        >>> Subdifferential(L1()).resolvent(0.5)(torch.tensor([2.0, 0.2]))
        tensor([1.5000, 0.0000])
    """

    f: Function

    def __post_init__(self) -> None:
        if not isinstance(self.f, Function):
            raise OptionError(f"{type(self).__name__} wants a Function such as ReLU(), got {self.f!r}")
        if not self.f.is_convex:
            raise OptionError(
                f"{type(self).__name__} wants a convex function, since no other has a monotone subdifferential, "
                f"got {type(self.f).__name__}"
            )

    @property
    def rank(self) -> int:
        return self.f.axes

    @property
    def strong_monotonicity(self) -> float:
        return self.f.strong_convexity

    @property
    def lipschitz(self) -> float:
        return self.f.smoothness

    @property
    def is_zero(self) -> bool:
        return self.f.is_indicator and self.f.smoothness == 0  # that of the whole space

    @property
    def takes_steps(self) -> bool:
        return self.f.takes_steps

    @property
    def is_gradient(self) -> bool:
        return True

    def apply(self, x: Array) -> Array:
        return self.f.gradient(x)

    def derivative(self, x: Array) -> LinearOperator:
        return replace(super().derivative(x), known_symmetric=True)  # type: ignore[type-var]  # a Hessian

    def as_affine(self) -> Affine | None:
        known = self.f.affine_gradient()
        return None if known is None else Affine(*known)

    def resolvent(self, step: float) -> ProxResolvent:
        return ProxResolvent(self.f, require_step(step, self, "resolvent"))

    def inverse(self) -> Subdifferential:
        return Subdifferential(self.f.conjugate())

    def take(self, index: Array, shape: Shape) -> MonotoneOperator:
        _require_shared(self.f)
        return self


@dataclass(frozen=True, eq=False)
class NormalCone(Subdifferential):
    """The normal cone of a closed convex set, given as its indicator function; the resolvent projects.

    Raises:
        OptionError: `f` is not an indicator.

    Example:
        >>> import torch
        >>> from monops.functions import Box
        >>> NormalCone(Box(0.0, 1.0)).resolvent(1.0)(torch.tensor([-3.0, 0.4]))
        tensor([0.0000, 0.4000])
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.f.is_indicator:
            raise OptionError(f"NormalCone wants the indicator of a set, got {type(self.f).__name__}")


@dataclass(frozen=True, eq=False)
class ProxResolvent(Resolvent):
    """x ↦ prox of step·f at x."""

    f: Function
    step: float

    def __call__(self, x: Array) -> Array:
        if torch.compiler.is_compiling():
            return self.f.prox(x, self.step)
        return by_mode(self, "prox", lambda: self.f.prox_at(self.step))(x)

    def derivative(self, x: Array) -> LinearOperator:
        return self.f.prox_derivative(x, self.step)

    def derivative_from(self, value: Array) -> LinearOperator | None:
        return self.f.prox_derivative_from(value, self.step)

    def reflected(self) -> Resolvent:
        return ProxReflection(self)

    def take(self, index: Array, shape: Shape) -> ProxResolvent:
        _require_shared(self.f)
        return self


@dataclass(frozen=True, eq=False)
class ProxReflection(Reflection):
    """x ↦ 2 prox(x) - x, by the function's own formula."""

    J: ProxResolvent

    def __call__(self, x: Array) -> Array:
        if torch.compiler.is_compiling():
            return super().__call__(x)
        return by_mode(self, "reflection", lambda: self.J.f.reflection_at(self.J.step))(x)

    def take(self, index: Array, shape: Shape) -> ProxReflection:
        return ProxReflection(self.J.take(index, shape))


def _require_shared(f: Function) -> None:
    """Raise where a parameter of f may belong to single samples: it has more axes than one point."""
    for item in dataclasses.fields(f):
        value = getattr(f, item.name)
        own = item.metadata.get("axes")  # arrays with axes of their own (a matrix, say) say how many
        for part in value if isinstance(value, tuple) else (value,):
            if isinstance(part, Function):
                _require_shared(part)
            elif getattr(part, "ndim", 0) > (own if isinstance(own, int) else f.axes) or getattr(part, "batch", ()):
                raise NotImplementedError(f"{type(f).__name__} has parameters for single samples")
