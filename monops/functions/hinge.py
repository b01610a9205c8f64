"""The hinge losses of support vector machines."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from monops.arrays import Array, cast, clip, namespace, relu
from monops.functions.base import Separable, total
from monops.functions.parameters import PARAMETER, greatest, require


@dataclass(frozen=True, eq=False)
class Hinge(Separable):
    """f(x) = Σ_i max(0, 1 - label_i x_i), the loss of support vector machines at scores x.

    The prox is x + label·clip((1 - label·x)/label², 0, step).

    Args:
        label: ±1, as a rule; a number or an array of numbers other than 0.

    Raises:
        OptionError: a label is 0 or not finite.

    Source:
        Cortes & Vapnik 1995, Support-vector networks.

    Example:
        >>> import torch
        >>> Hinge().prox(torch.tensor([-1.0, 0.75, 2.0]), 0.5)
        tensor([-0.5000,  1.0000,  2.0000])
    """

    label: float | Array = field(default=1.0, metadata=PARAMETER)

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self, (self.label != 0) & (abs(self.label) < math.inf), "finite labels other than 0")

    def conjugate_value(self, y: Array) -> Array:
        ratio = self._admit(y) / self.label
        return total(namespace(y).where((ratio < -1) | (ratio > 0), math.inf, ratio), self.axes)

    def _conjugate_prox(self, x: Array, step: float) -> Array:
        return -self.label * clip(1 / self.label * (step / self.label - self._admit(x)), 0.0, 1.0)

    def _value(self, x: Array) -> Array:
        return relu(1 - self.label * x)

    def _prox(self, x: Array, step: float) -> Array:
        where, margin = namespace(x).where, self.label * x
        corner = 1 / self.label + 0 * x
        short = margin <= 1 - step * self.label * self.label
        return where(margin >= 1, x, where(short, x + step * self.label, corner))

    def _prox_slope(self, x: Array, step: float) -> Array:
        margin = self.label * x
        return cast((margin >= 1) | (margin <= 1 - step * self.label * self.label), x.dtype)


@dataclass(frozen=True, eq=False)
class SquaredHinge(Separable):
    """f(x) = Σ_i max(0, 1 - label_i x_i)², the smooth relative of the hinge loss.

    The prox is x + 2 step·label·max(0, 1 - label·x)/(1 + 2 step·label²).

    Args:
        label: ±1, as a rule; a number or an array of numbers other than 0.

    Raises:
        OptionError: a label is 0 or not finite.

    Source:
        Cortes & Vapnik 1995, Support-vector networks, whose slack variables this squares.

    Example:
        >>> import torch
        >>> SquaredHinge().prox(torch.tensor([-1.0, 0.0, 2.0]), 0.5)
        tensor([0.0000, 0.5000, 2.0000])
    """

    label: float | Array = field(default=1.0, metadata=PARAMETER)

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self, (self.label != 0) & (abs(self.label) < math.inf), "finite labels other than 0")

    @property
    def smoothness(self) -> float:
        return 2 * greatest(self.label * self.label)

    def conjugate_value(self, y: Array) -> Array:
        ratio = self._admit(y) / self.label
        return total(namespace(y).where(ratio > 0, math.inf, ratio + 0.25 * ratio * ratio), self.axes)

    def gradient(self, x: Array) -> Array:
        return -2 * self.label * relu(1 - self.label * self._admit(x))

    def _value(self, x: Array) -> Array:
        return relu(1 - self.label * x) ** 2

    def _prox(self, x: Array, step: float) -> Array:
        factor = 2 * step * self.label
        pulled = (x + factor) / (1 + factor * self.label)
        return namespace(x).where(self.label * x < 1, pulled, x)

    def _prox_slope(self, x: Array, step: float) -> Array:
        inside = cast(self.label * x < 1, x.dtype)
        return inside / (1 + 2 * step * self.label * self.label) + (1 - inside)
