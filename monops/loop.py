"""The loop: per-sample convergence, finished samples leaving the batch, one wait for the device a check."""

from __future__ import annotations

import bisect
import contextlib
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from monops import compiled
from monops.arrays import Array, Shape, detach, device_of, epsilon, full, namespace, norm, to_numpy
from monops.batch import copy, rows_of, take
from monops.compiled import CompiledSteps
from monops.errors import OptionError, ShapeError
from monops.inputs import residual_scale
from monops.monotone import MonotoneOperator
from monops.monotone.base import common_rank
from monops.result import History, Result, Status
from monops.splitting import SplittingMethod, State
from monops.splitting.state import each, first

# Finished samples are taken out of the batch once they are this share of what is left of it.
COMPACT_SHARE = 0.25
# A residual stands still where it has stayed within this share of itself, or this many roundings where that is more.
STILL, STILL_ROUNDINGS = 1e-6, 1e3
# From which step on it is noted whether residuals stand still, at how many looks they must have been seen to, and from
# which step on a solve ends for it before it is out of steps.
PATIENCE, LOOKS, GIVE_UP = 200, 5, 10_000
# Sooner where states have gone this many times as far as points are large, and half as far again since the last mark.
FAR, FARTHER = 1e3, 1.5


class Progress(NamedTuple):
    """What a callback sees at each convergence check: steps done, residual of each sample left, state, point."""

    step: int
    residual: np.ndarray
    state: State
    point: Array


Callback: TypeAlias = Callable[[Progress], None]


