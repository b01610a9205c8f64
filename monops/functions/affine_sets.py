"""Half-spaces, hyperplanes, and the solutions of linear equations."""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass, field

import numpy as np
import torch

from monops.arrays import (
    Array,
    check_array,
    clip,
    detach,
    device_of,
    epsilon,
    floating,
    is_torch,
    known_true,
    namespace,
)
from monops.errors import OptionError, ShapeError, SingularError
from monops.functions.convex_set import ConvexSet, dropped, norm, rounding
from monops.functions.parameters import PARAMETER, require, require_narrow
from monops.functions.structured import Structured, dot
from monops.linear import Dense, LinearOperator


@dataclass(frozen=True, eq=False)
class _Sided(ConvexSet):
    """What half-spaces and hyperplanes share."""

    normal: Array = field(metadata=PARAMETER)
    offset: float | Array = field(default=0.0, metadata=PARAMETER)

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.normal, float):
            raise OptionError(f"{type(self).__name__} wants an array as normal, got {self.normal}")
        require(self, (self.normal * self.normal).sum() > 0, "a normal that is not 0")
        require_narrow(self, "offset", self.axes)

    def conjugate_value(self, y: Array) -> Array:
        a, square = self._normal(self._admit(y))
        multiple = dot(a, y, self.axes) / square
        slack = rounding(y, self.axes) * norm(y, self.axes)
        missed = norm(y - multiple * a, self.axes) > slack
        value = multiple * self.offset
        infinite = missed | self._no_multiplier(multiple * norm(a, self.axes), slack)
        return dropped(namespace(y).where(infinite, math.inf, value), self.axes)

    def _normal(self, x: Array) -> tuple[Array, Array]:
        """The normal on every entry of x, and its square."""
        a = self.normal * namespace(x).ones_like(x)
        return a, dot(a, a, self.axes)

    @abstractmethod
    def _no_multiplier(self, multiple: Array, slack: Array) -> Array:
        """Whether `multiple` is no Lagrange multiplier."""

    def _slack(self, x: Array) -> Array:
        a, _ = self._normal(x)
        return rounding(x, self.axes) * (norm(a, self.axes) * norm(x, self.axes) + abs(self.offset))


@dataclass(frozen=True, eq=False)
class HalfSpace(_Sided):
    """f(x) = 0 where ⟨a, x⟩ ≤ b, else ∞; the prox is x - max(⟨a, x⟩ - b, 0) a / ‖a‖².

    Shapes: `normal` broadcasts against a point, and stands for an array of its shape.

    Args:
        normal: a, an array that is not 0.
        offset: b, a number, or an array with one a sample, shape (*batch, 1, …, 1).

    Raises:
        OptionError: `normal` is no array, or 0.
        ShapeError: `offset` is not one number a sample.

    Source:
        Bauschke & Combettes 2017, Convex Analysis and Monotone Operator Theory in Hilbert Spaces.

    Example:
        >>> import torch
        >>> HalfSpace(torch.tensor([1.0, 1.0]), 1.0).prox(torch.tensor([3.0, 0.0]), 1.0)
        tensor([ 2., -1.])
    """

    def _no_multiplier(self, multiple: Array, slack: Array) -> Array:
        return multiple < -slack

    def _project(self, x: Array) -> Array:
        a, square = self._normal(x)
        for _ in range(2):  # the second removes what rounding of large x left
            x = x - clip(dot(a, x, self.axes) - self.offset, 0.0, None) / square * a
        return x

    def _projection_derivative(self, x: Array) -> LinearOperator:
        xp, (a, square) = namespace(x), self._normal(x)
        weight = xp.where(dot(a, x, self.axes) > self.offset, -1 / square, 0.0)
        return Structured(xp.ones_like(x), self.axes, (a,), (weight,))

    def _excess(self, x: Array) -> Array:
        a, _ = self._normal(x)
        return dot(a, x, self.axes) - self.offset


