"""What the reference knows of a convex function."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

Array = np.ndarray
Map = Callable[..., Any]


class Reference(NamedTuple):
    """A function: `value(x, **parameters)`, `prox(v, step, **parameters)`, and the prox's derivative.

    `prox_derivative(v, step, **parameters)` is 1 / (1 + step f''(x)) at the prox x, with f'' = ∞ at
    kinks. Of a function of whole points (not `is_separable`) it is a matrix for each point, and there is one value
    for each.
    """

    value: Map
    prox: Map
    prox_derivative: Map
    is_separable: bool = True

    def total(self, x: Array, **parameters: Any) -> Array:
        """f(x), one value for each point."""
        values = self.value(x, **parameters)
        return values.sum(-1) if self.is_separable else values

    def push(self, v: Array, step: float, d: Array, **parameters: Any) -> Array:
        """The derivative of the prox at v, applied to d."""
        derivative = self.prox_derivative(v, step, **parameters)
        return derivative * d if self.is_separable else (derivative @ d[..., None])[..., 0]
