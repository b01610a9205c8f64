"""The second-order cone and the cone of positive semidefinite matrices."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch

from monops.arrays import Array, DType, Shape, clip, concatenate, device_of, is_torch, largest, namespace
from monops.autodiff import Problem, solve_implicitly
from monops.errors import OptionError, ShapeError
from monops.functions.base import indicator
from monops.functions.convex_set import ConvexSet, dropped, norm
from monops.functions.decompositions import eigh, eigvalsh
from monops.functions.structured import Structured
from monops.linear import LinearOperator


@dataclass(frozen=True, eq=False)
class SecondOrderCone(ConvexSet):
    """f(t, x) = 0 where ‖x‖ ≤ t, else ∞; the prox is (t, x), 0, or (1 + t/‖x‖)/2 · (‖x‖, x).

    Shapes: points are (*batch, 1 + n): t is the first number, x the others.

    Raises:
        OptionError: points have other than 1 axis.

    Source:
        Bauschke 1996, Projection algorithms and monotone operators (theorem 3.3.6).

    Example:
        >>> import torch
        >>> SecondOrderCone().prox(torch.tensor([1.0, 3.0, 0.0]), 1.0)
        tensor([2., 2., 0.])
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.axes != 1:
            raise OptionError(f"the points (t, x) of a SecondOrderCone have 1 axis, got {self.axes}")

    def conjugate_value(self, y: Array) -> Array:
        return self(-self._admit(y))

    def _admit(self, x: Array) -> Array:
        if super()._admit(x).shape[-1] < 1:
            raise ShapeError(f"a SecondOrderCone wants points (t, x), got an array of shape {tuple(x.shape)}")
        return x

    def _project(self, x: Array) -> Array:
        xp, t, size, share, inside, polar = self._parts(x)
        half = 0.5 * (size + t)
        head = xp.where(inside, t, xp.where(polar, 0 * t, half))
        factor = xp.where(inside, 1 + 0 * size, xp.where(polar, 0 * size, share))
        return concatenate([head, factor * x[..., 1:]])

    def _projection_derivative(self, x: Array) -> LinearOperator:
        # Outside of both cones the eigenvectors are (1, w) and (1, -w), w = x/‖x‖, with 1 and 0, and those
        # orthogonal to the two, with (1 + t/‖x‖)/2.
        xp, t, size, share, inside, polar = self._parts(x)
        one = xp.ones_like(t)
        diagonal = xp.where(inside, one, xp.where(polar, 0 * one, share))
        w = x[..., 1:] / xp.where(size == 0, 1.0, size)
        above, below = concatenate([one, w]), concatenate([one, -w])
        is_smooth = inside | polar
        up = xp.where(is_smooth, 0.0, 0.5 * (1 - diagonal))
        down = xp.where(is_smooth, 0.0, -0.5 * diagonal)
        return Structured(diagonal * xp.ones_like(x), 1, (above, below), (up, down))

    def _parts(self, x: Array) -> tuple[Array, Array, Array, Array, Array, Array]:
        """The library, t, ‖x‖, (1 + t/‖x‖)/2, and whether the point is in the cone or in its polar."""
        xp, t, size = namespace(x), x[..., :1], norm(x[..., 1:], 1)
        inside, polar = size <= t, size <= -t
        share = 0.5 * (1 + t / xp.where(size == 0, 1.0, size))
        return xp, t, size, share, inside, polar & ~inside

    def _excess(self, x: Array) -> Array:
        return norm(x[..., 1:], 1) - x[..., :1]