@dataclass(frozen=True, eq=False)
class Hyperplane(_Sided):
    """f(x) = 0 where ⟨a, x⟩ = b, else ∞; the prox is x - (⟨a, x⟩ - b) a / ‖a‖².

    Shapes: `normal` broadcasts against a point, and stands for an array of its shape.

    Args:
        normal: a, an array that is not 0.
        offset: b, a number, or an array with one a sample, shape (*batch, 1, …, 1).

    Raises:
        OptionError: `normal` is no array, or 0.
        ShapeError: `offset` is not one number a sample.

    Source:
        Bauschke & Combettes 2017, Convex Analysis and Monotone Operator Theory in Hilbert Spaces.

    Example:
        >>> import torch
        >>> Hyperplane(torch.tensor([1.0, 1.0]), 1.0).prox(torch.tensor([0.0, 0.0]), 1.0)
        tensor([0.5000, 0.5000])
    """

    def _no_multiplier(self, multiple: Array, slack: Array) -> Array:
        return multiple < multiple  # any number is one

    def _project(self, x: Array) -> Array:
        a, square = self._normal(x)
        for _ in range(2):  # the second removes what rounding of large x left
            x = x - (dot(a, x, self.axes) - self.offset) / square * a
        return x

    def _projection_derivative(self, x: Array) -> LinearOperator:
        a, square = self._normal(x)
        return Structured(namespace(x).ones_like(x), self.axes, (a,), (-1 / square,))

    def _excess(self, x: Array) -> Array:
        a, _ = self._normal(x)
        return abs(dot(a, x, self.axes) - self.offset)


@dataclass(frozen=True, eq=False)
class AffineSet(ConvexSet):
    """f(x) = 0 where K x = b, else ∞; the prox is x - Q (Qᴴx - c), with Kᴴ = Q R and Rᴴc = b found once.

    Shapes: `K` (m, n) with m ≤ n, `b` (*batch, m); points are (*batch, n).

    Args:
        K: a matrix whose rows are linearly independent.
        b: the right-hand side.

    Raises:
        ShapeError: K is no matrix with m ≤ n, or b does not fit.
        SingularError: the rows of K are linearly dependent to working precision.

    Source:
        Bauschke & Combettes 2017, Convex Analysis and Monotone Operator Theory in Hilbert Spaces.

    Example:
        >>> import torch
        >>> AffineSet(torch.tensor([[1.0, 1.0, 0.0]]), torch.tensor([1.0])).prox(torch.tensor([0.0, 0.0, 7.0]), 1.0)
        tensor([0.5000, 0.5000, 7.0000])
    """

    K: Array = field(metadata={"axes": 2})
    b: Array = field(metadata={"axes": 1})
    axes: int = field(init=False, default=1)
    Q: Array = field(init=False, repr=False, metadata={"axes": 2})
    c: Array = field(init=False, repr=False, metadata={"axes": 1})

    def __post_init__(self) -> None:
        super().__post_init__()
        if floating(self.K).ndim != 2 or self.K.shape[0] > self.K.shape[1]:
            raise ShapeError(f"AffineSet wants a matrix (m, n) with m ≤ n as K, got shape {tuple(self.K.shape)}")
        check_array(self.b, (self.K.shape[0],), self.K.dtype, device_of(self.K), "AffineSet.b")
        Q, R = torch.linalg.qr(self.K.mT) if is_torch(self.K) else np.linalg.qr(self.K.mT)
        diagonal = abs(detach(R).diagonal())
        if R.shape[0] and known_true(~(diagonal.min() > 10 * epsilon(R.dtype) * diagonal.max())):
            raise SingularError("AffineSet wants a K with linearly independent rows; leave out those that follow")
        solve = torch.linalg.solve if is_torch(R) else np.linalg.solve
        object.__setattr__(self, "Q", Q)
        object.__setattr__(self, "c", solve(R.mT, self.b[..., None])[..., 0])

    def on_axes(self, axes: int) -> AffineSet:
        if axes != 1:
            raise OptionError(f"the points of an AffineSet have 1 axis, got {axes}")
        return self

    def conjugate_value(self, y: Array) -> Array:
        z = self._admit(y) @ self.Q
        missed = norm(y - z @ self.Q.mT, 1) > rounding(y, 1) * norm(y, 1)
        return namespace(y).where(missed[..., 0], math.inf, (z * self.c).sum(-1))

    def _admit(self, x: Array) -> Array:
        check_array(x, (self.K.shape[1],), self.K.dtype, device_of(self.K), "AffineSet")
        return x

    def _project(self, x: Array) -> Array:
        for _ in range(2):  # the second removes what rounding of large x left
            x = x - (x @ self.Q - self.c) @ self.Q.mT
        return x

    def _projection_derivative(self, x: Array) -> LinearOperator:
        outer = Dense(self.Q @ self.Q.mT, symmetric=True)
        return Structured(namespace(x).ones_like(x), 1, inner=outer, scale=-1.0)

    def _excess(self, x: Array) -> Array:
        return norm(x @ self.Q - self.c, 1)

    def _slack(self, x: Array) -> Array:
        return 4 * rounding(x, 1) * (norm(x, 1) + norm(self.c, 1))
