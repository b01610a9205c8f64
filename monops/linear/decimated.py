"""Maps between a periodic grid and a coarser one that commute with the shifts of the coarser: filter, then sample."""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass, replace

import torch

from monops.arrays import Array, DType, Shape, detach, require_finite
from monops.errors import ShapeError
from monops.linear import aliasing, phases
from monops.linear.base import LinearOperator
from monops.linear.circulant import Circulant, ShiftInvariant
from monops.linear.frequency import FrequencyMap
from monops.linear.memo import remembered


def coarse_grid(grid: Shape, stride: Shape, what: str) -> Shape:
    """The grid sampled with this stride; a `ShapeError` unless the stride divides it."""
    if len(stride) != len(grid) or any(s < 1 or int(s) != s or n % s for n, s in zip(grid, stride, strict=True)):
        raise ShapeError(f"{what} wants a stride that divides the grid, got stride {stride} on the grid {grid}")
    return tuple(n // s for n, s in zip(grid, stride, strict=True))


class Decimation(FrequencyMap):
    """What `Decimated` and `StridedCircularConv` share: the algebra with circulant operators, by the symbol.

    With circulant operators P on the fine grid and K on the coarse one: D P, K D and D + D' are of this kind, D D'ᴴ
    is circulant on the coarse grid, Dᴴ D' is a `CirculantPlusGram` on the fine one.
    """

    grid: Shape
    stride: Shape

    @property
    @abstractmethod
    def decimated(self) -> Decimated:
        """The same operator, given by its symbol."""

    @property
    def coarse(self) -> Shape:
        """The grid of the codomain."""
        return coarse_grid(self.grid, self.stride, type(self).__name__)

    def adjoint(self) -> LinearOperator:
        return Interpolated(self)

    def norm(self) -> float:
        # A state's norm is that of its spectrum over √(number of frequencies), on either grid.
        folded = detach(self.decimated.folded)
        require_finite(folded, self.signature)
        return float(torch.linalg.matrix_norm(folded, ord=2).max()) * math.sqrt(math.prod(self.stride))

    def _plus(self, other: LinearOperator) -> LinearOperator:
        if isinstance(other, Decimation) and _same_grids(self, other):
            return self.decimated.with_symbol(self.decimated.symbol + other.decimated.symbol)
        return NotImplemented

    def _times(self, other: LinearOperator) -> LinearOperator:
        if isinstance(other, ShiftInvariant) and other.grid == self.grid:
            D = self.decimated
            return D.with_symbol(D.symbol @ other.circulant.symbol)
        if isinstance(other, Interpolated) and _same_grids(self, other.op):
            product = self.decimated.symbol @ other.op.decimated.symbol.mH
            return Circulant(aliasing.fold(product, self.grid, self.stride).mean(1), self.coarse)
        return NotImplemented

    def _rtimes(self, other: LinearOperator) -> LinearOperator:
        if isinstance(other, ShiftInvariant) and other.grid == self.coarse:
            D = self.decimated
            return D.with_symbol(aliasing.tile(other.circulant.symbol, self.grid, self.stride) @ D.symbol)
        return NotImplemented

    def _scaled(self, scalar: float | Array) -> LinearOperator:
        return self.decimated.with_symbol(scalar * self.decimated.symbol)


@dataclass(frozen=True, eq=False)
class Decimated(Decimation):
    """x ↦ every stride-th point of (F⁻¹ symbol F) x: a circulant operator, then sampling.

    In the frequency domain y(q) is the mean of symbol(f) x(f) over the aliases f of q (see `monops.linear.aliasing`).
    Made by the algebra of `StridedCircularConv`.

    Shapes: `symbol` (frequencies, out, in) complex, the domain (in, *grid), the codomain (out, *coarse) with coarse =
    grid / stride.

    Args:
        symbol: one channel matrix for each frequency of the half spectrum of the fine grid.
        grid: sizes of the fine grid.
        stride: one for each axis, dividing the grid's size.

    Raises:
        ShapeError: the symbol does not have the frequencies of the grid, or the stride does not divide it.

    Source: Winston & Kolter 2020, appendix D.

    Example:
        >>> import torch
        >>> every_second = Decimated(torch.ones(3, 1, 1, dtype=torch.complex64), (4,), (2,))
        >>> every_second(torch.tensor([[1.0, 2.0, 3.0, 4.0]])).round()
        tensor([[1., 3.]])
    """

    symbol: torch.Tensor
    grid: Shape
    stride: Shape

    def __post_init__(self) -> None:
        object.__setattr__(self, "grid", tuple(self.grid))
        object.__setattr__(self, "stride", tuple(self.stride))
        coarse_grid(self.grid, self.stride, "Decimated")
        Circulant(self.symbol, self.grid)  # which checks the shapes

    def with_symbol(self, symbol: torch.Tensor) -> Decimated:
        """The operator with another symbol on the same grids."""
        return Decimated(symbol, self.grid, self.stride)

    @property
    def decimated(self) -> Decimated:
        return self

    @property
    def domain(self) -> Shape:
        return (self.symbol.shape[2], *self.grid)

    @property
    def codomain(self) -> Shape:
        return (self.symbol.shape[1], *self.coarse)

    @property
    def dtype(self) -> DType:
        return self.symbol.real.dtype

    @property
    def device(self) -> torch.device:
        return self.symbol.device

    @property
    def folded(self) -> torch.Tensor:
        """The matrix from all aliases of a coarse frequency: (coarse frequencies, out, aliases · in)."""
        folded = aliasing.fold(self.symbol, self.grid, self.stride)
        return folded.movedim(1, 2).flatten(2) / folded.shape[1]

    @property
    def phased(self) -> torch.Tensor:
        """The matrix from all phases (see `monops.linear.phases`): (coarse frequencies, out, phases · in)."""
        folded = aliasing.fold(self.symbol, self.grid, self.stride)
        return phases.of_inputs(folded, self.grid, self.stride)

    def on_spectrum(self, y: torch.Tensor) -> torch.Tensor:
        return self.kernel() @ aliasing.gather(y, self.grid, self.stride)

    def kernel(self) -> torch.Tensor:
        """The real matrices that act on the gathered aliases of a spectrum."""
        return remembered(self, "blocks", self._blocks, self.symbol)

    def _blocks(self) -> torch.Tensor:
        return aliasing.blocks(self.folded, self.grid, self.stride)


@dataclass(frozen=True, eq=False)
class Interpolated(FrequencyMap):
    """The adjoint of a `Decimation`: zeros between the points, then the adjoint filter. Made by `op.H`.

    Shapes: domain and codomain are those of `op`, exchanged.

    Args:
        op: the decimation.

    Example:
        >>> import torch
        >>> every_second = Decimated(torch.ones(3, 1, 1, dtype=torch.complex64), (4,), (2,))
        >>> every_second.H(torch.tensor([[1.0, 3.0]])).round().abs()
        tensor([[1., 0., 3., 0.]])
    """

    op: Decimation

    @property
    def domain(self) -> Shape:
        return self.op.codomain

    @property
    def codomain(self) -> Shape:
        return self.op.domain

    @property
    def dtype(self) -> DType:
        return self.op.dtype

    @property
    def device(self) -> torch.device:
        return self.op.device

    def on_spectrum(self, y: torch.Tensor) -> torch.Tensor:
        D = self.op.decimated
        # The spectrum of what has zeros between the points repeats; the mean over aliases becomes their sum.
        spread = (math.prod(D.stride) * D.kernel().mT) @ y
        return aliasing.scatter(spread, D.grid, D.stride)

    def adjoint(self) -> LinearOperator:
        return replace(self.op)  # type: ignore[type-var]  # another one, which will know that this is its adjoint

    def norm(self) -> float:
        return self.op.norm()

    def _plus(self, other: LinearOperator) -> LinearOperator:
        return (self.op + other.op).H if isinstance(other, Interpolated) else NotImplemented

    def _times(self, other: LinearOperator) -> LinearOperator:
        from monops.linear.gram import CirculantPlusGram

        if isinstance(other, Decimation) and _same_grids(self.op, other):
            right = other.decimated
            return CirculantPlusGram.of(right if self.op is other else self.op.decimated, right)
        if isinstance(other, ShiftInvariant) and other.grid == self.op.coarse:
            return (other.H @ self.op).H
        return NotImplemented

    def _rtimes(self, other: LinearOperator) -> LinearOperator:
        if isinstance(other, ShiftInvariant) and other.grid == self.op.grid:
            return (self.op @ other.H).H
        return NotImplemented

    def _scaled(self, scalar: float | Array) -> LinearOperator:
        return (scalar * self.op).H


def _same_grids(left: Decimation, right: Decimation) -> bool:
    return (left.grid, left.stride) == (right.grid, right.stride)
