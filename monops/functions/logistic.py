"""The logistic loss."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from monops.arrays import Array, detach, namespace, sigmoid, softplus, xlogy
from monops.functions.activation import Expansion, householder, saturation
from monops.functions.base import Separable, total
from monops.functions.parameters import PARAMETER, greatest, require

_ITERATIONS = 5


@dataclass(frozen=True, eq=False)
class Logistic(Separable):
    """f(x) = Σ_i log(1 + exp(-label_i x_i)), the loss of logistic regression at scores x.

    The prox is u / label where u - step·label² / (1 + exp(u)) = label·x, which is solved to machine precision by a
    fixed number of iterations.

    Args:
        label: ±1, as a rule; a number or an array of numbers other than 0.

    Raises:
        OptionError: a label is 0 or not finite.

    Source:
        Cox 1958, The regression analysis of binary sequences.

    Example:
        >>> import torch
        >>> Logistic(torch.tensor([1.0, -1.0])).prox(torch.tensor([0.0, 0.0]), 1.0)
        tensor([ 0.4011, -0.4011])
    """

    label: float | Array = field(default=1.0, metadata=PARAMETER)

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self, (self.label != 0) & (abs(self.label) < math.inf), "finite labels other than 0")

    @property
    def smoothness(self) -> float:
        return 0.25 * greatest(self.label * self.label)

    def conjugate_value(self, y: Array) -> Array:
        # With p = -y/label the negative entropy of (p, 1 - p).
        p = -self._admit(y) / self.label
        where = namespace(y).where
        inside = where(p < 0, 0.0, where(p > 1, 1.0, p))
        value = xlogy(inside, inside) + xlogy(1 - inside, 1 - inside)
        return total(where((p < 0) | (p > 1), math.inf, value), self.axes)

    def _conjugate_prox(self, x: Array, step: float) -> Array:
        # With x' the prox of f in Moreau's identity, this is f'(x').
        u = _margin(self.label * self._admit(x) / step, self.label * self.label / step)
        return -self.label * sigmoid(-u)

    def gradient(self, x: Array) -> Array:
        return -self.label * sigmoid(-self.label * self._admit(x))

    def _value(self, x: Array) -> Array:
        return softplus(-self.label * x)

    def _prox(self, x: Array, step: float) -> Array:
        return _margin(self.label * x, step * self.label * self.label) / self.label

    def _prox_slope(self, x: Array, step: float) -> Array:
        tau = step * self.label * self.label
        u = _margin(self.label * x, tau)
        return 1 / (1 + tau * sigmoid(u) * sigmoid(-u))


def _margin(target: Array, tau: float | Array) -> Array:
    """The u with u - tau/(1 + exp(u)) = target.

    With u, -u is a solution for -target - tau, so that u ≥ 0 may be had. There 1/(1 + exp(u)) is exp(-u) up to a
    factor between ½ and 1: Lambert's function gives a start which is right up to log 2.
    """
    xp = namespace(target)
    held, constant = detach(target), detach(tau)
    is_negative = held < -0.5 * constant
    log_tau = math.log(constant) if isinstance(constant, float) else xp.log(constant)
    held = xp.where(is_negative, -constant - held, held)
    u = saturation(log_tau, held)
    u = xp.where(u > 0, u, 0.0)
    for _ in range(_ITERATIONS - 1):
        u = householder(u, _expansion(u, constant), held)
    # The last step is a series around a constant u: derivatives are right through it, see `Activation`.
    u = householder(u, _expansion(u, tau), xp.where(is_negative, -tau - target, target))
    return xp.where(is_negative, -u, u)


def _expansion(u: Array, tau: float | Array) -> Expansion:
    below, above = sigmoid(-u), sigmoid(u)
    slope = below * above
    return Expansion(
        u - tau * below, 1 + tau * slope, 0.5 * tau * slope * (below - above), tau * slope * (1 - 6 * slope) / 6
    )
