"""Real Fourier transforms of states over a grid, on the half spectrum, with frequencies as the first axis.

A state (batch, channels, *grid) is stored in Fortran order, that of an array (*reversed grid, channels, batch). Its
spectrum is an array (frequencies, 2 · channels, batch): for each frequency the real parts of all channels, then the
imaginary ones. So a product with one complex matrix a frequency is a batched product of real matrices, and on up to two
axes nothing is ever permuted. The first grid axis is halved: it has n/2 + 1 frequencies; they vary slowest.

Two ways of computing it give the same numbers: along each axis a product with the DFT matrix, whose cost grows with
the side but which runs at the speed of matrix products, and the FFT library. The last 64 DFT matrices of each kind are
kept, for all who transform on grids of these sizes, and so are the waves that make a kernel's symbol.
"""

from __future__ import annotations

import math

import torch
from scipy import fft

from monops.arrays import Shape, may_write, parts
from monops.linear.memo import constant

# Up to this side the product with a DFT matrix beats the FFT library (measured: see docs/benchmarks.md).
SEPARABLE_LIMIT = {"cpu": 48, "cuda": 128}


def frequencies(grid: Shape) -> int:
    """How many frequencies the half spectrum has."""
    return (grid[0] // 2 + 1) * math.prod(grid[1:])


def is_separable(grid: Shape, device: torch.device, batch: int = 1) -> bool:
    """Whether the transform is computed by matrix products: the cheaper way for this grid on this kind of device."""
    limit = SEPARABLE_LIMIT.get(device.type, SEPARABLE_LIMIT["cpu"])
    return max(grid) <= limit or batch == 0  # the FFT library refuses an empty batch


def cost(grid: Shape, device: torch.device) -> float:
    """What one transform takes for each point and channel, in multiplications with an addition each.

    By matrix products. The FFT library's are slower, so each operation of its 2.5 N log₂ N counts as such a pair.
    """
    return grid[0] + 2.0 * sum(grid[1:]) if is_separable(grid, device) else 2.5 * math.log2(math.prod(grid))


def good_size(n: int, times: int = 1) -> int:
    """The smallest size ≥ n, or one with small prime factors where times · n is too large for matrix products."""
    return n if n * times <= SEPARABLE_LIMIT["cpu"] else int(fft.next_fast_len(n, real=True))


def spectrum(x: torch.Tensor, grid: Shape) -> torch.Tensor:
    """The half spectrum of x. Shapes: (*reversed grid, channels, batch) → (frequencies, 2 · channels, batch)."""
    channels, batch = x.shape[-2:]
    if not is_separable(grid, x.device, batch):
        return _library_spectrum(x).reshape(-1, 2 * channels, batch)
    kind, columns, rows = (x.dtype, x.device), channels * batch, grid[0] // 2 + 1
    if len(grid) == 1:
        return (_forward_real(grid[0], *kind) @ x.reshape(grid[0], columns)).reshape(rows, 2 * channels, batch)
    # One product for each place on the other axes, then one for each frequency of the first axis. On two axes the
    # second reads what the first has written as it lies in memory.
    depth = math.prod(grid[2:])
    y = _batched(_forward_apart(grid[0], *kind), x.reshape(grid[1] * depth, grid[0], columns))
    y = y.reshape(depth, 2 * grid[1], rows, columns).permute(2, 0, 1, 3)
    y = _batched(_forward_pairs(grid[1], *kind), y.reshape(rows * depth, 2 * grid[1], columns))
    if len(grid) == 3:
        y = y.reshape(rows, depth, grid[1], 2, columns).permute(0, 2, 1, 3, 4)
        y = _batched(_forward_pairs(depth, *kind), y.reshape(rows * grid[1], 2 * depth, columns))
    return y.reshape(rows * math.prod(grid[1:]), 2 * channels, batch)


def inverse(y: torch.Tensor, grid: Shape, out: torch.Tensor | None = None) -> torch.Tensor:
    """What has the half spectrum y, written into `out` if that is given, which lies in memory as its axes stand.

    Shapes: (frequencies, 2 · channels, batch) → (*reversed grid, channels, batch).
    """
    channels, batch = y.shape[1] // 2, y.shape[2]
    if not is_separable(grid, y.device, batch):
        return _library_inverse(y, grid) if out is None else out.copy_(_library_inverse(y, grid))
    kind, columns, rows = (y.dtype, y.device), channels * batch, grid[0] // 2 + 1
    shape = (*reversed(grid), channels, batch)
    if len(grid) == 1:
        target = None if out is None else out.view(grid[0], columns)
        return torch.mm(_inverse_real(grid[0], *kind), y.reshape(2 * rows, columns), out=target).reshape(shape)
    depth = math.prod(grid[2:])
    if len(grid) == 3:
        y = _batched(_inverse_pairs(depth, *kind), y.reshape(rows * grid[1], 2 * depth, columns))
        y = y.reshape(rows, grid[1], depth, 2, columns).permute(0, 2, 1, 3, 4)
    y = _batched(_inverse_apart(grid[1], *kind), y.reshape(rows * depth, 2 * grid[1], columns))
    y = y.reshape(rows, depth, 2, grid[1], columns).permute(1, 3, 0, 2, 4)
    target = None if out is None else out.view(grid[1] * depth, grid[0], columns)
    x = _batched(_inverse_real(grid[0], *kind), y.reshape(grid[1] * depth, 2 * rows, columns), target)
    return x.reshape(shape)


def _batched(matrix: torch.Tensor, x: torch.Tensor, out: torch.Tensor | None = None) -> torch.Tensor:
    """matrix @ x[i] for each i, reading x as it lies in memory."""
    return torch.bmm(matrix.expand(len(x), *matrix.shape), x, out=out)


def _library_spectrum(x: torch.Tensor) -> torch.Tensor:
    """By the FFT library, which is fastest with the grid innermost and its halved axis last."""
    axes = x.ndim - 2
    grid_last = x.permute(-2, -1, *range(axes)).contiguous()
    pairs = torch.view_as_real(torch.fft.rfftn(grid_last, dim=tuple(range(2, x.ndim))))
    return pairs.permute(*reversed(range(2, axes + 2)), -1, 0, 1).contiguous()


def _library_inverse(y: torch.Tensor, grid: Shape) -> torch.Tensor:
    axes = len(grid)
    pairs = y.reshape(grid[0] // 2 + 1, *grid[1:], 2, y.shape[1] // 2, y.shape[2])
    pairs = pairs.permute(-2, -1, *reversed(range(axes)), axes).contiguous()
    x = torch.fft.irfftn(torch.view_as_complex(pairs), s=tuple(reversed(grid)), dim=tuple(range(2, axes + 2)))
    return x.permute(*range(2, axes + 2), 0, 1).contiguous()


def pairing(y: torch.Tensor, w: torch.Tensor, grid: Shape) -> torch.Tensor:
    """⟨x, v⟩, a number, for the x and v with half spectra y and w. Shapes: (frequencies, 2 · channels, batch)."""
    return (y * w).sum((1, 2)) @ shares(grid, y.dtype, y.device)


def blocks(symbol: torch.Tensor) -> torch.Tensor:
    """The real matrices that act on a spectrum as complex ones do. Shapes: (F, out, in) → (F, 2 · out, 2 · in)."""
    real, imaginary = parts(symbol)
    frequencies, outputs, inputs = symbol.shape
    if may_write():  # by half as many passes over memory
        table = real.new_empty(frequencies, 2, outputs, 2, inputs)
        table[:, 0, :, 0], table[:, 1, :, 1], table[:, 1, :, 0] = real, real, imaginary
        torch.neg(imaginary, out=table[:, 0, :, 1])
        return table.view(frequencies, 2 * outputs, 2 * inputs)
    top = torch.cat([real, -imaginary], -1)
    return torch.cat([top, torch.cat([imaginary, real], -1)], -2)


@constant
def waves(kernel: Shape, grid: Shape, dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    """exp(2πi ⟨frequency, offset⟩ / grid) for all offsets from a kernel's centre.

    Shapes: (frequencies, 2, offsets), real and imaginary parts.
    """
    places = torch.cartesian_prod(*(torch.arange(size) - size // 2 for size in kernel)).reshape(-1, len(kernel))
    phase = torch.zeros(1, len(places), dtype=torch.float64)
    for axis, n in enumerate(grid):
        k = torch.arange(n // 2 + 1 if axis == 0 else n)
        turn = (k[:, None] * places[:, axis] % n).to(torch.float64) / n
        phase = (phase[:, None] + turn[None]).reshape(-1, len(places))
    wave = torch.stack([(2 * math.pi * phase).cos(), (2 * math.pi * phase).sin()], 1)
    return wave.to(device, dtype)


@constant
def shares(grid: Shape, dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    """What a frequency counts in Parseval's identity: twice where it stands for its mirror image too."""
    share = torch.full((grid[0] // 2 + 1, math.prod(grid[1:])), 2 / math.prod(grid), dtype=torch.float64)
    share[0] /= 2
    if grid[0] % 2 == 0:
        share[-1] = 1 / math.prod(grid)
    return share.flatten().to(device, dtype)


@constant
def _forward_real(n: int, dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    """(real, imaginary) of each of n/2 + 1 frequencies from n real values."""
    angle = _angles(n, n // 2 + 1)
    return torch.stack([angle.cos(), -angle.sin()], 1).reshape(-1, n).to(device, dtype)


@constant
def _inverse_real(n: int, dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    angle = _angles(n, n // 2 + 1)
    weight = torch.full((n // 2 + 1, 1), 2.0 / n, dtype=torch.float64)  # a frequency stands for its mirror image too
    weight[0] = 1 / n
    if n % 2 == 0:
        weight[-1] = 1 / n
    rows = torch.stack([weight * angle.cos(), -weight * angle.sin()], 1).reshape(-1, n)
    return rows.T.contiguous().to(device, dtype)


@constant
def _forward_apart(n: int, dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    """As `_forward_real`, but all real parts before all imaginary ones."""
    rows = _forward_real(n, dtype, device)
    return torch.cat([rows[::2], rows[1::2]])


@constant
def _forward_pairs(n: int, dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    """(real, imaginary) of each of n frequencies, from (real, imaginary) of each of n values."""
    c, s = _angles(n, n).cos(), _angles(n, n).sin()
    blocks = torch.stack([torch.stack([c, s], 2), torch.stack([-s, c], 2)], 1)
    return blocks.reshape(2 * n, 2 * n).to(device, dtype)


@constant
def _inverse_pairs(n: int, dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    return (_forward_pairs(n, torch.float64, torch.device("cpu")).T / n).contiguous().to(device, dtype)


@constant
def _inverse_apart(n: int, dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    """As `_inverse_pairs`, but all real parts before all imaginary ones in the result."""
    rows = _inverse_pairs(n, dtype, device)
    return torch.cat([rows[::2], rows[1::2]])


def _angles(n: int, rows: int) -> torch.Tensor:
    k, h = torch.arange(rows), torch.arange(n)
    return 2 * math.pi * (k[:, None] * h % n).to(torch.float64) / n
