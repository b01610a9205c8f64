"""The function that the arctangent activation belongs to."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from monops.arrays import Array, namespace
from monops.functions.activation import Activation, Expansion, Weights, stationary
from monops.functions.base import total

_C = 2 / math.pi


@dataclass(frozen=True, eq=False)
class Arctan(Activation):
    """f(x) = Σ_i -(2/π) log cos(π x_i/2) - x_i²/2 on (-1, 1), for the activation (2/π) arctan(x).

    The prox at step 1 is (2/π) arctan(x), increasing with slope at most 2/π; at others it is found to machine
    precision. f is (π/2 - 1)-strongly convex, since f'' = (π/2)/cos²(π x/2) - 1.

    Source:
        Combettes & Pesquet 2020, Deep neural network structures solving variational inequalities.

    Example:
        >>> import torch
        >>> Arctan().prox(torch.tensor([-1.0, 0.0, 1e9]), 1.0)
        tensor([-0.5000,  0.0000,  1.0000])
    """

    _saturates: ClassVar[tuple[bool, bool]] = (False, False)
    _more_iterations: ClassVar[int] = 2

    @property
    def strong_convexity(self) -> float:
        return math.pi / 2 - 1

    def conjugate_value(self, y: Array) -> Array:
        # With y = u - x and x = (2/π) arctan(u), f*(y) = x u - x²/2 - log(1 + u²)/π.
        xp = namespace(y)
        u = self._solve(self._admit(y), stationary())
        x = _C * xp.arctan(u)
        return total(x * u - 0.5 * x * x - xp.log1p(u * u) / math.pi, self.axes)

    def _value(self, x: Array) -> Array:
        xp, size = namespace(x), abs(x)
        inside = xp.where(size < 1, size, 0.0)
        # cos(π x/2) as sin(π (1 - x)/2), for its digits next to 1.
        value = -_C * xp.log(xp.sin(0.5 * math.pi * (1 - inside))) - 0.5 * inside * inside
        return xp.where(size >= 1, math.inf, xp.where(size == size, value, size))

    def _activation(self, u: Array) -> Array:
        return _C * namespace(u).arctan(u)

    def _slopes(self, u: Array) -> tuple[Array, Array]:
        slope = _C / (1 + u * u)
        return slope, 1 - slope

    def _excess(self, u: Array) -> Array:
        return u - self._activation(u)

    def _start(self, target: Array, weights: Weights) -> Array:
        # With (2/π) arctan(u) ≈ u / (u + π/2) the equation is quadratic.
        xp = namespace(target)
        p, q = weights
        a, t = math.pi / 2, abs(target)
        # q u (u + a) + (p - q) u = t (u + a)
        b = t - (p - q) - q * a
        root = xp.sqrt(b * b + 4 * q * t * a)
        below = b < 0
        u = xp.where(below, 2 * t * a / (root - xp.where(below, b, -1.0)), (b + root) / (2 * q))
        return xp.sign(target) * u

    def _expansion(self, u: Array, weights: Weights) -> Expansion:
        p, q = weights
        c, square = p - q, 1 + u * u
        slope = _C / square
        return Expansion(
            q * u + c * self._activation(u),
            q + c * slope,
            -c * slope * (u / square),
            c * slope * ((3 - 4 / square) / square) / 3,
        )
