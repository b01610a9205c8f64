"""Translations of functions, and quadratic and linear terms added to them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from monops.arrays import Array, require_step
from monops.errors import OptionError
from monops.functions.around import Around, is_between, value_near
from monops.functions.base import Function, total
from monops.functions.convex_set import norm
from monops.functions.parameters import PARAMETER
from monops.functions.squared_l2 import SquaredL2
from monops.linear import Identity, LinearOperator


@dataclass(frozen=True, eq=False)
class Translated(Around):
    """f(x - center); its prox is center + prox of f at x - center. Made by `f.translate(center)`.

    Args:
        function: f.
        center: a number, or an array that broadcasts against points.

    Source:
        Bauschke & Combettes 2017, Convex Analysis and Monotone Operator Theory in Hilbert Spaces.

    Example:
        >>> import torch
        >>> from monops.functions import ReLU
        >>> ReLU().translate(1.0).prox(torch.tensor([3.0, -0.5]), 0.5)
        tensor([3., 1.])
    """

    center: float | Array = field(default=0.0, metadata=PARAMETER)

    @property
    def strong_convexity(self) -> float:
        return self.function.strong_convexity

    @property
    def smoothness(self) -> float:
        return self.function.smoothness

    @property
    def is_indicator(self) -> bool:
        return self.function.is_indicator

    def __call__(self, x: Array) -> Array:
        y = self._admit(x) - self.center
        return value_near(self.function, y, norm(x, self.axes) + norm(x - y, self.axes))

    def prox(self, x: Array, step: float) -> Array:
        return self.function.prox(self._admit(x) - self.center, require_step(step, self, "prox")) + self.center

    def prox_derivative(self, x: Array, step: float) -> LinearOperator:
        step = require_step(step, self, "prox_derivative")
        return self.function.prox_derivative(self._admit(x) - self.center, step)

    def gradient(self, x: Array) -> Array:
        return self.function.gradient(self._admit(x) - self.center)

    def affine_gradient(self) -> tuple[LinearOperator, Array] | None:
        known = self.function.affine_gradient()
        if known is None:
            return None
        Q, q = known
        return Q, q + Q.apply(0 * q + self.center)

    def conjugate(self) -> Function:
        return Perturbed(self.function.conjugate(), 0.0, self.center)


@dataclass(frozen=True, eq=False)
class Perturbed(Around):
    """f(x) + curvature/2 ‖x - center‖² + ⟨shift, x⟩; its prox is one of f. Made by `f.perturb(...)`.

    The prox at t is that of f at (x + t·curvature·center - t·shift)/(1 + t·curvature), step t/(1 + t·curvature).
    `f + SquaredL2(curvature)` is the case without center and shift.

    Args:
        function: f.
        curvature: a number in [0, ∞).
        shift: a number (for all entries), or an array that broadcasts against points.
        center: likewise.

    Raises:
        OptionError: `curvature` is not in [0, ∞).

    Source:
        Bauschke & Combettes 2017, Convex Analysis and Monotone Operator Theory in Hilbert Spaces.

    Example:
        >>> import torch
        >>> from monops.functions import L1
        >>> L1().perturb(1.0, center=2.0).prox(torch.tensor([4.0, 0.0]), 1.0)
        tensor([2.5000, 0.5000])
    """

    curvature: float = 0.0
    shift: float | Array = field(default=0.0, metadata=PARAMETER)
    center: float | Array = field(default=0.0, metadata=PARAMETER)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require_number("curvature", "in [0, ∞)", is_between(self.curvature, -math.inf, math.inf, least=0))

    @property
    def strong_convexity(self) -> float:
        return self.function.strong_convexity + self.curvature

    @property
    def smoothness(self) -> float:
        return self.function.smoothness + self.curvature

    def __call__(self, x: Array) -> Array:
        d = self._admit(x) - self.center
        return self.function(x) + total(0.5 * self.curvature * d * d + self.shift * x, self.axes)

    def prox(self, x: Array, step: float) -> Array:
        return self.function.prox(*self._argument(x, require_step(step, self, "prox")))

    def prox_derivative(self, x: Array, step: float) -> LinearOperator:
        at, inner = self._argument(x, require_step(step, self, "prox_derivative"))
        return (1 / (1 + step * self.curvature)) * self.function.prox_derivative(at, inner)

    def prox_derivative_from(self, p: Array, step: float) -> LinearOperator | None:
        shrink = 1 / (1 + step * self.curvature)
        D = self.function.prox_derivative_from(p, step * shrink)
        return None if D is None else shrink * D

    def gradient(self, x: Array) -> Array:
        return self.function.gradient(x) + self.curvature * (self._admit(x) - self.center) + self.shift

    def affine_gradient(self) -> tuple[LinearOperator, Array] | None:
        known = self.function.affine_gradient()
        if known is None:
            return None
        Q, q = known
        return Q + self.curvature * Identity.like(Q), q + self.curvature * self.center - self.shift

    def conjugate(self) -> Function:
        if self.curvature == 0:
            return Translated(self.function.conjugate(), self.shift)
        return super().conjugate()

    def conjugate_value(self, y: Array) -> Array:
        # That of f + curvature/2 ‖x‖² is the envelope of f*, and the rest a translation and a constant.
        dual, one = self.function.conjugate(), 0 * self._admit(y) + 1
        moved = y - self.shift + self.curvature * self.center
        if self.curvature == 0:
            return dual(moved)
        p = dual.prox(moved, self.curvature)
        distance = total((moved - p) ** 2, self.axes) / (2 * self.curvature)
        return dual(p) + distance - 0.5 * self.curvature * total(one * self.center**2, self.axes)

    def _argument(self, x: Array, step: float) -> tuple[Array, float]:
        shrink = 1 / (1 + step * self.curvature)
        moved = self._admit(x) + step * (self.curvature * self.center - self.shift)
        return shrink * moved, step * shrink


def add(f: Function, other: Function) -> Function:
    """f + other, where one of the two is a `SquaredL2` with a number as weight.

    Raises:
        OptionError: neither is.
    """
    for term, rest in ((other, f), (f, other)):
        if isinstance(term, SquaredL2) and isinstance(term.weight, float) and isinstance(rest, Function):
            if rest.axes != term.axes:
                raise OptionError(f"a sum wants terms on points of as many axes, got {rest.axes} and {term.axes}")
            return Perturbed(rest, term.weight)
    raise OptionError(
        f"the prox of {type(f).__name__} + {type(other).__name__} is not known: only SquaredL2 with a number as weight "
        "can be added; hand the two terms to a splitting method instead"
    )
