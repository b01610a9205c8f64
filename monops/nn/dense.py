"""The fully connected monotone operator."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from monops.arrays import check_array
from monops.linear import Dense, Identity, LinearOperator
from monops.nn.base import MonotoneLinear, draw_uniform, require_counts


class MonotoneDense(MonotoneLinear):
    """The map (z, x) ↦ M z - (U x + b) with M = I - W, W = (1 - m) I - AᵀA + B - Bᵀ.

    Whatever A and B are, I - W ⪰ m I, so the equilibrium z = σ(W z + U x + b) exists and is unique.

    Shapes: x (*batch, inputs), z (*batch, features); A and B (features, features), U (features, inputs), b (features).

    Args:
        inputs: number of input features, ≥ 1.
        features: number of hidden units, ≥ 1.
        m: the strong monotonicity, > 0.
        bias: whether there is a b.
        device, dtype: of the parameters; float32 or float64.

    Raises:
        DTypeError: another dtype than float32 and float64.
        OptionError: an argument outside its range.

    Source: Winston & Kolter 2020, proposition 1; uniform initialisation with the bounds of `torch.nn.Linear`.

    Example:
        >>> import torch
        >>> linear = MonotoneDense(4, 8, m=0.5)
        >>> linear.operator().monotonicity() >= 0.4999
        True
    """

    def __init__(
        self,
        inputs: int,
        features: int,
        *,
        m: float = 1.0,
        bias: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(m)
        self._require_dtype(dtype)
        require_counts(self, inputs=inputs, features=features)
        kind: dict[str, Any] = {"device": device, "dtype": dtype}
        self.inputs, self.features = inputs, features
        self.A = nn.Parameter(torch.empty(features, features, **kind))
        self.B = nn.Parameter(torch.empty(features, features, **kind))
        self.U = nn.Parameter(torch.empty(features, inputs, **kind))
        self.bias = nn.Parameter(torch.empty(features, **kind)) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw all parameters anew, uniformly in ±1/√(number of columns)."""
        draw_uniform(self.A, self.B, self.U)
        if self.bias is not None:
            nn.init.uniform_(self.bias, -(self.inputs**-0.5), self.inputs**-0.5)

    def operator(self) -> LinearOperator:
        """M = I - W, differentiable in A and B."""
        A, B = Dense(self.A), Dense(self.B)
        I = Identity.like(A)  # noqa: E741
        W = (1 - self.m) * I - A.H @ A + B - B.H
        return I - W

    def inject(self, x: torch.Tensor) -> torch.Tensor:
        """U x + b. Shapes: (*batch, inputs) → (*batch, features)."""
        check_array(x, (self.inputs,), self.U.dtype, self.U.device, "MonotoneDense")
        return nn.functional.linear(x, self.U, self.bias)

    def extra_repr(self) -> str:
        return f"{self.inputs}, {self.features}, m={self.m}, bias={self.bias is not None}"
