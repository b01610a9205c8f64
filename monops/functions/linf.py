"""The largest absolute value."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import partial

from monops.arrays import Array, cast, clip, detach, flatten_trailing, largest, namespace, require_step
from monops.functions.base import Function
from monops.functions.convex_set import flat_parameter
from monops.functions.jacobians import PerSample
from monops.functions.parameters import PARAMETER, require, require_narrow
from monops.functions.simplex import L1Ball, threshold
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
        top = largest(sizes)
        return (flat_parameter(self.weight, self.axes) * top)[..., 0]

    def prox(self, x: Array, step: float) -> Array:
        step = require_step(step, self, "prox")
        height = self._height(self._admit(x), step)[0]
        return clip(flatten_trailing(x, self.axes), -height, height).reshape(x.shape)

    def prox_derivative(self, x: Array, step: float) -> LinearOperator:
        step = require_step(step, self, "prox_derivative")
        height, is_cut = self._height(self._admit(x), step)
        flat = flatten_trailing(x, self.axes)
        sign = cast(is_cut, x.dtype) * namespace(x).where(flat < 0, -1.0, namespace(x).ones_like(flat))
        count = clip((sign * sign).sum(-1)[..., None], 1.0, None)
        share = cast(height > 0, x.dtype) / count + 0 * sign
        return PerSample(partial(_share, axes=self.axes), (sign.reshape(x.shape), share.reshape(x.shape)), self.axes)

    def conjugate_value(self, y: Array) -> Array:
        return L1Ball(self.weight, axes=self.axes)(y)

    def _height(self, x: Array, step: float) -> tuple[Array, Array]:
        """θ (*batch, 1), and which entries (*batch, n) are above it."""
        sizes = abs(flatten_trailing(x, self.axes))
        top = largest(sizes)
        tau, is_cut = threshold(sizes - detach(top), step * flat_parameter(self.weight, self.axes))
        height = tau + detach(top)
        # Without entries above it (weight 0) the height is at the top.
        height = namespace(x).where(is_cut.any(-1)[..., None], height, top)
        return namespace(x).where(height <= 0, 0 * height, height), is_cut


def _share(d: Array, sign: Array, share: Array, axes: int) -> Array:
    """d where nothing is cut; elsewhere the mean of sign·d over what is cut, with the sign."""
    pulled = sign * d
    mean = flatten_trailing(pulled, axes).sum(-1)
    return d - sign * pulled + sign * share * mean[(..., *(None,) * axes)]
