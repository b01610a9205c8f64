"""Real Fourier transforms of states over a grid, on the half spectrum, with frequencies as the first axis.

A state is stored in the order grid, channel, batch. Its spectrum is an array (frequencies, 2 · channels, batch): for
each frequency the real parts of all channels, then the imaginary ones. So a product with one complex matrix a frequency
is a batched product of real matrices, and nothing is ever permuted. The first grid axis is halved: it has n/2 + 1
frequencies; they vary slowest.

Two ways of computing it give the same numbers: along each axis a product with the DFT matrix, whose cost grows with
the side but which runs at the speed of matrix products, and the FFT library.
"""

from __future__ import annotations

import functools
import math

import torch
from scipy import fft

from monops.arrays import Shape

# Up to this side the product with a DFT matrix beats the FFT library (measured: see docs/benchmarks.md).
SEPARABLE_LIMIT = 256


def frequencies(grid: Shape) -> int:
    """How many frequencies the half spectrum has."""
    return (grid[0] // 2 + 1) * math.prod(grid[1:])


def is_separable(grid: Shape, batch: int = 1) -> bool:
    """Whether the transform is computed by matrix products: the cheaper way for this grid."""
    return max(grid) <= SEPARABLE_LIMIT or batch == 0  # the FFT library refuses an empty batch


def good_size(n: int, times: int = 1) -> int:
    """The smallest size ≥ n, or one with small prime factors where times · n is too large for matrix products."""
    return n if n * times <= SEPARABLE_LIMIT else int(fft.next_fast_len(n, real=True))


def spectrum(x: torch.Tensor, grid: Shape) -> torch.Tensor:
    """The half spectrum of x. Shapes: (*grid, channels, batch) → (frequencies, 2 · channels, batch)."""
    channels, batch = x.shape[-2:]
    if not is_separable(grid, batch):
        axes = tuple(reversed(range(len(grid))))  # the last one named is halved
        y = torch.fft.rfftn(x.contiguous(), dim=axes).reshape(-1, channels, batch)
        return torch.cat([y.real, y.imag], 1)
    y = _forward_real(grid[0], x.dtype, x.device) @ x.reshape(grid[0], -1)
    rows = grid[0] // 2 + 1
    for n in grid[1:]:
        y = _forward_complex(n, x.dtype, x.device) @ y.reshape(rows, 2 * n, -1)
        rows *= n
    return y.reshape(rows, 2 * channels, batch)


def inverse(y: torch.Tensor, grid: Shape) -> torch.Tensor:
    """The state with half spectrum y. Shapes: (frequencies, 2 · channels, batch) → (*grid, channels, batch)."""
    channels, batch = y.shape[1] // 2, y.shape[2]
    if not is_separable(grid, batch):
        axes = tuple(reversed(range(len(grid))))
        pair = torch.complex(y[:, :channels], y[:, channels:])
        pair = pair.reshape(grid[0] // 2 + 1, *grid[1:], channels, batch)
        return torch.fft.irfftn(pair, s=tuple(reversed(grid)), dim=axes)
    rows = y.shape[0]
    for n in reversed(grid[1:]):
        rows //= n
        y = _inverse_complex(n, y.dtype, y.device) @ y.reshape(rows, 2 * n, -1)
    x = _inverse_real(grid[0], y.dtype, y.device) @ y.reshape(2 * rows, -1)
    return x.reshape(*grid, channels, batch)


def blocks(symbol: torch.Tensor) -> torch.Tensor:
    """The real matrices that act on a spectrum as complex ones do. Shapes: (F, out, in) → (F, 2 · out, 2 · in)."""
    real, imaginary = symbol.real, symbol.imag
    top = torch.cat([real, -imaginary], -1)
    return torch.cat([top, torch.cat([imaginary, real], -1)], -2)


def waves(offsets: torch.Tensor, grid: Shape) -> torch.Tensor:
    """exp(2πi ⟨frequency, offset⟩ / grid), for integer offsets (number, axes). Shapes: (frequencies, number)."""
    device = offsets.device
    phase = torch.zeros(1, len(offsets), dtype=torch.float64, device=device)
    for axis, n in enumerate(grid):
        k = torch.arange(n // 2 + 1 if axis == 0 else n, device=device)
        turn = (k[:, None] * offsets[:, axis] % n).to(torch.float64) / n
        phase = (phase[:, None] + turn[None]).reshape(-1, len(offsets))
    return torch.polar(torch.ones_like(phase), 2 * math.pi * phase)


@functools.lru_cache(maxsize=64)
def _forward_real(n: int, dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    """(real, imaginary) of each of n/2 + 1 frequencies from n real values."""
    angle = _angles(n, n // 2 + 1)
    return torch.stack([angle.cos(), -angle.sin()], 1).reshape(-1, n).to(device, dtype)


@functools.lru_cache(maxsize=64)
def _inverse_real(n: int, dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    angle = _angles(n, n // 2 + 1)
    weight = torch.full((n // 2 + 1, 1), 2.0 / n, dtype=torch.float64)  # a frequency stands for its mirror image too
    weight[0] = 1 / n
    if n % 2 == 0:
        weight[-1] = 1 / n
    rows = torch.stack([weight * angle.cos(), -weight * angle.sin()], 1).reshape(-1, n)
    return rows.T.contiguous().to(device, dtype)


@functools.lru_cache(maxsize=64)
def _forward_complex(n: int, dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    """(real, imaginary) of each of n frequencies, from n real parts followed by n imaginary ones."""
    c, s = _angles(n, n).cos(), _angles(n, n).sin()
    rows = torch.stack([torch.cat([c, s], 1), torch.cat([-s, c], 1)], 1)
    return rows.reshape(2 * n, 2 * n).to(device, dtype)


@functools.lru_cache(maxsize=64)
def _inverse_complex(n: int, dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    return (_forward_complex(n, torch.float64, torch.device("cpu")).T / n).contiguous().to(device, dtype)


def _angles(n: int, rows: int) -> torch.Tensor:
    k, h = torch.arange(rows), torch.arange(n)
    return 2 * math.pi * (k[:, None] * h % n).to(torch.float64) / n
