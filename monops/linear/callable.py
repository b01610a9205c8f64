"""Operators from a pair of functions."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch

from monops.arrays import DEFAULT_DTYPE, Array, DType, Shape, as_device, as_dtype
from monops.errors import OptionError, ShapeError
from monops.linear.base import LinearOperator


@dataclass(frozen=True, eq=False)
class FromCallable(LinearOperator):
    """x ↦ forward(x, *params), with a function for the adjoint.

    Shapes: `forward` takes (*batch, *domain) to (*batch, *codomain), `backward` the other way; any batch axes.

    Assumes that both are linear in x and adjoint to each other. `monops.verify` and the dot test in
    `monops.testing` tell.

    Args:
        forward: the map.
        backward: its adjoint.
        shape: the domain.
        out: the codomain; the same as the domain unless given.
        params: tensors which both functions get after x. What a gradient is wanted of must be here: a tensor that
            requires grad and is only captured by a function is refused, since its gradient would be lost.
        known_symmetric: the map equals its adjoint, so conjugate gradients may be used for resolvents.
        dtype: of the states, PyTorch's default unless given; a NumPy dtype makes a NumPy operator.
        device: of the states.

    Raises:
        OptionError: a function captures a tensor that requires grad.

    Example:
        >>> import torch
        >>> shift = FromCallable(lambda x: x.roll(1, -1), lambda y: y.roll(-1, -1), (3,))
        >>> (shift.H @ shift)(torch.tensor([1.0, 2.0, 3.0]))
        tensor([1., 2., 3.])
    """

    forward: Callable[..., Any]
    backward: Callable[..., Any]
    shape: Shape
    out: Shape | None = None
    params: tuple[torch.Tensor, ...] = ()
    known_symmetric: bool = field(default=False, kw_only=True)
    dtype: DType = field(default=DEFAULT_DTYPE, kw_only=True)
    device: torch.device = field(default=torch.device("cpu"), kw_only=True)

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", tuple(self.shape))
        object.__setattr__(self, "out", self.shape if self.out is None else tuple(self.out))
        object.__setattr__(self, "params", tuple(self.params))
        object.__setattr__(self, "dtype", as_dtype(self.dtype))
        object.__setattr__(self, "device", as_device(self.device))
        if self.known_symmetric and self.domain != self.codomain:
            raise ShapeError(f"a symmetric operator has one space, got {self.domain} → {self.codomain}")
        for function in (self.forward, self.backward):
            if any(_requires_grad(value) for value in _captured(function)):
                raise OptionError(
                    f"{getattr(function, '__name__', function)} captures a tensor that requires grad, whose "
                    "gradient would be lost; hand it over in params, which both functions get after x"
                )

    @property
    def domain(self) -> Shape:
        return self.shape

    @property
    def codomain(self) -> Shape:
        assert self.out is not None
        return self.out

    @property
    def symmetric(self) -> bool:
        return self.known_symmetric

    def apply(self, x: Array) -> Array:
        return self.forward(x, *self.params)

    def adjoint(self) -> LinearOperator:
        if self.symmetric:
            return self
        kind = {"dtype": self.dtype, "device": self.device}
        return FromCallable(self.backward, self.forward, self.codomain, self.domain, self.params, **kind)


def _captured(function: Callable[..., Any]) -> list[Any]:
    """What a function, bound method, `functools.partial` or module brings with it."""
    if isinstance(function, functools.partial):
        return [*function.args, *function.keywords.values(), *_captured(function.func)]
    cells = [cell.cell_contents for cell in getattr(function, "__closure__", None) or ()]
    defaults = getattr(function, "__defaults__", None) or ()
    keywords = getattr(function, "__kwdefaults__", None) or {}
    return [function, getattr(function, "__self__", None), *cells, *defaults, *keywords.values()]


def _requires_grad(value: Any) -> bool:
    if isinstance(value, torch.nn.Module):
        return any(p.requires_grad for p in value.parameters())
    return isinstance(value, torch.Tensor) and value.requires_grad
