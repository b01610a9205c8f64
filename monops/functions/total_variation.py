"""Total variation along an axis."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from monops.arrays import Array, cast, concatenate, detach, epsilon, namespace, require_step
from monops.functions.base import Function, total
from monops.functions.chain import fuse
from monops.functions.jacobians import PerSample, segment_mean, segments
from monops.functions.parameters import PARAMETER, require, require_narrow
from monops.linear import LinearOperator


@dataclass(frozen=True, eq=False)
class TV1D(Function):
    """f(x) = weight·Σ_i abs(x_{i+1} - x_i) along the last axis of a point, summed over the others.

    The prox is exact but for rounding: about a dozen rounds (one wait for the device each) cut all signals of a batch
    at once into the stretches on which it is constant, each by some 10 n operations for a signal of n entries (see
    `monops.functions.chain.fuse`). Its derivative is the mean over each of these stretches.

    Args:
        weight: in [0, ∞); a number, or an array with one number for each signal: of length 1 on the last axis.
        axes: how many axes make a point, ≥ 1; the last of them is the signal's.

    Raises:
        OptionError: `weight` is not in [0, ∞), or `axes` is 0.
        ShapeError: `weight` differs within a signal.

    Source:
        Rudin, Osher & Fatemi 1992, Nonlinear total variation based noise removal algorithms; Hochbaum 2001, An
        efficient algorithm for image segmentation, Markov random fields and related problems.

    Example:
        >>> import torch
        >>> TV1D(1.0).prox(torch.tensor([0.0, 1.0, 5.0, 6.0]), 1.0)
        tensor([1., 1., 5., 5.])
    """

    weight: float | Array = field(default=1.0, metadata=PARAMETER)

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self, (self.weight >= 0) & (self.weight < math.inf) & (self.axes > 0), "weight in [0, ∞), axes ≥ 1")
        require_narrow(self, "weight", 1)

    def __call__(self, x: Array) -> Array:
        self._admit(x)
        return total(self.weight * abs(x[..., 1:] - x[..., :-1]), self.axes)

    def prox(self, x: Array, step: float) -> Array:
        price = require_step(step, self, "prox") * self.weight
        ids, jumps = self._stretches(x, price)
        xp = namespace(x)
        # The mean over a stretch of x, moved at both ends by the price of the jumps there.
        none = x[..., :1] * 0
        pull = xp.concatenate((jumps, none), -1) - xp.concatenate((none, jumps), -1)
        return segment_mean(x + price * pull, ids)

    def prox_derivative(self, x: Array, step: float) -> LinearOperator:
        price = require_step(step, self, "prox_derivative") * self.weight
        ids, _ = self._stretches(x, price)
        return PerSample(_average, (0 * detach(x), ids), self.axes)

    def conjugate_value(self, y: Array) -> Array:
        # y = Dᴴu for the differences D and a u with abs(u) ≤ weight: u is the sum of y so far, and ends at 0.
        xp = namespace(y)
        sums = xp.cumsum(self._admit(y), -1)
        room = 16 * epsilon(y.dtype) * (self.weight + xp.cumsum(abs(y), -1))  # which a subgradient may round to
        bound = concatenate([self.weight + 0 * sums[..., :-1], 0 * sums[..., -1:]])
        is_outside = abs(sums) > bound + room
        return total(xp.where(is_outside, math.inf, xp.where(y == y, 0.0, y)), self.axes)

    def _stretches(self, x: Array, price: float | Array) -> tuple[Array, Array]:
        """The number of each entry's constant stretch, and the signs of the jumps between stretches."""
        jumps = fuse(self._admit(x), detach(price), detach(price))
        return segments(jumps), cast(jumps, x.dtype)


def _average(d: Array, zero: Array, ids: Array) -> Array:
    return segment_mean(d + zero, ids)
