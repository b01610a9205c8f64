"""Forward differences along the axes of a grid: the gradient of an image, say."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from monops.arrays import DEFAULT_DTYPE, Array, DType, Shape, as_device, as_dtype, namespace
from monops.errors import OptionError, ShapeError
from monops.linear.base import LinearOperator


@dataclass(frozen=True, eq=False)
class FiniteDifference(LinearOperator):
    """y[i, k] = x[i + e_k] - x[i], the forward differences along each of the chosen axes, side by side on a last axis.

    Beyond the end of an axis x goes on with its last value, so that the last difference is 0 (Neumann's condition), or
    with its first one where the grid is periodic. Isotropic total variation is `L21(axes=len(shape) + 1)` of it,
    anisotropic total variation `L1(axes=len(shape) + 1)`.

    Shapes: (*batch, *shape) → (*batch, *shape, len(axes)).

    Args:
        shape: the domain, without batch axes.
        axes: of the domain, those along which to take differences, from the last one on if negative; all unless given.
        periodic: the grid is a torus.
        dtype: of the states, PyTorch's default unless given; a NumPy dtype makes a NumPy operator.
        device: of the states.

    Raises:
        OptionError: no axes, one that is named twice, or one that is no axis of `shape`.
        ShapeError: a negative size in `shape`.

    Source: Chambolle & Pock 2011 (*A first-order primal-dual algorithm for convex problems with applications to
    imaging*), section 6.1. Norm: the eigenvalues of DᴴD are 4 sin²(πk/2n), k < n, and 4 sin²(πk/n) if periodic (Strang
    1999, *The discrete cosine transform*).

    Example:
        >>> import torch
        >>> D = FiniteDifference((4,))
        >>> D(torch.tensor([1.0, 3.0, 6.0, 6.0]))[:, 0]
        tensor([2., 3., 0., 0.])
    """

    shape: Shape
    axes: Sequence[int] | None = None
    periodic: bool = field(default=False, kw_only=True)
    dtype: DType = field(default=DEFAULT_DTYPE, kw_only=True)
    device: torch.device = field(default=torch.device("cpu"), kw_only=True)

    def __post_init__(self) -> None:
        shape = tuple(operator.index(n) for n in self.shape)
        rank = len(shape)
        given = range(rank) if self.axes is None else tuple(operator.index(axis) for axis in self.axes)
        axes = tuple(axis % rank if -rank <= axis < rank else -1 for axis in given)
        if not axes or -1 in axes or len(set(axes)) < len(axes):
            raise OptionError(f"FiniteDifference wants distinct axes of the domain {shape}, got {tuple(given)}")
        if min(shape) < 0:
            raise ShapeError(f"FiniteDifference wants sizes ≥ 0, got {shape}")
        object.__setattr__(self, "shape", shape)
        object.__setattr__(self, "axes", axes)
        object.__setattr__(self, "dtype", as_dtype(self.dtype))
        object.__setattr__(self, "device", as_device(self.device))

    @property
    def domain(self) -> Shape:
        return self.shape

    @property
    def codomain(self) -> Shape:
        return (*self.shape, len(self._axes))

    def apply(self, x: Array) -> Array:
        batch = x.ndim - len(self.shape)
        parts = [_ahead(x, batch + axis, self.periodic) for axis in self._axes]
        return namespace(x).stack(parts, -1)

    def adjoint(self) -> LinearOperator:
        return _Adjoint(self)

    def norm(self) -> float:
        if 0 in self.shape:
            return 0.0
        return math.sqrt(sum(_largest(self.shape[axis], self.periodic) for axis in self._axes))

    @property
    def _axes(self) -> tuple[int, ...]:
        assert self.axes is not None
        return tuple(self.axes)


@dataclass(frozen=True, eq=False)
class _Adjoint(LinearOperator):
    """The adjoint of a `FiniteDifference`, the negative of a discrete divergence. Made by `D.H`."""

    D: FiniteDifference

    @property
    def domain(self) -> Shape:
        return self.D.codomain

    @property
    def codomain(self) -> Shape:
        return self.D.domain

    @property
    def dtype(self) -> DType:
        return self.D.dtype

    @property
    def device(self) -> torch.device:
        return self.D.device

    def apply(self, x: Array) -> Array:
        batch = x.ndim - len(self.domain)
        parts = [_behind(x[..., k], batch + axis, self.D.periodic) for k, axis in enumerate(self.D._axes)]
        return sum(parts[1:], parts[0])

    def adjoint(self) -> LinearOperator:
        return self.D

    def norm(self) -> float:
        return self.D.norm()


def _ahead(x: Array, axis: int, periodic: bool) -> Array:
    """x[i + 1] - x[i]."""
    last = _cut(x, axis, -1, None)
    following = _cut(x, axis, 0, 1) if periodic else last
    return _join([_cut(x, axis, 1, None), following], axis) - x


def _behind(y: Array, axis: int, periodic: bool) -> Array:
    """y[i - 1] - y[i], where an end that is not periodic knows of no difference across it."""
    before, last = _cut(y, axis, None, -1), _cut(y, axis, -1, None)
    if periodic:
        return _join([last, before], axis) - y
    nothing = 0 * last
    return _join([nothing, before], axis) - _join([before, nothing], axis)


def _cut(x: Array, axis: int, start: int | None, stop: int | None) -> Array:
    where: Any = (slice(None),) * axis + (slice(start, stop),)
    return x[where]


def _join(parts: list[Array], axis: int) -> Array:
    return namespace(parts[0]).concatenate(parts, axis)


def _largest(n: int, periodic: bool) -> float:
    """The largest eigenvalue of DᴴD along an axis of n points."""
    if n == 1:
        return 0.0
    return 4 * math.sin(math.pi * (n // 2) / n) ** 2 if periodic else 4 * math.cos(math.pi / (2 * n)) ** 2
