"""The search for a step size, by facts first and then by trying."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from monops.arrays import Array, check_array, device_of, epsilon, floating, is_torch, norm
from monops.batch import rows_of
from monops.errors import OptionError, ShapeError, StepSizeError
from monops.loop import Loop
from monops.monotone import MonotoneOperator, ZeroOperator
from monops.monotone.base import common_domain, common_rank
from monops.result import Result
from monops.splitting import SplittingMethod


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
        return (
            f"{name}: step {best:.4g} of {len(self.trials)} tried needs {needed:.1f} steps; "
            f"{self.start:.4g}, {self.source}, needs {at_start:.1f}"
        )


def tune(
    method: SplittingMethod,
    A: MonotoneOperator,
    B: MonotoneOperator,
    z0: Array | None = None,
    *,
    tol: float | None = None,
    max_steps: int = 200,
    samples: int = 16,
) -> Any:
    """`method` with the numeric step that needs the fewest steps on this problem: that of `search_step`.

    Arguments and errors are those of `search_step`.
    """
    return search_step(method, A, B, z0, tol=tol, max_steps=max_steps, samples=samples).method


def search_step(
    method: SplittingMethod,
    A: MonotoneOperator,
    B: MonotoneOperator,
    z0: Array | None = None,
    *,
    tol: float | None = None,
    max_steps: int = 200,
    samples: int = 16,
) -> StepSearch:
    """Find the step with which `method` needs the fewest steps on this problem, by trying.

    The search begins at the present step. For "auto" that is the method's `best_step` for the spectral facts of A;
    where there is none, the step at which the two residuals of the method are in balance: ‖x - y‖ = α‖gap‖, how far
    the operators' points are apart, and how far a step moves the point. It is halved until the method accepts it. Then
    it is doubled or halved while the measured number of steps falls, and refined once by √2. Deterministic. Each step α
    is given the tolerance at which it guarantees the same distance to the solution: with a gap (x - y)/α that distance
    is at most (1 + αL)‖gap‖/m.

    Args:
        method: any splitting method with a `step`.
        A: as for `solve`.
        B: as for `solve`.
        z0: as for `solve`.
        tol: as for `solve`.
        max_steps: a trial is given up after this many steps.
        samples: how many rows of the batch the trials use.

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
    if not isinstance(getattr(method, "step", None), float | int | str):
        raise OptionError(f"a step is searched for a method with a step, such as PeacemanRachford(), got {method!r}")
    check_options(tol, 0.0, max_steps, check_every=1)
    if samples < 1:
        raise OptionError(f"samples wants an integer ≥ 1, got {samples}")
    z0 = initial_state(A, B, z0)
    tol = epsilon(z0.dtype) ** (2 / 3) if tol is None else tol
    A = A.factored()
    L = A.lipschitz if A.lipschitz < math.inf else 0.0
    known = method.starting_step(A) if method.step == "auto" else method.step
    A, B, z0 = _few(A, B, z0, samples)
    with torch.no_grad():
        if known is None:
            start, source = _balanced(method, A, B, z0), "where the residuals are in balance"
        else:
            start = _accepted(method, A, B, float(known))
            source = "from the spectral facts of A" if method.step == "auto" else "the one given"

    @functools.cache
    def cost(exponent: float) -> float:
        step = start * 2.0**exponent
        goal = tol * (1 + start * L) / (1 + step * L)
        with torch.no_grad():
            try:
                loop = Loop(method.with_step(step), A, B, z0, goal, 0.0)
            except (StepSizeError, OptionError):  # no proven convergence by this step, or at this relaxation of it
                return math.inf
            return _fractional_steps(loop.run(max_steps, 1, None, compact=False), goal)

    trials: dict[float, float] = {}

    def noted(exponent: float) -> float:
        trials[start * 2.0**exponent] = cost(exponent)
        return trials[start * 2.0**exponent]

    best = 0.0
    # The states of methods with resolvents hold x + α A(x): a step so long that x is lost in its rounding is no gain.
    doublings = 12 if epsilon(z0.dtype) < 1e-10 else 6
    for stride, limit in ((1.0, doublings), (0.5, 1)):
        best = min((_descend(noted, best, direction, limit) for direction in (stride, -stride)), key=noted)
    return StepSearch(method.with_step(start * 2.0**best), start, source, trials)


def _balanced(method: SplittingMethod, A: MonotoneOperator, B: MonotoneOperator, z0: Array) -> float:
    """A step at which ‖x - y‖ and the movement of the point are of one size, by a few rounds of a few steps."""
    step, rank = _accepted(method, A, B, 1.0), common_rank(A, B)
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
            break
    return step


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
    span = np.where(result.converged.reshape(-1), 1, np.minimum(last, 10))
    before = np.maximum(last - span, 0)
    here, earlier = logs[last, samples], logs[before, samples]
    fall = (earlier - here) / np.maximum(last - before, 1)
    if not (np.isfinite(here).all() and (fall > 0).all()):
        return math.inf
    return float(np.mean(last + 1 + (here - math.log(tol)) / fall))


def second_operator(A: MonotoneOperator, B: MonotoneOperator | None) -> MonotoneOperator:
    """B, or zero on the points of A where it is None."""
    # `initial_state` says what is wrong with an A that is no operator.
    return ZeroOperator(getattr(A, "rank", 1)) if B is None else B


def initial_state(A: MonotoneOperator, B: MonotoneOperator, z0: Array | None) -> Array:
    """z0 with the batch axes of the operators; zero if it is None."""
    for name, operator in (("A", A), ("B", B)):
        if not isinstance(operator, MonotoneOperator):
            raise OptionError(
                f"{name} wants a MonotoneOperator such as Affine(M, b) or Subdifferential(f), "
                f"got {type(operator).__name__}"
            )
    if None not in (A.domain, B.domain) and A.domain != B.domain:
        raise ShapeError(
            f"A acts on {A.domain}, B on {B.domain}: one space wanted; a function acts on as many axes as its `axes` "
            f"says, so with states of several axes write ReLU(axes=3), say"
        )
    zero = A.zero() if A.zero() is not None else B.zero()
    if z0 is None:
        if zero is None:
            raise OptionError("neither A nor B knows the shape of a state: give z0, an array to start from")
        return zero
    floating(z0)
    domain, rank = common_domain(A, B), common_rank(A, B)
    if z0.ndim < rank:
        raise ShapeError(f"z0 wants the {rank} axes of one point at least, got shape {tuple(z0.shape)}")
    if domain is not None:
        kind = z0 if zero is None else zero
        check_array(z0, domain, kind.dtype, device_of(kind), "z0")
    if zero is None:
        return z0
    try:
        shape = np.broadcast_shapes(tuple(z0.shape), tuple(zero.shape))
    except ValueError as error:
        raise ShapeError(f"z0 of shape {tuple(z0.shape)} does not fit states {tuple(zero.shape)}") from error
    return z0.expand(shape) if is_torch(z0) else np.broadcast_to(z0, shape)


def check_options(tol: float | None, atol: float, max_steps: int, check_every: int) -> None:
    """Raise an `OptionError` unless the options of `solve` are in their ranges."""
    if tol is not None and not 0 < tol < math.inf:
        raise OptionError(f"tol wants a number in (0, ∞), got {tol}")
    if not 0 <= atol < math.inf:
        raise OptionError(f"atol wants a number in [0, ∞), got {atol}")
    for name, value in (("max_steps", max_steps), ("check_every", check_every)):
        if not (isinstance(value, int) and value >= 1):
            raise OptionError(f"{name} wants an integer ≥ 1, got {value!r}")
