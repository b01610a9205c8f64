"""The largest absolute value."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import partial

from monops.arrays import Array, cast, clip, detach, flatten_trailing, namespace, require_step
from monops.functions.base import Function
from monops.functions.chain import sorted_down
from monops.functions.jacobians import PerSample, take_along
from monops.functions.parameters import PARAMETER, require, require_narrow
from monops.linear import LinearOperator


@dataclass(frozen=True, eq=False)
class LInf(Function):
    """f(x) = weight·max_i abs(x_i); its prox cuts x off at the height θ with Σ_i max(abs(x_i) - θ, 0) = step·weight.

    By Moreau's identity that is x less its projection on a ball of the l1 norm, found by sorting.

    Args:
        weight: in [0, ∞); a number, or an array with one number for each point: of length 1 on the axes of a point.

    Raises:
        OptionError: `weight` is not in [0, ∞).
        ShapeError: `weight` differs within a point.

    Source:
        Duchi, Shalev-Shwartz, Singer & Chandra 2008, Efficient projections onto the l1-ball, figure 1.

    Example:
        >>> import torch
        >>> LInf(3.0).prox(torch.tensor([4.0, -3.0, 1.0]), 1.0)
        tensor([ 2., -2.,  1.])
    """

    weight: float | Array = field(default=1.0, metadata=PARAMETER)

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self, (self.weight >= 0) & (self.weight < math.inf), "weight in [0, ∞)")
        require_narrow(self, "weight", self.axes)

    def __call__(self, x: Array) -> Array:
        sizes = abs(flatten_trailing(self._admit(x), self.axes))
        largest = sizes.amax(-1) if hasattr(sizes, "amax") else sizes.max(-1, initial=0.0)
        return (self._flat_weight() * largest[..., None])[..., 0]

    def prox(self, x: Array, step: float) -> Array:
        step = require_step(step, self, "prox")
        height = self._height(self._admit(x), step)[0]
        flat = flatten_trailing(x, self.axes)
        xp = namespace(x)
        # Not by clip alone, whose derivative in the height would be lost on either library's account.
        cut = xp.where(flat > 0, height, -height)
        return xp.where(abs(flat) > height, cut, flat).reshape(x.shape)

    def prox_derivative(self, x: Array, step: float) -> LinearOperator:
        step = require_step(step, self, "prox_derivative")
        height, is_cut = self._height(self._admit(x), step)
        flat = flatten_trailing(x, self.axes)
        sign = cast(is_cut, x.dtype) * namespace(x).where(flat < 0, -1.0, namespace(x).ones_like(flat))
        count = clip((sign * sign).sum(-1)[..., None], 1.0, None)
        share = cast(height > 0, x.dtype) / count + 0 * sign
        return PerSample(partial(_share, axes=self.axes), (sign.reshape(x.shape), share.reshape(x.shape)), self.axes)

    def conjugate_value(self, y: Array) -> Array:
        xp, sizes = namespace(y), abs(flatten_trailing(self._admit(y), self.axes)).sum(-1)
        bound = (self._flat_weight() * xp.ones_like(sizes)[..., None])[..., 0]
        return xp.where(sizes > bound, math.inf, xp.where(sizes == sizes, 0.0, sizes))

    def _flat_weight(self) -> float | Array:
        weight = self.weight
        if isinstance(weight, float) or weight.ndim < self.axes:
            return weight if isinstance(weight, float) else weight.reshape(1)
        return flatten_trailing(weight, self.axes)[..., :1] if self.axes else weight[..., None]

    def _height(self, x: Array, step: float) -> tuple[Array, Array]:
        """θ (*batch, 1), and which entries (*batch, n) are above it."""
        xp = namespace(x)
        sizes = abs(flatten_trailing(x, self.axes))
        amount = step * self._flat_weight()
        held = detach(sizes)
        ranked = take_along(held, sorted_down(held)[0])
        counts = xp.cumsum(xp.ones_like(ranked), -1)
        heights = (xp.cumsum(ranked, -1) - amount) / counts
        is_above = ranked >= heights  # with equality, so that amount 0 gives the largest
        k = clip(cast(is_above, x.dtype).sum(-1)[..., None], 1.0, None)
        theta = (xp.where(is_above, ranked, 0 * ranked).sum(-1)[..., None] - amount) / k
        is_cut = (held > theta) | (held != held)
        k = clip(cast(is_cut, x.dtype).sum(-1)[..., None], 1.0, None)
        exact = (xp.where(is_cut, sizes, 0 * sizes).sum(-1)[..., None] - amount) / k
        # Without entries above it (amount 0) any height at the top will do.
        exact = xp.where(is_cut.any(-1)[..., None], exact, theta)
        return xp.where(exact > 0, exact, 0 * exact), is_cut


def _share(d: Array, sign: Array, share: Array, axes: int) -> Array:
    """d where nothing is cut; elsewhere the mean of sign·d over what is cut, with the sign."""
    pulled = sign * d
    mean = flatten_trailing(pulled, axes).sum(-1)
    return d - sign * pulled + sign * share * mean[(..., *(None,) * axes)]
