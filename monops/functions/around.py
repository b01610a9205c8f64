"""What functions made of one other function share."""

from __future__ import annotations

import math
import numbers
from dataclasses import dataclass, field, replace
from typing import Any, Self

from monops.arrays import Array, epsilon, namespace
from monops.errors import OptionError
from monops.functions.base import Function
from monops.functions.convex_set import dropped, norm, rounding
from monops.linear import Identity, LinearOperator


@dataclass(frozen=True, eq=False)
class Around(Function):
    """A function made of one other, `function`, whose points have the same axes."""

    function: Function
    axes: int = field(init=False, default=1)

    def __post_init__(self) -> None:
        if not isinstance(self.function, Function):
            raise OptionError(f"{type(self).__name__} wants a Function such as ReLU(), got {self.function!r}")
        object.__setattr__(self, "axes", self.function.axes)
        super().__post_init__()

    @property
    def takes_steps(self) -> bool:  # type: ignore[override]
        return self.function.takes_steps

    @property
    def is_convex(self) -> bool:
        return self.function.is_convex

    def on_axes(self, axes: int) -> Self:
        return replace(self, function=self.function.on_axes(axes))

    def _require_convex(self, reason: str) -> None:
        """Raise unless the function is convex."""
        if not self.function.is_convex:
            got = type(self.function).__name__
            raise OptionError(f"{type(self).__name__} wants a convex function, {reason}, got {got}")

    def _require_number(self, name: str, admissible: str, holds: bool) -> None:
        """Raise unless a field is a number in its range; make a plain float of it."""
        value = getattr(self, name)
        if not (isinstance(value, numbers.Real) and holds):
            raise OptionError(f"{type(self).__name__} wants a number {admissible} as {name}, got {value!r}")
        object.__setattr__(self, name, float(value))


def value_near(f: Function, y: Array, size: Array) -> Array:
    """f(y), where y is known up to rounding next to `size` (*batch, 1, …, 1) only.

    Where f(y) = ∞, but there is a point of the domain as near as that, this is the value there.
    """
    value, p = f(y), f.prox(y, epsilon(y.dtype) ** 2)
    is_near = dropped(norm(y - p, f.axes) <= rounding(y, f.axes) * size, f.axes)
    return namespace(y).where((value == math.inf) & is_near, f(p), value)


def weighted(factor: float | Array, op: LinearOperator) -> LinearOperator:
    """factor·op + (1 - factor)·I, for a number."""
    return factor * op + (1 - factor) * Identity.like(op)


def is_between(value: Any, low: float, high: float, least: float = -math.inf) -> bool:
    """Whether `value` is a number in (low, high) and at least `least`."""
    return isinstance(value, numbers.Real) and low < float(value) < high and float(value) >= least
