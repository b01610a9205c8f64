"""The function that the exponential linear unit belongs to."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from monops.arrays import Array, clip, namespace, xlogy
from monops.functions.base import Separable, total
from monops.functions.exponential import solve_exponential
from monops.functions.parameters import PARAMETER, require


@dataclass(frozen=True, eq=False)
class ELU(Separable):
    """f(x) = Σ_i φ(x_i), φ(x) = (x+α) log(1+x/α) - x - x²/2 on [-α, 0], 0 for x > 0: for the ELU.

    The prox at step 1 is x where x > 0, else α (exp(x) - 1); at others it is found to machine precision.

    Args:
        alpha: α, a number or an array, in (0, 1]; for larger ones the ELU is not nonexpansive, so no prox.

    Raises:
        OptionError: `alpha` is not in (0, 1].

    Source:
        Combettes & Pesquet 2020, Deep neural network structures solving variational inequalities.

    Example:
        >>> import torch
        >>> ELU().prox(torch.tensor([-1.0, 3.0]), 1.0)
        tensor([-0.6321,  3.0000])
    """

    alpha: float | Array = field(default=1.0, metadata=PARAMETER)

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self, (self.alpha > 0) & (self.alpha <= 1), "alpha in (0, 1]")

    def conjugate_value(self, y: Array) -> Array:
        # For y = u - x < 0 with x = α (exp(u) - 1), f*(y) = x y - φ(x); for y = 0 it is 0, above ∞.
        xp = namespace(y)
        below = clip(self._admit(y), None, 0.0)
        u = solve_exponential(clip(below, None, -1e-300 if y.dtype == xp.float64 else -1e-38), 1.0, -self.alpha)
        x = self.alpha * xp.expm1(u)
        value = x * below - self._inside(x)
        return total(xp.where(y > 0, math.inf, xp.where(y == 0, 0 * y, value)), self.axes)

    def _value(self, x: Array) -> Array:
        xp = namespace(x)
        value = self._inside(-clip(clip(-x, None, self.alpha), 0.0, None))
        return xp.where(x < -self.alpha, math.inf, xp.where(x > 0, 0 * x, value))

    def _inside(self, x: Array) -> Array:
        """φ on [-α, 0]."""
        above = x + self.alpha
        return xlogy(above, above / self.alpha) - x - 0.5 * x * x

    def _prox(self, x: Array, step: float) -> Array:
        xp = namespace(x)
        return xp.where(x > 0, x, self.alpha * xp.expm1(self._argument(x, step)))

    def _prox_slope(self, x: Array, step: float) -> Array:
        xp = namespace(x)
        u = self._argument(x, step)
        slope = self.alpha * xp.exp(u)
        complement = (1 - self.alpha) - self.alpha * xp.expm1(u)
        p, q = 1 / max(1.0, step), min(1.0, step)
        inside = p * slope / (p * slope + q * complement)
        return xp.where(x >= 0, 0 * x + 1, inside)

    def _argument(self, x: Array, step: float) -> Array:
        """The u ≤ 0 with prox(x, step) = α (exp(u) - 1), for x ≤ 0: t u + (1 - t) α (exp(u) - 1) = x."""
        below = clip(x, None, 0.0)
        if step == 1:
            return below
        p, q = 1 / max(1.0, step), min(1.0, step)
        return clip(solve_exponential(below * p, q, (p - q) * self.alpha), None, 0.0)
