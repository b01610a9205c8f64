"""What accelerations of a method share: proposals that are kept only where they bring the state nearer to rest."""

from __future__ import annotations

import dataclasses
import math
from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

from monops.arrays import Array, epsilon, namespace, norm
from monops.errors import OptionError
from monops.monotone import MonotoneOperator
from monops.monotone.base import common_rank
from monops.splitting.base import SplittingMethod, Step, StepSize
from monops.splitting.halpern import require_one_array


class Guarded(NamedTuple):
    """What an acceleration goes on from.

    Attributes:
        z: the proposed state.
        best: the best state so far.
        safe: the method's own step from there.
        size: ‖T z - z‖ there, but not below its rounding; one number a sample; ∞ where any is better.
        waits: how many proposals since then have not been better, one number a sample.
        share: how much of the method's own step is taken when a proposal is refused next; one number a sample.
        memory: what proposals are made of.
    """

    z: Array
    best: Array
    safe: Array
    size: Array
    waits: Array
    share: Array
    memory: Any


class Plan(NamedTuple):
    """The plan of the method inside, and how many trailing axes make a point."""

    inner: Any
    rank: int


@dataclass(frozen=True)
class Accelerated(SplittingMethod):
    """z ← a proposal made from the steps T(z) of a method, safeguarded sample by sample.

    Proposals go on as long as ‖T z - z‖ falls, if not at each of them: after more than `patience` in a row that are not
    better than the best before, a sample goes back there and takes the method's own step: the whole step, and half as
    much each further time until there is a better state. So it converges wherever the method does, damped enough.

    A proposal so far away that rounding would hide ‖T z - z‖ there is replaced by T(z): without a solution, what is
    farthest would else pass for one.

    Subclasses provide `propose`, and `remember` for what it needs in the beginning.
    """

    remembers: ClassVar[bool] = True

    patience: ClassVar[int] = 0

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
        return Plan(self.method.prepare(A, B), common_rank(A, B))

    def start(self, plan: Plan, z0: Array) -> Guarded:
        z = self.method.start(plan.inner, z0)
        require_one_array(self, z)
        size = norm(z, plan.rank)[(..., *(None,) * plan.rank)]
        xp = namespace(z)
        infinite = xp.full_like(size, math.inf)
        return Guarded(z, z, z, infinite, xp.zeros_like(size), xp.ones_like(size), self.remember(z))

    def advance(self, plan: Plan, state: Guarded) -> Step:
        z, xp = state.z, namespace(state.z)
        now = self.method.advance(plan.inner, z)
        column = (..., *(None,) * plan.rank)
        rounding = 10 * epsilon(z.dtype)
        size = xp.maximum(norm(now.state - z, plan.rank), rounding * norm(z, plan.rank))[column]
        is_better = (size <= state.size) | ~(state.size < math.inf)
        waits = xp.where(is_better, 0.0, state.waits + 1)
        accepted = (waits <= self.patience) & (is_better | (size < math.inf))
        proposal, memory = self.propose(plan, z, now.state, accepted, state.memory)
        length, plain = norm(proposal, plan.rank)[column], norm(now.state, plan.rank)[column]
        proposal = xp.where((rounding * length <= size) | (length <= 2 * plain), proposal, now.state)
        retry = state.best + state.share * (state.safe - state.best)
        next_state = Guarded(
            z=xp.where(accepted, proposal, retry),
            best=xp.where(is_better, z, state.best),
            safe=xp.where(is_better, now.state, state.safe),
            size=xp.where(is_better, size, state.size),
            waits=xp.where(accepted, waits, 0.0),
            share=xp.clip(
                xp.where(is_better, 2 * state.share, xp.where(accepted, state.share, state.share / 2)), None, 1.0
            ),
            memory=memory,
        )
        return Step(next_state, now.point, now.gap)

    def best_step(self, m: float, L: float) -> float | None:
        return self.method.best_step(m, L)

    def starting_step(self, A: MonotoneOperator) -> float | None:
        return self.method.starting_step(A)
