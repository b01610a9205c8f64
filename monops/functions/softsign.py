"""The function that the softsign (Elliot's activation) belongs to."""

from __future__ import annotations

import math
from dataclasses import dataclass

from monops.arrays import Array, clip, namespace
from monops.functions.base import Separable, total


@dataclass(frozen=True, eq=False)
class Softsign(Separable):
    """f(x) = Σ_i -abs(x_i) - log(1 - abs(x_i)) - x_i²/2 on (-1, 1), for the softsign x/(1 + abs(x)).

    The prox at step 1 is the softsign; at others its argument is the root of a quadratic equation.

    Source:
        Combettes & Pesquet 2020, Deep neural network structures solving variational inequalities.

    Example:
        >>> import torch
        >>> Softsign().prox(torch.tensor([-1.0, 0.0, 3.0]), 1.0)
        tensor([-0.5000,  0.0000,  0.7500])
    """

    def _conjugate_prox(self, x: Array, step: float) -> Array:
        # The prox of f at (x/step, 1/step) is the softsign of u, and f' there is u minus it, u²/(1 + u).
        u = _argument(abs(self._admit(x)) / step, 1 / step)
        return namespace(x).sign(x) * u * (u / (1 + u))

    def conjugate_value(self, y: Array) -> Array:
        # f'(x) = y at x = u/(1 + u) with u²/(1 + u) = y, so f*(y) = x y - f(x), where 1 - x = 1/(1 + u).
        xp = namespace(y)
        size = abs(self._admit(y))
        root = xp.sqrt(xp.where(size == 0, 1.0, size * size + 4 * size))
        u = xp.where(size == 0, 0 * size, 0.5 * (size + root))
        x = u / (1 + u)
        return total(x * size + x - xp.log1p(u) + 0.5 * x * x, self.axes)

    def _value(self, x: Array) -> Array:
        xp, size = namespace(x), abs(x)
        inside = xp.where(size < 1, size, 0.0)
        value = -inside - xp.log1p(-inside) - 0.5 * inside * inside
        return xp.where(size >= 1, math.inf, xp.where(size == size, value, size))

    def _prox(self, x: Array, step: float) -> Array:
        u = _argument(abs(x), step)
        return namespace(x).sign(x) * (u / (1 + u))

    def _prox_slope(self, x: Array, step: float) -> Array:
        u = _argument(abs(x), step)
        # p σ' / (p σ' + q (1 - σ')) with σ' = 1/(1 + u)².
        p, q = 1 / max(1.0, step), min(1.0, step)
        return p / (p + q * (u * (2 + u)))


def _argument(a: Array, step: float) -> Array:
    """The u ≥ 0 with p u/(1 + u) + q u²/(1 + u) = target: q u² + (p - target) u = target."""
    p, q = 1 / max(1.0, step), min(1.0, step)
    if step == 1:
        return a
    xp = namespace(a)
    target = clip(a * p, 0.0, None)
    b = target - p
    # The derivative of the root is finite where the square is 0, at target 0 and p = 0 only.
    root = xp.sqrt(clip(b * b + 4 * q * target, 1e-38, None))
    below = b < 0
    return xp.where(below, 2 * target / (root - xp.where(below, b, 0.0)), (b + root) / (2 * q))
