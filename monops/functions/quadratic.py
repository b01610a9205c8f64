"""Quadratic functions of linear operators, among which is least squares."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Self

from monops.arrays import Array, add_multiple, check_array, eye, full, require_step
from monops.errors import OptionError, ShapeError
from monops.functions.base import Function, total
from monops.functions.kept import Memo, kept
from monops.functions.parameters import PARAMETER
from monops.linear import Dense, LinearOperator


@dataclass(frozen=True, eq=False)
class Quadratic(Function):
    """f with ∇f(x) = Q x - q: what `QuadraticForm` and `LeastSquares` share.

    The prox at x is (I + step·Q)⁻¹ (x + step·q), by the resolvent of Q. Q, its facts, q and the resolvent of the
    last step are kept from their first use on, unless tensors in them require grad.
    """

    axes: int = field(init=False, default=1)
    memo: Memo = field(init=False, repr=False, default_factory=dict, metadata={"memo": True})

    @property
    @abstractmethod
    def _hessian(self) -> LinearOperator:
        """Q."""

    @property
    @abstractmethod
    def _known(self) -> LinearOperator:
        """The operator whose domain the points are in."""

    @abstractmethod
    def _slope(self) -> float | Array:
        """q."""

    def affine_gradient(self) -> tuple[LinearOperator, Array]:
        op = self._known
        return self._hessian, self._slope() + full(op.domain, 0.0, op.dtype, op.device)

    @property
    def strong_convexity(self) -> float:
        least = kept(self.memo, "monotonicity", self._known, lambda: self._hessian.monotonicity())
        return min(max(0.0, least), self.smoothness)

    @property
    def smoothness(self) -> float:
        return kept(self.memo, "norm", self._known, lambda: self._hessian.norm())

    def on_axes(self, axes: int) -> Self:
        if axes != self.axes:
            raise OptionError(f"{type(self).__name__} has the {self.axes} axes of its operator, got axes={axes}")
        return replace(self)

    def _admit(self, x: Array) -> Array:
        op = self._known
        check_array(x, op.domain, op.dtype, op.device, type(self).__name__)
        return super()._admit(x)

    def gradient(self, x: Array) -> Array:
        return self._hessian.apply(self._admit(x)) - self._slope()

    def prox(self, x: Array, step: float) -> Array:
        return self.prox_at(step)(self._admit(x))

    def prox_at(self, step: float) -> Callable[[Array], Array]:
        step = require_step(step, self, "prox")
        J, shift = self._resolvent(step), step * self._slope()
        return lambda x: J(x + shift)

    def prox_derivative(self, x: Array, step: float) -> LinearOperator:
        self._admit(x)
        return self._resolvent(require_step(step, self, "prox_derivative"))

    def _resolvent(self, step: float) -> LinearOperator:
        return kept(self.memo, "resolvent", self._known, lambda: self._make_resolvent(step), step)

    def _make_resolvent(self, step: float) -> LinearOperator:
        return self._hessian.resolvent(step)


@dataclass(frozen=True, eq=False)
class QuadraticForm(Quadratic):
    """f(x) = ½⟨x, Q x⟩ - ⟨q, x⟩; its prox is the resolvent of Q at x + step·q.

    Assumes that Q is monotone; else f is not convex, and its facts and its prox are wrong.

    Args:
        Q: a linear operator on one space that is known to be symmetric: `A.H @ A`, or `Dense(matrix, symmetric=True)`.
        q: a number, or an array that broadcasts against the points.

    Raises:
        OptionError: `Q` is not a linear operator, or not known to be symmetric.
        ShapeError: `Q` is a family of operators.

    Source:
        Parikh & Boyd 2014, Proximal algorithms, section 6.1.1.

    Example:
        >>> import torch
        >>> from monops.linear import Diagonal
        >>> f = QuadraticForm(Diagonal(torch.tensor([1.0, 3.0])), torch.tensor([0.0, 2.0]))
        >>> f.prox(torch.tensor([2.0, 2.0]), 1.0)
        tensor([1., 1.])
    """

    Q: LinearOperator
    q: float | Array = field(default=0.0, metadata=PARAMETER)

    def __post_init__(self) -> None:
        _require_operator(self, self.Q)
        object.__setattr__(self, "axes", len(self.Q.domain))
        super().__post_init__()
        if not self.Q.symmetric:
            raise OptionError(f"QuadraticForm wants an operator that is known to be symmetric, got {self.Q.signature}")

    @property
    def _hessian(self) -> LinearOperator:
        return self.Q

    @property
    def _known(self) -> LinearOperator:
        return self.Q

    def _slope(self) -> float | Array:
        return self.q

    def __call__(self, x: Array) -> Array:
        return total(x * (0.5 * self.Q.apply(self._admit(x)) - self.q), self.axes)


@dataclass(frozen=True, eq=False)
class LeastSquares(Quadratic):
    """f(x) = ½‖A x - b‖²; its prox is the resolvent of Aᴴ A at x + step·Aᴴ b.

    For a matrix A with fewer rows than columns it is x - step·Aᴴ (I + step·A Aᴴ)⁻¹ (A x - b), by Woodbury's identity:
    rounding of the singular Aᴴ A, times a long step, would hide the identity beside it.

    Args:
        A: a linear operator.
        b: an array of A's codomain, with or without batch axes.

    Raises:
        OptionError: `A` is not a linear operator.
        ShapeError: `A` is a family of operators, or `b` does not end with the axes of its codomain.

    Source:
        Parikh & Boyd 2014, Proximal algorithms, section 6.1.1.

    Example:
        >>> import torch
        >>> from monops.linear import Dense
        >>> f = LeastSquares(Dense(torch.tensor([[1.0, 1.0]])), torch.tensor([4.0]))
        >>> f.prox(torch.tensor([0.0, 1.0]), 1.0)
        tensor([1.0000, 2.0000])
    """

    A: LinearOperator
    b: Array

    def __post_init__(self) -> None:
        _require_operator(self, self.A)
        rank = len(self.A.codomain)
        check_array(self.b, self.A.codomain, self.A.dtype, self.A.device, "LeastSquares: b")
        shape = tuple(self.b.shape)
        # A function is taken to have data of single samples where they have more axes than a point.
        if rank < len(shape) <= len(self.A.domain):
            raise ShapeError(f"LeastSquares wants b (*batch, *{self.A.codomain}), got shape {shape}")
        object.__setattr__(self, "axes", len(self.A.domain))
        super().__post_init__()

    @property
    def _hessian(self) -> LinearOperator:
        return kept(self.memo, "hessian", self.A, lambda: self.A.H @ self.A)

    @property
    def _known(self) -> LinearOperator:
        return self.A

    def prox_at(self, step: float) -> Callable[[Array], Array]:
        step = require_step(step, self, "prox")
        if not self._is_wide:
            return super().prox_at(step)
        lift, A, b = self._lift(step), self.A, self.b
        return lambda x: x - lift.apply(add_multiple(A.apply(x), -1.0, b))

    @property
    def _is_wide(self) -> bool:
        """Whether A is a matrix with fewer rows than columns, so that Aᴴ A is singular."""
        return isinstance(self.A, Dense) and self.A.codomain[0] < self.A.domain[0]

    def _lift(self, step: float) -> LinearOperator:
        """step·Aᴴ (I + step·A Aᴴ)⁻¹."""
        A = self.A
        return kept(self.memo, "lift", A, lambda: step * A.H @ (A @ A.H).resolvent(step), step)

    def _make_resolvent(self, step: float) -> LinearOperator:
        if not self._is_wide:
            return super()._make_resolvent(step)
        A = self.A
        matrix = eye(A.domain[0], A.dtype, A.device) - (self._lift(step) @ A).to_dense()
        return Dense(0.5 * (matrix + matrix.mT), symmetric=True)

    def _slope(self) -> Array:
        return kept(self.memo, "slope", (self.A, self.b), lambda: self.A.H(self.b))

    def __call__(self, x: Array) -> Array:
        residual = add_multiple(self.A.apply(self._admit(x)), -1.0, self.b)
        return 0.5 * total(residual * residual, len(self.A.codomain))

    def gradient(self, x: Array) -> Array:
        return self.A.H(add_multiple(self.A.apply(self._admit(x)), -1.0, self.b))


def _require_operator(f: Function, op: LinearOperator) -> None:
    if not isinstance(op, LinearOperator):
        raise OptionError(f"{type(f).__name__} wants a LinearOperator such as Dense(matrix), got {op!r}")
    if op.batch:
        raise ShapeError(f"{type(f).__name__} wants a single operator, got a family of shape {op.batch}")
