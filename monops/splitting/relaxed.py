"""Relaxation of any method."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from monops.arrays import Array
from monops.errors import ConditionError, OptionError
from monops.monotone import MonotoneOperator
from monops.options import require_number
from monops.splitting.base import Step
from monops.splitting.state import State, each
from monops.splitting.wrapper import Wrapper


@dataclass(frozen=True)
class Relaxed(Wrapper):
    """z ← z + λ (T(z) - z), where T is a step of another method: Krasnosel'skiĭ-Mann iteration.

    λ < 1 damps, λ > 1 overrelaxes. It converges for λ in (0, 1/a) where T is a-averaged: Peaceman-Rachford steps are
    averaged with a = 1 (nonexpansive), Douglas-Rachford and proximal point steps with a = ½, forward-backward steps
    with a = 1/(2 - α/(2β)), those of Chambolle and Pock, and of Condat and Vũ, in a norm of their own. Beyond 1, only
    methods that state their `averagedness` are relaxed.

    Args:
        method: whose steps are relaxed.
        relaxation: λ in (0, 2).

    Raises:
        OptionError: λ is outside its range, or, from `prepare`, not in (0, 1/a).
        ConditionError: from `start`, if the method remembers more than the unknowns, as `FISTA` and `Anderson` do.

    Source: Krasnosel'skiĭ 1955, Mann 1953; Bauschke & Combettes 2017, proposition 5.16. Rate: ``|1 - λ|`` + λ times
    that of the method.

    Example:
        >>> from monops import DouglasRachford, PeacemanRachford
        >>> damped = Relaxed(PeacemanRachford(0.5), 0.5)
        >>> damped.rate(m=1.0, L=2.0) == DouglasRachford(0.5).rate(m=1.0, L=2.0)
        True
    """

    relaxation: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        require_number("Relaxed.relaxation", self.relaxation, 0, 2)

    @property
    def gap_is_step(self) -> bool:  # type: ignore[override]
        return self.method.gap_is_step

    def prepare(self, A: MonotoneOperator, B: MonotoneOperator) -> Any:
        averaged = self.method.averagedness(A, B)
        if self.relaxation > 1 and not (averaged is not None and self.relaxation < 1 / averaged):
            name = type(self.method).__name__
            if averaged is None:
                raise OptionError(
                    f"Relaxed wants a relaxation in (0, 1] for {name}, which does not say how averaged its steps are, "
                    f"got {self.relaxation}; damp it, or take a method such as DouglasRachford, whose steps may be "
                    f"overrelaxed"
                )
            raise OptionError(
                f"Relaxed wants a relaxation in (0, {1 / averaged:.6g}) for steps of {name} here, got {self.relaxation}"
            )
        method = self.method.unguarded() if self.relaxation < 1 else self.method
        return method.prepare(A, B)

    def start(self, plan: Any, z0: Array) -> State:
        if self.method.remembers:
            raise ConditionError(
                f"Relaxed mixes states with the next ones, which spoils what {type(self.method).__name__} remembers "
                f"in it; relax the method that it wraps, if it wraps one"
            )
        return self.method.start(plan, z0)

    def advance(self, plan: Any, z: State) -> Step:
        now = self.method.advance(plan, z)
        state = each(lambda old, new: old + self.relaxation * (new - old), z, now.state)
        return Step(state, now.point, now.gap)

    def state_norm(self, plan: Any, difference: State, batch: int = 1) -> Array:
        return self.method.state_norm(plan, difference, batch)

    def rate(self, m: float, L: float) -> float | None:
        return self._mixed(self.method.rate(m, L))

    def rate_for(self, A: MonotoneOperator, B: MonotoneOperator) -> float | None:
        return self._mixed(self.method.rate_for(A, B))

    def _mixed(self, inner: float | None) -> float | None:
        if inner is None:
            return None
        factor = abs(1 - self.relaxation) + self.relaxation * inner
        return factor if factor < 1 else None
