"""Multiplication by fixed entries."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch

from monops.arrays import Array, DType, Shape, detach, device_of, flatten_trailing, floating, known_true, namespace
from monops.errors import ShapeError, SingularError
from monops.linear.base import LinearOperator
from monops.linear.identity import Identity


@dataclass(frozen=True, eq=False)
class Diagonal(LinearOperator):
    """x ↦ entries · x, elementwise.

    Shapes: `entries` (*batch, *domain).

    Args:
        entries: a tensor or NumPy array, float32 or float64.
        rank: how many trailing axes of `entries` are the domain; all of them unless given. The axes before make a
            family of operators, one a sample.

    Example:
        >>> import torch
        >>> D = Diagonal(torch.tensor([1.0, 3.0]))
        >>> D.resolvent(1.0)(torch.ones(2))
        tensor([0.5000, 0.2500])
    """

    entries: Array = field(metadata={"axes": "domain"})
    rank: int | None = None

    def __post_init__(self) -> None:
        ndim = floating(self.entries).ndim
        rank = ndim if self.rank is None else self.rank
        if not 0 <= rank <= ndim:
            raise ShapeError(f"Diagonal wants at most {ndim} domain axes in entries, got rank {rank}")
        object.__setattr__(self, "rank", rank)

    @property
    def domain(self) -> Shape:
        return tuple(self.entries.shape[self.entries.ndim - self.rank :])

    @property
    def codomain(self) -> Shape:
        return self.domain

    @property
    def dtype(self) -> DType:
        return self.entries.dtype

    @property
    def device(self) -> torch.device:
        return device_of(self.entries)

    @property
    def batch(self) -> Shape:
        return tuple(self.entries.shape[: self.entries.ndim - self.rank])

    @property
    def symmetric(self) -> bool:
        return True

    def apply(self, x: Array) -> Array:
        return self.entries * x

    def adjoint(self) -> LinearOperator:
        return self

    def resolvent(self, step: float) -> LinearOperator:
        self._require_step(step)
        divisor = 1 + step * self.entries
        if known_true((detach(divisor) == 0).any()):
            raise SingularError(f"I + step·op has a zero on its diagonal for step {step}")
        return self._with(1 / divisor)

    def norm(self) -> float:
        return float(abs(detach(self.entries)).max()) if 0 not in self.entries.shape else 0.0

    def monotonicity(self) -> float:
        return float(detach(self.entries).min()) if 0 not in self.entries.shape else 0.0

    def to_dense(self) -> Array:
        flat = flatten_trailing(self.entries, len(self.domain))
        return flat[..., :, None] * namespace(flat).eye(flat.shape[-1], **_kind(flat))

    def _plus(self, other: LinearOperator) -> LinearOperator:
        if isinstance(other, Diagonal):
            return self._with(self.entries + other.entries)
        return self._with(self.entries + other.scale) if isinstance(other, Identity) else NotImplemented

    def _times(self, other: LinearOperator) -> LinearOperator:
        if isinstance(other, Diagonal):
            return self._with(self.entries * other.entries)
        return NotImplemented

    def _scaled(self, scalar: float | Array) -> LinearOperator:
        return self._with(scalar * self.entries)

    def take(self, index: Array, shape: Shape) -> LinearOperator:
        is_per_sample = bool(self.batch) and self.entries.ndim == len(shape) and self.batch[0] > 1
        return self._with(self.entries[index]) if is_per_sample else self

    def _with(self, entries: Array) -> Diagonal:
        return Diagonal(entries, self.rank)


def _kind(x: Array) -> dict[str, object]:
    return {"dtype": x.dtype, "device": x.device}
