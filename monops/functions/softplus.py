"""The function that the softplus belongs to."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from monops.arrays import Array, clip, namespace, sigmoid, softplus, xlogy
from monops.functions.activation import Activation, Expansion, Weights, saturation
from monops.functions.base import total

# B₂ₖ / (2k + 1)! for k = 1, 2, …, with Bernoulli's numbers.
_BERNOULLI = (
    1 / 36,
    -1 / 3600,
    1 / 211680,
    -1 / 10886400,
    5 / 66 / math.factorial(11),
    -691 / 2730 / math.factorial(13),
    7 / 6 / math.factorial(15),
    -3617 / 510 / math.factorial(17),
)


@dataclass(frozen=True, eq=False)
class Softplus(Activation):
    """f(x) = Σ_i Li₂(exp(-x_i)) on x ≥ 0, with the dilogarithm Li₂: the function of the softplus.

    The prox at step 1 is log(1 + exp(x)); at others it is found to machine precision.
    f' = log(1 - exp(-x)).

    Source:
        Combettes & Pesquet 2020, Deep neural network structures solving variational inequalities.

    Example:
        >>> import torch
        >>> Softplus().prox(torch.tensor([-2.0, 0.0]), 1.0)
        tensor([0.1269, 0.6931])
    """

    _saturates: ClassVar[tuple[bool, bool]] = (True, False)

    def conjugate_value(self, y: Array) -> Array:
        # f'(x) = y at x = -log(1 - exp(y)).
        where = namespace(y).where
        below = where(self._admit(y) < 0, y, -1.0)
        x = -_log_complement(-below)
        value = where(y < 0, x * below - dilogarithm_exp(x), 0 * y)
        return total(where(y > 0, math.inf, value), self.axes)

    def _value(self, x: Array) -> Array:
        return namespace(x).where(x < 0, math.inf, dilogarithm_exp(clip(x, 0.0, None)))

    def _activation(self, u: Array) -> Array:
        return softplus(u)

    def _slopes(self, u: Array) -> tuple[Array, Array]:
        return sigmoid(u), sigmoid(-u)

    def _excess(self, u: Array) -> Array:
        return -softplus(-u)

    def _start(self, target: Array, weights: Weights) -> Array:
        p, q = weights
        if q < p:  # since u - softplus(u) = -softplus(-u), -u solves the mirrored equation
            return -self._start(-target, Weights(q, p))
        # softplus(-u) ≈ exp(-u) where u is not very negative; there softplus(-u) ≈ -u.
        where = namespace(target).where
        v = target / p
        u = where(target < -q, target / q, saturation(math.log((q - p) / p), v))
        return where(u < v, v, u)

    def _expansion(self, u: Array, weights: Weights) -> Expansion:
        xp = namespace(u)
        p, q = weights
        decay = xp.exp(-abs(u))
        positive = clip(u, 0.0, None)
        rest = xp.log1p(decay)
        slope = xp.where(u > 0, 1.0, decay) / (1 + decay)
        complement = xp.where(u > 0, decay, 1.0) / (1 + decay)
        bend = (p - q) * slope * complement
        return Expansion(
            p * (positive + rest) - q * (positive - u + rest),
            p * slope + q * complement,
            bend / 2,
            bend * (complement - slope) / 6,
        )


def dilogarithm_exp(x: Array) -> Array:
    """Li₂(exp(-x)) = Σ_n exp(-n x) / n² for x ≥ 0, to full relative accuracy.

    By Bernoulli's series Li₂(z) = w - w²/4 + Σ_k B₂ₖ w²ᵏ⁺¹ / (2k+1)! in w = -log(1-z), where z ≤
    1/2; else from Euler's Li₂(z) + Li₂(1-z) = π²/6 - log(z) log(1-z).

    Args:
        x: any array, with entries in [0, ∞).
    """
    xp = namespace(x)
    is_far = x > math.log(2.0)
    w = xp.where(is_far, -xp.log1p(-xp.exp(-clip(x, math.log(2.0), None))), x)
    square = w * w
    tail = 0 * w
    for coefficient in reversed(_BERNOULLI):
        tail = (tail + coefficient) * square
    series = w * (1 - w / 4 + tail)
    near = clip(x, None, math.log(2.0))
    return xp.where(is_far, series, math.pi**2 / 6 + xlogy(near, -xp.expm1(-near)) - series)


def _log_complement(x: Array) -> Array:
    """log(1 - exp(-x)) for x > 0, to full relative accuracy."""
    xp = namespace(x)
    far = xp.log1p(-xp.exp(-clip(x, math.log(2.0), None)))
    near = xp.log(-xp.expm1(-clip(x, None, math.log(2.0))))
    return xp.where(x > math.log(2.0), far, near)
