"""Multiples of the identity, and zero: the operators that fit any structure."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch

from monops.arrays import DEFAULT_DTYPE, Array, DType, Shape, as_device, as_dtype, detach, full, is_torch, known_true
from monops.errors import SingularError
from monops.linear.base import LinearOperator


@dataclass(frozen=True, eq=False)
class Identity(LinearOperator):
    """x ↦ scale · x.

    Args:
        shape: the domain, without batch axes.
        scale: a number or a tensor with no axes (which may require grad).
        dtype: of the states, PyTorch's default unless given; a NumPy dtype makes a NumPy operator.
        device: of the states.

    Example:
        >>> import torch
        >>> I = Identity((3,), dtype=torch.float64)
        >>> (0.5 * I + I)(torch.ones(3, dtype=torch.float64))
        tensor([1.5000, 1.5000, 1.5000], dtype=torch.float64)
    """

    shape: Shape
    scale: float | Array = field(default=1.0, metadata={"axes": "domain"})
    dtype: DType = field(default=DEFAULT_DTYPE, kw_only=True)
    device: torch.device = field(default=torch.device("cpu"), kw_only=True)

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", tuple(self.shape))
        object.__setattr__(self, "dtype", as_dtype(self.dtype))
        object.__setattr__(self, "device", as_device(self.device))

    @classmethod
    def like(cls, op: LinearOperator) -> Identity:
        """The identity on the domain of `op`."""
        return cls(op.domain, dtype=op.dtype, device=op.device)

    @property
    def domain(self) -> Shape:
        return self.shape

    @property
    def codomain(self) -> Shape:
        return self.shape

    @property
    def symmetric(self) -> bool:
        return True

    def apply(self, x: Array) -> Array:
        return self.scale * x

    def adjoint(self) -> LinearOperator:
        return self

    def resolvent(self, step: float) -> LinearOperator:
        self._require_step(step)
        divisor = 1 + step * self.scale
        if known_true(detach(divisor) == 0):
            raise SingularError(f"I + step·op is zero for step {step} and op = {float(detach(self.scale))}·I")
        return self._with(1 / divisor)

    def norm(self) -> float:
        return abs(float(detach(self.scale)))

    def monotonicity(self) -> float:
        return float(detach(self.scale))

    def _plus(self, other: LinearOperator) -> LinearOperator:
        return self._with(self.scale + other.scale) if isinstance(other, Identity) else NotImplemented

    def _times(self, other: LinearOperator) -> LinearOperator:
        return other if _is_one(self.scale) else self.scale * other

    _rtimes = _times

    def _scaled(self, scalar: float | Array) -> LinearOperator:
        return self._with(scalar * self.scale)

    def _with(self, scale: float | Array) -> Identity:
        return Identity(self.shape, scale, dtype=self.dtype, device=self.device)


@dataclass(frozen=True, eq=False)
class Zero(LinearOperator):
    """x ↦ 0.

    Args:
        shape: the domain, without batch axes.
        out: the codomain; the same as the domain unless given.
        dtype: of the states, PyTorch's default unless given; a NumPy dtype makes a NumPy operator.
        device: of the states.

    Example:
        >>> import torch
        >>> Zero((3,), (2,))(torch.ones(5, 3)).shape
        torch.Size([5, 2])
    """

    shape: Shape
    out: Shape | None = None
    dtype: DType = field(default=DEFAULT_DTYPE, kw_only=True)
    device: torch.device = field(default=torch.device("cpu"), kw_only=True)

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", tuple(self.shape))
        object.__setattr__(self, "out", self.shape if self.out is None else tuple(self.out))
        object.__setattr__(self, "dtype", as_dtype(self.dtype))
        object.__setattr__(self, "device", as_device(self.device))

    @property
    def domain(self) -> Shape:
        return self.shape

    @property
    def codomain(self) -> Shape:
        assert self.out is not None
        return self.out

    @property
    def symmetric(self) -> bool:
        return self.domain == self.codomain

    def apply(self, x: Array) -> Array:
        batch = tuple(x.shape[: x.ndim - len(self.domain)])
        return full(batch + self.codomain, 0.0, x.dtype, self.device if is_torch(x) else x.device)

    def adjoint(self) -> LinearOperator:
        return Zero(self.codomain, self.domain, dtype=self.dtype, device=self.device)

    def resolvent(self, step: float) -> LinearOperator:
        self._require_step(step)
        return Identity.like(self)

    def norm(self) -> float:
        return 0.0

    def monotonicity(self) -> float:
        self._require_square("monotonicity")
        return 0.0

    def _plus(self, other: LinearOperator) -> LinearOperator:
        return other

    def _times(self, other: LinearOperator) -> LinearOperator:
        return Zero(other.domain, self.codomain, dtype=self.dtype, device=self.device)

    def _rtimes(self, other: LinearOperator) -> LinearOperator:
        return Zero(self.domain, other.codomain, dtype=self.dtype, device=self.device)

    def _scaled(self, scalar: float | Array) -> LinearOperator:
        return self


def _is_one(scale: float | Array) -> bool:
    return isinstance(scale, float | int) and scale == 1
