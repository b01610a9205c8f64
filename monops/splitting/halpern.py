"""Halpern's anchoring of any method."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

from monops.arrays import Array, device_of, full, namespace, norm
from monops.monotone import MonotoneOperator
from monops.monotone.base import common_rank
from monops.options import require_number
from monops.splitting.base import Step
from monops.splitting.state import State, pack, require_unknowns, unpack
from monops.splitting.wrapper import Wrapper


class Anchored(NamedTuple):
    """A state; its anchor, as one array; steps since it was set; and ‖T z - z‖ there. Numbers one a sample."""

    z: State
    anchor: Array
    steps: Array
    size: Array


@dataclass(frozen=True)
class Halpern(Wrapper):
    """z ← z₀/(k + 2) + (k + 1)/(k + 2) T(z), where T is a step of another method and z₀ the anchor.

    For nonexpansive T, ‖T z - z‖ ≤ 2‖z₀ - z*‖/(k + 1) after k steps, the best that is possible without more being
    known. Where problems are better than the worst, restarts make it linear: whenever ‖T z - z‖ has fallen to a share
    of what it was at the anchor, the sample's anchor is moved to where it is.

    Args:
        method: whose steps are anchored.
        restart: the share in (0, 1), or None to keep the first anchor.

    Raises:
        OptionError: `restart` is outside its range.
        ConditionError: from `start`, if the method's state holds more than unknowns, as that of `FISTA` does.

    Source: Halpern 1967; Lieder 2021 (*On the convergence rate of the Halpern-iteration*), theorem 2.1.

    Example:
        >>> from monops import DouglasRachford
        >>> Halpern(DouglasRachford(0.5)).step
        0.5
    """

    remembers: ClassVar[bool] = True

    restart: float | None = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.restart is not None:
            require_number("Halpern.restart (or None)", self.restart, 0, 1)

    def prepare(self, A: MonotoneOperator, B: MonotoneOperator) -> tuple[Any, int]:
        return self.method.unguarded().prepare(A, B), common_rank(A, B)

    def start(self, plan: tuple[Any, int], z0: Array) -> Anchored:
        inner, rank = plan
        state = self.method.start(inner, z0)
        require_unknowns(self, state, rank)
        z, rank = pack(state, rank)
        one = full((*z.shape[: z.ndim - rank], *(1,) * rank), 1.0, z.dtype, device_of(z))
        return Anchored(state, z, 0 * one, math.inf * one)

    def advance(self, plan: tuple[Any, int], state: Anchored) -> Step:
        inner, rank = plan
        _, anchor, k, size = state
        now = self.method.advance(inner, state.z)
        (z, rank), (Tz, _) = pack(state.z, rank), pack(now.state, rank)
        if self.restart is not None:
            xp = namespace(z)
            moved = norm(Tz - z, rank)[(..., *(None,) * rank)]
            again = (moved <= self.restart * size) & (k > 0)
            anchor, k = xp.where(again, z, anchor), xp.where(again, 0 * k, k)
            size = xp.where(k == 0, moved, size)
        z_next = Tz + (anchor - Tz) / (k + 2)
        return Step(Anchored(unpack(z_next, state.z), anchor, k + 1, size), now.point, now.gap)
