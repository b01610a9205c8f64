"""Operators that commute with the shifts of a periodic grid: one channel matrix a frequency."""

from __future__ import annotations

import numbers
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch

from monops.arrays import Array, DType, Shape, detach, parts, require_finite
from monops.errors import ShapeError
from monops.inversion import inverse
from monops.linear import fourier
from monops.linear.base import LinearOperator
from monops.linear.frequency import FrequencyMap
from monops.linear.identity import Identity
from monops.linear.memo import keep, kept, remembered
from monops.linear.spectral import cocoercivity_of


class ShiftInvariant(FrequencyMap):
    """What `Circulant` and `CircularConv` share: algebra, resolvent and spectral facts by the symbol."""

    grid: Shape

    @property
    @abstractmethod
    def circulant(self) -> Circulant:
        """The same operator, given by its symbol."""

    def resolvent(self, step: float) -> LinearOperator:
        self._require_step(step)
        S = self.circulant.symbol
        eye = torch.eye(S.shape[-1], dtype=S.dtype, device=S.device)
        what = f"I + {step:g}·op, op = {self.signature}, one matrix for each frequency,"
        inverted = inverse(eye + step * S, symmetric=False, what=what)
        return Circulant(inverted, self.grid, known_symmetric=self.symmetric)

    def pairing_on_spectra(self, y: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        real, imaginary = parts(self.circulant.symbol)
        (y_real, y_imaginary), (w_real, w_imaginary) = y.mT.chunk(2, 2), w.chunk(2, 1)
        same = torch.baddbmm(w_real @ y_real, w_imaginary, y_imaginary)
        crossed = torch.baddbmm(w_imaginary @ y_real, w_real, y_imaginary, alpha=-1)
        return (real * same + imaginary * crossed).sum((1, 2)) @ fourier.shares(self.grid, y.dtype, y.device)

    def norm(self) -> float:
        return float(torch.linalg.matrix_norm(self._finite_symbol(), ord=2).max())

    def monotonicity(self) -> float:
        self._require_square("monotonicity")
        S = self._finite_symbol()
        return float(torch.linalg.eigvalsh((S + S.mH) / 2).min())

    def cocoercivity(self) -> float:
        if self.symmetric:
            return super().cocoercivity()
        self._require_square("cocoercivity")
        return cocoercivity_of(self._finite_symbol())

    def _finite_symbol(self) -> torch.Tensor:
        symbol = detach(self.circulant.symbol)
        require_finite(symbol, self.signature)
        return symbol

    def _plus(self, other: LinearOperator) -> LinearOperator:
        if isinstance(other, ShiftInvariant) and other.grid == self.grid:
            total = self.circulant.symbol + other.circulant.symbol
            return Circulant(total, self.grid, known_symmetric=self.symmetric and other.symmetric)
        if isinstance(other, Identity):
            S = self.circulant.symbol
            total = S + other.scale * torch.eye(S.shape[-1], dtype=S.dtype, device=S.device)
            return Circulant(total, self.grid, known_symmetric=self.symmetric)
        return NotImplemented

    def _times(self, other: LinearOperator) -> LinearOperator:
        if isinstance(other, ShiftInvariant) and other.grid == self.grid:
            right = other.circulant.symbol
            is_gram = self._is_adjoint_of(other)
            left = right.mH if is_gram else self.circulant.symbol  # of AᴴA, one symbol is enough
            return Circulant(left @ right, self.grid, known_symmetric=is_gram)
        return NotImplemented

    def _scaled(self, scalar: float | Array) -> LinearOperator:
        return Circulant(scalar * self.circulant.symbol, self.grid, known_symmetric=self.symmetric)


@dataclass(frozen=True, eq=False)
class Circulant(ShiftInvariant):
    """x ↦ F⁻¹ (symbol · F x): a channel matrix for each frequency of the half spectrum (see `monops.linear.fourier`).

    Made by the algebra of `CircularConv`; sums, products, multiples, adjoints and resolvents are of this kind again.

    Shapes: `symbol` (frequencies, out, in) complex, the domain (in, *grid), the codomain (out, *grid).

    Assumes: the symbol is complex conjugate at f and -f, as that of a real operator. Of the frequencies which the half
    spectrum holds together with their mirror image, `apply` would use the conjugate part only, but `norm` the whole.

    Args:
        symbol: one channel matrix for each frequency.
        grid: sizes of the periodic grid, one to three axes.
        known_symmetric: the operator equals its adjoint, as the algebra knows of AᴴA.

    Raises:
        ShapeError: the symbol does not have the frequencies of the grid, or the grid more than three axes.

    Source: Winston & Kolter 2020, section 4.2 and appendix C.

    Example:
        >>> import torch
        >>> shift = Circulant(torch.tensor([1.0, -1j, -1.0]).reshape(3, 1, 1), (4,))
        >>> shift(torch.tensor([[1.0, 2.0, 3.0, 4.0]])).round()
        tensor([[4., 1., 2., 3.]])
    """

    symbol: torch.Tensor
    grid: Shape
    known_symmetric: bool = field(default=False, kw_only=True)

    def __post_init__(self) -> None:
        object.__setattr__(self, "grid", as_grid(self.grid, "Circulant"))
        if not 1 <= len(self.grid) <= 3:
            raise ShapeError(f"a symbol wants a grid of one to three axes, got {self.grid}")
        wanted = fourier.frequencies(self.grid)
        if self.symbol.ndim != 3 or self.symbol.shape[0] != wanted or not self.symbol.is_complex():
            raise ShapeError(
                f"a symbol on the grid {self.grid} has shape ({wanted}, out, in), complex; "
                f"got {tuple(self.symbol.shape)}, {self.symbol.dtype}"
            )

    @property
    def circulant(self) -> Circulant:
        return self

    @property
    def symmetric(self) -> bool:
        return self.known_symmetric

    @property
    def domain(self) -> Shape:
        return (self.symbol.shape[2], *self.grid)

    @property
    def codomain(self) -> Shape:
        return (self.symbol.shape[1], *self.grid)

    @property
    def dtype(self) -> DType:
        return self.symbol.real.dtype

    @property
    def device(self) -> torch.device:
        return self.symbol.device

    def on_spectrum(self, y: torch.Tensor) -> torch.Tensor:
        blocks = remembered(self, "blocks", lambda: fourier.blocks(self.symbol), self.symbol, uses=2)
        return blocks @ y

    def adjoint(self) -> LinearOperator:
        adjoint = Circulant(self.symbol.mH, self.grid, known_symmetric=self.known_symmetric)
        blocks = kept(self, "blocks")
        if isinstance(blocks, torch.Tensor):
            keep(adjoint, "blocks", blocks.mT)
        return adjoint

    def prepared(self) -> LinearOperator:
        blocks = kept(self, "blocks")
        return RealCirculant(blocks if isinstance(blocks, torch.Tensor) else fourier.blocks(self.symbol), self.grid)


def as_grid(grid: Shape, what: str) -> Shape:
    """The grid as a tuple of integers ≥ 1; a `ShapeError` if it is none."""
    sizes = tuple(grid) if isinstance(grid, Sequence) else (grid,)
    if not isinstance(grid, Sequence) or any(not isinstance(n, numbers.Integral) or n < 1 for n in sizes):
        raise ShapeError(f"{what} wants a grid of integers ≥ 1, one for each axis, such as (8,) or (8, 6), got {grid}")
    return tuple(int(n) for n in sizes)


@dataclass(frozen=True, eq=False)
class RealCirculant(ShiftInvariant):
    """A `Circulant` held as the real matrices that act on spectra (see `monops.linear.fourier`). Made by `prepared`.

    Shapes: `blocks` (frequencies, 2 · out, 2 · in).
    """

    blocks: torch.Tensor
    grid: Shape

    @property
    def circulant(self) -> Circulant:
        outputs, inputs = self.codomain[0], self.domain[0]
        left = self.blocks[..., :inputs]
        return Circulant(torch.complex(left[:, :outputs], left[:, outputs:]), self.grid)

    @property
    def domain(self) -> Shape:
        return (self.blocks.shape[2] // 2, *self.grid)

    @property
    def codomain(self) -> Shape:
        return (self.blocks.shape[1] // 2, *self.grid)

    @property
    def dtype(self) -> DType:
        return self.blocks.dtype

    @property
    def device(self) -> torch.device:
        return self.blocks.device

    def on_spectrum(self, y: torch.Tensor) -> torch.Tensor:
        return self.blocks @ y

    def adjoint(self) -> LinearOperator:
        return RealCirculant(self.blocks.mT, self.grid)
