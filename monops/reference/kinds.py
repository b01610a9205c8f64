"""What the reference knows of a convex function, and the derivative of a proximal map by its optimality conditions."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from scipy import linalg

Array = np.ndarray
Map = Callable[..., Any]


class Reference(NamedTuple):
    """A function: `value(x, **parameters)`, `prox(v, step, **parameters)`, and the prox's derivative.

    `axes` says what they act on. At 0 it is each entry: values are not summed, and `prox_derivative(v, step,
    **parameters)` is a factor for each entry, 1 / (1 + step f''(x)) at the prox x, with f'' = ∞ at kinks. At 1 it is
    the last axis and at 2 the last two, a point: there is one value and one matrix for each, which acts on the point
    written as a row.
    """

    value: Map
    prox: Map
    prox_derivative: Map
    axes: int = 0

    def total(self, x: Array, axes: int = 1, **parameters: Any) -> Array:
        """f(x), one value for each point of so many axes."""
        values = self.value(x, **parameters)
        return values if self.axes else values.sum(tuple(range(-axes, 0)))

    def push(self, v: Array, step: float, d: Array, **parameters: Any) -> Array:
        """The derivative of the prox at v, applied to d."""
        derivative = self.prox_derivative(v, step, **parameters)
        if not self.axes:
            return derivative * d
        rows = d.reshape(*derivative.shape[:-1], 1)
        return (derivative @ rows).reshape(d.shape)


def by_point(one: Callable[..., Any], axes: int = 1) -> Map:
    """A map of single points, as one of arrays of points."""

    def every(v: Array, *arguments: Any, **parameters: Any) -> Array:
        points = v.reshape(-1, *v.shape[v.ndim - axes :])
        out = np.array([one(point, *arguments, **parameters) for point in points])
        return out.reshape((*v.shape[: v.ndim - axes], *out.shape[1:]))

    return every


def constrained(hessian: Array, normals: Array) -> Array:
    """The derivative in v of the x with x + step ∇f(x) = v and N x fixed, where `hessian` is step ∇²f(x).

    It is the upper left block of the inverse of [[I + hessian, Nᵀ], [N, 0]], by a basis of the x with N x = 0.

    Shapes: `hessian` (n, n), `normals` (m, n) of any rank → (n, n).
    """
    n = len(hessian)
    basis = linalg.null_space(normals) if len(normals) else np.eye(n)
    inner = basis.T @ (np.eye(n) + hessian) @ basis
    return basis @ np.linalg.solve(inner, basis.T) if basis.size else np.zeros((n, n))
