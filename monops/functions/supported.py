"""Functions of the entries on a support, with all others kept at zero."""

from __future__ import annotations

from dataclasses import dataclass, field

from monops.arrays import Array, namespace
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

    def _value(self, x: Array) -> Array:
        return namespace(x).where(self.mask == 1, self.function._value(x), indicator(x != 0, x))

    def _prox(self, x: Array, step: float) -> Array:
        # A product, not a choice, which is slower: so x is to be finite. The mask last: the memory order is that of x.
        return self.function.prox(x, step) * self.mask

    def _prox_slope(self, x: Array, step: float) -> Array:
        return self.function._prox_slope(x, step) * self.mask
