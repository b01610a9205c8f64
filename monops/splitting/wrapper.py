"""What methods around another method share."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from monops.monotone import MonotoneOperator
from monops.splitting.base import SplittingMethod, StepSize, require_method


@dataclass(frozen=True)
class Wrapper(SplittingMethod):
    """A method made of the steps T of another one, whose step size is its own.

    Args:
        method: whose steps are used.

    Raises:
        OptionError: `method` is no splitting method.
    """

    method: SplittingMethod

    def __post_init__(self) -> None:
        require_method(f"{type(self).__name__}.method", self.method)

    @property
    def step(self) -> StepSize:  # type: ignore[override]
        return self.method.step

    def with_step(self, step: StepSize) -> Any:
        return dataclasses.replace(self, method=self.method.with_step(step))

    def best_step(self, m: float, L: float) -> float | None:
        return self.method.best_step(m, L)

    def starting_step(self, A: MonotoneOperator) -> float | None:
        return self.method.starting_step(A)
