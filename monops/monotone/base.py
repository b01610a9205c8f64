"""Monotone operators, their resolvents, and the algebra on them."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from monops.arrays import Array, Shape, is_torch, norm, reflect
from monops.errors import DTypeError, NotSingleValuedError, OptionError, ShapeError
from monops.linear import Identity, LinearOperator
from monops.signatures import require_signatures

if TYPE_CHECKING:
    from monops.monotone.affine import Affine


class Resolvent(ABC):
    """J = (I + step·A)⁻¹ of a monotone operator A: single-valued, defined everywhere, firmly nonexpansive."""

    @abstractmethod
    def __call__(self, x: Array) -> Array:
        """J(x). Shapes: (*batch, *domain) → the same."""

    @abstractmethod
    def derivative(self, x: Array) -> LinearOperator:
        """An element of Clarke's generalised Jacobian of J at x, one operator a sample; 0 ⪯ it ⪯ I."""

    def derivative_from(self, value: Array) -> LinearOperator | None:
        """`derivative` at all x with J(x) = value, where these have one (but at kinks) and it is known; or None."""
        return None

    def __getstate__(self) -> dict[str, Any]:
        """What is pickled: all but the functions kept in `_memo`, which are made anew when needed."""
        return {name: value for name, value in self.__dict__.items() if name != "_memo"}

    def reflected(self) -> Resolvent:
        """2J - I, which is nonexpansive: what Peaceman-Rachford and Douglas-Rachford splitting are made of."""
        return Reflection(self)

    def take(self, index: Array, shape: Shape) -> Resolvent:
        """The resolvent for samples `index` along the first axis of states of this shape, (*batch, *domain).

        A resolvent without data of single samples returns itself. One which cannot tell raises
        `NotImplementedError`: then finished samples stay in the batch.
        """
        raise NotImplementedError(f"{type(self).__name__} does not say how to leave samples out")


@dataclass(frozen=True, eq=False)
class Reflection(Resolvent):
    """x ↦ 2 J(x) - x. Made by `J.reflected()`."""

    J: Resolvent

    def __call__(self, x: Array) -> Array:
        return reflect(self.J(x), x)

    def derivative(self, x: Array) -> LinearOperator:
        D = self.J.derivative(x)
        return 2.0 * D - Identity.like(D)

    def take(self, index: Array, shape: Shape) -> Reflection:
        return Reflection(self.J.take(index, shape))


