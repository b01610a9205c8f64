"""Functions of the entries on a support, with all others kept at zero."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch

from monops.arrays import Array, is_torch, namespace, to_numpy
from monops.errors import OptionError
from monops.functions.base import Separable, indicator
from monops.functions.parameters import PARAMETER, require


@dataclass(frozen=True, eq=False)
class Supported(Separable):
    """f(x) where x is zero wherever `mask` is, else ∞; the prox is mask · prox of f.

    With ReLU and a mask that is zero on a border, this makes a circular convolution on the larger grid act as a
    zero-padded one within the border.

    Assumes: points are finite; where one is not and the mask is zero, the prox is NaN.

    Args:
        function: f, which acts on each entry by itself.
        mask: ones and zeros, broadcast, aligned at the right, against the points.

    Raises:
        OptionError: `function` is not elementwise, or there is another number in the mask.

    Source:
        Winston & Kolter 2020, section 4.2: ReLU with its border kept at zero.

    Example:
        >>> import torch
        >>> from monops.functions import ReLU
        >>> Supported(ReLU(), torch.tensor([0.0, 1.0, 1.0])).prox(torch.tensor([3.0, 2.0, -1.0]), 1.0)
        tensor([0., 2., 0.])
    """

    function: Separable
    mask: Array = field(metadata=PARAMETER)
    axes: int = field(init=False, default=1)

    def __post_init__(self) -> None:
        if not isinstance(self.function, Separable):
            raise OptionError(f"Supported wants an elementwise function such as ReLU(), got {self.function!r}")
        object.__setattr__(self, "axes", self.function.axes)
        super().__post_init__()
        require(self, (self.mask == 0) | (self.mask == 1), "a mask of zeros and ones")

    @property
    def takes_steps(self) -> bool:  # type: ignore[override]
        return self.function.takes_steps

    @property
    def is_indicator(self) -> bool:
        return self.function.is_indicator

    @property
    def is_convex(self) -> bool:
        return self.function.is_convex

    @property
    def strong_convexity(self) -> float:
        return self.function.strong_convexity

    def on_axes(self, axes: int) -> Supported:
        return Supported(self.function.on_axes(axes), self.mask)

    def reflection_at(self, step: float) -> Callable[[Array], Array]:
        """That of the function, and x ↦ -x where the mask is zero: that is a small part of most arrays."""
        inner, plain = self.function.reflection_at(step), super().reflection_at(step)
        negate_outside = _outside(self.mask) if is_torch(self.mask) else None
        if negate_outside is None:
            return plain
        shape = self.mask.shape

        def reflection(x: Array) -> Array:
            if x.shape[x.ndim - len(shape) :] != shape:
                return plain(x)
            y = inner(x)
            return plain(x) if y is x else negate_outside(y, x)

        return reflection

    def _value(self, x: Array) -> Array:
        return namespace(x).where(self.mask == 1, self.function._value(x), indicator(x != 0, x))

    def _prox(self, x: Array, step: float) -> Array:
        # A product, not a choice, which is slower: so x is to be finite. The mask last: the memory order is that of x.
        return self.function.prox(x, step) * self.mask

    def _prox_slope(self, x: Array, step: float) -> Array:
        return self.function._prox_slope(x, step) * self.mask

    def _prox_slope_from(self, p: Array, step: float) -> Array | None:
        slope = self.function._prox_slope_from(p, step)
        return None if slope is None else slope * self.mask


def _outside(mask: torch.Tensor) -> Callable[[torch.Tensor, torch.Tensor], torch.Tensor] | None:
    """What writes -x into y wherever the mask is zero; None where that is neither around a box nor on a single axis."""
    try:
        inside = to_numpy(mask) == 1
    except RuntimeError:  # inside torch.func.vmap over masks, whose numbers cannot be read
        return None
    if inside.ndim == 1:
        index = torch.as_tensor(np.flatnonzero(~inside), device=mask.device)

        def negate_rows(y: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
            # Of rows, which are contiguous where the batch is innermost, as the library does not see by itself.
            y.movedim(-1, 0).index_copy_(0, index, -x.movedim(-1, 0).index_select(0, index))
            return y

        return negate_rows
    box: tuple[slice, ...] = ()
    parts = []
    for axis, n in enumerate(inside.shape):
        occupied = inside.any(tuple(other for other in range(inside.ndim) if other != axis))
        first, last = int(occupied.argmax()), n - int(occupied[::-1].argmax())
        rest = (slice(None),) * (inside.ndim - axis - 1)
        parts += [(..., *box, slice(*ends), *rest) for ends in ((0, first), (last, n)) if ends[0] < ends[1]]
        box = (*box, slice(first, last))

    def negate(y: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        for part in parts:
            y[part] = -x[part]
        return y

    return negate if inside[box].all() else None
