"""The search for a step size, by facts first and then by trying."""

from __future__ import annotations

import functools
import math
import numbers
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from monops.arrays import Array, epsilon, norm
from monops.batch import rows_of
from monops.errors import ConvergenceWarning, OptionError, StepSizeError
from monops.inputs import problem_of, tolerance
from monops.loop import STILL_ROUNDINGS, Loop
from monops.monotone import MonotoneOperator
from monops.monotone.base import common_rank
from monops.options import require_integer
from monops.result import Result
from monops.splitting import SplittingMethod, State
from monops.splitting.base import require_method

# A trial that has taken so many times the steps of the best one, and so many more, is not going to be better.
HOPELESS, ROOM = 4, 20


@dataclass(frozen=True)
class StepSearch:
    """Which step size was chosen, and why; `str` tells it in a sentence.

    Attributes:
        method: the method with the step that needs the fewest steps.
        start: the first step tried.
        source: where that came from.
        trials: the steps tried, in order, with the number of steps each needs (∞ where it does not converge, or is not
            admitted).
    """

    method: Any
    start: float
    source: str
    trials: dict[float, float]

    def __str__(self) -> str:
        best = float(self.method.step)
        name = type(self.method).__name__
        needed, at_start = (self.trials.get(step, math.nan) for step in (best, self.start))
        if needed == math.inf:
            return f"{name}: by none of {len(self.trials)} steps tried it converges; {best:.4g}, {self.source}, is kept"
        return (
            f"{name}: step {best:.4g} of {len(self.trials)} tried needs {needed:.1f} steps a sample; "
            f"{self.start:.4g}, {self.source}, needs {at_start:.1f}"
        )


def tune(
    method: SplittingMethod,
    A: MonotoneOperator,
    B: MonotoneOperator | None = None,
    z0: State | None = None,
    *,
    tol: float | None = None,
    max_steps: int = 200,
    samples: int = 16,
) -> Any:
    """`method` with the numeric step that needs the fewest steps on this problem: that of `search_step`.

    Arguments and errors are those of `search_step`. It warns where no step that was tried converges.
    """
    search = search_step(method, A, B, z0, tol=tol, max_steps=max_steps, samples=samples)
    if search.trials and min(search.trials.values()) == math.inf:
        warnings.warn(f"{search}", ConvergenceWarning, stacklevel=2)
    return search.method


def search_step(
    method: SplittingMethod,
    A: MonotoneOperator,
    B: MonotoneOperator | None = None,
    z0: State | None = None,
    *,
    tol: float | None = None,
    max_steps: int = 200,
    samples: int = 16,
) -> StepSearch:
    """Find the step with which `method` needs the fewest steps on this problem, by trying.

    The search begins at the present step. For "auto" that is the method's `best_step` for the spectral facts of A;
    where there is none, the step at which the two residuals of the method are in balance: ‖x - y‖ = α‖gap‖, how far the
    operators' points are apart, and how far a step moves the point; or 1, where they never are. It is halved until the
    method accepts it. Then it is doubled or halved while the measured number of steps falls (the mean over the
    samples), and refined once by √2, and further just below the longest step that is accepted. Deterministic. Each step
    α is given the tolerance at which it guarantees the same distance to the solution: with a gap (x - y)/α that
    distance is at most (1 + αL)‖gap‖/m. Where no trial converges, as without a solution, the first step is kept.

    Args:
        method: any splitting method with a `step`.
        A: see `monops.solve`.
        B: see `monops.solve`; zero unless given.
        z0: see `monops.solve`; of a state, the trials start from the point in it.
        tol: see `monops.solve`; the tolerance of the trials at the first step.
        max_steps: a trial is given up after this many steps, ≥ 1, or after 20 more than four times the best one's.
        samples: how many rows of the batch the trials use, ≥ 1.

    Raises:
        OptionError: the method has no step, or another option is outside its range.
        StepSizeError: the method accepts no step.

    Source: the balance of residuals: Boyd et al. 2011, section 3.4.1.

    Example:
        >>> import torch
        >>> from monops import Affine, Dense, PeacemanRachford, ReLU, Subdifferential
        >>> A = Affine(Dense(torch.tensor([[2.0, -1.0], [1.0, 2.0]])), torch.tensor([1.0, -1.0]))
        >>> search_step(PeacemanRachford("auto"), A, Subdifferential(ReLU())).source
        'from the spectral facts of A'
    """
    require_method("method", method)
    if not isinstance(getattr(method, "step", None), numbers.Real | str):
        raise OptionError(f"{type(method).__name__} has no step to search for; solve takes it as it is")
    max_steps, samples = require_integer("max_steps", max_steps), require_integer("samples", samples)
    A, B, z0 = problem_of(A, B, z0)
    tol = tolerance(tol, z0)
    A = A.factored()
    L = A.lipschitz if A.lipschitz < math.inf else 0.0
    known = method.starting_step(A) if method.step == "auto" else method.step
    A, B, z0 = _few(A, B, z0, samples)
    with torch.no_grad(), np.errstate(all="ignore"):  # trials may diverge
        if known is None:
            start, source = _balanced(method, A, B, z0)
        else:
            start = _accepted(method, A, B, float(known))
            source = "from the spectral facts of A" if method.step == "auto" else "the one given"

    trials: dict[float, float] = {}

    @functools.cache
    def cost(exponent: float) -> float:
        step = start * 2.0**exponent
        goal = tol * (1 + start * L) / (1 + step * L)
        with torch.no_grad(), np.errstate(all="ignore"):
            try:
                loop = Loop(method.with_step(step), A, B, z0, goal, 0.0)
            except (StepSizeError, OptionError):  # no proven convergence by this step, or at this relaxation of it
                return math.inf
            fewest = min(trials.values(), default=math.inf)
            limit = max_steps if fewest == math.inf else min(max_steps, math.ceil(HOPELESS * fewest) + ROOM)
            return _fractional_steps(loop.run(limit, 1, None, compact=False), goal)

    def noted(exponent: float) -> float:
        trials[start * 2.0**exponent] = cost(exponent)
        return trials[start * 2.0**exponent]

    best = 0.0
    # The states of methods with resolvents hold x + α A(x): a step so long that x is lost in its rounding is no gain.
    doublings = 12 if epsilon(z0.dtype) < 1e-10 else 6
    for stride, limit in ((1.0, doublings), (0.5, 1)):
        best = min((_descend(noted, best, direction, limit) for direction in (stride, -stride)), key=noted)
    for stride in (0.25, 0.125):  # where the best steps are just below the longest one that is accepted
        if noted(best) < math.inf == noted(best + 2 * stride):
            best = _descend(noted, best, stride, 1)
    return StepSearch(method.with_step(start * 2.0**best), start, source, trials)


