"""Derivatives of proximal maps that are not diagonal: an operator, a diagonal, and rank-one terms."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch

from monops.arrays import Array, DType, Shape, device_of
from monops.linear import Diagonal, Identity, LinearOperator


@dataclass(frozen=True, eq=False)
class Structured(LinearOperator):
    """x ↦ entries·x + scale·inner(x) + Σ_k weights_k ⟨vectors_k, x⟩ vectors_k, symmetric.

    Shapes: `entries` and each of `vectors` (*batch, *domain); `scale` and each of `weights` broadcast against them,
    with 1 in the axes of the domain.

    Args:
        entries: the diagonal.
        rank: how many trailing axes of `entries` are the domain.
        vectors: of the terms of rank one.
        weights: as many as there are vectors.
        inner: a symmetric operator on the domain, or None.
        scale: its factor, one a sample.
    """

    entries: Array = field(metadata={"axes": "domain"})
    rank: int
    vectors: tuple[Array, ...] = field(default=(), metadata={"axes": "domain"})
    weights: tuple[Array, ...] = field(default=(), metadata={"axes": "domain"})
    inner: LinearOperator | None = None
    scale: Array | float = field(default=1.0, metadata={"axes": "domain"})

    @property
    def domain(self) -> Shape:
        return tuple(self.entries.shape[self.entries.ndim - self.rank :])

    @property
    def codomain(self) -> Shape:
        return self.domain

    @property
    def dtype(self) -> DType:
        return self.entries.dtype

    @property
    def device(self) -> torch.device:
        return device_of(self.entries)

    @property
    def batch(self) -> Shape:
        return tuple(self.entries.shape[: self.entries.ndim - self.rank])

    @property
    def symmetric(self) -> bool:
        return True

    def apply(self, x: Array) -> Array:
        y = self.entries * x
        for weight, vector in zip(self.weights, self.vectors, strict=True):
            y = y + weight * dot(vector, x, self.rank) * vector
        return y if self.inner is None else y + self.scale * self.inner.apply(x)

    def adjoint(self) -> LinearOperator:
        return self

    def _plus(self, other: LinearOperator) -> LinearOperator:
        if not isinstance(other, Identity | Diagonal) or len(other.domain) != self.rank:
            return NotImplemented
        entries = self.entries + (other.scale if isinstance(other, Identity) else other.entries)
        return Structured(entries, self.rank, self.vectors, self.weights, self.inner, self.scale)

    def _scaled(self, scalar: float | Array) -> LinearOperator:
        weights = tuple(scalar * weight for weight in self.weights)
        return Structured(scalar * self.entries, self.rank, self.vectors, weights, self.inner, scalar * self.scale)

    def take(self, index: Array, shape: Shape) -> LinearOperator:
        if not self.batch or self.entries.ndim != len(shape) or self.batch[0] == 1:
            return self

        def rows(value: Any) -> Any:
            is_own = not isinstance(value, float) and value.ndim == len(shape) and value.shape[0] > 1
            return value[index] if is_own else value

        inner = None if self.inner is None else self.inner.take(index, shape)
        vectors, weights = (tuple(rows(v) for v in values) for values in (self.vectors, self.weights))
        return Structured(rows(self.entries), self.rank, vectors, weights, inner, rows(self.scale))


def dot(x: Array, y: Array, axes: int) -> Array:
    """⟨x, y⟩ over the last `axes` axes, which stay as axes of length 1."""
    return (x * y).sum(tuple(range(-axes, 0)), keepdims=True) if axes else x * y
