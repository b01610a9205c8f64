"""The operator that is zero everywhere."""

from __future__ import annotations

import math
from dataclasses import dataclass

from monops.arrays import Array, Shape, device_of, require_step
from monops.linear import Identity, LinearOperator, Zero
from monops.monotone.base import MonotoneOperator, Resolvent


@dataclass(frozen=True, eq=False)
class ZeroOperator(MonotoneOperator):
    """z ↦ 0: with it, methods for two operators solve 0 ∈ A(z).

    Args:
        axes: how many trailing axes make one point, ≥ 0.

    Example:
        >>> import torch
        >>> ZeroOperator().resolvent(0.5)(torch.ones(2))
        tensor([1., 1.])
    """

    axes: int = 1

    @property
    def takes_steps(self) -> bool:
        return True

    @property
    def rank(self) -> int:
        return self.axes

    @property
    def is_zero(self) -> bool:
        return True

    @property
    def is_gradient(self) -> bool:
        return True

    @property
    def lipschitz(self) -> float:
        return 0.0

    @property
    def cocoercivity(self) -> float:
        return math.inf

    def apply(self, x: Array) -> Array:
        return 0 * x

    def derivative(self, x: Array) -> LinearOperator:
        shape = tuple(x.shape[x.ndim - self.axes :])
        return Zero(shape, shape, dtype=x.dtype, device=device_of(x))

    def resolvent(self, step: float) -> Resolvent:
        require_step(step, self, "resolvent")
        return Unchanged(self.axes)

    def take(self, index: Array, shape: Shape) -> ZeroOperator:
        return self


@dataclass(frozen=True, eq=False)
class Unchanged(Resolvent):
    """x ↦ x."""

    axes: int = 1

    def __call__(self, x: Array) -> Array:
        return x

    def derivative(self, x: Array) -> LinearOperator:
        return Identity(tuple(x.shape[x.ndim - self.axes :]), dtype=x.dtype, device=device_of(x))

    def reflected(self) -> Resolvent:
        return self

    def take(self, index: Array, shape: Shape) -> Unchanged:
        return self
