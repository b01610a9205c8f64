"""Which frequencies of a fine grid fall together where it is sampled with a stride, and symbols moved between the two.

Sampled every `stride` points, the frequencies q + (coarse size) · j of the fine grid, j = 0 … stride - 1 along each
axis, cannot be told apart: they are the aliases of the coarse frequency q. Half spectra hold one of each pair of
frequencies ±f, so some aliases are held by their mirror image, whose value is the complex conjugate.
"""

from __future__ import annotations

import itertools
from typing import NamedTuple

import torch

from monops.arrays import Shape, parts
from monops.linear import fourier
from monops.linear.memo import constant


class Aliases(NamedTuple):
    """Where the aliases of each coarse frequency stand in the fine half spectrum.

    Attributes:
        place: positions, shape (coarse frequencies, aliases).
        sign: -1.0 where the mirror image stands there, else 1.0; the same shape.
        home: for each fine frequency one position in the flattened `place` that holds it, or its mirror image.
        coarse: the coarse frequency of that position.
        home_sign: -1.0 where that position is the mirror image of the fine frequency, else 1.0.
    """

    place: torch.Tensor
    sign: torch.Tensor
    home: torch.Tensor
    coarse: torch.Tensor
    home_sign: torch.Tensor


@constant
def aliases(grid: Shape, stride: Shape, device: torch.device) -> Aliases:
    """The `Aliases` of a grid under a stride that divides it."""
    place, sign = _positions(frequencies(grid, stride), grid)
    home = torch.empty(fourier.frequencies(grid), dtype=torch.long)
    home[place.flatten()] = torch.arange(place.numel())
    coarse, home_sign = home // place.shape[1], sign.flatten()[home]
    return Aliases(*(t.to(device) for t in (place, sign, home, coarse, home_sign)))


def frequencies(grid: Shape, stride: Shape) -> torch.Tensor:
    """The aliases themselves, as numbers of waves along each axis: (coarse frequencies, aliases, axes)."""
    small = tuple(n // s for n, s in zip(grid, stride, strict=True))
    j = torch.tensor(list(itertools.product(*map(range, stride))))
    return _half(small)[:, None] + j * torch.tensor(small)


def fold(symbol: torch.Tensor, grid: Shape, stride: Shape) -> torch.Tensor:
    """The values at all aliases. Shapes: (fine frequencies, …) complex → (coarse frequencies, aliases, …)."""
    place, sign, *_ = aliases(grid, stride, symbol.device)
    return _conjugate(symbol[place], sign)


def tile(symbol: torch.Tensor, grid: Shape, stride: Shape) -> torch.Tensor:
    """A coarse value for each of its aliases. Shapes: (coarse frequencies, …) complex → (fine frequencies, …)."""
    table = aliases(grid, stride, symbol.device)
    return _conjugate(symbol[table.coarse], table.home_sign)


def _conjugate(symbol: torch.Tensor, sign: torch.Tensor) -> torch.Tensor:
    sign = sign.to(symbol.real.dtype).reshape(*sign.shape, *(1,) * (symbol.ndim - sign.ndim))
    real, imaginary = parts(symbol)
    return torch.complex(real, sign * imaginary)


def _half(grid: Shape) -> torch.Tensor:
    """The frequencies of the half spectrum, in its order: (frequencies, axes)."""
    return torch.tensor(list(itertools.product(range(grid[0] // 2 + 1), *map(range, grid[1:]))))


def _positions(f: torch.Tensor, grid: Shape) -> tuple[torch.Tensor, torch.Tensor]:
    """Positions in the half spectrum of frequencies f (…, axes), and -1 where their mirror image stands there."""
    size = torch.tensor(grid)
    is_mirrored = f[..., 0] > grid[0] // 2
    f = torch.where(is_mirrored[..., None], -f % size, f)
    position = f[..., 0]
    for axis in range(1, len(grid)):
        position = position * grid[axis] + f[..., axis]
    return position, torch.where(is_mirrored, -1.0, 1.0).to(torch.float64)


def gather(y: torch.Tensor, grid: Shape, stride: Shape) -> torch.Tensor:
    """A fine spectrum by coarse frequency. Shapes: (F, 2c, batch) → (coarse frequencies, aliases · 2c, batch).

    Mirror images are left as they are: the matrices made by `blocks` take account of them.
    """
    place = aliases(grid, stride, y.device).place
    return y.index_select(0, place.flatten()).reshape(len(place), place.shape[1] * y.shape[1], y.shape[2])


def scatter(y: torch.Tensor, grid: Shape, stride: Shape) -> torch.Tensor:
    """The opposite of `gather`. Shapes: (coarse frequencies, aliases · 2c, batch) → (F, 2c, batch)."""
    table = aliases(grid, stride, y.device)
    separate = y.reshape(table.place.numel(), y.shape[1] // table.place.shape[1], y.shape[2])
    return separate.index_select(0, table.home)


def blocks(matrix: torch.Tensor, grid: Shape, stride: Shape) -> torch.Tensor:
    """The real matrices that act on gathered spectra as complex `matrix` does on the values at the aliases.

    Shapes: (coarse frequencies, out, aliases · in) → (coarse frequencies, 2 · out, aliases · 2 · in).
    """
    sign = aliases(grid, stride, matrix.device).sign.to(matrix.real.dtype)[:, None, :, None]
    real, imaginary = parts(matrix.reshape(len(sign), matrix.shape[1], sign.shape[2], -1))
    top = torch.stack([real, -sign * imaginary], 3)
    bottom = torch.stack([imaginary, sign * real], 3)
    return torch.cat([top, bottom], 1).flatten(2)
