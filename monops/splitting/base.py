"""What a splitting method is: one step."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Literal, NamedTuple, Self, TypeAlias

from monops.arrays import Array, require_step
from monops.errors import OptionError, StepSizeError
from monops.monotone import MonotoneOperator

StepSize: TypeAlias = float | Literal["auto"]


class Step(NamedTuple):
    """What one iteration gives.

    Attributes:
        state: what the next iteration starts from.
        point: the current approximation y of the solution, or a function without arguments for it.
        gap: a function without arguments for an element of A(x) + B(y), at some x with x - y → 0; zero at a solution.
            All methods mean the same by it, so a tolerance means the same for all. Functions are called only when
            convergence is looked at, so they cost nothing in the steps between.
    """

    state: Array
    point: Array | Callable[[], Array]
    gap: Callable[[], Array]

    def approximation(self) -> Array:
        """The point itself."""
        return self.point() if callable(self.point) else self.point


class SplittingMethod(ABC):
    """A method for 0 ∈ A(z) + B(z), as a frozen dataclass of its parameters; `monops.solve` iterates it.

    Subclasses provide `prepare` and `advance`, and where they are known `rate` and `best_step`. A field `step` is
    the step size: a number in (0, ∞), or "auto" for one that `solve` finds (see `monops.tune`).
    """

    step: StepSize

    def __post_init__(self) -> None:
        step = getattr(self, "step", 1.0)
        if isinstance(step, str):
            if step != "auto":
                raise OptionError(f'step wants a number in (0, ∞) or "auto", got {step!r}')
        else:
            require_step(step, self, "step")

    @abstractmethod
    def prepare(self, A: MonotoneOperator, B: MonotoneOperator) -> Any:
        """What the steps need, computed once a solve: resolvents, say.

        A tuple whose members all have `take(index, shape)` or are plain numbers lets `solve` drop finished samples.

        Raises:
            StepSizeError: with this step convergence is not proven (the message names the bound).
            MonopsError: an operator lacks what the method needs.
        """

    @abstractmethod
    def advance(self, plan: Any, z: Array) -> Step:
        """One iteration from state z. Only + - * / and calls of operators, so torch and NumPy both run it."""

    def with_step(self, step: StepSize) -> Self:
        """The same method with another step size."""
        return dataclasses.replace(self, step=step)  # type: ignore[type-var]

    def start(self, z0: Array) -> Array:
        """The first state, from the point (or the state of an earlier solve) that the user starts from."""
        return z0

    def rate(self, m: float, L: float) -> float | None:
        """The proven contraction factor of the state a step, for A m-strongly monotone and L-Lipschitz, else None.

        At `step="auto"`: that of the best step.
        """
        return None

    def best_step(self, m: float, L: float) -> float | None:
        """The step in (0, ∞) with the smallest `rate(m, L)`, or None where there is none."""
        return None

    def _step_for(self, m: float, L: float) -> float | None:
        return self.best_step(m, L) if self.step == "auto" else float(self.step)

    def _numeric_step(self) -> float:
        if self.step == "auto":
            raise StepSizeError(f'{type(self).__name__}: "auto" is resolved by solve; prepare wants a number')
        return float(self.step)
