"""What every convex function provides: its value, its proximal map, and what follows from these."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Self

from monops.arrays import Array, epsilon, flatten_trailing, floating, namespace, reflect, require_step
from monops.errors import NotSingleValuedError, OptionError, ShapeError
from monops.functions.combinable import Combinable
from monops.functions.parameters import Parametric, admit_parameters, require_fit
from monops.linear import Diagonal, Identity, LinearOperator
from monops.signatures import require_signatures


@dataclass(frozen=True, eq=False)
class Function(Parametric, Combinable, ABC):
    """f : X → (-∞, ∞], proper, closed and convex, on points of `axes` trailing axes.

    Immutable: plain data inside. Parameters marked `PARAMETER` are numbers, or arrays that
    broadcast, aligned at the right, against the points; tensors among them may require grad.

    Args:
        axes: how many trailing axes make one point; the axes before them are batch.
    """

    axes: int = field(default=1, kw_only=True)

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        require_signatures(cls, __call__=("x",), prox=("x", "step"), prox_derivative=("x", "step"), gradient=("x",))

    def __post_init__(self) -> None:
        if not isinstance(self.axes, int) or self.axes < 0:
            raise OptionError(f"{type(self).__name__} wants axes ≥ 0, got {self.axes!r}")
        admit_parameters(self)

    @abstractmethod
    def __call__(self, x: Array) -> Array:
        """The value f(x), +∞ outside the domain of f.

        Shapes: `x` (*batch, *domain) → (*batch).
        """

    takes_steps = False  # whether `prox` takes arrays of steps too, of shape (*batch, 1, …, 1)

    @abstractmethod
    def prox(self, x: Array, step: float) -> Array:
        """The proximal map argmin_u f(u) + ‖u - x‖² / (2 step).

        Shapes: `x` (*batch, *domain) → the same.

        Args:
            x: a point.
            step: in (0, ∞).

        Raises:
            StepSizeError: `step` is not in (0, ∞).
        """

    def prox_at(self, step: float) -> Callable[[Array], Array]:
        """The map x ↦ prox(x, step) for a loop: the step is checked here, once, and x no more than it has to be."""
        require_step(step, self, "prox")
        return lambda x: self.prox(x, step)

    def reflection_at(self, step: float) -> Callable[[Array], Array]:
        """x ↦ 2 prox(x, step) - x, as `prox_at`; functions which know a shorter formula override it."""
        prox = self.prox_at(step)
        return lambda x: reflect(prox(x), x)

    @abstractmethod
    def prox_derivative(self, x: Array, step: float) -> LinearOperator:
        """An element of Clarke's Jacobian of `prox(·, step)` at `x`, itself differentiable in `x`.

        Shapes: `x` (*batch, *domain); the operator maps the domain to itself.
        """

    def prox_derivative_from(self, p: Array, step: float) -> LinearOperator | None:
        """`prox_derivative` at all x with prox(x, step) = p, where p tells it (but at kinks); or None.

        Of a function moved or rescaled it does not: rounding hides whether p is on a bound.
        """
        return None

    def on_axes(self, axes: int) -> Self:
        """The same function with another number of axes that make one point."""
        return replace(self, axes=axes)

    def affine_gradient(self) -> tuple[LinearOperator, Array] | None:
        """The operator Q and the array q with ∇f(x) = Q x - q, where f is known to be such a quadratic; else None."""
        return None

    def conjugate(self) -> Function:
        """f*(y) = sup_x ⟨x, y⟩ - f(x)."""
        return Conjugate(self)

    def conjugate_value(self, y: Array) -> Array:
        """The value f*(y); functions which know a formula override it.

        This one runs the proximal point method on f - ⟨·, y⟩, which ends with an x whose
        subgradient g of f is near y, and returns f*(g) = ⟨x, g⟩ - f(x), or +∞ where no subgradient
        of f comes near y.

        Shapes: `y` (*batch, *domain) → (*batch).
        """
        step, x, gap = 1e4, 0 * y, y
        for _ in range(30):
            previous, x = x, self.prox(x + step * y, step)
            gap = (x - previous) / step
        value = total(x * (y - gap), self.axes) - self(x)
        is_outside = total(gap * gap, self.axes) > epsilon(y.dtype) * (1 + total(y * y, self.axes))
        return namespace(y).where(is_outside, math.inf, value)

    def conjugate_prox(self, x: Array, step: float) -> Array:
        """The prox of f*, by Moreau's identity unless a function knows better.

        Shapes: `x` (*batch, *domain) → the same.

        Raises:
            StepSizeError: `step` is not in (0, ∞).
        """
        return self._conjugate_prox(x, require_step(step, self, "conjugate_prox"))

    def _conjugate_prox(self, x: Array, step: float) -> Array:
        # Not x - step · prox(…): this form is exactly 0 where the prox of f moves nothing.
        scaled = floating(x) / step
        return step * (scaled - self.prox(scaled, 1 / step))

    def gradient(self, x: Array) -> Array:
        """∇f(x), where f is differentiable everywhere.

        Shapes: `x` (*batch, *domain) → the same.

        Raises:
            NotSingleValuedError: f is not differentiable everywhere.
        """
        raise NotSingleValuedError(
            f"{type(self).__name__} is not differentiable everywhere, so it has no gradient; use its prox"
        )

    @property
    def strong_convexity(self) -> float:
        """The largest m ≥ 0 that is known for which f - m/2 ‖·‖² is convex."""
        return 0.0

    @property
    def smoothness(self) -> float:
        """The smallest L that is known for which ∇f is L-Lipschitz; ∞ where f has no gradient."""
        return math.inf

    @property
    def is_indicator(self) -> bool:
        """Whether f is known to take the values 0 and ∞ only."""
        return False

    @property
    def is_convex(self) -> bool:
        """Whether f is convex; the few that are not have a prox, but no monotone subdifferential."""
        return True

    def _admit(self, x: Array) -> Array:
        """`x`, once it is certain that it fits the function."""
        floating(x)
        if x.ndim < self.axes:
            raise ShapeError(
                f"{type(self).__name__} with axes={self.axes} expects shape (*batch, *domain), got {tuple(x.shape)}"
            )
        for name in self._parameters:
            value = getattr(self, name)
            if not isinstance(value, float):
                require_fit(f"{type(self).__name__}.{name}", value, x)
        return x


@dataclass(frozen=True, eq=False)
class Separable(Function):
    """f(x) = Σ_i φ(x_i): a kind of function of which a new one gives φ in three elementwise hooks.

    They are `_value(x)`, `_prox(x, step)` and `_prox_slope(x, step)`, the derivative of the prox;
    all of them get arrays and steps that were checked, and keep the shape. Where the prox tells its own derivative,
    `_prox_slope_from(p, step)` may give it.
    """

    def __call__(self, x: Array) -> Array:
        return total(self._value(self._admit(x)), self.axes)

    def prox(self, x: Array, step: float) -> Array:
        return self._prox(self._admit(x), require_step(step, self, "prox"))

    def prox_at(self, step: float) -> Callable[[Array], Array]:
        step = require_step(step, self, "prox")
        if any(not isinstance(getattr(self, name), float) for name in self._parameters):
            return lambda x: self.prox(x, step)  # an array of parameters has to fit each x
        return lambda x: self._prox(x, step)

    def prox_derivative(self, x: Array, step: float) -> LinearOperator:
        step = require_step(step, self, "prox_derivative")
        return Diagonal(self._prox_slope(self._admit(x), step), self.axes)

    def prox_derivative_from(self, p: Array, step: float) -> LinearOperator | None:
        slope = self._prox_slope_from(self._admit(p), require_step(step, self, "prox_derivative_from"))
        return None if slope is None else Diagonal(slope, self.axes)

    def _prox_slope_from(self, p: Array, step: float) -> Array | None:
        return None

    @abstractmethod
    def _value(self, x: Array) -> Array:
        """φ(x), one value for each entry."""

    @abstractmethod
    def _prox(self, x: Array, step: float) -> Array:
        """The prox of φ."""

    @abstractmethod
    def _prox_slope(self, x: Array, step: float) -> Array:
        """The derivative of the prox of φ, in [0, 1]; at a kink a number between its two sides."""


@dataclass(frozen=True, eq=False)
class Conjugate(Function):
    """y ↦ f*(y) = sup_x ⟨x, y⟩ - f(x), whose prox is x - step · prox of f at (x / step, 1 / step).

    Args:
        function: f; its conjugate's conjugate is f again.

    Source:
        Moreau 1965, Proximité et dualité dans un espace hilbertien.

    Example:
        >>> import torch
        >>> from monops.functions import Sigmoid
        >>> f = Sigmoid()
        >>> x, y = torch.tensor([0.3]), torch.tensor([-1.0])
        >>> bool(f(x) + Conjugate(f)(y) >= x @ y)
        True
    """

    function: Function
    axes: int = field(init=False, default=1)

    def __post_init__(self) -> None:
        if not self.function.is_convex:
            raise OptionError(f"Moreau's identity wants a convex function, got {type(self.function).__name__}")
        object.__setattr__(self, "axes", self.function.axes)

    def on_axes(self, axes: int) -> Conjugate:
        return Conjugate(self.function.on_axes(axes))

    def __call__(self, x: Array) -> Array:
        return self.function.conjugate_value(x)

    def prox(self, x: Array, step: float) -> Array:
        return self.function.conjugate_prox(x, require_step(step, self, "prox"))

    def prox_derivative(self, x: Array, step: float) -> LinearOperator:
        step = require_step(step, self, "prox_derivative")
        inner = self.function.prox_derivative(floating(x) / step, 1 / step)
        return Identity.like(inner) - inner

    def conjugate(self) -> Function:
        return self.function

    def conjugate_value(self, y: Array) -> Array:
        return self.function(y)

    def conjugate_prox(self, x: Array, step: float) -> Array:
        return self.function.prox(x, step)

    @property
    def strong_convexity(self) -> float:
        return _reciprocal(self.function.smoothness)

    @property
    def smoothness(self) -> float:
        return _reciprocal(self.function.strong_convexity)


def total(values: Array, axes: int) -> Array:
    """The sum over the last `axes` axes: one number a sample."""
    return flatten_trailing(values, axes).sum(-1)


def indicator(outside: Array, x: Array) -> Array:
    """+∞ where `outside` is true, else 0 (NaN where `x` is NaN)."""
    xp = namespace(x)
    return xp.where(outside, math.inf, xp.where(x == x, 0.0, x))


def half_square(y: Array, curvature: float | Array) -> Array:
    """y² / (2 curvature), conjugate to curvature x² / 2; at curvature 0 the indicator of y = 0."""
    xp = namespace(y)
    curvature = curvature * xp.ones_like(y)
    quotient = 0.5 * y * y / xp.where(curvature > 0, curvature, 1.0)
    return xp.where((curvature == 0) & (abs(y) > 0), math.inf, quotient)


def _reciprocal(value: float) -> float:
    return 1 / value if value else math.inf
