"""Indicators of convex sets: what a set provides, and what all of them share."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

from monops.arrays import Array, detach, epsilon, flatten_trailing, largest, namespace, require_step
from monops.functions.base import Function, indicator
from monops.functions.structured import dot
from monops.linear import LinearOperator


@dataclass(frozen=True, eq=False)
class ConvexSet(Function):
    """f(x) = 0 where x is in C, else ∞; the prox is the projection onto C, at every step.

    A new one gives `_project(x)`, `_projection_derivative(x)` and `_excess(x)`, by how much x misses the set, for one
    number a sample with an axis of length 1 for each axis of a point. Rounding errors of x do not put it outside: the
    excess may be up to `_slack(x)`.

    Args:
        axes: how many trailing axes make one point; the axes before them are batch.
    """

    takes_steps = True

    @property
    def is_indicator(self) -> bool:
        return True

    def __call__(self, x: Array) -> Array:
        x = self._admit(x)
        excess = dropped(self._excess(x), self.axes)
        return indicator(excess > dropped(self._slack(x), self.axes), excess)

    def prox(self, x: Array, step: float) -> Array:
        require_step(step, self, "prox")
        return self._project(self._admit(x))

    def prox_at(self, step: float) -> Callable[[Array], Array]:
        require_step(step, self, "prox")
        return lambda x: self._project(self._admit(x))

    def prox_derivative(self, x: Array, step: float) -> LinearOperator:
        require_step(step, self, "prox_derivative")
        return self._projection_derivative(self._admit(x))

    @abstractmethod
    def _project(self, x: Array) -> Array:
        """The point of C nearest to x."""

    @abstractmethod
    def _projection_derivative(self, x: Array) -> LinearOperator:
        """An element of Clarke's Jacobian of the projection."""

    @abstractmethod
    def _excess(self, x: Array) -> Array:
        """By how much x misses C: at most 0 inside. Shapes: (*batch, *domain) → (*batch, 1, …, 1)."""

    def _slack(self, x: Array) -> Array:
        """What rounding may add to the excess."""
        return slack(x, self.axes)


def norm(x: Array, axes: int) -> Array:
    """‖x‖ over the last `axes` axes, which stay as axes of length 1; its derivative at 0 is 0.

    Squares of very large and very small numbers neither overflow nor vanish, since the largest is divided out.
    """
    if axes == 0:
        return abs(x)
    if 0 in x.shape[x.ndim - axes :]:
        return dot(x, x, axes)
    xp, top = namespace(x), largest(abs(detach(x)), axes)
    scale = xp.where(top > 0, top, 1.0)
    scaled = x / scale
    square = dot(scaled, scaled, axes)
    return scale * xp.where(square == 0, 0.0, xp.sqrt(xp.where(square == 0, 1.0, square)))


def rounding(x: Array, axes: int) -> float:
    """A relative error that a sum over one point of `axes` axes may have."""
    return 8 * epsilon(x.dtype) * (2 + math.sqrt(math.prod(x.shape[x.ndim - axes :])))


def slack(x: Array, axes: int) -> Array:
    """How far rounding may have moved x, to which its infinite entries do not count: 0 or more, and finite."""
    held = detach(x)
    return rounding(x, axes) * norm(namespace(x).where(abs(held) < math.inf, held, 0.0), axes)


def dropped(values: Array, axes: int) -> Array:
    """One number a sample without its `axes` axes of length 1."""
    return flatten_trailing(values, axes)[..., 0] if axes else values


def flat_parameter(value: float | Array, axes: int) -> float | Array:
    """A parameter that broadcasts against points, as it broadcasts against flat ones."""
    if isinstance(value, float):
        return value
    if value.ndim < axes:
        value = value.reshape(*(1,) * (axes - value.ndim), *value.shape)
    return flatten_trailing(value, axes)