def _balanced(method: SplittingMethod, A: MonotoneOperator, B: MonotoneOperator, z0: Array) -> tuple[float, str]:
    """A step at which ‖x - y‖ and the movement of the point are of one size, by a few rounds of a few steps.

    Without a solution there need be none: then the step is 1, or what is accepted of it.
    """
    step, rank = _accepted(method, A, B, 1.0), common_rank(A, B)
    first = step
    for _ in range(12):
        trial = method.with_step(step)
        loop = Loop(trial, A, B, z0, 1e-12, 0.0)
        state, before, moved, apart = loop.start, z0, 0.0, 0.0
        for _ in range(8):
            now = trial.advance(loop.plan, state)
            state, point = now.state, now.approximation()
            moved += float(norm(point - before, rank).mean())
            apart += step * float(loop._sizes(now.gap()).mean())
            before = point
        if not 0 < moved + apart < math.inf:
            break
        ratio = math.sqrt((moved + 0.01 * apart) / (apart + 0.01 * moved))
        step = _accepted(method, A, B, step * ratio)
        if 0.7 < ratio < 1.4:
            return step, "where the residuals are in balance"
    return first, "as no step brings the residuals into balance"


def _accepted(method: SplittingMethod, A: MonotoneOperator, B: MonotoneOperator, step: float) -> float:
    """The step, halved until `method` accepts it."""
    for _ in range(60):
        try:
            method.with_step(step).prepare(A, B)
        except (StepSizeError, OptionError) as error:
            step, refusal = step / 2, error
        else:
            return step
    raise refusal


def _descend(cost: Callable[[float], float], best: float, stride: float, limit: int) -> float:
    """Walk from `best` by `stride`, at most `limit` times, as long as the cost falls."""
    for _ in range(limit):
        if not cost(best + stride) < cost(best):
            break
        best += stride
    return best


def _few(A: MonotoneOperator, B: MonotoneOperator, z0: Array, samples: int) -> Any:
    """The problem restricted to `samples` rows, evenly spread over the batch, where the operators can do that."""
    batch = tuple(z0.shape[: z0.ndim - common_rank(A, B)])
    if not batch or batch[0] <= samples:
        return A, B, z0
    index = rows_of(np.linspace(0, batch[0] - 1, samples).astype(int), z0)
    try:
        return A.take(index, z0.shape), B.take(index, z0.shape), z0[index]
    except NotImplementedError:
        return A, B, z0


def _fractional_steps(result: Result, tol: float) -> float:
    """The mean number of steps to the tolerance, between and beyond the checks by the contraction measured there."""
    residual = result.history.residual.astype(np.float64).reshape(result.steps, result.converged.size)
    logs = np.log(np.maximum(residual, 1e-300))
    last = result.sample_steps.reshape(-1) - 1
    if not last.size:
        return 0.0
    samples = np.arange(last.size)
    converged = result.converged.reshape(-1)
    before = np.maximum(last - np.where(converged, 1, np.minimum(last, 10)), 0)
    here, earlier = logs[last, samples], logs[before, samples]
    # One step that was enough tells no rate, and needs none.
    fallen = np.where(converged & (last == 0), math.inf, earlier - here)
    least = np.where(converged, 0.0, STILL_ROUNDINGS * epsilon(result.point.dtype))
    fall = fallen / np.maximum(last - before, 1)
    missing = here - math.log(tol)
    # What is below the tolerance and yet not done is a residual that falls because the points leave for infinity.
    if not (np.isfinite(here).all() and (fallen > least).all() and (converged | (missing > 0)).all()):
        return math.inf
    # By the last step the tolerance was reached; residuals before it may have been below it too, and not counted.
    return float(np.mean(last + 1 + np.maximum(missing / fall, -1)))
