"""Convolutions on a periodic grid."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

import torch

from monops.arrays import Array, DType, Shape, floating
from monops.errors import DTypeError, ShapeError
from monops.linear import fourier
from monops.linear.base import LinearOperator
from monops.linear.circulant import Circulant, ShiftInvariant, as_grid
from monops.linear.identity import Identity
from monops.linear.memo import remembered


@dataclass(frozen=True, eq=False)
class CircularConv(ShiftInvariant):
    """y[o, p] = Σ_{i, k} weight[o, i, k] x[i, p + k - c]: cross-correlation on a periodic grid, c the kernel's centre.

    The convention of `torch.nn.Conv1d`, 2d and 3d with circular padding. Multiples, adjoints, sums with each other and
    with the identity are of this kind again, and so are products where the larger kernel fits on the grid and takes
    fewer operations; other products and resolvents are `Circulant`: exact, one channel matrix a frequency.

    Shapes: `weight` (out, in, *kernel), the domain (in, *grid), the codomain (out, *grid).

    Args:
        weight: float32 or float64, one to three kernel axes of odd size, none larger than the grid's.
        grid: sizes of the grid.
        known_symmetric: the operator equals its adjoint, as the algebra knows of AᴴA.

    Raises:
        ShapeError: even kernels, kernels larger than the grid, or other numbers of axes.
        DTypeError: the weight is no tensor of float32 or float64.

    Source: Winston & Kolter 2020, section 4.2.

    Example:
        >>> import torch
        >>> A = CircularConv(torch.tensor([[[1.0, 0.0, 0.0]]]), (4,))
        >>> A(torch.tensor([[1.0, 2.0, 3.0, 4.0]]))
        tensor([[4., 1., 2., 3.]])
    """

    weight: torch.Tensor
    grid: Shape
    known_symmetric: bool = field(default=False, kw_only=True)

    def __post_init__(self) -> None:
        object.__setattr__(self, "grid", as_grid(self.grid, "CircularConv"))
        if not isinstance(self.weight, torch.Tensor):
            raise DTypeError(f"CircularConv wants a tensor as weight, got {type(self.weight).__name__}")
        kernel = tuple(floating(self.weight).shape[2:])
        if not (1 <= len(self.grid) <= 3 and len(kernel) == len(self.grid)):
            raise ShapeError(
                f"CircularConv wants a weight (out, in, *kernel) and a grid of the same 1 to 3 axes, "
                f"got {tuple(self.weight.shape)} and {self.grid}"
            )
        if 0 in self.weight.shape:
            raise ShapeError(f"CircularConv wants at least one channel, got a weight {tuple(self.weight.shape)}")
        if any(k % 2 == 0 or k > n for k, n in zip(kernel, self.grid, strict=True)):
            raise ShapeError(f"CircularConv wants odd kernels no larger than the grid, got {kernel} on {self.grid}")

    @property
    def domain(self) -> Shape:
        return (self.weight.shape[1], *self.grid)

    @property
    def codomain(self) -> Shape:
        return (self.weight.shape[0], *self.grid)

    @property
    def dtype(self) -> DType:
        return self.weight.dtype

    @property
    def device(self) -> torch.device:
        return self.weight.device

    @property
    def symmetric(self) -> bool:
        return self.known_symmetric

    @property
    def kernel(self) -> Shape:
        """Sizes of the kernel."""
        return tuple(self.weight.shape[2:])

    @property
    def circulant(self) -> Circulant:
        return remembered(self, "symbol", self._symbol, self.weight, uses=2)

    def _symbol(self) -> Circulant:
        waves = fourier.waves(self.kernel, self.grid, self.dtype, self.device)
        weight = self.weight.flatten(2).permute(2, 0, 1).flatten(1)
        real, imaginary = (waves.flatten(0, 1) @ weight).unflatten(0, (-1, 2)).unbind(1)
        symbol = torch.complex(real, imaginary).unflatten(1, self.weight.shape[:2])
        return Circulant(symbol, self.grid, known_symmetric=self.known_symmetric)

    @property
    def route(self) -> Literal["space", "frequency"]:
        """Whether `apply` computes in space or in the frequency domain: whichever takes fewer operations."""
        channels = self.weight.shape[0] + self.weight.shape[1]
        products = self.weight.shape[0] * self.weight.shape[1]
        # A multiplication and an addition for each of: kernel taps; the transforms of both ways; the symbol.
        # The library convolves float64 on the CPU about four times as slowly.
        is_slow = self.dtype == torch.float64 and self.device.type == "cpu"
        space = products * math.prod(self.kernel) * (4 if is_slow else 1)
        frequency = channels * fourier.cost(self.grid, self.device) + 2 * products
        return "space" if space <= frequency else "frequency"

    def pairing(self, x: Array, w: Array) -> Array:
        return super().pairing(x, w) if self.route == "frequency" else LinearOperator.pairing(self, x, w)

    def on_spectrum(self, y: torch.Tensor) -> torch.Tensor:
        return self.circulant.on_spectrum(y)

    def apply(self, x: Array) -> Array:
        if self.route == "frequency":
            return super().apply(x)
        batch = tuple(x.shape[: x.ndim - len(self.domain)])
        padding = [k // 2 for k in reversed(self.kernel) for _ in range(2)]
        padded = torch.nn.functional.pad(x.reshape(-1, *self.domain), padding, mode="circular")
        return correlate(padded, self.weight).reshape(*batch, *self.codomain)

    def adjoint(self) -> LinearOperator:
        axes = tuple(range(2, self.weight.ndim))
        return self._with(self.weight.transpose(0, 1).flip(axes), self.known_symmetric)

    def _plus(self, other: LinearOperator) -> LinearOperator:
        if isinstance(other, Identity):
            eye = torch.eye(len(self.weight), dtype=self.dtype, device=self.device)
            other = self._with((other.scale * eye)[(...,) + (None,) * len(self.grid)], True)
        if not isinstance(other, CircularConv) or other.grid != self.grid:
            return super()._plus(other)
        size = tuple(map(max, self.kernel, other.kernel))
        return self._with(self._within(size) + other._within(size), self.symmetric and other.symmetric)

    def _within(self, size: Shape) -> torch.Tensor:
        """The weight as that of a larger kernel, with zeros around it."""
        margins = [(n - k) // 2 for n, k in zip(size, self.kernel, strict=True)]
        return torch.nn.functional.pad(self.weight, [margin for margin in reversed(margins) for _ in range(2)])

    def _times(self, other: LinearOperator) -> LinearOperator:
        if not isinstance(other, CircularConv) or other.grid != self.grid or not self._is_product_in_space(other):
            return super()._times(other)
        # Σ_k self[k] other[d - k] for each offset d: the kernels of the right factor's inputs as a batch of images.
        images, kernel = other.weight.transpose(0, 1), self.weight.flip(tuple(range(2, self.weight.ndim)))
        margin = [k - 1 for k in reversed(self.kernel) for _ in range(2)]
        product = correlate(torch.nn.functional.pad(images, margin), kernel)
        return self._with(product.transpose(0, 1), self._is_adjoint_of(other))

    def _is_product_in_space(self, right: CircularConv) -> bool:
        """Whether the kernel of self @ right fits on the grid, and costs less than a product for each frequency."""
        size = [a + b - 1 for a, b in zip(self.kernel, right.kernel, strict=True)]
        frequencies, between = fourier.frequencies(self.grid), self.domain[0]
        # Multiplications for each pair of channels, with those of the symbol, which a larger kernel makes dearer.
        space = math.prod(self.kernel) * math.prod(right.kernel) * between + 2 * frequencies * math.prod(size)
        return all(k <= n for k, n in zip(size, self.grid, strict=True)) and space <= 4 * frequencies * between

    def _scaled(self, scalar: float | Array) -> LinearOperator:
        return self._with(scalar * self.weight, self.known_symmetric)

    def _with(self, weight: torch.Tensor, symmetric: bool) -> CircularConv:
        return CircularConv(weight, self.grid, known_symmetric=symmetric)


def padded_grid(image: Shape, kernel: Shape, stride: Shape = (), *, at_least: Shape = ()) -> Shape:
    """The grid on which circular operators act as zero-padded ones on an image, if zero is kept around it.

    With A a convolution, AᴴA reaches twice as far as A itself; so the smallest such grid is n + 2·(kernel // 2) along
    each axis. It is enlarged to a multiple of the stride, and to a size with small prime factors where it is so large
    that the FFT library computes the transform.

    Args:
        image: sizes of the image.
        kernel: odd sizes of the kernel.
        stride: of a convolution from this grid to a coarser one, ≥ 1; 1 unless given.
        at_least: sizes which the grid must have room for.

    Raises:
        ShapeError: not the same number of axes in all; an even kernel; a size or a stride below 1.

    Example:
        >>> padded_grid((32, 32), (3, 3)), padded_grid((9,), (5,), (4,)), padded_grid((509,), (3,))
        ((34, 34), (16,), (512,))
    """
    steps = stride or (1,) * len(image)
    least = at_least or (1,) * len(image)
    if not len(image) == len(kernel) == len(steps) == len(least):
        raise ShapeError(
            f"padded_grid wants as many sizes of the kernel, and strides, as of {image}: got {kernel}, {steps}"
        )
    if any(k % 2 == 0 for k in kernel) or min(*image, *kernel, *steps) < 1:
        raise ShapeError(
            f"padded_grid wants sizes ≥ 1, odd kernels and strides ≥ 1, got {tuple(image)}, {tuple(kernel)}, {steps}"
        )
    smallest = [max(n + 2 * (k // 2), a) for n, k, a in zip(image, kernel, least, strict=True)]
    return tuple(s * fourier.good_size(-(-n // s), s) for n, s in zip(smallest, steps, strict=True))


def correlate(x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Σ_{i, k} weight[o, i, k] x[b, i, p + k] for each p at which the kernel lies within the array.

    In the full precision of its arguments: the library's convolutions of float32 on CUDA, and their derivatives, round
    to the eleven bits of TF32 unless a global setting forbids it; so there it is one product.

    Shapes: x (batch, in, *size), weight (out, in, *kernel) → (batch, out, *(size - kernel + 1)).
    """
    if x.is_cuda and x.dtype == torch.float32:
        return one_product(x, weight)
    return _CONV[weight.ndim - 2](x, weight)


def one_product(x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """As `correlate`, by a matrix product with all that the kernel sees."""
    windows, axes = x, weight.ndim - 2
    for axis in range(axes):
        windows = windows.unfold(2 + axis, weight.shape[2 + axis], 1)
    seen = (1, *range(2 + axes, 2 + 2 * axes))
    return torch.tensordot(windows, weight, (seen, tuple(range(1, 2 + axes)))).movedim(-1, 1)


_CONV = {1: torch.nn.functional.conv1d, 2: torch.nn.functional.conv2d, 3: torch.nn.functional.conv3d}
