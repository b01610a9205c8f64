"""The phases of a grid under a stride, as channels of the coarse grid.

Phase p of an array x is x[stride·t + p] for all t, p = 0 … stride - 1 along each axis: an array on the coarse grid. An
operator that commutes with the shifts of the coarse grid is a circulant operator on it, with the phases as channels;
its transforms are shorter by the stride. This is the polyphase form of filter banks (Vaidyanathan 1993, section 4.3).
In the frequency domain phase p at the coarse frequency q is a sum over the aliases f of q:

    x_p(q) = (1/number of phases) Σ_f exp(2πi ⟨f, p⟩ / grid) x(f),   x(f) = Σ_p exp(-2πi ⟨f, p⟩ / grid) x_p(q).
"""

from __future__ import annotations

import itertools
import math

import torch

from monops.arrays import Shape
from monops.linear import aliasing
from monops.linear.memo import constant


def split(x: torch.Tensor, grid: Shape, stride: Shape) -> torch.Tensor:
    """All phases of x. Shapes: (*reversed grid, channels, batch) → (*reversed coarse, phases · channels, batch)."""
    axes = len(grid)
    order = [*range(0, 2 * axes, 2), *range(1, 2 * axes, 2), 2 * axes, 2 * axes + 1]
    apart = x.reshape(*_apart(grid, stride), *x.shape[-2:]).permute(order)
    return apart.reshape(*apart.shape[:axes], math.prod(stride) * x.shape[-2], x.shape[-1])


def join(y: torch.Tensor, grid: Shape, stride: Shape, out: torch.Tensor | None = None) -> torch.Tensor:
    """The array with these phases, written into `out` if that is given: the opposite of `split`."""
    axes, number = len(grid), math.prod(stride)
    apart = y.reshape(*y.shape[:axes], *reversed(stride), y.shape[-2] // number, y.shape[-1])
    order = [*itertools.chain(*((i, axes + i) for i in range(axes))), 2 * axes, 2 * axes + 1]
    apart = apart.permute(order)
    if out is None:
        return apart.reshape(*reversed(grid), *apart.shape[-2:])
    out.view(apart.shape).copy_(apart)
    return out


def of_inputs(folded: torch.Tensor, grid: Shape, stride: Shape) -> torch.Tensor:
    """The matrices of a sampled operator on all phases, from its symbol at all aliases.

    Shapes: (coarse frequencies, aliases, out, in) complex → (coarse frequencies, out, phases · in).
    """
    wave = _waves(grid, stride, folded.dtype, folded.device)
    return torch.einsum("fjoi,fjp->fopi", folded, wave).flatten(2) / wave.shape[1]


def of_both(folded: torch.Tensor, grid: Shape, stride: Shape) -> torch.Tensor:
    """The matrices of a circulant operator on the fine grid, from phases to phases, from its symbol at all aliases.

    Shapes: (coarse frequencies, aliases, out, in) complex → (coarse frequencies, phases · out, phases · in).
    """
    wave = _waves(grid, stride, folded.dtype, folded.device)
    between = wave.conj()[:, :, :, None] * wave[:, :, None] / wave.shape[1]
    return torch.einsum("fjoi,fjpq->fpoqi", folded, between).flatten(3).flatten(1, 2)


def _apart(grid: Shape, stride: Shape) -> list[int]:
    """The sizes of the grid, reversed, each as coarse size and phases."""
    pairs = zip(reversed(grid), reversed(stride), strict=True)
    return list(itertools.chain(*((n // s, s) for n, s in pairs)))


@constant
def _waves(grid: Shape, stride: Shape, dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    """exp(-2πi ⟨f, p⟩ / grid) for each alias f of each coarse frequency, and each phase p in the order of `split`."""
    f = aliasing.frequencies(grid, stride)  # (coarse frequencies, aliases, axes)
    p = torch.tensor([place[::-1] for place in itertools.product(*map(range, reversed(stride)))])
    turns = (f[:, :, None] * p % torch.tensor(grid)).to(torch.float64) / torch.tensor(grid, dtype=torch.float64)
    phase = -2 * math.pi * turns.sum(-1)
    return torch.polar(torch.ones_like(phase), phase).to(device, dtype)
