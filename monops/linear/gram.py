"""Circulant operators plus products over a coarser grid: closed under sums, products, adjoints and inverses."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, cast

import torch

from monops.arrays import Array, DType, Shape, detach, require_finite
from monops.errors import ShapeError
from monops.linear import aliasing, fourier
from monops.linear.base import LinearOperator
from monops.linear.circulant import Circulant, ShiftInvariant
from monops.linear.decimated import Decimated, Decimation, Interpolated
from monops.linear.frequency import FrequencyMap
from monops.linear.identity import Identity
from monops.linear.memo import keep, kept, remembered


@dataclass(frozen=True, eq=False)
class CirculantPlusGram(FrequencyMap):
    """x ↦ P x + Lᴴ R x, with P circulant on a grid, and L and R from there to one coarser grid.

    Made by the algebra: `C.H @ C` for a `StridedCircularConv` C, and its sums with circulant operators. Sums,
    products, multiples, adjoints and resolvents are of this kind again. The resolvent is Woodbury's identity on the
    coarse grid, where R Q Lᴴ is circulant: with Q = (I + step·P)⁻¹

        (I + step·(P + Lᴴ R))⁻¹ = Q - step · Q Lᴴ (I + step · R Q Lᴴ)⁻¹ R Q.

    Shapes: the domain is P's, the codomain too.

    Args:
        P: circulant on the fine grid.
        L: to the coarse grid, on the codomain of P.
        R: to the coarse grid, on the domain of P.

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
    def route(self) -> Literal["joint", "separate"]:
        """How `apply` computes: with all aliases in one matrix, or P and LᴴR apart; by the number of products."""
        aliases, (rank, inputs), outputs = math.prod(self.stride), self.R.symbol.shape[1:], self.P.codomain[0]
        separate = aliases * inputs * outputs + rank * aliases * (inputs + outputs)
        return "joint" if aliases**2 * inputs * outputs <= separate else "separate"

    @property
    def joint(self) -> torch.Tensor:
        """The matrix on all aliases of a coarse frequency: (coarse frequencies, aliases · out, aliases · in)."""
        diagonal = aliasing.fold(self.P.symbol, self.grid, self.stride)
        F, aliases, outputs, inputs = diagonal.shape
        place = torch.eye(aliases, dtype=diagonal.dtype, device=diagonal.device)
        spread = (place[:, None, :, None] * diagonal[:, :, :, None]).reshape(F, aliases * outputs, aliases * inputs)
        return spread + aliases * (self.L.folded.mH @ self.R.folded)

    def _kernels(self) -> tuple[torch.Tensor, ...]:
        if self.route == "joint":
            return (aliasing.blocks(self.joint, self.grid, self.stride, of_input=True, of_output=True),)
        return fourier.blocks(self.P.symbol), math.prod(self.stride) * self.L.kernel().mT, self.R.kernel()

    def on_spectrum(self, y: torch.Tensor) -> torch.Tensor:
        kernels = remembered(self, "kernels", self._kernels, self.P.symbol, self.L.symbol, self.R.symbol)
        folded = aliasing.gather(y, self.grid, self.stride)
        if len(kernels) == 1:
            return aliasing.scatter(kernels[0] @ folded, self.grid, self.stride)
        P, L, R = kernels
        return P @ y + aliasing.scatter(L @ (R @ folded), self.grid, self.stride)

    def adjoint(self) -> LinearOperator:
        adjoint = _plus_gram(self.P.adjoint(), self.R, self.L)
        kernels = kept(self, "kernels")
        if isinstance(kernels, tuple):
            first, *others = (kernel.mT for kernel in kernels)
            keep(adjoint, "kernels", (first, *reversed(others)))
        return adjoint

    def resolvent(self, step: float) -> LinearOperator:
        self._require_step(step)
        Q = self.P.resolvent(step)
        K = (self.R @ Q @ self.L.H).resolvent(step)
        return _plus_gram(Q, self.L @ Q.H, -step * (K @ self.R @ Q))

    def norm(self) -> float:
        return float(torch.linalg.matrix_norm(self._finite_joint(), ord=2).max())

    def monotonicity(self) -> float:
        self._require_square("monotonicity")
        joint = self._finite_joint()
        return float(torch.linalg.eigvalsh((joint + joint.mH) / 2).min())

    def _finite_joint(self) -> torch.Tensor:
        joint = detach(self.joint)
        require_finite(joint, self.signature)
        return joint

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


def _plus_gram(P: LinearOperator, L: LinearOperator, R: LinearOperator) -> CirculantPlusGram:
    return CirculantPlusGram(cast(Circulant, P), cast(Decimated, L), cast(Decimated, R))


def _stack(first: LinearOperator, second: LinearOperator) -> Decimated:
    """x ↦ (first x, second x), as channels."""
    first, second = cast(Decimated, first), cast(Decimated, second)
    return first.with_symbol(torch.cat([first.symbol, second.symbol], 1))
