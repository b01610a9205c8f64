"""The monotone operator of several tiers of convolutions."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from monops.arrays import Shape, full, standard
from monops.errors import OptionError
from monops.functions import Function
from monops.linear import (
    CircularConv,
    LinearOperator,
    Restriction,
    StridedCircularConv,
    ZeroPad,
    multi_tier,
    padded_grid,
)
from monops.nn.base import MonotoneLinear, draw_uniform, require_counts
from monops.nn.conv import confined, convolve, image_and_kernel, image_mask, normalised, reach, root
from monops.spaces import BlockSpace


class MonotoneMultiTier(MonotoneLinear):
    """The map (z, x) ↦ M z - (U x + b) for several tiers of zero-padded convolutions, each coarser than the last.

    M = I - W is the paper's multi-tier operator (see `monops.linear.multi_tier`), with all kernels normalised: A_ii =
    √|g_i| W / ‖W‖_F, A_{i+1,i} = √|g_down_i| W / ‖W‖_F, B_ii = h_i W / ‖W‖_F. The input enters the first tier.

    The grid of each tier is periodic, larger than its image by twice the kernel's reach, and kept at zero there. From
    tier to tier images shrink by the stride: 32 → 16 → 8 on grids 34 → 18 → 10, where the strided convolution takes
    34 to 17, which is put into the 18 among zeros. Sampled are the points of the grid that are multiples of the stride
    s: of an image, which begins at the kernel's reach r, the points ⌈r/s⌉·s - r, ⌈r/s⌉·s - r + s, and so on. A state
    holds all tiers in one flat array; `split` cuts it up.

    Shapes: x (*batch, inputs, *size); output (*batch, channels[-1], *image), the image of the last tier.

    Args:
        inputs: number of input channels, ≥ 1.
        channels: number of channels of each tier, at least one tier.
        size: of the input images, one to three axes, divisible by the stride once for each tier but the last.
        kernel: odd; a number for all axes, or one for each.
        stride: from tier to tier, ≥ 1; a number for all axes, or one for each.
        m: the strong monotonicity, > 0.
        bias: whether there is a b.
        border: whether the output keeps the last tier's border of zeros, as in the code published with the paper,
            whose read-out layers are therefore larger (10 × 10 instead of 8 × 8 for images of 32 × 32).
        device, dtype: of the parameters; float32 or float64.

    Raises:
        DTypeError: another dtype than float32 and float64.
        OptionError: an argument outside its range, or a stride which does not divide the size of a tier.

    Source: Winston & Kolter 2020, section 4.3 and appendix D; the normalisation is that of the code published with it.

    Example:
        >>> import torch
        >>> from monops.nn import Equilibrium
        >>> linear = MonotoneMultiTier(3, (8, 16, 20), (12, 8))
        >>> [tuple(part) for part in linear.space.shapes]
        [(8, 14, 10), (16, 8, 6), (20, 5, 4)]
        >>> Equilibrium(linear)(torch.ones(5, 3, 12, 8)).shape
        torch.Size([5, 20, 3, 2])
    """

    def __init__(
        self,
        inputs: int,
        channels: Sequence[int],
        size: Sequence[int],
        *,
        kernel: int | Sequence[int] = 3,
        stride: int | Sequence[int] = 2,
        m: float = 1.0,
        bias: bool = True,
        border: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(m)
        self._require_dtype(dtype)
        channels = (channels,) if isinstance(channels, int) else tuple(channels)
        if not channels:
            raise OptionError("MonotoneMultiTier wants the channels of at least one tier, got none")
        require_counts(self, inputs=inputs, **{f"channels[{i}]": c for i, c in enumerate(channels)})
        size, self.kernel = image_and_kernel(self, size, kernel)
        self.stride = tuple(stride) if isinstance(stride, Sequence) else (stride,) * len(size)
        require_counts(self, **{f"stride[{i}]": s for i, s in enumerate(self.stride)})
        self.inputs, self.channels, self.border = inputs, channels, border
        self.images = _images(size, self.stride, len(channels))
        self.grids = self._grids()
        self.space = BlockSpace(tuple((c, *grid) for c, grid in zip(channels, self.grids, strict=True)))

        def kernels(pairs: Any) -> nn.ParameterList:
            options: dict[str, Any] = {"device": device, "dtype": dtype}
            return nn.ParameterList(torch.empty(out, into, *self.kernel, **options) for into, out in pairs)

        self.A = kernels(zip(channels, channels, strict=True))
        self.B = kernels(zip(channels, channels, strict=True))
        self.down = kernels(itertools.pairwise(channels))
        self.U = nn.Parameter(torch.empty(channels[0], inputs, *self.kernel, device=device, dtype=dtype))
        self.bias = nn.Parameter(torch.empty(channels[0], device=device, dtype=dtype)) if bias else None
        self.g = nn.Parameter(torch.empty(len(channels), device=device, dtype=dtype))
        self.g_down = nn.Parameter(torch.empty(len(channels) - 1, device=device, dtype=dtype))
        self.h = nn.Parameter(torch.empty(len(channels), device=device, dtype=dtype))
        self.reset_parameters()

    def _grids(self) -> list[Shape]:
        """Of all tiers, each with room for what the strided convolution makes of the one before."""
        grids: list[Shape] = []
        for i, image in enumerate(self.images):
            sampled = (
                tuple(a + n // s for a, n, s in zip(self._start, grids[-1], self.stride, strict=True)) if i else ()
            )
            stride = self.stride if i + 1 < len(self.images) else ()
            grids.append(padded_grid(image, self.kernel, stride, at_least=sampled))
        return grids

    @property
    def _start(self) -> Shape:
        """Where a sampled grid begins in the next tier's: its first point within the image is number ⌈reach/stride⌉."""
        return tuple(r - -(-r // s) for r, s in zip(reach(self.kernel), self.stride, strict=True))

    def reset_parameters(self) -> None:
        """Draw all kernels anew, uniformly in ±1/√(inputs of one output); all scales are 1."""
        draw_uniform(*self.A, *self.B, *self.down, self.U)
        if self.bias is not None:
            bound = math.prod(self.U.shape[1:]) ** -0.5
            nn.init.uniform_(self.bias, -bound, bound)
        for scale in (self.g, self.g_down, self.h):
            nn.init.ones_(scale)

    def operator(self) -> LinearOperator:
        """M = I - W on flat states, differentiable in all kernels and scales."""
        A = [CircularConv(normalised(w, s), grid) for w, s, grid in zip(self.A, root(self.g), self.grids, strict=True)]
        B = [CircularConv(normalised(w, s), grid) for w, s, grid in zip(self.B, self.h, self.grids, strict=True)]
        scales = root(self.g_down)
        return multi_tier(A, [self._coupling(i, scales[i]) for i in range(len(self.down))], B, m=self.m)

    def _coupling(self, i: int, scale: torch.Tensor) -> LinearOperator:
        """A_{i+1,i}: a strided convolution, put among zeros so that its samples within the image fill the next one."""
        C = StridedCircularConv(normalised(self.down[i], scale), self.grids[i], self.stride)
        whole = (self.channels[i + 1], *self.grids[i + 1])
        return ZeroPad(whole, C.codomain, (0, *self._start), dtype=C.dtype, device=C.device) @ C

    def inject(self, x: torch.Tensor) -> torch.Tensor:
        """U x + b in the first tier. Shapes: (*batch, inputs, *size) → (*batch, size of a state)."""
        y = convolve(x, self.U, self.bias, (self.inputs, *self.images[0]), "MonotoneMultiTier")
        rest = [full((1,) * (x.ndim - len(shape)) + shape, 0.0, y.dtype, y.device) for shape in self.space.shapes[1:]]
        return self.space.join([self._frame(0).H(y), *rest])

    def confine(self, f: Function) -> Function:
        """The activation on the images, and zero around them."""
        f, start = f.on_axes(1), reach(self.kernel)
        if self.grids == self.images:
            return f
        masks = [image_mask(g, n, start, like=self.U) for g, n in zip(self.grids, self.images, strict=True)]
        return confined(f, self.space.join([m.expand(s) for m, s in zip(masks, self.space.shapes, strict=True)]))

    def split(self, z: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """The images of all tiers, from a state. Shapes: (*batch, size of a state) → (*batch, channels, *image)."""
        return tuple(self._frame(i)(part) for i, part in enumerate(self.space.split(z)))

    def extract(self, z: torch.Tensor) -> torch.Tensor:
        last = self.space.split(z)[-1] if self.border else self.split(z)[-1]
        return standard(last, last.ndim - z.ndim + 1)

    def _frame(self, i: int) -> Restriction:
        spaces = self.space.shapes[i], (self.channels[i], *self.images[i]), (0, *reach(self.kernel))
        return Restriction(*spaces, dtype=self.U.dtype, device=self.U.device)

    def extra_repr(self) -> str:
        size, kernel = self.images[0], self.kernel
        return f"{self.inputs}, {self.channels}, size={size}, kernel={kernel}, stride={self.stride}, m={self.m}"


def _images(size: Shape, stride: Shape, tiers: int) -> list[Shape]:
    if len(stride) != len(size):
        raise OptionError(f"MonotoneMultiTier wants strides ≥ 1, one for each axis of {size}, got {stride}")
    images = [size]
    for _ in range(tiers - 1):
        if any(n % s for n, s in zip(images[-1], stride, strict=True)):
            raise OptionError(
                f"MonotoneMultiTier wants a size which the stride {stride} divides once for each tier but the last; "
                f"of {size} it leaves {images[-1]} in tier {len(images) - 1}"
            )
        images.append(tuple(n // s for n, s in zip(images[-1], stride, strict=True)))
    return images
