"""Halpern's anchoring of any method."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

from monops.arrays import Array, device_of, full, namespace, norm
from monops.errors import ConditionError, OptionError
from monops.monotone import MonotoneOperator
from monops.monotone.base import common_rank
from monops.splitting.base import SplittingMethod, Step, StepSize


class Anchored(NamedTuple):
    """A state; its anchor; steps since the anchor was set; and ‖T z - z‖ at the anchor. Numbers one a sample."""

    z: Array
    anchor: Array
    steps: Array
    size: Array


@dataclass(frozen=True)
class Halpern(SplittingMethod):
    """z ← z₀/(k + 2) + (k + 1)/(k + 2) T(z), where T is a step of another method and z₀ the anchor.

    For nonexpansive T, ‖T z - z‖ ≤ 2‖z₀ - z*‖/(k + 1) after k steps, the best that is possible without more being
    known. Where problems are better than the worst, restarts make it linear: whenever ‖T z - z‖ has fallen to a share
    of what it was at the anchor, the sample's anchor is moved to where it is.

    Args:
        method: whose steps are anchored; its state has to be one array.
        restart: the share in (0, 1), or None to keep the first anchor.

    Raises:
        OptionError: `restart` is outside its range.
        ConditionError: from `start`, if the method's state is not one array.

    Source: Halpern 1967; Lieder 2021 (*On the convergence rate of the Halpern-iteration*), theorem 2.1.

    Example:
        >>> from monops import DouglasRachford
        >>> Halpern(DouglasRachford(0.5)).step
        0.5
    """

    remembers: ClassVar[bool] = True

    method: SplittingMethod
    restart: float | None = 0.5

    def __post_init__(self) -> None:
        if not isinstance(self.method, SplittingMethod):
            raise OptionError(f"Halpern wants a SplittingMethod such as DouglasRachford(), got {self.method!r}")
        if self.restart is not None and not 0 < self.restart < 1:
            raise OptionError(f"Halpern wants restart in (0, 1), or None, got {self.restart}")

    @property
    def step(self) -> StepSize:  # type: ignore[override]
        return self.method.step

    def with_step(self, step: StepSize) -> Halpern:
        return dataclasses.replace(self, method=self.method.with_step(step))

    def prepare(self, A: MonotoneOperator, B: MonotoneOperator) -> tuple[Any, int]:
        return self.method.unguarded().prepare(A, B), common_rank(A, B)

    def start(self, plan: tuple[Any, int], z0: Array) -> Anchored:
        inner, rank = plan
        z = self.method.start(inner, z0)
        require_one_array(self, z)
        one = full((*z.shape[: z.ndim - rank], *(1,) * rank), 1.0, z.dtype, device_of(z))
        return Anchored(z, z, 0 * one, math.inf * one)

    def advance(self, plan: tuple[Any, int], state: Anchored) -> Step:
        inner, rank = plan
        z, anchor, k, size = state
        now = self.method.advance(inner, z)
        if self.restart is not None:
            xp = namespace(z)
            moved = norm(now.state - z, rank)[(..., *(None,) * rank)]
            again = (moved <= self.restart * size) & (k > 0)
            anchor, k = xp.where(again, z, anchor), xp.where(again, 0 * k, k)
            size = xp.where(k == 0, moved, size)
        z_next = now.state + (anchor - now.state) / (k + 2)
        return Step(Anchored(z_next, anchor, k + 1, size), now.point, now.gap)

    def best_step(self, m: float, L: float) -> float | None:
        return self.method.best_step(m, L)

    def starting_step(self, A: MonotoneOperator) -> float | None:
        return self.method.starting_step(A)


def require_one_array(method: Any, state: Any) -> None:
    """Raise unless the state of the method inside is one array."""
    if isinstance(state, tuple):
        raise ConditionError(
            f"{type(method).__name__} wants a method whose state is one array, such as DouglasRachford(); "
            f"{type(method.method).__name__} has a {type(state).__name__}"
        )
