"""The sorted l1 norm."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Self

from monops.arrays import Array, cast, descending, detach, floating, namespace, require_step
from monops.errors import OptionError, ShapeError
from monops.functions.base import Function
from monops.functions.chain import isotonic, sorted_down
from monops.functions.convex_set import rounding
from monops.functions.jacobians import PerSample, segment_mean, segments, take_along
from monops.functions.parameters import PARAMETER, require
from monops.linear import LinearOperator


@dataclass(frozen=True, eq=False)
class SortedL1(Function):
    """f(x) = Σ_k weights_k abs(x)_(k), where abs(x)_(k) is the k-th largest absolute value (SLOPE, OWL).

    The prox sorts, subtracts step·weights, makes the result decreasing by averages over blocks (isotonic regression, in
    about a dozen rounds with one wait for the device each), cuts it off at 0, and goes back to the order and the signs
    of x.

    Shapes: `x` (*batch, n), `weights` (n,).

    Args:
        weights: an array with n numbers in [0, ∞) that do not increase.

    Raises:
        OptionError: the weights are negative, infinite, or increase.
        ShapeError: they are not an array of one axis, or not as many as the entries of a point.

    Source:
        Bogdan, van den Berg, Sabatti, Su & Candès 2015, SLOPE: adaptive variable selection via convex optimization.

    Example:
        >>> import torch
        >>> f = SortedL1(torch.tensor([3.0, 1.0, 0.0]))
        >>> f.prox(torch.tensor([-4.0, 0.5, 5.0]), 1.0)
        tensor([-2.5000,  0.5000,  2.5000])
    """

    weights: Array = field(metadata=PARAMETER)
    axes: int = field(init=False, default=1)

    def __post_init__(self) -> None:
        super().__post_init__()
        weights = self.weights
        if isinstance(weights, float) or weights.ndim != 1:
            raise ShapeError(f"SortedL1 wants weights (n,), got shape {tuple(getattr(weights, 'shape', ()))}")
        require(self, (weights >= 0) & (weights < math.inf), "weights in [0, ∞)")
        require(self, weights[1:] <= weights[:-1], "weights that do not increase")

    def on_axes(self, axes: int) -> Self:
        if axes != 1:
            raise OptionError(f"SortedL1 is a function of one axis, got axes={axes}")
        return self

    def __call__(self, x: Array) -> Array:
        sizes = abs(self._fit(x))
        return (self.weights * descending(sizes)).sum(-1)

    def prox(self, x: Array, step: float) -> Array:
        step = require_step(step, self, "prox")
        ids, rank, sign = self._blocks(self._fit(x), step)
        levels = segment_mean(sign * x - step * self._ranked(x, rank), ids)
        return sign * namespace(x).where(~(levels < 0), levels, 0 * levels)

    def prox_derivative(self, x: Array, step: float) -> LinearOperator:
        step = require_step(step, self, "prox_derivative")
        ids, rank, sign = self._blocks(detach(self._fit(x)), step)
        levels = segment_mean(sign * detach(x) - step * self._ranked(x, rank), ids)
        return PerSample(_blockwise, (sign, cast(levels >= 0, x.dtype), ids), 1)

    def conjugate_value(self, y: Array) -> Array:
        xp, sizes = namespace(y), abs(self._fit(y))
        ordered = descending(sizes)
        excess = xp.cumsum(ordered - self.weights, -1)
        # Sums are larger than what `slack` measures, and so are their errors.
        room = rounding(y, 1) * xp.cumsum(ordered + self.weights, -1)
        return xp.where((excess > room).any(-1), math.inf, xp.where(excess == excess, 0.0, excess).sum(-1))

    def _fit(self, x: Array) -> Array:
        n = self.weights.shape[0]
        if floating(x).ndim and x.shape[-1] != n:
            raise ShapeError(f"SortedL1 has {n} weights, got points of length {x.shape[-1]}")
        return self._admit(x)

    def _blocks(self, x: Array, step: float) -> tuple[Array, Array, Array]:
        """Of each entry the number of its block, its rank, and its sign (1 at 0)."""
        xp, held = namespace(x), detach(x)
        sign = xp.where(held < 0, -1.0, xp.ones_like(held))
        order, rank = sorted_down(abs(held))
        jumps = isotonic(take_along(abs(held), order) - step * detach(self.weights))
        return take_along(segments(jumps), rank), rank, sign

    def _ranked(self, x: Array, rank: Array) -> Array:
        """The weight that each entry of x gets."""
        return take_along(self.weights + 0 * detach(x), rank)


def _blockwise(d: Array, sign: Array, is_kept: Array, ids: Array) -> Array:
    return sign * is_kept * segment_mean(sign * d, ids)
