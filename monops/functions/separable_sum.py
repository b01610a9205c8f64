"""Sums of functions of the parts of a point."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from monops.arrays import Array, Shape, floating, require_step
from monops.errors import OptionError
from monops.functions.base import Function
from monops.linear import BlockDiagonal, LinearOperator
from monops.spaces import BlockSpace


@dataclass(frozen=True, eq=False)
class SeparableSum(Function):
    """f(x_1, …, x_n) = Σ_i f_i(x_i) on flat points; its prox is that of each f_i on its part.

    Shapes: points are (*batch, size), with parts as the space says.

    Args:
        functions: one for each part; they are set to the axes of their parts.
        space: a `BlockSpace`, or the sizes of the parts, pieces of the last axis.

    Raises:
        OptionError: there are other than one function a part, or something else than functions.

    Source:
        Bauschke & Combettes 2017, Convex Analysis and Monotone Operator Theory in Hilbert Spaces.

    Example:
        >>> import torch
        >>> from monops.functions import L1, ReLU
        >>> SeparableSum((ReLU(), L1()), (1, 2)).prox(torch.tensor([-1.0, -3.0, 0.5]), 1.0)
        tensor([ 0., -2.,  0.])
    """

    functions: tuple[Function, ...]
    space: BlockSpace | Sequence[int]
    axes: int = field(init=False, default=1)

    def __post_init__(self) -> None:
        super().__post_init__()
        space = self.space if isinstance(self.space, BlockSpace) else BlockSpace(tuple((n,) for n in self.space))
        functions = tuple(self.functions)
        if len(functions) != len(space.shapes) or not all(isinstance(f, Function) for f in functions):
            raise OptionError(f"SeparableSum wants {len(space.shapes)} functions, one a part, got {functions!r}")
        object.__setattr__(self, "space", space)
        parts = tuple(f.on_axes(len(shape)) for f, shape in zip(functions, space.shapes, strict=True))
        object.__setattr__(self, "functions", parts)

    def on_axes(self, axes: int) -> SeparableSum:
        if axes != 1:
            raise OptionError(f"the points of a SeparableSum are flat and have 1 axis, got {axes}")
        return self

    @property
    def takes_steps(self) -> bool:  # type: ignore[override]
        return all(f.takes_steps and f.axes == 1 for f in self.functions)

    @property
    def strong_convexity(self) -> float:
        return min(f.strong_convexity for f in self.functions)

    @property
    def smoothness(self) -> float:
        return max(f.smoothness for f in self.functions)

    @property
    def is_indicator(self) -> bool:
        return all(f.is_indicator for f in self.functions)

    @property
    def is_convex(self) -> bool:
        return all(f.is_convex for f in self.functions)

    def __call__(self, x: Array) -> Array:
        return sum(f(part) for f, part in self._pairs(x))

    def prox(self, x: Array, step: float) -> Array:
        step = require_step(step, self, "prox")
        return self._join([f.prox(part, step) for f, part in self._pairs(x)])

    def prox_at(self, step: float) -> Callable[[Array], Array]:
        proxes = [f.prox_at(step) for f in self.functions]
        return lambda x: self._join([prox(part) for prox, (_, part) in zip(proxes, self._pairs(x), strict=True)])

    def prox_derivative(self, x: Array, step: float) -> LinearOperator:
        step = require_step(step, self, "prox_derivative")
        return _Parts(tuple(f.prox_derivative(part, step) for f, part in self._pairs(x)))

    def gradient(self, x: Array) -> Array:
        return self._join([f.gradient(part) for f, part in self._pairs(x)])

    def conjugate(self) -> Function:
        return SeparableSum(tuple(f.conjugate() for f in self.functions), self.space)

    def _pairs(self, x: Array) -> list[tuple[Function, Array]]:
        return list(zip(self.functions, self._space.split(floating(x)), strict=True))

    def _join(self, parts: list[Array]) -> Array:
        return self._space.join(parts)

    @property
    def _space(self) -> BlockSpace:
        assert isinstance(self.space, BlockSpace)
        return self.space


@dataclass(frozen=True, eq=False)
class _Parts(BlockDiagonal):
    """A diagonal of blocks which are families, one a sample."""

    @property
    def batch(self) -> Shape:
        return np.broadcast_shapes(*(block.batch for block in self.diagonal))

    def take(self, index: Array, shape: Shape) -> LinearOperator:
        return _Parts(tuple(block.take(index, (*shape[:-1], *block.domain)) for block in self.diagonal))