@dataclass(frozen=True, eq=False)
class PSDCone(ConvexSet):
    """f(X) = 0 where X is symmetric positive semidefinite, else ∞; the prox sets negative eigenvalues to 0.

    The prox of a matrix that is not symmetric is that of its symmetric part. Derivatives are finite where
    eigenvalues coincide too; those of second order are not defined there, and NaN.

    Shapes: points are (*batch, n, n).

    Raises:
        OptionError: points have other than 2 axes.
        ShapeError: a point is not square.

    Source:
        Higham 1988, Computing a nearest symmetric positive semidefinite matrix; the derivative: Sun & Sun 2002,
        Semismooth matrix-valued functions.

    Example:
        >>> import torch
        >>> PSDCone().prox(torch.tensor([[3.0, 0.0], [0.0, -2.0]]), 1.0)
        tensor([[3., 0.],
                [0., 0.]])
    """

    axes: int = field(default=2, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.axes != 2:
            raise OptionError(f"the points of a PSDCone are matrices and have 2 axes, got {self.axes}")

    def __call__(self, x: Array) -> Array:
        x = self._admit(x)
        asymmetry = norm(x - x.mT, 2)
        least = -self._excess(0.5 * (x + x.mT))
        slack = self._slack(x)
        return indicator(dropped((asymmetry > slack) | (least < -slack), 2), dropped(asymmetry, 2))

    def conjugate_value(self, y: Array) -> Array:
        # Antisymmetric parts play no role in ⟨X, Y⟩ for symmetric X.
        return self(-0.5 * (self._admit(y) + y.mT))

    def _admit(self, x: Array) -> Array:
        if super()._admit(x).shape[-1] != x.shape[-2]:
            raise ShapeError(f"a PSDCone wants square matrices, got an array of shape {tuple(x.shape)}")
        return x

    def _project(self, x: Array) -> Array:
        x = 0.5 * (x + x.mT)
        return solve_implicitly(_PositivePart(x)) if is_torch(x) else _positive_part(x)

    def _projection_derivative(self, x: Array) -> LinearOperator:
        values, vectors = eigh(0.5 * (x + x.mT))
        positive, size = clip(values, 0.0, None), abs(values)
        weights = _quotient(positive[..., :, None] + positive[..., None, :], size[..., :, None] + size[..., None, :])
        return _Spectral(vectors, weights)

    def _excess(self, x: Array) -> Array:
        return largest(-eigvalsh(x))[..., None]


@dataclass(frozen=True, eq=False)
class _Spectral(LinearOperator):
    """X ↦ Q (weights ∘ (Qᵀ sym(X) Q)) Qᵀ, symmetric. Shapes: `vectors` Q and `weights` (*batch, n, n)."""

    vectors: Array = field(metadata={"axes": "domain"})
    weights: Array = field(metadata={"axes": "domain"})

    @property
    def domain(self) -> Shape:
        return tuple(self.vectors.shape[-2:])

    @property
    def codomain(self) -> Shape:
        return self.domain

    @property
    def dtype(self) -> DType:
        return self.vectors.dtype

    @property
    def device(self) -> torch.device:
        return device_of(self.vectors)

    @property
    def batch(self) -> Shape:
        return tuple(self.vectors.shape[:-2])

    @property
    def symmetric(self) -> bool:
        return True

    def apply(self, x: Array) -> Array:
        Q = self.vectors
        return Q @ (self.weights * (Q.mT @ (0.5 * (x + x.mT)) @ Q)) @ Q.mT

    def adjoint(self) -> LinearOperator:
        return self

    def take(self, index: Array, shape: Shape) -> LinearOperator:
        is_per_sample = self.vectors.ndim == len(shape) and bool(self.batch) and self.batch[0] > 1
        return _Spectral(self.vectors[index], self.weights[index]) if is_per_sample else self


@dataclass(frozen=True, eq=False)
class _PositivePart(Problem):
    """2 P² = P X + X P, which holds for the positive part P of a symmetric X: P (P - X) = 0.

    Its derivative dP |X| + |X| dP = P dX + dX P needs no quotient of differences of eigenvalues, which those of
    eigenvectors do.
    """

    X: torch.Tensor = field(metadata={"axes": "domain"})

    @property
    def domain(self) -> Shape:
        return tuple(self.X.shape[-2:])

    @property
    def batch(self) -> Shape:
        return tuple(self.X.shape[:-2])

    def solve(self) -> torch.Tensor:
        return _positive_part(self.X)

    def equation(self, x: torch.Tensor) -> torch.Tensor:
        product = x @ (x - self.X)
        return product + product.mT

    def tangent(self, x: torch.Tensor, r: torch.Tensor) -> torch.Tensor:
        values, Q = eigh(2 * x - self.X)
        size = abs(values)
        r = Q.mT @ (0.5 * (r + r.mT)) @ Q
        return Q @ _quotient(r, size[..., :, None] + size[..., None, :]) @ Q.mT

    def cotangent(self, x: torch.Tensor, g: torch.Tensor) -> torch.Tensor:
        return self.tangent(x, g)


def _positive_part(x: Array) -> Array:
    values, vectors = eigh(x)
    p = (vectors * clip(values, 0.0, None)[..., None, :]) @ vectors.mT
    return 0.5 * (p + p.mT)


def _quotient(numerator: Array, denominator: Array) -> Array:
    """numerator / denominator, and 0 where the denominator is 0."""
    xp = namespace(numerator)
    return xp.where(denominator == 0, 0.0, numerator / xp.where(denominator == 0, 1.0, denominator))
