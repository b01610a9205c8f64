"""The linear operator: what every kind provides, and the algebra which they share."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self, cast

import numpy as np
import torch
from scipy.sparse import linalg as sparse_linalg

from monops import tree
from monops.arrays import (
    Array,
    DType,
    Shape,
    add_multiple,
    arrange,
    as_dtype,
    check_array,
    eye,
    flatten_trailing,
    is_torch,
    to_numpy,
)
from monops.errors import DeviceError, DTypeError, OptionError, ShapeError, StepSizeError
from monops.linear.shifted import Shifted
from monops.signatures import require_signatures

if TYPE_CHECKING:
    from monops.linear.krylov import Krylov


class LinearOperator(ABC):
    """A linear map from arrays of shape `domain` to arrays of shape `codomain`; leading axes are batch.

    Immutable: plain data inside, whose tensors may require grad. Subclasses are frozen dataclasses which provide
    `domain`, `codomain`, `dtype`, `device`, `apply` and `adjoint`, and override the rest where their structure
    knows better. `A + B`, `A - B`, `c * A`, `A @ B` keep the structure wherever the mathematics does: a class says
    so in `_plus`, `_times` and `_rtimes`, or returns `NotImplemented` to leave it to the other class, then to the
    lazy `Sum` and `Composed`.
    """

    __array_ufunc__ = None  # so that NumPy leaves `number * op` to op

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        require_signatures(cls, apply=("x",), adjoint=(), resolvent=("step",))

    @property
    @abstractmethod
    def domain(self) -> Shape:
        """Shape of one input, without batch axes."""

    @property
    @abstractmethod
    def codomain(self) -> Shape:
        """Shape of one output, without batch axes."""

    @property
    @abstractmethod
    def dtype(self) -> DType:
        """The torch or NumPy dtype, which tells the array library too."""

    @property
    def device(self) -> torch.device:
        """Where the data lives; always the CPU for NumPy."""
        return torch.device("cpu")

    @property
    def batch(self) -> Shape:
        """Leading axes of a family of operators, one a sample; () for a single one."""
        return ()

    @property
    def symmetric(self) -> bool:
        """Whether the operator is known to equal its adjoint."""
        return False

    @abstractmethod
    def apply(self, x: Array) -> Array:
        """The map itself, without the checks that `op(x)` makes.

        Shapes: `x` (*batch, *domain) → (*batch, *codomain).
        """

    @abstractmethod
    def adjoint(self) -> LinearOperator:
        """The operator H with ⟨op(x), y⟩ = ⟨x, H(y)⟩, made anew; users write `op.H`."""

    @property
    def layout(self) -> Shape:
        """Axes of the domain in the memory order that suits inputs, outermost first, batch innermost; () for any."""
        return ()

    def arrange(self, x: Array) -> Array:
        """The same x in the memory order of `layout`; elementwise code keeps it."""
        return arrange(x, self.layout)

    def resolvent(self, step: float) -> LinearOperator:
        """The operator (I + step·op)⁻¹, factorised once; its adjoint reuses the factor.

        Without structure: matrix-free, by conjugate gradients where the operator is known symmetric, else GMRES.

        Args:
            step: any finite number; with `step > 0` and a monotone operator the inverse always exists.

        Raises:
            StepSizeError: `step` is not finite.
            ShapeError: domain and codomain differ.
            SingularError: I + step·op is singular to working precision.
        """
        return self._krylov(step)

    def _krylov(self, step: float) -> Krylov:
        from monops.linear.krylov import Krylov  # a Krylov resolvent is itself a linear operator

        return Krylov(self, step)

    def norm(self) -> float:
        """The spectral norm (the largest over a family): exact to working precision."""
        from monops.linear.spectral import norm

        return norm(self)

    def monotonicity(self) -> float:
        """The smallest eigenvalue of the symmetric part (op + op.H)/2: the largest m with ⟨op(x), x⟩ ≥ m‖x‖²."""
        from monops.linear.spectral import monotonicity

        self._require_square("monotonicity")
        return monotonicity(self)

    def cocoercivity(self) -> float:
        """A β ≥ 0 with ⟨op(x), x⟩ ≥ β‖op(x)‖², the largest where that is known; 0 where none is. ∞ for op = 0."""
        from monops.linear.spectral import cocoercivity

        self._require_square("cocoercivity")
        if self.symmetric:
            norm = self.norm()
            return 0.0 if self.monotonicity() < 0 else 1 / norm if norm > 0 else math.inf
        return cocoercivity(self)

    def to_dense(self) -> Array:
        """The matrix on flattened spaces. Shapes: (*batch, prod(codomain), prod(domain))."""
        basis = eye(math.prod(self.domain), self.dtype, self.device)
        basis = basis.reshape(basis.shape[0], *(1 for _ in self.batch), *self.domain)
        image = self.apply(basis)
        columns = image.reshape(*image.shape[: image.ndim - len(self.codomain)], math.prod(self.codomain))
        if not self.batch:
            return columns.T
        return torch.movedim(columns, 0, -1) if is_torch(columns) else np.moveaxis(columns, 0, -1)

    def to_scipy(self) -> sparse_linalg.LinearOperator:
        """The same map for SciPy: flat NumPy vectors on the host, products with matrices and adjoint included."""
        if self.batch:
            raise ShapeError(f"to_scipy wants a single operator, got a family of shape {self.batch}")

        def columns(op: LinearOperator, x: np.ndarray) -> np.ndarray:
            rows = np.ascontiguousarray(x.T).reshape(*x.T.shape[:-1], *op.domain)
            out = op.apply(op._from_numpy(rows))
            return to_numpy(flatten_trailing(out, len(op.codomain))).T

        shape = (math.prod(self.codomain), math.prod(self.domain))
        dtype = to_numpy(self._from_numpy(np.zeros(0))).dtype
        return sparse_linalg.LinearOperator(
            shape,
            dtype=dtype,
            matvec=lambda x: columns(self, x.reshape(-1)),
            rmatvec=lambda y: columns(self.H, y.reshape(-1)),
            matmat=lambda x: columns(self, x),
            rmatmat=lambda y: columns(self.H, y),
        )

    def to(self, device: torch.device | str | torch.dtype | None = None, dtype: torch.dtype | None = None) -> Self:
        """The same operator on another device or in another floating dtype, as in `torch.Tensor.to`."""
        if isinstance(device, torch.dtype):
            device, dtype = None, device
        if not is_torch(self.dtype):
            raise DTypeError(f"only operators on tensors can be moved, got {self.signature}")
        return tree.move(self, device, dtype)

    def __call__(self, x: Array) -> Array:
        check_array(x, self.domain, self.dtype, self.device, type(self).__name__)
        return self.apply(x)

    @property
    def H(self) -> LinearOperator:
        """The adjoint; `op.H.H is op`, by which products such as `op.H @ op` are known to be symmetric."""
        origin = self.__dict__.get("_origin")
        if origin is not None:
            return cast(LinearOperator, origin)
        adjoint = self.adjoint()
        if adjoint is not self:
            object.__setattr__(adjoint, "_origin", self)
        return adjoint

    def _is_adjoint_of(self, other: LinearOperator) -> bool:
        if self is other:
            return self.symmetric
        return self.__dict__.get("_origin") is other or other.__dict__.get("_origin") is self

    def __add__(self, other: LinearOperator) -> LinearOperator:
        if not isinstance(other, LinearOperator):
            return NotImplemented
        _require_compatible(self, other)
        if (self.domain, self.codomain) != (other.domain, other.codomain):
            raise ShapeError(f"cannot add {other.signature} to {self.signature}")
        from monops.linear.lazy import Sum

        return _first(self._plus(other), lambda: other._plus(self), lambda: Sum(self, other))

    def __matmul__(self, other: LinearOperator) -> LinearOperator:
        if not isinstance(other, LinearOperator):
            return NotImplemented
        _require_compatible(self, other)
        if self.domain != other.codomain:
            raise ShapeError(f"cannot compose {self.signature} after {other.signature}")
        from monops.linear.lazy import Composed

        return _first(structured_product(self, other), lambda: Composed(self, other))

    def __rmul__(self, scalar: float | Array) -> LinearOperator:
        if isinstance(scalar, LinearOperator) or getattr(scalar, "ndim", 0) != 0:
            raise OptionError("only numbers multiply an operator with *; compose operators with @")
        return self._scaled(scalar)

    __mul__ = __rmul__

    def __truediv__(self, scalar: float | Array) -> LinearOperator:
        return (1 / scalar) * self

    def __neg__(self) -> LinearOperator:
        return -1.0 * self

    def __sub__(self, other: LinearOperator) -> LinearOperator:
        return self + (-other) if isinstance(other, LinearOperator) else NotImplemented

    @property
    def signature(self) -> str:
        """Name, spaces, dtype and device in one line, for messages."""
        name = f"{type(self).__name__}: {self.domain} → {self.codomain}"
        return f"{name} ({self.dtype} on {self.device})"

    def _plus(self, other: LinearOperator) -> LinearOperator:
        return NotImplemented

    def _times(self, other: LinearOperator) -> LinearOperator:
        return NotImplemented

    def _rtimes(self, other: LinearOperator) -> LinearOperator:
        return NotImplemented

    def _scaled(self, scalar: float | Array) -> LinearOperator:
        from monops.linear.lazy import Scaled

        return Scaled(scalar, self)

    def pairing(self, x: Array, w: Array) -> Array:
        """⟨op(x), w⟩ over all samples, a number: for derivatives in what op is made of, which may not take op(x).

        Shapes: `x` (*batch, *domain), `w` (*batch, *codomain).
        """
        return (self.apply(x) * w).sum()

    def _apply_between(self, x: Array, b: Array, before: float, after: float) -> Array:
        """op(x + before · b) + after · b. Shapes: x and b (*batch, *domain), whose batch axes broadcast."""
        y = self.apply(x if before == 0 else add_multiple(x, before, b))
        return y if after == 0 else add_multiple(y, after, b)

    def shifted(self, b: Array, before: float, after: float) -> Callable[[Array], Array]:
        """The map x ↦ op(x + before · b) + after · b; kinds with a kernel for product and sum at once override it."""
        if after == 0:
            return lambda x: self._apply_between(x, b, before, after)
        return Shifted(self, b, before, after)

    def reflected(self) -> LinearOperator:
        """2·op - I."""
        from monops.linear.identity import Identity

        return 2.0 * self - Identity.like(self)

    def prepared(self) -> LinearOperator:
        """The same operator in the form that applies fastest and holds no more than that takes; itself by default."""
        return self

    def take(self, index: Array, shape: Shape) -> LinearOperator:
        """The operators of samples `index` along the first axis of states of this shape."""
        if self.batch:
            raise NotImplementedError(f"{type(self).__name__} cannot leave samples out")
        return self

    def _from_numpy(self, x: np.ndarray) -> Array:
        if is_torch(self.dtype):
            return torch.as_tensor(x, dtype=self.dtype, device=self.device)
        return x.astype(self.dtype, copy=False)

    def _require_square(self, what: str) -> None:
        if self.domain != self.codomain:
            raise ShapeError(f"{what} wants domain = codomain, got {self.signature}")

    def _require_step(self, step: float) -> None:
        self._require_square("a resolvent")
        if not math.isfinite(step):
            raise StepSizeError(f"a resolvent wants a finite step, got {step}")


def structured_product(left: LinearOperator, right: LinearOperator) -> LinearOperator:
    """left @ right where one of the two knows its structure, else `NotImplemented`."""
    return cast(LinearOperator, _first(left._times(right), lambda: right._rtimes(left)))


def _first(value: Any, *otherwise: Any) -> Any:
    for alternative in otherwise:
        if value is not NotImplemented:
            break
        value = alternative()
    return value


def _require_compatible(left: LinearOperator, right: LinearOperator) -> None:
    if as_dtype(left.dtype) != as_dtype(right.dtype):
        raise DTypeError(f"operators of one dtype wanted, got {left.signature} and {right.signature}")
    if left.device != right.device:
        raise DeviceError(f"operators on one device wanted, got {left.signature} and {right.signature}")
