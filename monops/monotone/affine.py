"""z ↦ M z - b, and linear relations given by their resolvent."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import torch

from monops.arrays import Array, Shape, check_array, detach, epsilon, full, known_true, namespace, norm, require_step
from monops.errors import OptionError, ShapeError
from monops.inversion import may_be_semidefinite
from monops.linear import Dense, Diagonal, Factored, Identity, LinearOperator, Sum
from monops.linear.memo import by_mode
from monops.monotone.base import MonotoneOperator, Resolvent, take_rows


@dataclass(frozen=True, eq=False)
class Affine(MonotoneOperator):
    """z ↦ M z - b for a linear M with monotone part, ⟨M z, z⟩ ≥ m‖z‖². The paper's F, with M = I - W.

    Shapes: `b` (*batch, *domain).

    Args:
        linear: M, with domain = codomain.
        b: the right-hand side; zero unless given.
        claim: a known m ≥ 0 for `strong_monotonicity`, which saves computing it from M's spectrum. Assumed: with too
            large a claim, error bounds and step bounds are wrong.

    Raises:
        ShapeError, DTypeError, DeviceError: b does not fit M.
        OptionError: a negative claim; or, when m is first computed or a solve begins, M is found not to be monotone.

    Source: Winston & Kolter 2020, theorem 1: F(z) = (I - W) z - (U x + b).

    Example:
        >>> import torch
        >>> from monops.linear import Dense
        >>> A = Affine(Dense(torch.tensor([[2.0, -1.0], [1.0, 2.0]])), torch.ones(2))
        >>> A(torch.ones(2)), A.strong_monotonicity
        (tensor([0., 2.]), 2.0)
    """

    linear: LinearOperator
    b: Array = field(default=None, metadata={"axes": "domain"})
    claim: float | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        M = self.linear
        if not isinstance(M, LinearOperator):
            raise OptionError(f"Affine wants a LinearOperator such as Dense(matrix) as M, got {type(M).__name__}")
        M._require_square("Affine")
        if self.b is None:
            object.__setattr__(self, "b", full(M.domain, 0.0, M.dtype, M.device))
        check_array(self.b, M.domain, M.dtype, M.device, "Affine(M, b)")
        try:
            torch.broadcast_shapes(self.batch, M.batch)
        except RuntimeError as error:
            raise ShapeError(f"the batch axes {M.batch} of M and {self.batch} of b do not go together") from error
        object.__setattr__(self, "b", M.arrange(self.b))
        if self.claim is not None and not 0 <= self.claim < math.inf:
            raise OptionError(f"claim wants m in [0, ∞), got {self.claim}")

    @property
    def domain(self) -> Shape:
        return self.linear.domain

    @property
    def batch(self) -> Shape:
        """Batch axes of b."""
        return tuple(self.b.shape[: self.b.ndim - len(self.domain)])

    @cached_property
    def strong_monotonicity(self) -> float:
        if self.claim is not None:
            return self.claim
        m = self.linear.monotonicity()
        if m < -100 * epsilon(self.linear.dtype) * self.lipschitz:
            raise OptionError(
                f"Affine wants a monotone M, got {self.linear.signature} with ⟨M z, z⟩ = {m:.3g} ‖z‖² for some z"
            )
        return max(0.0, m)

    def is_known(self, fact: str) -> bool:
        return fact in vars(self) or (fact == "strong_monotonicity" and self.claim is not None)

    def may_be_monotone(self) -> bool:
        if self.is_known("strong_monotonicity"):
            return True
        M = self.linear.op if isinstance(self.linear, Factored) else self.linear
        if isinstance(M, Diagonal):
            return not known_true((detach(M.entries) < 0).any())
        if isinstance(M, Dense) and M.domain[0] > 0:
            matrix = detach(M.matrix)
            return may_be_semidefinite(0.5 * (matrix + matrix.mT))
        return True

    @cached_property
    def lipschitz(self) -> float:
        return self.linear.norm()

    @property
    def is_gradient(self) -> bool:
        return self.linear.symmetric

    @cached_property
    def cocoercivity(self) -> float:
        if self.is_gradient or self.claim is not None:
            return super().cocoercivity
        _ = self.strong_monotonicity  # which refuses a matrix that is not monotone
        return max(self.linear.cocoercivity(), super().cocoercivity)

    def apply(self, x: Array) -> Array:
        return self.linear.apply(x) - self.b

    def pairing(self, x: Array, w: Array) -> Array:
        return self.linear.pairing(x, w) - (self.b * w).sum()

    def derivative(self, x: Array) -> LinearOperator:
        return self.linear

    def resolvent(self, step: float) -> AffineResolvent:
        R = self.linear.resolvent(require_step(step, self, "resolvent"))
        return AffineResolvent(R, self.b, step)

    def as_affine(self) -> Affine:
        return self

    def scale(self, zero: Array, rank: int) -> Array:
        return norm(self.b, rank)

    def zero(self) -> Array:
        M = self.linear
        batch = torch.broadcast_shapes(self.batch, M.batch)
        zero = full((), 0.0, M.dtype, M.device)
        return namespace(zero).broadcast_to(zero, (*batch, *M.domain))  # one number, which takes no memory

    def arrange(self, x: Array) -> Array:
        return self.linear.arrange(x)

    def factored(self) -> Affine:
        if isinstance(self.linear, Factored):
            return self
        return Affine(Factored(self.linear), self.b, claim=self.claim)

    def take(self, index: Array, shape: Shape) -> Affine:
        return Affine(self.linear.take(index, shape), take_rows(self.b, index, shape), claim=self.claim)

    def _plus(self, other: object) -> MonotoneOperator:
        if isinstance(other, LinearOperator):
            return Affine(self.linear + other, self.b)
        if isinstance(other, Affine):
            return Affine(self.linear + other.linear, self.b + other.b)
        if isinstance(other, MonotoneOperator):
            return super()._plus(other)
        return Affine(self.linear, self.b - other, claim=self.claim)


@dataclass(frozen=True, eq=False)
class AffineResolvent(Resolvent):
    """x ↦ R (x + before · b) + after · b.

    The resolvent of the affine operator z ↦ M z - b has R = (I + step·M)⁻¹, before = step and after = 0.
    """

    linear: LinearOperator
    b: Array | None = field(default=None, metadata={"axes": "domain"})
    before: float = 0.0
    after: float = 0.0

    def _kernel(self) -> tuple[Callable[[Array], Array], tuple[Any, ...]]:
        R = self.linear
        kernel = R.apply if self.b is None else R.shifted(self.b, self.before, self.after)
        return kernel, (R.domain, R.dtype, R.device, "the resolvent")

    def __call__(self, x: Array) -> Array:
        if torch.compiler.is_compiling():
            return _uncompiled(self, x)
        kernel, wanted = by_mode(self, "kernel", self._kernel)
        check_array(x, *wanted)
        return kernel(x)

    def derivative(self, x: Array) -> LinearOperator:
        return self.linear

    def derivative_from(self, value: Array) -> LinearOperator:
        return self.linear

    def reflected(self) -> Resolvent:
        reflected = self.linear.reflected()
        if isinstance(reflected, Sum | Diagonal):  # no cheaper than the resolvent itself, and one array more
            return super().reflected()
        return AffineResolvent(reflected.prepared(), self.b, self.before, self.before)

    def take(self, index: Array, shape: Shape) -> AffineResolvent:
        return replace(self, linear=self.linear.take(index, shape), b=take_rows(self.b, index, shape))


@torch.compiler.disable
def _uncompiled(J: AffineResolvent, x: Array) -> Array:
    """J(x) by the kernels that the operator has chosen, in the midst of compiled code."""
    return J(x)


@dataclass(frozen=True, eq=False)
class FromResolvent(MonotoneOperator):
    """The linear relation B with (I + at·B)⁻¹ = D, for a firmly nonexpansive D: 0 ⪯ D ⪯ I if it is symmetric.

    B = (D⁻¹ - I)/at is set-valued where D is singular (there it is the normal cone of the range), so it is never
    formed: at another step β its resolvent is (at/β) D (I + (at/β - 1) D)⁻¹, which is finite for every D. With the
    derivative of a prox as D, this is the linearised activation of the adjoint problem.

    Args:
        D: the resolvent, a linear operator.
        at: the step at which D is the resolvent, in (0, ∞).

    Source: Winston & Kolter 2020, theorem 3, whose D⁻¹ is infinite where the derivative is 0.

    Example:
        >>> import torch
        >>> from monops.linear import Diagonal
        >>> B = FromResolvent(Diagonal(torch.tensor([0.0, 0.5, 1.0])), at=1.0)
        >>> B.resolvent(3.0)(torch.ones(3))
        tensor([0.0000, 0.2500, 1.0000])
    """

    D: LinearOperator
    at: float = 1.0

    def __post_init__(self) -> None:
        require_step(self.at, self, "at")

    @property
    def domain(self) -> Shape:
        return self.D.domain

    @property
    def is_zero(self) -> bool:
        return isinstance(self.D, Identity) and self.D.scale == 1

    @property
    def is_gradient(self) -> bool:
        return self.D.symmetric

    def resolvent(self, step: float) -> AffineResolvent:
        ratio = self.at / require_step(step, self, "resolvent")
        if ratio == 1:
            return AffineResolvent(self.D)
        return AffineResolvent(ratio * (self.D @ self.D.resolvent(ratio - 1)))

    def take(self, index: Array, shape: Shape) -> FromResolvent:
        return FromResolvent(self.D.take(index, shape), self.at)
