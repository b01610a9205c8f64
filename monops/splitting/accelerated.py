"""What accelerations of a method share: proposals that are kept only where they bring the state nearer to rest."""

from __future__ import annotations

import dataclasses
import math
from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, NamedTuple

from monops.arrays import Array, namespace, norm
from monops.errors import OptionError
from monops.monotone import MonotoneOperator
from monops.splitting.base import SplittingMethod, Step, StepSize
from monops.splitting.halpern import require_one_array
from monops.splitting.parts import rank_of


class Guarded(NamedTuple):
    """What an acceleration goes on from.

    Attributes:
        z: the proposed state.
        safe: the method's own next state, where the proposal turns out to be worse.
        size: ‖T z - z‖ where the last proposal was made, one number a sample; ∞ where any is to be accepted.
        memory: what proposals are made of.
    """

    z: Array
    safe: Array
    size: Array
    memory: Any


class Plan(NamedTuple):
    """The plan of the method inside, and how many trailing axes make a point."""

    inner: Any
    rank: int


@dataclass(frozen=True)
class Accelerated(SplittingMethod):
    """z ← a proposal made from the steps T(z) of a method, safeguarded sample by sample.

    A proposal z is kept where ‖T z - z‖ is no larger than where it was made. Elsewhere the method's own step is taken
    from there, which costs the one evaluation of T at the proposal. So it converges wherever the method does.

    Subclasses provide `propose`, and `remember` for what it needs in the beginning.
    """

    method: SplittingMethod

    def __post_init__(self) -> None:
        if not isinstance(self.method, SplittingMethod):
            name = type(self).__name__
            raise OptionError(f"{name} wants a SplittingMethod such as PeacemanRachford(), got {self.method!r}")

    @property
    def step(self) -> StepSize:  # type: ignore[override]
        return self.method.step

    def with_step(self, step: StepSize) -> Any:
        return dataclasses.replace(self, method=self.method.with_step(step))

    @abstractmethod
    def propose(self, plan: Plan, z: Array, Tz: Array, accepted: Array, memory: Any) -> tuple[Array, Any]:
        """The next state to try, and what to remember.

        Args:
            plan: what `prepare` gave.
            z: the state.
            Tz: the method's step from there.
            accepted: which samples go on from z; for the others the proposal is not used. Shape (*batch, 1, …).
            memory: what the last call remembered.
        """

    def remember(self, z: Array) -> Any:
        """The memory before the first step, of the same structure as it will be later."""
        return ()

    def prepare(self, A: MonotoneOperator, B: MonotoneOperator) -> Plan:
        return Plan(self.method.prepare(A, B), rank_of(A, B))

    def start(self, plan: Plan, z0: Array) -> Guarded:
        z = self.method.start(plan.inner, z0)
        require_one_array(self, z)
        size = norm(z, plan.rank)[(..., *(None,) * plan.rank)]
        return Guarded(z, z, namespace(z).full_like(size, math.inf), self.remember(z))

    def advance(self, plan: Plan, state: Guarded) -> Step:
        z, xp = state.z, namespace(state.z)
        now = self.method.advance(plan.inner, z)
        size = norm(now.state - z, plan.rank)[(..., *(None,) * plan.rank)]
        accepted = (size <= state.size) | ~(state.size < math.inf)
        proposal, memory = self.propose(plan, z, now.state, accepted, state.memory)
        # A proposal with a NaN fails the next comparison, and so is dropped.
        next_state = Guarded(
            xp.where(accepted, proposal, state.safe),
            xp.where(accepted, now.state, state.safe),
            xp.where(accepted, size, math.inf),
            memory,
        )
        return Step(next_state, now.point, now.gap)

    def best_step(self, m: float, L: float) -> float | None:
        return self.method.best_step(m, L)
