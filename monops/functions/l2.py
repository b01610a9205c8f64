"""Euclidean norms: of a point, and summed over groups of its entries."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Self

import numpy as np

from monops.arrays import Array, detach, namespace, require_step
from monops.errors import OptionError, ShapeError
from monops.functions.base import Function, total
from monops.functions.convex_set import slack
from monops.functions.jacobians import PerSample
from monops.functions.parameters import PARAMETER, require, require_narrow
from monops.linear import LinearOperator

Sums = Callable[[Array], Array]  # every entry replaced by the sum over its group, or something that broadcasts to that


@dataclass(frozen=True, eq=False)
class GroupNorm(Function):
    """f(x) = Σ_g weight_g ‖x_g‖ over disjoint groups g of entries: what `L2`, `L21` and `GroupL2` share.

    The prox shrinks each group by the factor max(0, 1 - step·weight/‖x_g‖).
    """

    takes_steps = True

    weight: float | Array = field(default=1.0, metadata=PARAMETER)

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self, (self.weight >= 0) & (self.weight < math.inf), "weight in [0, ∞)")

    @abstractmethod
    def _sums(self) -> Sums:
        """The sums over groups, as a function that captures no tensors."""

    def __call__(self, x: Array) -> Array:
        sums = self._sums()
        size = namespace(x).clip(sums(namespace(x).ones_like(self._admit(x))), 1.0, None)  # 1 of an empty point
        return total(self.weight * _norms(x, sums) / size + 0 * x, self.axes)

    def prox(self, x: Array, step: float) -> Array:
        threshold = require_step(step, self, "prox") * self.weight
        return x * _shrinkage(_norms(self._admit(x), self._sums()), threshold)[0]

    def prox_derivative(self, x: Array, step: float) -> LinearOperator:
        threshold = require_step(step, self, "prox_derivative") * self.weight
        sums = self._sums()
        norms = _norms(self._admit(x), sums)
        direction = x / namespace(x).where(norms > 0, norms, 1.0)
        return PerSample(partial(_rank_one, sums=sums), (direction, *_shrinkage(norms, threshold)), self.axes)

    def conjugate_value(self, y: Array) -> Array:
        xp, norms = namespace(y), _norms(self._admit(y), self._sums())
        bound = self.weight + slack(y, self.axes)
        return total(xp.where(norms > bound, math.inf, xp.where(norms == norms, 0.0, norms)) + 0 * y, self.axes)


@dataclass(frozen=True, eq=False)
class L2(GroupNorm):
    """f(x) = weight·‖x‖, the Euclidean norm of the point (not its square, for which see `SquaredL2`).

    The prox shrinks x by the factor max(0, 1 - step·weight/‖x‖).

    Args:
        weight: in [0, ∞); a number, or an array with one number for each point: of length 1 on the axes of a point.

    Raises:
        OptionError: `weight` is not in [0, ∞).
        ShapeError: `weight` differs within a point.

    Source:
        Parikh & Boyd 2014, Proximal algorithms, section 6.5.1 (the block soft threshold).

    Example:
        >>> import torch
        >>> L2(2.5).prox(torch.tensor([3.0, 4.0]), 1.0)
        tensor([1.5000, 2.0000])
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        require_narrow(self, "weight", self.axes)

    def _sums(self) -> Sums:
        return partial(_trailing, axes=self.axes)


@dataclass(frozen=True, eq=False)
class L21(GroupNorm):
    """f(x) = Σ_g weight_g ‖x_g‖, a group being all entries along the last `over` axes: the rows of a matrix, say.

    The prox shrinks each group by the factor max(0, 1 - step·weight_g/‖x_g‖).

    Shapes: `x` (*batch, *groups, *group), with `over` axes in `group` and `axes` in both together.

    Args:
        weight: in [0, ∞); a number, or an array with one number for each group: of length 1 on the last `over` axes.
        over: how many axes make a group, in [0, axes].
        axes: how many axes make a point.

    Raises:
        OptionError: `weight` is not in [0, ∞), or `over` not in [0, axes].
        ShapeError: `weight` differs within a group.

    Source:
        Yuan & Lin 2006, Model selection and estimation in regression with grouped variables.

    Example:
        >>> import torch
        >>> L21(2.5).prox(torch.tensor([[3.0, 4.0], [0.5, 0.5]]), 1.0)
        tensor([[1.5000, 2.0000],
                [0.0000, 0.0000]])
    """

    over: int = field(default=1, kw_only=True)
    axes: int = field(default=2, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.over, int) or not 0 <= self.over <= self.axes:
            raise OptionError(f"L21 wants over in [0, {self.axes}], got {self.over!r}")
        require_narrow(self, "weight", self.over)

    def _sums(self) -> Sums:
        return partial(_trailing, axes=self.over)


