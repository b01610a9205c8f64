"""Derivatives of proximal maps that are not diagonal, and the arithmetic of segments and groups they are made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch

from monops.arrays import Array, DType, Shape, device_of, is_torch, namespace
from monops.linear import LinearOperator


@dataclass(frozen=True, eq=False)
class PerSample(LinearOperator):
    """d ↦ rule(d, *data), a symmetric operator for each sample.

    Shapes: the first of `data` is (*batch, *domain); the others have as many axes, and broadcast against it.

    Assumes that the rule is linear in d, symmetric, and acts on each sample by itself.

    Args:
        rule: a function that captures no tensors.
        data: the arrays that it gets after d.
        rank: how many trailing axes are the domain.
    """

    rule: Callable[..., Any]
    data: tuple[Array, ...] = field(metadata={"axes": "domain"})
    rank: int

    @property
    def domain(self) -> Shape:
        shape = tuple(self.data[0].shape)
        return shape[len(shape) - self.rank :]

    @property
    def codomain(self) -> Shape:
        return self.domain

    @property
    def dtype(self) -> DType:
        return self.data[0].dtype

    @property
    def device(self) -> torch.device:
        return device_of(self.data[0])

    @property
    def batch(self) -> Shape:
        shape = tuple(self.data[0].shape)
        return shape[: len(shape) - self.rank]

    @property
    def symmetric(self) -> bool:
        return True

    def apply(self, x: Array) -> Array:
        return self.rule(x, *self.data)

    def adjoint(self) -> LinearOperator:
        return self

    def take(self, index: Array, shape: Shape) -> LinearOperator:
        if not self.batch or self.data[0].ndim != len(shape):
            return self
        return replace(self, data=tuple(v[index] if v.shape[0] > 1 else v for v in self.data))


def take_along(x: Array, index: Array) -> Array:
    """x[..., index], each sample with indices of its own. Shapes: (*batch, n), (*batch, k) → (*batch, k)."""
    if is_torch(x):
        return torch.take_along_dim(x, index, -1)
    return np.take_along_axis(x, index, -1)


def segments(jumps: Array) -> Array:
    """The number 0, 1, … of each entry's stretch between jumps. Shapes: `jumps` (*batch, n - 1) → (*batch, n)."""
    xp = namespace(jumps)
    first = xp.zeros_like(jumps.sum(-1))[..., None] != 0
    return xp.cumsum(xp.concatenate((first, jumps != 0), -1), -1)


def segment_mean(d: Array, ids: Array) -> Array:
    """Every entry replaced by the mean over the entries of the same number. Shapes: (*batch, n) twice → the same."""
    if is_torch(d):
        d, ids = torch.broadcast_tensors(d, ids)
        sums = torch.zeros_like(d).scatter_add(-1, ids, d)
        counts = torch.zeros_like(d).scatter_add(-1, ids, torch.ones_like(d))
        return torch.take_along_dim(sums / counts.clamp(min=1), ids, -1)
    d, ids = np.broadcast_arrays(d, ids)
    n = max(1, d.shape[-1])
    keys = (ids.reshape(d.size // n, -1) + n * np.arange(d.size // n)[:, None]).ravel() if d.size else ids.ravel()
    means = np.bincount(keys, d.ravel(), d.size) / np.maximum(np.bincount(keys, minlength=d.size), 1)
    return means[keys].reshape(d.shape).astype(d.dtype)
