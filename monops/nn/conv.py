"""The monotone operator of one zero-padded convolution."""

from __future__ import annotations

import itertools
import math
import numbers
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from monops.arrays import Shape, check_array, full, standard
from monops.errors import OptionError
from monops.functions import Function, Separable, Supported
from monops.linear import CircularConv, Identity, LinearOperator, Restriction, padded_grid
from monops.nn.base import MonotoneLinear, draw_uniform, require_counts


class MonotoneConv(MonotoneLinear):
    """The map (z, x) ↦ M z - (U x + b), M = I - W, W = (1 - m) I - AᵀA + B - Bᵀ, for zero-padded convolutions.

    A = √|g| W_A / ‖W_A‖_F, so that g scales AᵀA, and B = h W_B / ‖W_B‖_F, with the Frobenius norms of the kernels:
    whatever the parameters are, I - W ⪰ m I.

    States live on a periodic grid which is larger than the image by twice the kernel's reach, and are kept at zero
    there (see `monops.linear.padded_grid`). So with R, which cuts out the image, M is R (m I + AᵀA - B + Bᵀ) Rᵀ: B acts
    as an ordinary zero-padded convolution, and A Rᵀ as the full one, whose output reaches beyond the image. Outputs are
    ordinary arrays of the image's size.

    Shapes: x (*batch, inputs, *size), output (*batch, channels, *size); A and B (channels, channels, *kernel), U
    (channels, inputs, *kernel), bias (channels); g and h are numbers.

    Args:
        inputs: number of input channels, ≥ 1.
        channels: number of hidden channels, ≥ 1.
        size: of the images: one to three numbers ≥ 1.
        kernel: odd; a number for all axes, or one for each.
        m: the strong monotonicity, > 0.
        bias: whether there is a b.
        device, dtype: of the parameters; float32 or float64.

    Raises:
        DTypeError: another dtype than float32 and float64.
        OptionError: an argument outside its range.

    Source: Winston & Kolter 2020, section 4.2; the normalisation is that of the code published with it.

    Example:
        >>> import torch
        >>> from monops.nn import Equilibrium
        >>> layer = Equilibrium(MonotoneConv(3, 8, (6, 7)))
        >>> layer(torch.ones(5, 3, 6, 7)).shape
        torch.Size([5, 8, 6, 7])
    """

    def __init__(
        self,
        inputs: int,
        channels: int,
        size: Sequence[int],
        *,
        kernel: int | Sequence[int] = 3,
        m: float = 1.0,
        bias: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(m)
        self._require_dtype(dtype)
        require_counts(self, inputs=inputs, channels=channels)
        self.inputs, self.channels = inputs, channels
        self.size, self.kernel = image_and_kernel(self, size, kernel)
        self.grid = padded_grid(self.size, self.kernel)
        options: dict[str, Any] = {"device": device, "dtype": dtype}
        self.A = nn.Parameter(torch.empty(channels, channels, *self.kernel, **options))
        self.B = nn.Parameter(torch.empty(channels, channels, *self.kernel, **options))
        self.U = nn.Parameter(torch.empty(channels, inputs, *self.kernel, **options))
        self.bias = nn.Parameter(torch.empty(channels, **options)) if bias else None
        self.g = nn.Parameter(torch.empty((), **options))
        self.h = nn.Parameter(torch.empty((), **options))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw all kernels anew, uniformly in ±1/√(inputs of one output); g = h = 1."""
        draw_uniform(self.A, self.B, self.U)
        if self.bias is not None:
            bound = math.prod(self.U.shape[1:]) ** -0.5
            nn.init.uniform_(self.bias, -bound, bound)
        nn.init.ones_(self.g)
        nn.init.ones_(self.h)

    def operator(self) -> LinearOperator:
        """M = I - W on the periodic grid, differentiable in A, B, g and h."""
        A = CircularConv(normalised(self.A, root(self.g)), self.grid)
        B = CircularConv(normalised(self.B, self.h), self.grid)
        I = Identity.like(A)  # noqa: E741
        W = (1 - self.m) * I - A.H @ A + B - B.H
        return I - W

    def inject(self, x: torch.Tensor) -> torch.Tensor:
        """U x + b, zero outside of the image. Shapes: (*batch, inputs, *size) → (*batch, channels, *grid)."""
        y = convolve(x, self.U, self.bias, (self.inputs, *self.size), "MonotoneConv")
        return self._frame().H(y)

    def confine(self, f: Function) -> Function:
        """The activation on the image, and zero around it."""
        f = f.on_axes(len(self.grid) + 1)
        if self.grid == self.size:
            return f
        return confined(f, image_mask(self.grid, self.size, reach(self.kernel), like=self.A))

    def extract(self, z: torch.Tensor) -> torch.Tensor:
        return standard(self._frame()(z), len(self.grid) + 1)

    def _frame(self) -> Restriction:
        spaces = (self.channels, *self.grid), (self.channels, *self.size), (0, *reach(self.kernel))
        return Restriction(*spaces, dtype=self.A.dtype, device=self.A.device)

    def extra_repr(self) -> str:
        bias = self.bias is not None
        return f"{self.inputs}, {self.channels}, size={self.size}, kernel={self.kernel}, m={self.m}, bias={bias}"


def image_and_kernel(owner: object, size: Sequence[int], kernel: int | Sequence[int]) -> tuple[Shape, Shape]:
    """Both as tuples, once it is certain that they are admissible."""
    name = type(owner).__name__
    if isinstance(size, numbers.Number):
        raise OptionError(f"{name} wants one size for each axis of an image, such as ({size},), got {size}")
    size = tuple(size)
    kernel = tuple(kernel) if isinstance(kernel, Sequence) else (kernel,) * len(size)
    if not 1 <= len(size) <= 3 or len(kernel) != len(size):
        raise OptionError(f"{name} wants 1 to 3 sizes, and a kernel of as many axes, got {size} and {kernel}")
    for what, sizes in (("size", size), ("kernel", kernel)):
        require_counts(owner, **{f"{what}[{i}]": n for i, n in enumerate(sizes)})
    if any(k % 2 == 0 for k in kernel):
        raise OptionError(f"{name} wants odd kernels, which have a centre, got {kernel}")
    return size, kernel


def reach(kernel: Shape) -> Shape:
    """How far a kernel reaches from its centre."""
    return tuple(k // 2 for k in kernel)


def root(g: torch.Tensor) -> torch.Tensor:
    """√|g|, with derivative 0 at 0."""
    size = g.abs()
    return torch.where(size > 0, torch.where(size > 0, size, 1.0).sqrt(), 0.0)


def normalised(weight: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    """The kernel with Frobenius norm |scale|; a kernel of zeros stays zero."""
    norm = torch.linalg.vector_norm(weight)
    return scale * (weight / torch.where(norm > 0, norm, 1.0))


def convolve(
    x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, wanted: Shape, what: str
) -> torch.Tensor:
    """The zero-padded convolution of images of shape `wanted`, stored in Fortran order as states are.

    Shapes: x (*batch, in, *size), weight (out, in, *kernel) → (*batch, out, *size).
    """
    check_array(x, wanted, weight.dtype, weight.device, what)
    batch, (inputs, *size), kernel = tuple(x.shape[: x.ndim - len(wanted)]), wanted, tuple(weight.shape[2:])
    count, outputs = math.prod(batch), weight.shape[0]
    columns = x.reshape(count, math.prod(wanted)).mT.reshape(*wanted, count)
    images = columns.permute(*reversed(range(1, len(wanted))), 0, -1)  # (*reversed size, inputs, batch)
    padded = nn.functional.pad(images, (0, 0, 0, 0, *(r for r in reach(kernel) for _ in range(2))))
    # All that the kernel sees from each point, so that the product comes out point by point, as a state is stored.
    shifted = [padded[_window(place, size)] for place in itertools.product(*map(range, kernel))]
    patches = torch.stack(shifted, len(size)).reshape(math.prod(size), len(shifted) * inputs, count)
    matrix = weight.movedim(1, -1).reshape(outputs, len(shifted) * inputs)
    y = torch.bmm(matrix.expand(len(patches), *matrix.shape), patches)
    if bias is not None:
        y = y + bias[:, None]
    y = y.reshape(*reversed(size), outputs, count)
    return y.permute(*reversed(range(y.ndim))).reshape(*batch, outputs, *size)


def _window(start: Shape, size: Sequence[int]) -> tuple[slice, ...]:
    """The window of this size from `start` on, of an array whose grid axes are reversed."""
    return tuple(slice(k, k + n) for k, n in reversed(list(zip(start, size, strict=True))))


def image_mask(grid: Shape, size: Shape, start: Shape, like: torch.Tensor) -> torch.Tensor:
    """One on the image and zero around it, an array of the grid's shape."""
    frame = Restriction(grid, size, start, dtype=like.dtype, device=like.device)
    return frame.H(full(size, 1.0, like.dtype, like.device))


def confined(f: Function, mask: torch.Tensor) -> Function:
    """The function f on the mask's ones, with zero kept elsewhere."""
    if not isinstance(f, Separable):
        raise OptionError(f"a convolution wants an elementwise activation such as ReLU(), got {f!r}")
    return Supported(f, mask)
