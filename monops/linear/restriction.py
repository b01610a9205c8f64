"""Cutting a box out of an array, and putting it back among zeros."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from monops.arrays import DEFAULT_DTYPE, Array, DType, Shape, as_device, as_dtype
from monops.errors import ShapeError
from monops.linear.base import LinearOperator
from monops.linear.identity import Identity


class _Box(LinearOperator):
    """The data of both: a box `inside` of an array of shape `whole`."""

    whole: Shape
    inside: Shape
    start: Shape
    dtype: DType
    device: torch.device

    def __post_init__(self) -> None:
        whole, inside = tuple(self.whole), tuple(self.inside)
        start = tuple(self.start) if self.start is not None else _centred(whole, inside)
        name = type(self).__name__
        if not len(whole) == len(inside) == len(start) or any(
            a < 0 or a + k > n for a, k, n in zip(start, inside, whole, strict=True)
        ):
            raise ShapeError(f"{name} wants a box within {whole}, got one of shape {inside} from {start} on")
        for key, value in (("whole", whole), ("inside", inside), ("start", start)):
            object.__setattr__(self, key, value)
        object.__setattr__(self, "dtype", as_dtype(self.dtype))
        object.__setattr__(self, "device", as_device(self.device))

    def norm(self) -> float:
        return 0.0 if 0 in self.inside else 1.0


@dataclass(frozen=True, eq=False)
class Restriction(_Box):
    """x ↦ the box of shape `inside` that begins at `start`. The adjoint puts the box among zeros.

    A zero-padded convolution is R C Rᴴ for a `CircularConv` C on a grid that is larger than the image by twice the
    kernel's reach, and the restriction R to the image (see `monops.linear.padded_grid`).

    Shapes: (*batch, *whole) → (*batch, *inside).

    Args:
        whole: the domain.
        inside: the codomain.
        start: where the box begins along each axis; in the middle unless given.
        dtype: of the states, PyTorch's default unless given; a NumPy dtype makes a NumPy operator.
        device: of the states.

    Raises:
        ShapeError: the box does not lie within the whole.

    Example:
        >>> import torch
        >>> R = Restriction((4,), (2,))
        >>> R(torch.tensor([1.0, 2.0, 3.0, 4.0])), R.H(torch.ones(2))
        (tensor([2., 3.]), tensor([0., 1., 1., 0.]))
    """

    whole: Shape
    inside: Shape
    start: Shape = None  # type: ignore[assignment]
    dtype: DType = field(default=DEFAULT_DTYPE, kw_only=True)
    device: torch.device = field(default=torch.device("cpu"), kw_only=True)

    @property
    def domain(self) -> Shape:
        return self.whole

    @property
    def codomain(self) -> Shape:
        return self.inside

    def apply(self, x: Array) -> Array:
        box: Any = (..., *(slice(a, a + k) for a, k in zip(self.start, self.inside, strict=True)))
        if not isinstance(x, torch.Tensor):
            return x[box]
        # Cut as it lies in memory, so that a derivative lies in the same order.
        order = sorted(range(x.ndim), key=x.stride, reverse=True)
        whole = [slice(None)] * (x.ndim - len(self.whole)) + list(box[1:])
        cut: torch.Tensor = x.permute(order)[tuple(whole[axis] for axis in order)]
        return cut.permute([order.index(axis) for axis in range(x.ndim)])

    def adjoint(self) -> LinearOperator:
        return ZeroPad(self.whole, self.inside, self.start, dtype=self.dtype, device=self.device)

    def _times(self, other: LinearOperator) -> LinearOperator:
        is_inverse = isinstance(other, ZeroPad) and (other.inside, other.start) == (self.inside, self.start)
        return Identity.like(other) if is_inverse else NotImplemented


@dataclass(frozen=True, eq=False)
class ZeroPad(_Box):
    """x ↦ an array of shape `whole`, zero but for x from `start` on. The adjoint is a `Restriction`.

    Shapes: (*batch, *inside) → (*batch, *whole).

    Args:
        whole: the codomain.
        inside: the domain.
        start: where x begins along each axis; in the middle unless given.
        dtype: of the states, PyTorch's default unless given; a NumPy dtype makes a NumPy operator.
        device: of the states.

    Raises:
        ShapeError: `inside` does not lie within the whole.

    Example:
        >>> import torch
        >>> ZeroPad((4,), (2,), (0,))(torch.ones(2))
        tensor([1., 1., 0., 0.])
    """

    whole: Shape
    inside: Shape
    start: Shape = None  # type: ignore[assignment]
    dtype: DType = field(default=DEFAULT_DTYPE, kw_only=True)
    device: torch.device = field(default=torch.device("cpu"), kw_only=True)

    @property
    def domain(self) -> Shape:
        return self.inside

    @property
    def codomain(self) -> Shape:
        return self.whole

    def apply(self, x: Array) -> Array:
        batch = x.ndim - len(self.inside)
        ends = [n - a - k for a, k, n in zip(self.start, self.inside, self.whole, strict=True)]
        pads = [(0, 0)] * batch + list(zip(self.start, ends, strict=True))
        if not isinstance(x, torch.Tensor):
            return np.pad(x, pads)
        # Padded as it lies in memory, so that the result lies in the same order.
        order = sorted(range(x.ndim), key=x.stride, reverse=True)
        flat = [n for axis in reversed(order) for n in pads[axis]]
        padded = torch.nn.functional.pad(x.permute(order), flat)
        return padded.permute([order.index(axis) for axis in range(x.ndim)])

    def adjoint(self) -> LinearOperator:
        return Restriction(self.whole, self.inside, self.start, dtype=self.dtype, device=self.device)


def _centred(whole: Shape, inside: Shape) -> Shape:
    return tuple((n - k) // 2 for n, k in zip(whole, inside, strict=False))