class Loop:
    """One solve in progress: the rows of the batch still iterated, and the samples set aside since they are done."""

    def __init__(
        self,
        method: SplittingMethod,
        A: MonotoneOperator,
        B: MonotoneOperator,
        z0: Array,
        tol: float,
        atol: float,
        state: State | None = None,
        search: Any = None,
    ) -> None:
        self.method, self.A, self.B, self.tol, self.search = method, A, B, tol, search
        self.rank = common_rank(A, B)
        self.is_single = z0.ndim == self.rank
        start = A.arrange(z0[None] if self.is_single else z0)
        self.shape: Shape = tuple(start.shape)
        batch = self.shape[: start.ndim - self.rank]
        for op in (A, B):
            if not op.may_be_monotone():
                _ = op.strong_monotonicity  # which says by how much it is not, if it is not
        self.plan = method.prepare(A, B)
        # Where A(0) = 0 and the solution is 0, the start is all that a residual can be compared with.
        xp, eps = namespace(z0), epsilon(z0.dtype)
        zero = xp.broadcast_to(full((), 0.0, z0.dtype, device_of(z0)), self.shape)
        size = norm(detach(start), self.rank)
        scale = xp.maximum(residual_scale(A, B, zero, self.rank), eps * size)
        scale = xp.clip(detach(scale), max(atol / tol, float(xp.finfo(z0.dtype).tiny)), None)
        self.scale = xp.where(scale == np.inf, np.nan, scale)  # infinite data makes NaN of a residual, not 0
        self.first_look: tuple[Array, Array] = self.scale, self.scale  # ‖gap‖ then, and what residuals are relative to
        # Steps, ‖gap‖ and ‖point‖ of a look about half of all steps ago; at first what is known of the start.
        self.earlier: tuple[int, Array, Array] = 0, self.scale, size
        self.start: State = method.start(self.plan, start)
        if state is not None:
            if type(state) is not type(self.start):
                raise OptionError(
                    f"{type(method).__name__} starts from a point, or from a {type(self.start).__name__} that it left; "
                    f"got a {type(state).__name__}"
                )
            self.start = each(lambda s: A.arrange(s[None]) if self.is_single else s, state)
        self.rows = np.arange(batch[0])
        self.residual = np.full(batch, np.inf)
        self.sample_steps = np.zeros(batch, dtype=int)
        self.done = np.zeros(batch, dtype=bool)
        self.unfinished = self.done.size
        self.stalled = np.zeros(batch, dtype=bool)
        self.still = max(STILL, STILL_ROUNDINGS * eps)
        self.mark: tuple[int, np.ndarray, Array] | None = None  # a step, the rows then, and ‖state‖ of each
        self.is_aside = np.zeros(batch, dtype=bool)
        self.aside: tuple[Array, State] | None = None  # points and states, for the whole batch
        # Grown by doubling: a small array kept at each check would cut up the memory which the states leave free.
        self.history = np.empty((16, *batch))
        self.checks: list[int] = []

    def run(
        self, max_steps: int, check_every: int, callback: Callback | None, compact: bool, compile: bool = False
    ) -> Result:
        advance, plan = self.method.checked_advance, self.plan
        state_after = CompiledSteps() if compile else compiled.state_after
        state, steps = self.start, 0
        point = first(state)
        del self.start  # whose memory the steps can use
        while steps < max_steps and self.unfinished:
            del point  # nothing but the state is kept while the next steps are made
            chunk = min(check_every, max_steps - steps)
            for _ in range(chunk - 1):
                state = state_after(self.method, plan, state)
            now = advance(plan, state)
            steps += chunk
            gap = self._sizes(now.gap())  # one number a sample; the array itself is gone before there is a point
            state, point = now.state, now.approximation()
            del now
            finished = self._look(gap, point, steps)
            finished |= self._mark_stalled(state, point, steps, is_last=steps == max_steps)
            if callback is not None:
                try:
                    callback(Progress(steps, self.residual[self.rows], state, point))
                except BaseException as error:
                    with contextlib.suppress(AttributeError):  # of exceptions that take no attributes
                        error.result = self._partial(point, state, steps)  # type: ignore[attr-defined]
                    raise
            if finished and compact and self.unfinished:
                self._set_aside(self.done[self.rows], point, state)
                plan, state = self._compact(plan, state)
        return self._whole(point, state, steps)

    def _whole(self, point: Array, state: State, steps: int, interrupted: bool = False) -> Result:
        """The result for the whole batch, with those that were set aside."""
        if self.aside is not None:
            self._set_aside(np.ones_like(self.done[self.rows]), point, state)
            point, state = self.aside
        self.sample_steps[~self.done] = steps
        self.stalled |= ~self.done & (self.residual <= self.tol)  # whose points were leaving for infinity
        return self._result(point, state, steps, interrupted)

    def _partial(self, point: Array, state: State, steps: int) -> Result:
        """What there is so far, for a callback that raised."""
        return self._whole(point, state, steps, interrupted=self.unfinished > 0)

    def _mark_stalled(self, state: State, point: Array, steps: int, is_last: bool) -> bool:
        """Give samples up whose residual has stood still for half of all steps, and tell whether there were any.

        Asked each time the number of steps has doubled, so it costs nothing in between. Where there is no solution, the
        states of averaged methods end up moving on by the same vector v for ever (Pazy 1971). But so they do on the way
        to a distant solution; so states that are on their way back, nearer to 0 than before, are not given up. A fixed
        point of a firmly nonexpansive map is at least N‖v‖ away from where N equal steps began. So before very many
        steps, or the last, only those are given up that have left for a distance of a thousand times the point.
        """
        before = self.mark
        is_due = steps >= (PATIENCE if before is None else 2 * before[0])
        if not (is_due or (is_last and before is not None)) or not self.unfinished:
            return False
        arrays: list[Array] = []
        each(lambda s: arrays.append(s), state)
        batch = self.done.ndim
        # Members without the axes of a point (counters, say) have no size to compare.
        points = [s for s in arrays if s.ndim == len(self.shape) and s.shape[:batch] == arrays[0].shape[:batch]]
        self.mark = steps, self.rows, sum(norm(detach(s), s.ndim - batch) ** 2 for s in points) ** 0.5
        if before is None:
            return False
        looked = self.history[bisect.bisect_left(self.checks, before[0]) : len(self.checks), self.rows]
        with np.errstate(invalid="ignore"):
            newly = (looked.max(0) <= (1 + self.still) * looked.min(0)) & ~self.done[self.rows]
        if len(looked) < LOOKS or not newly.any():
            return False
        sizes_before = np.full(self.done.shape, np.nan)
        sizes_before[before[1]] = to_numpy(before[2])
        size, size_before = to_numpy(self.mark[2]), sizes_before[self.rows]
        newly &= size >= (1 - self.still) * size_before
        if not (steps >= GIVE_UP or is_last):
            length = (size - size_before) / (steps - before[0])
            sizes = np.maximum(to_numpy(norm(detach(point), self.rank)), length)
            newly &= (size >= FARTHER * size_before) & (size >= FAR * sizes)
        self.stalled[self.rows] |= newly
        self.done[self.rows] |= newly
        self.sample_steps[self.rows] = np.where(newly, steps, self.sample_steps[self.rows])
        self.unfinished = int(self.done.size - self.done.sum())
        return bool(newly.any())

    def _sizes(self, gap: Array | tuple[Array, ...]) -> Array:
        """‖gap‖ of each sample."""
        if isinstance(gap, tuple):
            axes = self.done.ndim
            return sum(norm(part, part.ndim - axes) ** 2 for part in gap) ** 0.5
        if gap.shape != (len(self.rows), *self.shape[1:]):
            raise ShapeError(
                f"the operators' data makes states of shape {tuple(gap.shape)} of a start of shape "
                f"{self.shape}: give a z0 with all batch axes"
            )
        return norm(gap, self.rank)

    def _look(self, gap: Array, point: Array, steps: int) -> bool:
        """Update the residuals, by the only wait for the device, and tell whether a sample finished."""
        size = norm(detach(point), self.rank)
        if not self.checks:
            self.first_look = detach(gap), self.scale
        with np.errstate(over="ignore"):
            residual = to_numpy(gap / namespace(gap).maximum(size, self.scale))
        if np.isinf(residual).any():  # where nothing is known to compare with yet, the quotient of numbers may overflow
            is_number = np.isinf(residual) & np.isfinite(to_numpy(detach(gap)))
            residual = np.where(is_number, np.finfo(residual.dtype).max, residual)
        earlier = self.earlier
        if steps >= 2 * earlier[0]:
            self.earlier = steps, detach(gap), size
        if self.unfinished == self.done.size and residual.min() > self.tol and residual.max() < np.inf:
            self.residual[...] = residual
            self._remember(steps)
            return False
        going = ~self.done[self.rows]
        self.residual[self.rows] = np.where(going, residual, self.residual[self.rows])
        self._remember(steps)
        small = self.residual <= self.tol
        grows = self._is_only_growing(detach(gap), size, steps, earlier)
        if steps >= 2 * earlier[0]:
            # For those that would else be done, from where their growth began: an acceleration leaps once and stays.
            where, held = namespace(gap).where, grows & (gap <= self.tol * size)
            self.earlier = steps, where(held, earlier[1], detach(gap)), where(held, earlier[2], size)
        small[self.rows] &= ~going | ~to_numpy(grows)
        self.done = small | ~np.isfinite(self.residual) | self.stalled
        self.sample_steps[self.rows] = np.where(going, steps, self.sample_steps[self.rows])
        self.unfinished = int(self.done.size - self.done.sum())
        return bool((going & self.done[self.rows]).any())

    def _is_only_growing(self, gap: Array, size: Array, steps: int, earlier: tuple[int, Array, Array]) -> Array:
        """Whether the residual has fallen since because the point leaves for infinity, and not because the gap falls.

        So it is where there is no solution and the point moves on by equal steps.
        """
        share = steps / earlier[0] - 1 if earlier[0] else 1.0
        with np.errstate(invalid="ignore"):
            return (2 * gap >= earlier[1]) & (size > (1 + 0.5 * share) * earlier[2])

    def _remember(self, steps: int) -> None:
        if len(self.checks) == len(self.history):
            self.history = np.concatenate([self.history, np.empty_like(self.history)])
        self.history[len(self.checks)] = self.residual
        self.checks.append(steps)

    def _set_aside(self, mask: np.ndarray, point: Array, state: State) -> None:
        """Keep what `mask` selects of the present rows, unless it is kept already."""
        newly = mask & ~self.is_aside[self.rows]
        if not np.any(newly):
            return
        if self.aside is None:
            self.aside = copy(point), each(copy, state)
        rows, *others = np.nonzero(newly)
        source = tuple(rows_of(i, point) for i in (rows, *others))
        target = (rows_of(self.rows[rows], point), *source[1:])

        def keep(kept: Array, current: Array) -> Array:
            kept[target] = current[source]
            return kept

        self.aside = keep(self.aside[0], point), each(keep, self.aside[1], state)
        self.is_aside[(self.rows[rows], *others)] = True

    def _compact(self, plan: Any, state: State) -> tuple[Any, State]:
        """Take the rows that are done out of the batch, once they are worth the copies."""
        done = np.all(self.done[self.rows].reshape(len(self.rows), -1), axis=1)
        if done.mean() < COMPACT_SHARE:
            return plan, state
        index = rows_of(np.flatnonzero(~done), first(state))
        try:
            plan = take(plan, index, (len(self.rows), *self.shape[1:]))
        except NotImplementedError:
            return plan, state
        if self.scale.ndim == self.done.ndim and self.scale.shape[0] > 1:
            self.scale = self.scale[index]
        steps_before, *sizes_before = self.earlier
        self.earlier = steps_before, *(s[index] if s.ndim == self.done.ndim and len(s) > 1 else s for s in sizes_before)
        self.rows = self.rows[~done]
        return plan, each(lambda s: self.A.arrange(s[index]) if s.ndim == len(self.shape) else s[index], state)

    def _result(self, point: Array, state: State, steps: int, interrupted: bool) -> Result:
        if not np.isfinite(self.residual[self.sample_steps > 0]).all():
            status = Status.NON_FINITE
        elif self.stalled.any():
            status = Status.STALLED
        elif interrupted:
            status = Status.INTERRUPTED
        else:
            status = Status.MAX_STEPS if self.unfinished else Status.CONVERGED
        history = self.history[: len(self.checks)]
        pick = 0 if self.is_single else ...
        return Result(
            point=point[pick],
            state=each(lambda s: s[pick], state),
            status=status,
            steps=steps,
            sample_steps=self.sample_steps[pick],
            residual=self.residual[pick],
            converged=(self.done & ~self.stalled & (self.residual <= self.tol))[pick],
            history=History(self.checks, history[:, 0] if self.is_single else history),
            method=self.method,
            problem=(self.A, self.B),
            first_look=self.first_look,
            search=self.search,
        )
