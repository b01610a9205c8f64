"""Functions of K x + b where K Kᴴ is a multiple of the identity."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from monops.arrays import Array, namespace, require_step
from monops.errors import OptionError
from monops.functions.around import Around, value_near
from monops.functions.base import total
from monops.functions.convex_set import dropped, norm, rounding
from monops.functions.parameters import PARAMETER, require_fit
from monops.linear import Identity, LinearOperator
from monops.linear.frames import frame_constant


@dataclass(frozen=True, eq=False)
class Precomposed(Around):
    """f(K x + offset), for K with K Kᴴ = ν I and ν > 0. Made by `f.precompose(K, offset)`.

    The condition is checked at construction on a random vector, which also gives ν. The prox at t is
    x - Kᴴ(y - p)/ν, where y = K x + offset and p is the prox of f at y and t·ν.

    Shapes: points are (*batch, *domain) and those of f (*batch, *codomain), of K both; `offset` broadcasts against
        the latter.

    Args:
        function: f, on points with as many axes as `K.codomain`.
        K: a linear operator.
        offset: a number or an array.

    Raises:
        OptionError: K Kᴴ is no multiple of the identity, or f acts on points of other axes.

    Source:
        Combettes & Wajs 2005, Signal recovery by proximal forward-backward splitting.

    Example:
        >>> import torch
        >>> from monops.functions import L1
        >>> from monops.linear import Dense
        >>> mean = Dense(torch.tensor([[0.5, 0.5]]))
        >>> L1().precompose(mean, 1.0).prox(torch.tensor([5.0, 0.0]), 1.0)
        tensor([ 4.5000, -0.5000])
    """

    K: LinearOperator
    offset: float | Array = field(default=0.0, metadata=PARAMETER)
    nu: float = field(default=0.0, init=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.function.axes != len(self.K.codomain):
            raise OptionError(
                f"a function precomposed with {self.K.signature} wants axes={len(self.K.codomain)}, "
                f"got {self.function.axes}"
            )
        object.__setattr__(self, "axes", len(self.K.domain))
        nu = frame_constant(self.K)
        if nu is None:
            raise OptionError(
                f"f(K x) has a known prox only where K Kᴴ = ν I with ν > 0, which is false for {self.K.signature}; use "
                "Subdifferential(f).precompose(K), which primal-dual methods such as ChambollePock take apart"
            )
        object.__setattr__(self, "nu", nu)

    def on_axes(self, axes: int) -> Precomposed:
        if axes != self.axes:
            raise OptionError(f"a function precomposed with {self.K.signature} keeps axes={self.axes}, got {axes}")
        return self

    @property
    def takes_steps(self) -> bool:  # type: ignore[override]
        return self.function.takes_steps and self.axes == self.function.axes

    @property
    def strong_convexity(self) -> float:
        is_square = math.prod(self.K.domain) == math.prod(self.K.codomain)
        return self.nu * self.function.strong_convexity if is_square else 0.0

    @property
    def smoothness(self) -> float:
        return self.nu * self.function.smoothness

    @property
    def is_indicator(self) -> bool:
        return self.function.is_indicator

    def __call__(self, x: Array) -> Array:
        y, axes = self._inner(x), self.function.axes
        size = math.sqrt(self.nu) * norm(x, self.axes).reshape(*x.shape[: x.ndim - self.axes], *(1,) * axes)
        return value_near(self.function, y, size + norm(y, axes) + norm(0 * y + self.offset, axes))

    def prox(self, x: Array, step: float) -> Array:
        y = self._inner(x)
        p = self.function.prox(y, require_step(step, self, "prox") * self.nu)
        return x - self.K.H.apply(y - p) / self.nu

    def prox_derivative(self, x: Array, step: float) -> LinearOperator:
        D = self.function.prox_derivative(self._inner(x), require_step(step, self, "prox_derivative") * self.nu)
        return Identity.like(self.K) - self.K.H @ (Identity.like(D) - D) @ self.K / self.nu

    def gradient(self, x: Array) -> Array:
        return self.K.H.apply(self.function.gradient(self._inner(x)))

    def affine_gradient(self) -> tuple[LinearOperator, Array] | None:
        known = self.function.affine_gradient()
        if known is None:
            return None
        Q, q = known
        return self.K.H @ Q @ self.K, self.K.H.apply(q - Q.apply(0 * q + self.offset))

    def conjugate_value(self, y: Array) -> Array:
        z = self.K(y) / self.nu
        missed = norm(y - self.K.H.apply(z), self.axes) > rounding(y, self.axes) * norm(y, self.axes)
        axes = self.function.axes
        value = value_near(self.function.conjugate(), z, norm(z, axes)) - total(self.offset * z, axes)
        return namespace(y).where(dropped(missed, self.axes), math.inf, value)

    def _inner(self, x: Array) -> Array:
        y = self.K(x)
        if not isinstance(self.offset, float):
            require_fit("Precomposed.offset", self.offset, y)
        return y + self.offset
