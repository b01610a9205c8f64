"""Multiples and rescalings of functions."""

from __future__ import annotations

import math
import numbers
from dataclasses import dataclass

from monops.arrays import Array, require_step
from monops.functions.around import Around, is_between, value_near
from monops.functions.base import Function
from monops.functions.convex_set import norm
from monops.linear import LinearOperator


@dataclass(frozen=True, eq=False)
class Multiple(Around):
    """factor · f(x); its prox at t is that of f at t·factor. Made by `factor * f`.

    Args:
        function: f.
        factor: in (0, ∞).

    Raises:
        OptionError: `factor` is not in (0, ∞).

    Source:
        Bauschke & Combettes 2017, Convex Analysis and Monotone Operator Theory in Hilbert Spaces.

    Example:
        >>> import torch
        >>> from monops.functions import L1
        >>> (2.0 * L1()).prox(torch.tensor([3.0, -0.5]), 0.5)
        tensor([2., 0.])
    """

    factor: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require_number("factor", "in (0, ∞)", is_between(self.factor, 0, math.inf))

    @property
    def strong_convexity(self) -> float:
        return self.factor * self.function.strong_convexity

    @property
    def smoothness(self) -> float:
        return self.factor * self.function.smoothness

    @property
    def is_indicator(self) -> bool:
        return self.function.is_indicator

    def __call__(self, x: Array) -> Array:
        return self.factor * self.function(x)

    def prox(self, x: Array, step: float) -> Array:
        return self.function.prox(x, require_step(step, self, "prox") * self.factor)

    def prox_derivative(self, x: Array, step: float) -> LinearOperator:
        return self.function.prox_derivative(x, require_step(step, self, "prox_derivative") * self.factor)

    def prox_derivative_from(self, p: Array, step: float) -> LinearOperator | None:
        return self.function.prox_derivative_from(p, step * self.factor)

    def gradient(self, x: Array) -> Array:
        return self.factor * self.function.gradient(x)

    def affine_gradient(self) -> tuple[LinearOperator, Array] | None:
        known = self.function.affine_gradient()
        return None if known is None else (self.factor * known[0], self.factor * known[1])

    def conjugate(self) -> Function:
        return Multiple(Rescaled(self.function.conjugate(), 1 / self.factor), self.factor)


@dataclass(frozen=True, eq=False)
class Rescaled(Around):
    """f(scale · x); its prox at t is that of f at scale·x and t·scale², over scale. Made by `f.rescale(scale)`.

    Args:
        function: f.
        scale: a number, not 0 and finite.

    Raises:
        OptionError: `scale` is 0 or not finite.

    Source:
        Bauschke & Combettes 2017, Convex Analysis and Monotone Operator Theory in Hilbert Spaces.

    Example:
        >>> import torch
        >>> from monops.functions import ReLU
        >>> ReLU().rescale(-1.0).prox(torch.tensor([3.0, -0.5]), 0.5)
        tensor([-0.0000, -0.5000])
    """

    scale: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        value = self.scale
        self._require_number("scale", "≠ 0", isinstance(value, numbers.Real) and 0 < abs(value) < math.inf)

    @property
    def strong_convexity(self) -> float:
        return self.scale**2 * self.function.strong_convexity

    @property
    def smoothness(self) -> float:
        return self.scale**2 * self.function.smoothness

    @property
    def is_indicator(self) -> bool:
        return self.function.is_indicator

    def __call__(self, x: Array) -> Array:
        y = self.scale * self._admit(x)
        return value_near(self.function, y, norm(y, self.axes))

    def prox(self, x: Array, step: float) -> Array:
        step = require_step(step, self, "prox") * self.scale**2
        return self.function.prox(self.scale * self._admit(x), step) / self.scale

    def prox_derivative(self, x: Array, step: float) -> LinearOperator:
        step = require_step(step, self, "prox_derivative") * self.scale**2
        return self.function.prox_derivative(self.scale * self._admit(x), step)

    def gradient(self, x: Array) -> Array:
        return self.scale * self.function.gradient(self.scale * self._admit(x))

    def affine_gradient(self) -> tuple[LinearOperator, Array] | None:
        known = self.function.affine_gradient()
        return None if known is None else (self.scale**2 * known[0], self.scale * known[1])

    def conjugate(self) -> Function:
        return Rescaled(self.function.conjugate(), 1 / self.scale)