@dataclass(frozen=True, eq=False)
class GroupL2(GroupNorm):
    """f(x) = Σ_g weight_g ‖x_g‖ over groups of entries along the one axis of a point.

    The prox shrinks each group by the factor max(0, 1 - step·weight_g/‖x_g‖).

    Args:
        weight: in [0, ∞); a number, or an array with a number for each entry, the same throughout a group.
        groups: the size of consecutive groups, an int ≥ 1 that divides the length of points; or a tuple with a tuple
            of indices for each group, in which each index from 0 on occurs once.

    Raises:
        OptionError: `groups` is something else, `weight` is not in [0, ∞), or not the same throughout a group.
        ShapeError: a point has another length than the groups have together.

    Source:
        Yuan & Lin 2006, Model selection and estimation in regression with grouped variables.

    Example:
        >>> import torch
        >>> GroupL2(2.5, groups=((0, 2), (1,))).prox(torch.tensor([3.0, 2.0, 4.0]), 1.0)
        tensor([1.5000, 0.0000, 2.0000])
    """

    groups: int | tuple[tuple[int, ...], ...] = field(kw_only=True)
    axes: int = field(init=False, default=1)

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.groups, int):
            if self.groups < 1:
                raise OptionError(f"GroupL2 wants groups of size ≥ 1, got {self.groups}")
        else:
            object.__setattr__(self, "groups", tuple(tuple(group) for group in self.groups))
            indices = sorted(i for group in self.groups for i in group)
            if indices != list(range(len(indices))) or not all(self.groups):
                raise OptionError(f"GroupL2 wants each index 0, 1, … in one group, and no empty one, got {self.groups}")
        weight = self.weight
        if not isinstance(weight, float) and weight.ndim and weight.shape[-1] != 1:
            counts = self._sums()(namespace(weight).ones_like(weight))
            require(self, abs(self._sums()(weight) / counts - weight) <= 1e-6 * weight, "one weight in each group")

    def on_axes(self, axes: int) -> Self:
        if axes != 1:
            raise OptionError(f"GroupL2 is a function of one axis, got axes={axes}; L21 has more")
        return replace(self)

    def _sums(self) -> Sums:
        if isinstance(self.groups, int):
            return partial(_consecutive, size=self.groups)
        return partial(_listed, groups=self.groups)


def _trailing(x: Array, axes: int) -> Array:
    last = tuple(range(-axes, 0))
    return x.sum(last)[(..., *(None,) * axes)] if axes else x


def _consecutive(x: Array, size: int) -> Array:
    n = x.shape[-1]
    if n % size:
        raise ShapeError(f"GroupL2 with groups of size {size} wants points of a multiple of that length, got {n}")
    blocks = x.reshape(*x.shape[:-1], n // size, size)
    return (blocks.sum(-1)[..., None] + 0 * blocks).reshape(x.shape)


def _listed(x: Array, groups: tuple[tuple[int, ...], ...]) -> Array:
    n = sum(map(len, groups))
    if x.shape[-1] != n:
        raise ShapeError(f"GroupL2 with groups of {n} entries wants points of that length, got {x.shape[-1]}")
    order = [i for group in groups for i in group]
    ends = [*np.cumsum([len(group) for group in groups]).tolist()]
    parts = [x[..., order[end - len(group) : end]] for group, end in zip(groups, ends, strict=True)]
    xp = namespace(x)
    sums: Any = xp.concatenate([part.sum(-1)[..., None] + 0 * part for part in parts], -1)
    return sums[..., np.argsort(order).tolist()]


def _norms(x: Array, sums: Sums) -> Array:
    """The norm of each entry's group, with derivative 0 where that is 0."""
    # The sum of sizes is divided out, so that squares of very large and very small numbers neither overflow nor vanish.
    xp, sizes = namespace(x), sums(abs(detach(x)))
    scale = xp.where((sizes > 0) & (sizes < math.inf), sizes, 1.0)
    squares = sums((x / scale) ** 2)
    return scale * xp.where(squares > 0, xp.sqrt(xp.where(squares > 0, squares, 1.0)), squares)


def _shrinkage(norms: Array, threshold: float | Array) -> tuple[Array, Array]:
    """The factor max(0, 1 - threshold/norm) of the prox, and what it lacks to 1 where it is not 0."""
    xp = namespace(norms)
    # Not >, so that weight 0 gives the derivative 1 of the identity at 0 as well.
    is_kept = (norms >= threshold) | (norms != norms)
    lost = threshold / xp.where(norms > 0, norms, 1.0) + 0 * norms
    return xp.where(is_kept, 1 - lost, 0 * norms), xp.where(is_kept, lost, 0 * norms)


def _rank_one(d: Array, direction: Array, factor: Array, lost: Array, sums: Sums) -> Array:
    return factor * d + lost * direction * sums(direction * d)