class MonotoneOperator(ABC):
    """A set-valued map A with ⟨u - v, x - y⟩ ≥ m‖x - y‖² for all u ∈ A(x), v ∈ A(y), where m ≥ 0; maximal.

    Subclasses are frozen dataclasses and provide `resolvent`, and `apply` where A is single-valued; `derivative`
    too where A is to be differentiated through. The algebra: `A + B` (with linear operators, other monotone ones
    and fixed arrays), `c * A` for c > 0, `A.translate(c)`, `A.inverse()`, `A.precompose(K)`.
    """

    __array_ufunc__ = None  # so that NumPy leaves `array + A` to A

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        require_signatures(cls, apply=("x",), resolvent=("step",), derivative=("x",))

    @property
    def domain(self) -> Shape | None:
        """Shape of one point, or None for an operator that acts on any shape."""
        return None

    @property
    def rank(self) -> int:
        """How many trailing axes one point has: those of the domain; where that is None, the fewest it can have."""
        return 1 if self.domain is None else len(self.domain)

    @property
    def strong_monotonicity(self) -> float:
        """A constant m ≥ 0 for the inequality above; a claim that `monops.testing` checks."""
        return 0.0

    def may_be_monotone(self) -> bool:
        """False where A is easily seen not to be monotone; asked once a solve."""
        return True

    @property
    def lipschitz(self) -> float:
        """A constant L with ‖A(x) - A(y)‖ ≤ L‖x - y‖; infinite unless known."""
        return math.inf

    def is_known(self, fact: str) -> bool:
        """Whether "strong_monotonicity" or "lipschitz" costs nothing to ask for: no eigenvalue of a matrix, say."""
        return self.domain is None or fact in vars(self)

    @property
    def is_zero(self) -> bool:
        """Whether A is known to be z ↦ 0."""
        return False

    @property
    def takes_steps(self) -> bool:
        """Whether `resolvent` takes arrays of steps too, of shape (*batch, 1, …, 1)."""
        return False

    @property
    def is_gradient(self) -> bool:
        """Whether A is known to be the gradient, or subdifferential, of a convex function."""
        return False

    @property
    def cocoercivity(self) -> float:
        """A constant β ≥ 0 with ⟨A(x) - A(y), x - y⟩ ≥ β‖A(x) - A(y)‖².

        1/L for the gradient of a convex function (Baillon & Haddad 1977); m/L² unless more is known.
        """
        L = self.lipschitz
        if L == 0:
            return math.inf
        return 1 / L if self.is_gradient else self.strong_monotonicity / L**2

    @abstractmethod
    def resolvent(self, step: float) -> Resolvent:
        """J = (I + step·A)⁻¹.

        Raises:
            StepSizeError: `step` is not in (0, ∞).
            NoResolventError: none can be computed for this operator.
        """

    def apply(self, x: Array) -> Array:
        """A(x), where A is single-valued.

        Raises:
            NotSingleValuedError: it is not.
        """
        raise NotSingleValuedError(f"{type(self).__name__} is set-valued: use its resolvent")

    def pairing(self, x: Array, w: Array) -> Array:
        """⟨A(x), w⟩ over all samples, a number, where A is single-valued: for derivatives in the tensors of A."""
        return (self.apply(x) * w).sum()

    def derivative(self, x: Array) -> LinearOperator:
        """The Jacobian of A at x, one operator a sample, where A is single-valued and differentiable.

        Unless overridden it is matrix-free: Jacobian-vector products of `apply` by automatic differentiation.

        Raises:
            NotSingleValuedError: A is set-valued.
            DTypeError: x is not a tensor, so nothing can be differentiated automatically.
        """
        if not is_torch(x):
            raise DTypeError(f"{type(self).__name__} has no derivative of its own, and NumPy has none either")
        from monops.monotone.jacobian import Jacobian

        return Jacobian(self, x)

    def as_affine(self) -> Affine | None:
        """The same operator as an `Affine`, where it is known to be one; else None."""
        return None

    def scale(self, zero: Array, rank: int) -> Array | None:
        """‖A(0)‖, one number a sample, with which residuals are compared beside ‖point‖; None if A is set-valued.

        Shapes: `zero` (*batch, *domain), a zero state with `rank` domain axes → (*batch).
        """
        try:
            return norm(self.apply(zero), rank)
        except NotSingleValuedError:
            return None

    def zero(self) -> Array | None:
        """A zero state with this operator's batch axes, dtype and device, where it knows them."""
        return None

    def arrange(self, x: Array) -> Array:
        """The same x in the memory order that suits this operator, where it has one."""
        return x

    def factored(self) -> MonotoneOperator:
        """The same operator, keeping the factorisations and spectral facts that it computes, where it has any."""
        return self

    def take(self, index: Array, shape: Shape) -> MonotoneOperator:
        """The operator for samples `index` along the first axis of states of this shape, as in `Resolvent.take`."""
        raise NotImplementedError(f"{type(self).__name__} does not say how to leave samples out")

    def __call__(self, x: Array) -> Array:
        return self.apply(x)

    def __add__(self, other: object) -> MonotoneOperator:
        is_summand = isinstance(other, MonotoneOperator | LinearOperator) or hasattr(other, "dtype")
        return self._plus(other) if is_summand else NotImplemented

    __radd__ = __add__

    def __sub__(self, other: Any) -> MonotoneOperator:
        """A minus a fixed array; the difference of two operators need not be monotone."""
        return self._plus(-other) if hasattr(other, "ndim") else NotImplemented

    def _plus(self, other: object) -> MonotoneOperator:
        """The sum with a monotone operator, a linear one, or a fixed array; subclasses keep their structure."""
        from monops.monotone.affine import Affine
        from monops.monotone.algebra import Perturbed
        from monops.monotone.sums import MonotoneSum

        if isinstance(other, Affine) and not isinstance(self, Affine):
            return other._plus(self)
        if isinstance(other, MonotoneOperator):
            return MonotoneSum(self, other)
        if isinstance(other, Identity) and not getattr(other.scale, "requires_grad", False) and other.scale >= 0:
            return Perturbed(self, float(other.scale))
        if isinstance(other, LinearOperator):
            return MonotoneSum(self, Affine(other))
        return Perturbed(self, shift=other)

    def __rmul__(self, factor: float) -> MonotoneOperator:
        if not (isinstance(factor, float | int) and 0 < factor < math.inf):
            raise OptionError(f"a monotone operator is multiplied by a number > 0, got {factor}")
        return self._scaled(float(factor))

    __mul__ = __rmul__

    def _scaled(self, factor: float) -> MonotoneOperator:
        """The multiple; subclasses keep their structure."""
        from monops.monotone.algebra import Multiple

        return Multiple(factor, self)

    def translate(self, center: Array) -> MonotoneOperator:
        """z ↦ A(z - center)."""
        from monops.monotone.algebra import Translated

        return Translated(self, center)

    def inverse(self) -> MonotoneOperator:
        """A⁻¹, whose resolvent follows from A's by Moreau's identity."""
        from monops.monotone.algebra import Inverse

        return Inverse(self)

    def precompose(self, K: LinearOperator) -> MonotoneOperator:
        """Kᴴ ∘ A ∘ K. It has a resolvent where K Kᴴ = ν I, ν > 0; primal-dual methods take the others apart."""
        from monops.monotone.precomposed import Precomposed

        return Precomposed(self, K)


def common_domain(A: MonotoneOperator, B: MonotoneOperator) -> Shape | None:
    """The domain of whichever knows one."""
    return B.domain if A.domain is None else A.domain


def common_rank(A: MonotoneOperator, B: MonotoneOperator) -> int:
    """How many trailing axes of a state make one point: those of a known domain, else the most that A or B needs.

    Raises:
        ShapeError: one of the two acts on points of more axes than the domain has.
    """
    domain, rank = common_domain(A, B), max(A.rank, B.rank)
    if domain is not None and rank > len(domain):
        raise ShapeError(
            f"the operators act on {domain}, points of {len(domain)} axes, but one of them on points of {rank} axes: a "
            "function acts on as many as its `axes` says"
        )
    return max(1, rank) if domain is None else len(domain)


def in_parallel(*constants: float) -> float:
    """The cocoercivity of a sum: that of the terms, added as parallel resistances are."""
    total = sum(1 / constant if constant > 0 else math.inf for constant in constants)
    return 1 / total if total > 0 else math.inf


def take_rows(x: Any, index: Array, shape: Shape) -> Any:
    """The samples `index` of `x`, where it has data of single samples: axes as states of `shape`, not broadcast."""
    is_per_sample = getattr(x, "ndim", 0) == len(shape) and x.shape[0] > 1
    return x[index] if is_per_sample else x
