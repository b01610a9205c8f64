"""The Moreau envelope of a function, and the distance to a set."""

from __future__ import annotations

import math
from dataclasses import dataclass

from monops.arrays import Array, namespace, require_step
from monops.errors import OptionError
from monops.functions.algebra import Perturbed
from monops.functions.around import Around, is_between, weighted
from monops.functions.base import Function, indicator, total
from monops.functions.convex_set import dropped, norm
from monops.functions.structured import Structured
from monops.linear import LinearOperator


@dataclass(frozen=True, eq=False)
class MoreauEnvelope(Around):
    """e(x) = min_u f(u) + ‖u - x‖²/(2 scale), smooth; its prox at t moves x by t/(t + scale) of the way of f's.

    That is, to x + t/(t + scale) (p - x) with p the prox of f at t + scale. The gradient is (x - prox(x, scale))/scale
    with the prox of f. Of the indicator of a set C, with scale 1, it is ½ d_C². Made by `f.envelope(scale)`.

    Args:
        function: f.
        scale: in (0, ∞).

    Raises:
        OptionError: `scale` is not in (0, ∞), or `function` not convex.

    Source:
        Bauschke & Combettes 2017, Convex Analysis and Monotone Operator Theory in Hilbert Spaces.

    Example:
        >>> import torch
        >>> from monops.functions import L1
        >>> L1().envelope(1.0)(torch.tensor([3.0, 0.5]))  # the Huber function: 3 - 1/2, and 0.5²/2
        tensor(2.6250)
    """

    scale: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require_number("scale", "in (0, ∞)", is_between(self.scale, 0, math.inf))
        self._require_convex("since the envelope of another need not be smooth")

    @property
    def strong_convexity(self) -> float:
        m = self.function.strong_convexity
        return m / (1 + self.scale * m) if m < math.inf else 1 / self.scale

    @property
    def smoothness(self) -> float:
        L = self.function.smoothness
        return L / (1 + self.scale * L) if math.inf > L else 1 / self.scale

    def __call__(self, x: Array) -> Array:
        p = self.function.prox(x, self.scale)
        return self.function(p) + total((x - p) ** 2, self.axes) / (2 * self.scale)

    def gradient(self, x: Array) -> Array:
        return (x - self.function.prox(x, self.scale)) / self.scale

    def prox(self, x: Array, step: float) -> Array:
        whole = require_step(step, self, "prox") + self.scale
        return x + (step / whole) * (self.function.prox(x, whole) - x)

    def prox_derivative(self, x: Array, step: float) -> LinearOperator:
        whole = require_step(step, self, "prox_derivative") + self.scale
        return weighted(step / whole, self.function.prox_derivative(x, whole))

    def conjugate(self) -> Function:
        return _DualEnvelope(self.function.conjugate(), self.scale)


@dataclass(frozen=True, eq=False)
class _DualEnvelope(Perturbed):
    """The conjugate of an envelope, which knows its way back."""

    def conjugate(self) -> Function:
        return MoreauEnvelope(self.function.conjugate(), self.curvature)


@dataclass(frozen=True, eq=False)
class Distance(Around):
    """d(x) = min ‖x - u‖ over the u of a set; its prox at t goes t towards the projection, or up to it.

    Half of the square of d is `MoreauEnvelope(set, 1.0)`.

    Args:
        function: the indicator of the set.

    Raises:
        OptionError: `function` is not known to be an indicator, or not convex.

    Source:
        Bauschke & Combettes 2017, Convex Analysis and Monotone Operator Theory in Hilbert Spaces.

    Example:
        >>> import torch
        >>> from monops.functions import ReLU
        >>> Distance(ReLU()).prox(torch.tensor([-3.0, -4.0]), 2.5)
        tensor([-1.5000, -2.0000])
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.function.is_indicator:
            raise OptionError(f"Distance wants the indicator of a set, got {type(self.function).__name__}")
        self._require_convex("since other sets have no unique nearest points")

    def __call__(self, x: Array) -> Array:
        return dropped(norm(x - self.function.prox(x, 1.0), self.axes), self.axes)

    def prox(self, x: Array, step: float) -> Array:
        projected, share = self._parts(x, require_step(step, self, "prox"))[:2]
        return x + share * (projected - x)

    def prox_derivative(self, x: Array, step: float) -> LinearOperator:
        projected, share, distance = self._parts(x, require_step(step, self, "prox_derivative"))
        xp, one = namespace(x), namespace(x).ones_like(x)
        far = distance > step
        direction = (x - projected) / xp.where(far, distance, 1.0)
        # Of x - t (x - Px)/d: d has the gradient (x - Px)/d, and x - Px the derivative I - DP.
        inner = self.function.prox_derivative(x, 1.0)
        weight = xp.where(far, share, 0.0)
        return Structured((1 - share) * one, self.axes, (direction,), (weight,), inner, share)

    def conjugate_value(self, y: Array) -> Array:
        size = dropped(norm(y, self.axes), self.axes)
        # Rounding of a y of norm 1 does not put it outside.
        return self.function.conjugate()(y) + indicator(size > 1 + 1e3 * namespace(y).finfo(y.dtype).eps, size)

    def _parts(self, x: Array, step: float) -> tuple[Array, Array, Array]:
        """The projection of x, which share of the way to it the prox goes, and the distance."""
        where = namespace(x).where
        projected = self.function.prox(x, 1.0)
        distance = norm(x - projected, self.axes)
        far = distance > step
        return projected, where(far, step / where(far, distance, 1.0), 1.0 + 0 * distance), distance
