"""Convolutions on a periodic grid with a stride."""

from __future__ import annotations

import numbers
from dataclasses import dataclass
from typing import Any

import torch

from monops.arrays import DType, Shape
from monops.linear.convolution import CircularConv
from monops.linear.decimated import Decimated, Decimation, coarse_grid
from monops.linear.memo import remembered


@dataclass(frozen=True, eq=False)
class StridedCircularConv(Decimation):
    """y[o, p] = Σ_{i, k} weight[o, i, k] x[i, stride·p + k - c]: a `CircularConv`, taken at every stride-th point.

    The adjoint is the up-convolution. `C.H @ C`, added to circulant operators, has an exact resolvent (see
    `CirculantPlusGram`).

    Shapes: `weight` (out, in, *kernel), the domain (in, *grid), the codomain (out, *coarse), coarse = grid / stride.

    Args:
        weight: float32 or float64, one to three kernel axes of odd size, none larger than the grid's.
        grid: sizes of the fine grid.
        stride: ≥ 1, dividing the grid's sizes: a number for all axes, or one for each.

    Raises:
        ShapeError: even kernels, kernels larger than the grid, or a stride which does not divide the grid.
        DTypeError: the weight is no tensor of float32 or float64.

    Source: Winston & Kolter 2020, section 4.3 and appendix D.

    Example:
        >>> import torch
        >>> C = StridedCircularConv(torch.tensor([[[1.0, 0.0, 0.0]]]), (4,), 2)
        >>> C(torch.tensor([[1.0, 2.0, 3.0, 4.0]])).round(), C.H(torch.tensor([[1.0, 2.0]])).round()
        (tensor([[4., 2.]]), tensor([[0., 2., 0., 1.]]))
    """

    weight: torch.Tensor
    grid: Shape
    stride: Any  # a tuple once the constructor is through

    def __post_init__(self) -> None:
        grid = CircularConv(self.weight, self.grid).grid  # which checks the shapes
        stride: Any = (self.stride,) * len(grid) if isinstance(self.stride, numbers.Number) else tuple(self.stride)
        object.__setattr__(self, "grid", grid)
        coarse_grid(grid, stride, "StridedCircularConv")
        object.__setattr__(self, "stride", tuple(int(s) for s in stride))

    @property
    def decimated(self) -> Decimated:
        return remembered(self, "symbol", self._symbol, self.weight)

    def _symbol(self) -> Decimated:
        return Decimated(CircularConv(self.weight, self.grid).circulant.symbol, self.grid, self.stride)

    @property
    def domain(self) -> Shape:
        return (self.weight.shape[1], *self.grid)

    @property
    def codomain(self) -> Shape:
        return (self.weight.shape[0], *self.coarse)

    @property
    def dtype(self) -> DType:
        return self.weight.dtype

    @property
    def device(self) -> torch.device:
        return self.weight.device

    def on_spectrum(self, y: torch.Tensor) -> torch.Tensor:
        return self.decimated.on_spectrum(y)
