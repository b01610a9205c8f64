"""What accelerations of a method share: proposals that are kept only where they bring the state nearer to rest."""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

from monops.arrays import Array, epsilon, namespace, norm
from monops.monotone import MonotoneOperator
from monops.monotone.base import common_rank
from monops.splitting.base import Step
from monops.splitting.state import State, pack, require_unknowns, unpack
from monops.splitting.wrapper import Wrapper

# A smaller share of the method's own step is not tried.
LEAST_SHARE = 2.0**-10


class Guarded(NamedTuple):
    """What an acceleration goes on from.

    Attributes:
        z: the proposed state.
        best: the best state so far, as one array.
        safe: the method's own step from there.
        size: ‖T z - z‖ there, but not below its rounding; one number a sample; ∞ where any is better.
        waits: how many proposals since then have not been better, one number a sample.
        share: how much of the method's own step is taken when a proposal is refused next; one number a sample.
        owed: how many of the method's own steps, taken as they are, are still to be judged better; one number a sample.
        grace: how many there will be, the next time that damping does not help; one number a sample.
        memory: what proposals are made of.
    """

    z: State
    best: Array
    safe: Array
    size: Array
    waits: Array
    share: Array
    owed: Array
    grace: Array
    memory: Any


class Plan(NamedTuple):
    """The plan of the method inside, and how many trailing axes make a point (of a state as one array: a sample)."""

    inner: Any
    rank: int


@dataclass(frozen=True)
class Accelerated(Wrapper):
    """z ← a proposal made from the steps T(z) of a method, safeguarded sample by sample.

    Proposals go on as long as ‖T z - z‖ falls, if not at each of them: after more than `patience` in a row that are not
    better than the best before, a sample goes back there and takes the method's own step: the whole step, and half as
    much each further time until there is a better state. Where not even a thousandth is better, the method's own steps
    are taken as they are: one, and twice as many each time that this happens. So it converges wherever the method does,
    and where the method does only if it is damped.

    Where rounding hides ‖T z - z‖, the method's own steps are taken, which go on bringing z nearer to the solution. A
    proposal so far away that rounding would hide it there is replaced by T(z) too: without a solution, what is farthest
    would else pass for one.

    Subclasses provide `propose`, and `remember` for what it needs in the beginning.
    """

    remembers: ClassVar[bool] = True

    patience: ClassVar[int] = 0

    @abstractmethod
    def propose(self, plan: Plan, z: Array, Tz: Array, accepted: Array, memory: Any) -> tuple[Array, Any]:
        """The next state to try, and what to remember.

        Args:
            plan: what `prepare` gave.
            z: the state, as one array.
            Tz: the method's step from there, likewise.
            accepted: which samples go on from z; for the others the proposal is not used. Shape (*batch, 1, …).
            memory: what the last call remembered.
        """

    def remember(self, z: Array, none: Array) -> Any:
        """The memory before the first step, of the same structure as it will be later.

        Args:
            z: the first state, as one array.
            none: 0 for each sample. Shape (*batch, 1, …).
        """
        return ()

    def prepare(self, A: MonotoneOperator, B: MonotoneOperator) -> Plan:
        return Plan(self.method.prepare(A, B), common_rank(A, B))

    def start(self, plan: Plan, z0: Array) -> Guarded:
        state = self.method.start(plan.inner, z0)
        require_unknowns(self, state, plan.rank)
        z, rank = pack(state, plan.rank)
        size = norm(z, rank)[(..., *(None,) * rank)]
        xp = namespace(z)
        one = xp.ones_like(size)
        return Guarded(state, z, z, math.inf * one, 0 * one, one, 0 * one, one, self.remember(z, 0 * one))

    def advance(self, plan: Plan, state: Guarded) -> Step:
        now = self.method.advance(plan.inner, state.z)
        (z, rank), (Tz, _) = pack(state.z, plan.rank), pack(now.state, plan.rank)
        xp, column, rounding = namespace(z), (..., *(None,) * rank), 10 * epsilon(z.dtype)
        moved, least = norm(Tz - z, rank)[column], rounding * norm(z, rank)[column]
        size = xp.maximum(moved, least)
        is_better = (size <= state.size) | (moved <= least) | ~(state.size < math.inf)
        is_better |= (state.owed > 0) & (size < math.inf)
        waits = xp.where(is_better, 0.0, state.waits + 1)
        accepted = (waits <= self.patience) & (is_better | (size < math.inf))
        proposal, memory = self.propose(Plan(plan.inner, rank), z, Tz, accepted, state.memory)
        length, plain = norm(proposal, rank)[column], norm(Tz, rank)[column]
        is_told = (moved > least) & ((rounding * length <= size) | (length <= 2 * plain))
        proposal = xp.where(is_told, proposal, Tz)
        gives_in = ~accepted & (state.share < LEAST_SHARE)
        share = xp.where(gives_in, 1.0, state.share)
        owed = xp.where(gives_in, state.grace, xp.clip(state.owed - 1, 0.0, None))
        retry = state.best + share * (state.safe - state.best)
        next_state = Guarded(
            z=unpack(xp.where(accepted, xp.where(owed > 0, Tz, proposal), retry), state.z),
            best=xp.where(is_better, z, state.best),
            safe=xp.where(is_better, Tz, state.safe),
            size=xp.where(is_better, size, state.size),
            waits=xp.where(accepted, waits, 0.0),
            share=xp.clip(xp.where(is_better, 2 * share, xp.where(accepted | gives_in, share, share / 2)), None, 1.0),
            owed=owed,
            grace=xp.where(gives_in, 2 * state.grace, state.grace),
            memory=memory,
        )
        return Step(next_state, now.point, now.gap)
