"""Entropies: Σ x log x, and the Kullback-Leibler divergence from given numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from monops.arrays import Array, detach, namespace, xlogy
from monops.functions.activation import Expansion, householder, saturation
from monops.functions.base import Separable, total
from monops.functions.parameters import PARAMETER, require

_ITERATIONS = 4


@dataclass(frozen=True, eq=False)
class KullbackLeibler(Separable):
    """f(x) = Σ_i x_i log(x_i / base_i) - x_i + base_i on x ≥ 0, the divergence of x from `base`.

    The prox is base·exp(u) where u + (base/step) exp(u) = x/step, since f' = log(x / base): Lambert's function. That
    equation is solved to machine precision by a fixed number of iterations.

    Args:
        base: a number or an array, in (0, ∞).

    Raises:
        OptionError: `base` is not in (0, ∞).

    Source:
        Kullback & Leibler 1951, On information and sufficiency; Combettes & Pesquet 2007, A Douglas-Rachford splitting
        approach to nonsmooth convex variational signal recovery, for the prox.

    Example:
        >>> import torch
        >>> KullbackLeibler(2.0).prox(torch.tensor([-1.0, 2.0, 5.0]), 1.0)
        tensor([0.4631, 2.0000, 4.2469])
    """

    base: float | Array = field(default=1.0, metadata=PARAMETER)

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self, (self.base > 0) & (self.base < math.inf), "base in (0, ∞)")

    def conjugate_value(self, y: Array) -> Array:
        return total(self.base * namespace(y).expm1(self._admit(y)), self.axes)

    def _conjugate_prox(self, x: Array, step: float) -> Array:
        # With x' the prox of f in Moreau's identity, this is f'(x').
        return _log_ratio(self._admit(x), step * self.base)

    def _value(self, x: Array) -> Array:
        xp = namespace(x)
        return xp.where(x < 0, math.inf, xlogy(x, xp.where(x > 0, x, 1.0) / self.base) - x + self.base)

    def _prox(self, x: Array, step: float) -> Array:
        return self.base * namespace(x).exp(_log_ratio(x / step, self.base / step))

    def _prox_slope(self, x: Array, step: float) -> Array:
        p = self._prox(x, step)
        return p / (p + step)


@dataclass(frozen=True, eq=False)
class NegativeEntropy(Separable):
    """f(x) = Σ_i x_i log(x_i) on x ≥ 0, the negative of Shannon's entropy; f* = Σ_i exp(y_i - 1).

    The prox is exp(u - 1) where u + exp(u - 1)/step = x/step: Lambert's function, to machine precision.

    Source:
        Bauschke & Combettes 2017, Convex Analysis and Monotone Operator Theory in Hilbert Spaces.

    Example:
        >>> import torch
        >>> NegativeEntropy().prox(torch.tensor([-1.0, 1.0, 5.0]), 1.0)
        tensor([0.1200, 0.5671, 2.9263])
    """

    def conjugate_value(self, y: Array) -> Array:
        return total(namespace(y).exp(self._admit(y) - 1), self.axes)

    def _conjugate_prox(self, x: Array, step: float) -> Array:
        return _log_ratio(self._admit(x), step * math.exp(-1))

    def _value(self, x: Array) -> Array:
        xp = namespace(x)
        return xp.where(x < 0, math.inf, xlogy(x, xp.where(x > 0, x, 1.0)) * xp.where(x == x, 1.0, x))

    def _prox(self, x: Array, step: float) -> Array:
        return math.exp(-1) * namespace(x).exp(_log_ratio(x / step, math.exp(-1) / step))

    def _prox_slope(self, x: Array, step: float) -> Array:
        p = self._prox(x, step)
        return p / (p + step)


def _log_ratio(target: Array, factor: float | Array) -> Array:
    """The u with u + factor·exp(u) = target."""
    xp = namespace(target)
    held, constant = detach(target), detach(factor)
    log_factor = math.log(constant) if isinstance(constant, float) else xp.log(constant)
    u = -saturation(log_factor, -held)
    for _ in range(_ITERATIONS - 1):
        u = householder(u, _expansion(u, constant), held)
    # The last step is a series around a constant u: derivatives are right through it, see `Activation`.
    return householder(u, _expansion(u, factor), target)


def _expansion(u: Array, factor: float | Array) -> Expansion:
    e = factor * namespace(u).exp(u)
    return Expansion(u + e, 1 + e, 0.5 * e, e / 6)
