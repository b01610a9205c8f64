"""Circulant operators plus products over a coarser grid: closed under sums, products, adjoints and inverses."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, cast

import torch

from monops.arrays import Array, DType, Shape, detach, require_finite
from monops.errors import ShapeError
from monops.linear import aliasing, fourier, phases
from monops.linear.base import LinearOperator
from monops.linear.circulant import Circulant, ShiftInvariant
from monops.linear.decimated import Decimated, Decimation, Interpolated
from monops.linear.frequency import FrequencyMap, Signal, reversed_axes
from monops.linear.identity import Identity
from monops.linear.memo import keep, kept, remembered


@dataclass(frozen=True, eq=False)
class CirculantPlusGram(FrequencyMap):
    """x ↦ P x + Lᴴ R x, with P circulant on a grid, and L and R from there to one coarser grid.

    Made by the algebra: `C.H @ C` for a `StridedCircularConv` C, and its sums with circulant operators. Sums,
    products, multiples, adjoints and resolvents are of this kind again. The resolvent is Woodbury's identity on the
    coarse grid, where R Q Lᴴ is circulant: with Q = (I + step·P)⁻¹

        J = (I + step·(P + Lᴴ R))⁻¹ = Q - step · Q Lᴴ · (I + step · R Q Lᴴ)⁻¹ R Q.

    The last factor is R J: the value of R at the result comes out on the way, for whoever wants it next. Of the adjoint
    it is the first one, Jᴴ Rᴴ: so Jᴴ (x - Rᴴ y) takes no product with Rᴴ of its own.

    Shapes: the domain is P's, the codomain too.

    Args:
        P: circulant on the fine grid.
        L: to the coarse grid, on the codomain of P.
        R: to the coarse grid, on the domain of P.
        reads: where this is a resolvent J, the operator D with R = D J. Assumed: another one makes results wrong.
        writes: where this is the adjoint of one, the D with Lᴴ = Jᴴ Dᴴ. Assumed likewise.

    Raises:
        ShapeError: the grids, strides or channels do not fit.
        SingularError: from `resolvent`, if I + step·(P + Lᴴ R) is singular, or I + step·P alone is, with which
            Woodbury's identity begins (never for step > 0 and a monotone P). Near such a step digits are lost.

    Source: Winston & Kolter 2020, appendix D.

    Example:
        >>> import torch
        >>> from monops.linear import StridedCircularConv
        >>> C = StridedCircularConv(torch.tensor([[[0.0, 2.0, 0.0]]]), (4,), 2)
        >>> type(C.H @ C).__name__, (C.H @ C).resolvent(1.0)(torch.ones(1, 4)).round(decimals=4)
        ('CirculantPlusGram', tensor([[0.2000, 1.0000, 0.2000, 1.0000]]))
    """

    P: Circulant
    L: Decimated
    R: Decimated
    reads: Decimated | None = field(default=None, kw_only=True, repr=False)
    writes: Decimated | None = field(default=None, kw_only=True, repr=False)

    def __post_init__(self) -> None:
        P, L, R = self.P, self.L, self.R
        spaces = (L.domain, R.domain) == (P.codomain, P.domain) and L.codomain == R.codomain
        if not spaces or L.stride != R.stride:
            raise ShapeError(f"P + LᴴR does not fit: got {P.signature}, {L.signature}, {R.signature}")

    @classmethod
    def of(cls, L: Decimated, R: Decimated) -> CirculantPlusGram:
        """Lᴴ R."""
        zero = L.symbol.new_zeros(L.symbol.shape[0], L.symbol.shape[2], R.symbol.shape[2])
        return cls(Circulant(zero, L.grid), L, R)

    @property
    def grid(self) -> Shape:
        return self.P.grid

    @property
    def stride(self) -> Shape:
        return self.R.stride

    @property
    def domain(self) -> Shape:
        return self.P.domain

    @property
    def codomain(self) -> Shape:
        return self.P.codomain

    @property
    def dtype(self) -> DType:
        return self.P.dtype

    @property
    def device(self) -> torch.device:
        return self.P.device

    @property
    def route(self) -> Literal["phases", "aliases"]:
        """How it is computed, by what takes fewer operations.

        By one matrix for each coarse frequency, with all phases as channels (see `monops.linear.phases`); or by P on
        the fine grid and LᴴR on the aliases of each coarse frequency.
        """
        number, (rank, inputs), outputs = math.prod(self.stride), self.R.symbol.shape[1:], self.P.codomain[0]
        # For each point of the coarse grid. A complex product is four real ones, and there is half a frequency a point.
        transforms = number * (inputs + outputs)
        on_phases = transforms * fourier.cost(self.R.coarse, self.device)
        on_phases += 2 * number * inputs * (number * outputs + rank)
        products = 2 * number * (inputs * outputs + rank * (inputs + outputs))
        return "phases" if on_phases <= transforms * fourier.cost(self.grid, self.device) + products else "aliases"

    @property
    def takes_spectra(self) -> bool:
        return self.route == "aliases"

    @property
    def phased(self) -> torch.Tensor:
        """The matrix on all phases (see `monops.linear.phases`): (coarse frequencies, phases · out, phases · in)."""
        folded = aliasing.fold(self.P.symbol, self.grid, self.stride)
        return torch.baddbmm(phases.of_both(folded, self.grid, self.stride), self.L.phased.mH, self.R.phased)

    def apply(self, x: Array) -> Array:
        return self.through(Signal(x, self.domain)).array

    def on_spectrum(self, y: torch.Tensor) -> torch.Tensor:
        return self._on_aliases(y, None)[0]

    def on_signal(self, signal: Signal) -> Signal:
        return self.through(signal)

    def through(self, x: Signal, entering: Signal | None = None, *, is_read: bool = False) -> Signal:
        """op(x), or op(x - Dᴴ entering) for the D that it `writes`.

        Where it is to be read, which goes with nothing entering, the result has its image under what this one `reads`.
        """
        if self.route == "phases":
            return self._on_phases(x, entering, is_read)
        y, sampled = self._on_aliases(x.spectrum, None if entering is None else entering.spectrum)
        image = (self.reads, Signal(None, self.reads.codomain, sampled, x.batch)) if is_read and self.reads else None
        return Signal(None, self.codomain, y, x.batch, image)

    def _on_phases(self, x: Signal, entering: Signal | None, is_read: bool) -> Signal:
        coarse, known = self.R.coarse, (is_read, entering is not None)
        kernel = self._remembered(f"on phases {known}", lambda: fourier.blocks(self._extended(*known)))
        y = fourier.spectrum(phases.split(x.stored, self.grid, self.stride), coarse)
        if entering is not None:
            pairs = [part.unflatten(1, (2, part.shape[1] // 2)) for part in (y, -entering.spectrum)]
            y = torch.cat(pairs, 2).flatten(1, 2)
        y = fourier.inverse(kernel @ y, coarse)
        outputs = math.prod(self.stride) * self.codomain[0]
        image = None
        if is_read and self.reads is not None:
            sampled = reversed_axes(y[..., outputs:, :]).reshape(*x.batch, *self.reads.codomain)
            image = self.reads, Signal(sampled, self.reads.codomain)
        return Phased(y[..., :outputs, :], self, x.batch, image)

    def _on_aliases(self, y: torch.Tensor, entering: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor]:
        P, L, R = self._remembered("on aliases", self._apart)
        folded = aliasing.gather(y, self.grid, self.stride)
        sampled = R @ folded if entering is None else torch.baddbmm(entering, R, folded, beta=-1)
        return P @ y + aliasing.scatter(L @ sampled, self.grid, self.stride), sampled

    def _apart(self) -> tuple[torch.Tensor, ...]:
        """The real matrices of P, Lᴴ and R."""
        return fourier.blocks(self.P.symbol), math.prod(self.stride) * self.L.kernel().mT, self.R.kernel()

    def _extended(self, is_read: bool, is_entered: bool) -> torch.Tensor:
        """`phased`, with R below it if its value is wanted too, and Lᴴ beside it if something enters there."""
        symbol = self.phased
        if is_entered:
            symbol = torch.cat([symbol, self.L.phased.mH], 2)
        return torch.cat([symbol, self.R.phased], 1) if is_read else symbol

    def _remembered(self, name: str, make: Callable[[], Any]) -> Any:
        return remembered(self, name, make, self.P.symbol, self.L.symbol, self.R.symbol)

    def pairing_on_spectra(self, y: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        sampled = fourier.pairing(self.R.on_spectrum(y), self.L.on_spectrum(w), self.R.coarse)
        return self.P.pairing_on_spectra(y, w) + sampled

    def adjoint(self) -> LinearOperator:
        adjoint = _plus_gram(self.P.adjoint(), self.R, self.L, reads=self.writes, writes=self.reads)
        for is_read, is_entered in ((False, False), (True, False), (False, True)):
            kernel = kept(self, f"on phases {is_read, is_entered}")
            if isinstance(kernel, torch.Tensor):
                keep(adjoint, f"on phases {is_entered, is_read}", kernel.mT)
        separate = kept(self, "on aliases")
        if isinstance(separate, tuple):
            P, L, R = (kernel.mT for kernel in separate)
            number = math.prod(self.stride)
            keep(adjoint, "on aliases", (P, number * R, L / number))
        return adjoint

    def resolvent(self, step: float) -> LinearOperator:
        self._require_step(step)
        Q = self.P.resolvent(step)
        K = (self.R @ Q @ self.L.H).resolvent(step)
        return _plus_gram(Q, -step * (self.L @ Q.H), K @ self.R @ Q, reads=self.R)

    def norm(self) -> float:
        return float(torch.linalg.matrix_norm(self._finite(), ord=2).max())

    def monotonicity(self) -> float:
        self._require_square("monotonicity")
        S = self._finite()
        return float(torch.linalg.eigvalsh((S + S.mH) / 2).min())

    def _finite(self) -> torch.Tensor:
        symbol = detach(self.phased)
        require_finite(symbol, self.signature)
        return symbol

    def _plus(self, other: LinearOperator) -> LinearOperator:
        if isinstance(other, Identity) or (isinstance(other, ShiftInvariant) and other.grid == self.grid):
            return _plus_gram(self.P + other, self.L, self.R)
        if isinstance(other, CirculantPlusGram) and (other.grid, other.stride) == (self.grid, self.stride):
            return _plus_gram(self.P + other.P, _stack(self.L, other.L), _stack(self.R, other.R))
        return NotImplemented

    def _times(self, other: LinearOperator) -> LinearOperator:
        P, L, R = self.P, self.L, self.R
        if isinstance(other, ShiftInvariant) and other.grid == self.grid:
            return _plus_gram(P @ other, L, R @ other)
        if isinstance(other, CirculantPlusGram) and (other.grid, other.stride) == (self.grid, self.stride):
            Q, M, N = other.P, other.L, other.R
            return _plus_gram(P @ Q, _stack(L, M @ P.H), _stack(R @ Q + (R @ M.H) @ N, N))
        if isinstance(other, Interpolated) and (other.op.grid, other.op.stride) == (self.grid, self.stride):
            return (other.H @ self.H).H
        return NotImplemented

    def _rtimes(self, other: LinearOperator) -> LinearOperator:
        if isinstance(other, ShiftInvariant) and other.grid == self.grid:
            return _plus_gram(other @ self.P, self.L @ other.H, self.R)
        if isinstance(other, Decimation) and (other.grid, other.stride) == (self.grid, self.stride):
            return other @ self.P + (other @ self.L.H) @ self.R
        return NotImplemented

    def _scaled(self, scalar: float | Array) -> LinearOperator:
        return _plus_gram(scalar * self.P, self.L, scalar * self.R)


class Phased(Signal):
    """A signal made of its phases (see `monops.linear.phases`)."""

    def __init__(
        self, y: torch.Tensor, op: CirculantPlusGram, batch: Shape, image: tuple[LinearOperator, Signal] | None
    ) -> None:
        super().__init__(None, op.codomain, None, batch, image)
        self.y, self.grid, self.stride = y, op.grid, op.stride

    def _made(self, out: torch.Tensor | None = None) -> torch.Tensor:
        return phases.join(self.y, self.grid, self.stride, out)


def _plus_gram(P: LinearOperator, L: LinearOperator, R: LinearOperator, **known: Decimated | None) -> CirculantPlusGram:
    return CirculantPlusGram(cast(Circulant, P), cast(Decimated, L), cast(Decimated, R), **known)


def _stack(first: LinearOperator, second: LinearOperator) -> Decimated:
    """x ↦ (first x, second x), as channels."""
    first, second = cast(Decimated, first), cast(Decimated, second)
    return first.with_symbol(torch.cat([first.symbol, second.symbol], 1))
