"""What an equilibrium layer asks of the module that holds its parameters."""

from __future__ import annotations

import math
import numbers
from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import nn

from monops.errors import DTypeError, OptionError
from monops.functions import Function
from monops.linear import LinearOperator


class MonotoneLinear(nn.Module, ABC):
    """The affine part of z = σ(W z + U x + b): a module with parameters for M = I - W ⪰ m I and for U x + b.

    Subclasses provide `operator` and `inject`; and `confine` and `extract` where a state is not what a user wants to
    see, such as a grid with a border of zeros, or several tiers in one flat array.

    Args:
        m: the strong monotonicity, > 0.

    Raises:
        OptionError: m is not in (0, ∞).
    """

    def __init__(self, m: float) -> None:
        super().__init__()
        if not 0 < m < math.inf:
            raise OptionError(f"{type(self).__name__} wants m > 0, got {m}")
        self.m = float(m)

    def _require_dtype(self, dtype: torch.dtype | None) -> None:
        dtype = torch.get_default_dtype() if dtype is None else dtype
        if dtype not in (torch.float32, torch.float64):
            raise DTypeError(f"{type(self).__name__} wants parameters of float32 or float64, got {dtype}")

    @abstractmethod
    def operator(self) -> LinearOperator:
        """M = I - W with M ⪰ m I, differentiable in the parameters."""

    @abstractmethod
    def inject(self, x: torch.Tensor) -> torch.Tensor:
        """The input's contribution U x + b, a state."""

    def confine(self, f: Function) -> Function:
        """The function whose prox is the activation on whole states, from the one for their entries."""
        return f

    def extract(self, z: torch.Tensor) -> torch.Tensor:
        """The layer's output, from the equilibrium's state."""
        return z


def require_counts(owner: object, **counts: Any) -> None:
    """Raise an `OptionError` unless all are integers ≥ 1; `owner` and the names are for the message."""
    for name, value in counts.items():
        if not isinstance(value, numbers.Integral) or isinstance(value, bool) or value < 1:
            raise OptionError(f"{type(owner).__name__} wants integers ≥ 1 as {name}, got {value!r}")


def draw_uniform(*weights: torch.Tensor) -> None:
    """Draw each weight (out, in, *kernel) uniformly in ±1/√(in · kernel), as `torch.nn.Linear` and `Conv2d` do."""
    for weight in weights:
        bound = math.prod(weight.shape[1:]) ** -0.5
        nn.init.uniform_(weight, -bound, bound)
