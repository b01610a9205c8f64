"""Functions of the singular values of matrices."""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass, field, replace
from typing import Self

from monops.arrays import Array, detach, epsilon, is_torch, namespace, require_step
from monops.errors import OptionError
from monops.functions.base import Function
from monops.functions.decompositions import svd, svdvals
from monops.functions.jacobians import PerSample
from monops.functions.l1 import L1
from monops.functions.parameters import PARAMETER, require, require_narrow
from monops.functions.singular import frames, moved, placed, quotients, singular_values, turn
from monops.linear import LinearOperator


@dataclass(frozen=True, eq=False)
class OfSingularValues(Function):
    """F(X) = f(σ(X)), σ the singular values: what `Spectral` and `NuclearNorm` share.

    Shapes: points are matrices (*batch, m, n).
    """

    axes: int = field(init=False, default=2)

    @property
    @abstractmethod
    def _inner(self) -> Function:
        """f, a function of one axis."""

    @property
    def strong_convexity(self) -> float:
        return self._inner.strong_convexity

    @property
    def smoothness(self) -> float:
        return self._inner.smoothness

    @property
    def is_indicator(self) -> bool:
        return self._inner.is_indicator

    def on_axes(self, axes: int) -> Self:
        if axes != 2:
            raise OptionError(f"{type(self).__name__} is a function of matrices, got axes={axes}")
        return replace(self)

    def conjugate(self) -> Function:
        return Spectral(self._inner.conjugate())  # (f∘σ)* = f*∘σ, Lewis 1995, theorem 2.4

    def __call__(self, x: Array) -> Array:
        xp = namespace(self._admit(x))
        s = svdvals(x)
        if self.is_indicator:
            # Singular values are known up to rounding: what lies outside of the set by no more is taken to be in it.
            projected = self._inner.prox(s, 1.0)
            s = xp.where(abs(s - projected) <= 20 * epsilon(s.dtype) * s[..., :1], projected, s)
        return self._inner(s)

    def gradient(self, x: Array) -> Array:
        u, s, vh = svd(self._admit(x))
        return (u * self._inner.gradient(s)[..., None, :]) @ vh

    def prox(self, x: Array, step: float) -> Array:
        step = require_step(step, self, "prox")
        u, s, vh = svd(detach(self._admit(x)))
        if not is_torch(x):
            return (u * self._inner.prox(s, step)[..., None, :]) @ vh
        J = self._inner.prox_derivative(s, step).to_dense() + 0 * s[..., None]
        return placed(x, moved(self._inner, singular_values(x, u, s, vh), step), detach(J), u, vh)

    def prox_derivative(self, x: Array, step: float) -> LinearOperator:
        step = require_step(step, self, "prox_derivative")
        u, s, vh = frames(self._admit(x))
        J = self._inner.prox_derivative(s, step).to_dense() + 0 * s[..., None]
        data = (0 * detach(x), u, vh, J, *quotients(s, self._inner.prox(s, step), J))
        return PerSample(_derivative, data, 2)


@dataclass(frozen=True, eq=False)
class Spectral(OfSingularValues):
    """F(X) = f(σ(X)), with f a function of the singular values of the matrix X; its prox is U diag(prox of f at σ) Vᴴ.

    Shapes: points are matrices (*batch, m, n); f gets their min(m, n) singular values, the largest first.

    Assumes that f is absolutely symmetric: it depends neither on the order nor on the signs of its arguments, as the
    norms, `SquaredL2`, `Huber`, `ElasticNet` and `Box(-a, a)` with numbers as parameters. Of another f, F is not convex
    and this is not its prox.

    The derivative of the prox is by the formula of Daleckii and Krein, which holds at repeated and at zero singular
    values too; autograd through `prox` uses it. Second derivatives differentiate that formula, and with it the singular
    vectors: they are right where singular values differ (and, unless the matrix is square, none is zero), and a
    `SingularError` elsewhere.

    Args:
        function: f, convex.

    Raises:
        OptionError: `function` is no convex function.
        SingularError: by a second derivative of `prox` or a derivative of `prox_derivative`, where two singular values
            differ by less than ε^⅓ of the largest.

    Source:
        Lewis 1995, The convex analysis of unitarily invariant matrix functions; Lewis & Sendov 2005, Nonsmooth analysis
        of singular values, for the derivative.

    Example:
        >>> import torch
        >>> from monops.functions import Box
        >>> Spectral(Box(-1.0, 1.0)).prox(torch.tensor([[0.0, 3.0], [0.5, 0.0]]), 1.0)
        tensor([[0.0000, 1.0000],
                [0.5000, 0.0000]])
    """

    function: Function

    def __post_init__(self) -> None:
        if not isinstance(self.function, Function) or not self.function.is_convex:
            raise OptionError(f"Spectral wants a convex function such as L1(), got {self.function!r}")
        super().__post_init__()
        object.__setattr__(self, "function", self.function.on_axes(1))

    @property
    def _inner(self) -> Function:
        return self.function


@dataclass(frozen=True, eq=False)
class NuclearNorm(OfSingularValues):
    """F(X) = weight·Σ_i σ_i(X), the sum of the singular values; its prox is their soft threshold.

    Args:
        weight: in [0, ∞); a number, or an array with one number for each matrix: of length 1 on the last two axes.

    Raises:
        OptionError: `weight` is not in [0, ∞).
        ShapeError: `weight` differs within a matrix.

    Source:
        Cai, Candès & Shen 2010, A singular value thresholding algorithm for matrix completion, theorem 2.1.

    Example:
        >>> import torch
        >>> NuclearNorm(1.0).prox(torch.tensor([[0.0, 3.0], [0.5, 0.0]]), 1.0)
        tensor([[0., 2.],
                [0., 0.]])
    """

    weight: float | Array = field(default=1.0, metadata=PARAMETER)

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self, (self.weight >= 0) & (self.weight < math.inf), "weight in [0, ∞)")
        require_narrow(self, "weight", 2)

    @property
    def _inner(self) -> Function:
        weight = self.weight
        return L1(weight if isinstance(weight, float) or not weight.ndim else weight[..., 0])


def _derivative(d: Array, zero: Array, u: Array, vh: Array, J: Array, *data: Array) -> Array:
    z = (u.mT @ d @ vh.mT).diagonal(0, -2, -1)
    return turn(d + zero, (J @ z[..., None])[..., 0], u, vh, *data)
