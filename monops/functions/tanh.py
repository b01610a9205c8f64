"""The function that the hyperbolic tangent belongs to."""

from __future__ import annotations

import math
from dataclasses import dataclass

from monops.arrays import Array, clip, namespace, sigmoid, softplus, xlogy
from monops.functions.activation import Activation, Expansion, Weights, saturation, stationary
from monops.functions.base import total


@dataclass(frozen=True, eq=False)
class Tanh(Activation):
    """f(x) = Σ_i ((1+x_i) log(1+x_i) + (1-x_i) log(1-x_i) - x_i²) / 2 on [-1, 1], for tanh.

    The prox at step 1 is tanh; at others it is found to machine precision.

    Source:
        Combettes & Pesquet 2020, Deep neural network structures solving variational inequalities.

    Example:
        >>> import torch
        >>> Tanh().prox(torch.tensor([-9.0, 0.0, 0.5]), 1.0)
        tensor([-1.0000,  0.0000,  0.4621])
    """

    def conjugate_value(self, y: Array) -> Array:
        # With y = u - x and x = tanh(u), f*(y) = log cosh(u) - x²/2.
        u = self._solve(self._admit(y), stationary())
        x = namespace(y).tanh(u)
        return total(softplus(2 * u) - u - math.log(2.0) - 0.5 * x * x, self.axes)

    def _value(self, x: Array) -> Array:
        inside = clip(x, -1.0, 1.0)
        above, below = 1 + inside, 1 - inside
        value = 0.5 * (xlogy(above, above) + xlogy(below, below) - inside * inside)
        return namespace(x).where(abs(x) > 1, math.inf, value)

    def _activation(self, u: Array) -> Array:
        return namespace(u).tanh(u)

    def _slopes(self, u: Array) -> tuple[Array, Array]:
        return 4 * sigmoid(2 * u) * sigmoid(-2 * u), namespace(u).tanh(u) ** 2

    def _excess(self, u: Array) -> Array:
        # tanh(u) = u / (1 + r) with the continued fraction r = u²/(3 + u²/(5 + u²/(7 + …))), of
        # which seven terms give all digits of float64 for |u| ≤ 0.7.
        xp = namespace(u)
        square = u * u
        r = square / 15
        for k in (13, 11, 9, 7, 5, 3):
            r = square / (k + r)
        return xp.where(abs(u) < 0.7, u * r / (1 + r), u - xp.tanh(u))

    def _start(self, target: Array, weights: Weights) -> Array:
        xp = namespace(target)
        p, q = weights
        a = abs(target)
        if q < p:
            # 1 - tanh(u) ≈ 2 exp(-2u) unless u is small, and then u ≈ target.
            k = (p - q) / q
            u = 0.5 * saturation(math.log(4 * k), 2 * (a - (p - q)) / q)
            u = xp.where((a < 0.7) | (u < a), a, u)
        else:
            # The root of p u + (q - p) u³/3 = target for small u, tanh(u) = 1 for large u.
            m = math.sqrt((q - p) / p)
            u = (2 / m) * xp.sinh(xp.asinh((1.5 * m / p) * a) / 3)
            u = xp.where(u < a + (1 - p), u, a + (1 - p))
        return xp.sign(target) * u

    def _expansion(self, u: Array, weights: Weights) -> Expansion:
        xp = namespace(u)
        p, q = weights
        x = xp.tanh(u)
        square = x * x
        slope = 1 - square
        # For large steps u - tanh(u) carries the weight, so that it may not cancel.
        value = q * u + (p - q) * x if q <= 4 * p else p * x + q * self._excess(u)
        bend = (p - q) * slope
        return Expansion(value, p * slope + q * square, -x * bend, (2 / 3 - slope) * bend)
