"""The function that the logistic sigmoid belongs to."""

from __future__ import annotations

import math
from dataclasses import dataclass

from monops.arrays import Array, clip, namespace, sigmoid, softplus, xlogy
from monops.functions.activation import Activation, Expansion, Weights, saturation, stationary
from monops.functions.base import total


@dataclass(frozen=True, eq=False)
class Sigmoid(Activation):
    """f(x) = Σ_i x_i log x_i + (1-x_i) log(1-x_i) - x_i²/2 on [0, 1], the function of the sigmoid.

    The prox at step 1 is 1/(1 + exp(-x)); at others it is found to machine precision.
    f is 3-strongly convex, since f'' = 1/(x(1-x)) - 1.

    Source:
        Combettes & Pesquet 2020, Deep neural network structures solving variational inequalities.

    Example:
        >>> import torch
        >>> Sigmoid().prox(torch.tensor([-2.0, 0.0]), 1.0)
        tensor([0.1192, 0.5000])
    """

    @property
    def strong_convexity(self) -> float:
        return 3.0

    def conjugate_value(self, y: Array) -> Array:
        # With y = u - x and x = σ(u), f*(y) = log(1 + exp(u)) - x²/2.
        u = self._solve(self._admit(y), stationary())
        return total(softplus(u) - 0.5 * sigmoid(u) ** 2, self.axes)

    def _value(self, x: Array) -> Array:
        inside = clip(x, 0.0, 1.0)
        value = xlogy(inside, inside) + xlogy(1 - inside, 1 - inside) - 0.5 * inside * inside
        return namespace(x).where(abs(x - 0.5) > 0.5, math.inf, value)

    def _activation(self, u: Array) -> Array:
        return sigmoid(u)

    def _slopes(self, u: Array) -> tuple[Array, Array]:
        slope = sigmoid(u) * sigmoid(-u)
        return slope, 1 - slope

    def _excess(self, u: Array) -> Array:
        return u - sigmoid(u)

    def _start(self, target: Array, weights: Weights) -> Array:
        # With σ(2w) = (1 + tanh(w)) / 2 the equation is 2 q w + (p - q)/2 tanh(w) = target - (p -
        # q)/2.
        xp = namespace(target)
        p, q = weights
        k = (p - q) / (4 * q)
        shifted = (target - (p - q) / 2) / (2 * q)
        a = abs(shifted)
        if q < p:
            w = 0.5 * saturation(math.log(4 * k), 2 * (a - k))
            least = a / (1 + k)
            w = xp.where(w < least, least, w)
        else:
            w = a - k * xp.tanh(a / (1 + k))
        return 2 * xp.sign(shifted) * w

    def _expansion(self, u: Array, weights: Weights) -> Expansion:
        p, q = weights
        x = sigmoid(u)
        slope = x * (1 - x)
        bend = (p - q) * slope
        return Expansion(
            q * u + (p - q) * x,
            p * slope + q * (1 - slope),
            bend * (0.5 - x),
            bend * (1 / 6 - slope),
        )
