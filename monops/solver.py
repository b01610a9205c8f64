"""The one loop that runs every splitting method, and the tuning of its step size."""

from __future__ import annotations

import contextlib
import functools
import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from monops.arrays import Array, check_array, device_of, epsilon, floating, is_torch
from monops.errors import ConvergenceWarning, OptionError, ShapeError, StepSizeError
from monops.loop import Callback, Loop, rank_of, rows_of
from monops.monotone import MonotoneOperator, ZeroOperator
from monops.monotone.base import common_domain
from monops.result import Result, Status
from monops.splitting import SplittingMethod, State
from monops.splitting.state import first


def solve(
    method: SplittingMethod,
    A: MonotoneOperator,
    B: MonotoneOperator | None = None,
    z0: State | None = None,
    *,
    tol: float | None = None,
    atol: float = 0.0,
    max_steps: int = 1000,
    check_every: int = 10,
    callback: Callback | None = None,
    unroll: bool = False,
    compile: bool = False,
    warn: bool = True,
) -> Result:
    """Find z with 0 ∈ A(z) + B(z).

    Three operators, and operators behind linear ones, are written in the algebra: `solve(DavisYin(), A + C, B)`,
    `solve(ChambollePock(), A, B.precompose(K))`. The methods made for them take them apart.

    A sample is done when ‖gap‖ ≤ max(tol·‖point‖, tol·‖A(0)‖, atol), where gap ∈ A(x) + B(point), x - point → 0. It
    is then kept as it is, and leaves the batch once enough others have too.

    Shapes: `z0` (*batch, *domain), broadcast with the batch axes of A's data; the result likewise.

    Args:
        method: a splitting method; with `step="auto"` the step is found first, by `tune`.
        A: the operator treated first; what the method asks of it, it says in `prepare`.
        B: the operator treated second; zero unless given.
        z0: where to start, left untouched; zero unless given. The `state` of an earlier result continues it.
        tol: relative tolerance, > 0; unless given, the dtype's ε to the power ⅔ (2.4e-5 in float32).
        atol: absolute tolerance, ≥ 0.
        max_steps: ≥ 1.
        check_every: convergence is looked at each time after this many steps, ≥ 1: on a GPU the only moments at which
            the host waits for the device. A look at a small state costs about as much as a step.
        callback: called with a `Progress` at each check. What it raises ends the solve and goes on to the caller as it
            is, with the `Result` so far as its attribute `result`, of status INTERRUPTED if a sample was not done.
        unroll: track every step with autograd, for which memory grows with the steps; `monops.equilibrium` has the
            derivative without that. Otherwise the result is cut off from any graph.
        compile: fuse the elementwise parts of a step by `torch.compile`, which pays for large states and many solves:
            the first one of a kind waits some seconds for the compiler. Steps after which convergence is looked at are
            not compiled. Where there is no compiler, a warning says so.
        warn: warn when a sample did not converge.

    Returns:
        A `Result`, whose `status` tells how it ended. STALLED, for what has no solution, say: a residual above the
        tolerance did not change by more than a millionth (in float32: 1.2e-4) in the second half of all steps, from
        200 to 400 at the earliest, while the state did not shrink. A sample that is on its way to a solution more than
        twice as far away as it has come by then, by steps of equal length, is taken for stalled too: start it nearer,
        or with another step size.

    Raises:
        OptionError: an option outside its range, or a `method` which is none.
        ShapeError, DTypeError, DeviceError: z0 does not fit the operators.
        MonopsError: whatever the method's `prepare` refuses.

    Example:
        >>> import torch
        >>> from monops import Affine, Dense, PeacemanRachford, ReLU, Subdifferential
        >>> A = Affine(Dense(torch.tensor([[2.0, -1.0], [1.0, 2.0]])), torch.tensor([1.0, -1.0]))
        >>> result = solve(PeacemanRachford(0.5), A, Subdifferential(ReLU()))
        >>> result.point, result.status.name
        (tensor([0.5000, 0.0000]), 'CONVERGED')
    """
    if not isinstance(method, SplittingMethod):
        raise OptionError(f"method wants a SplittingMethod such as PeacemanRachford(), got {method!r}")
    check_options(tol, atol, max_steps, check_every)
    B = ZeroOperator(1 if A.domain is None else len(A.domain)) if B is None else B
    state = z0 if isinstance(z0, tuple) else None
    z0 = initial_state(A, B, first(z0))
    if compile and (unroll or not is_torch(z0)):
        raise OptionError("compile wants tensors and steps that autograd does not track: no NumPy arrays, no unroll")
    tol = epsilon(z0.dtype) ** (2 / 3) if tol is None else tol
    if getattr(method, "step", None) == "auto":
        method = tune(method, A, B, z0, tol=tol, max_steps=max_steps)
    with contextlib.nullcontext() if unroll else torch.no_grad():
        loop = Loop(method, A, B, z0, tol, atol, state)
        result = loop.run(max_steps, check_every, callback, compact=not unroll, compile=compile)
    if warn and result.status is not Status.CONVERGED:
        warn_of(result, tol)
    return result


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
    """`method` with the numeric step that needs the fewest steps on this problem, found by trying.

    From the present step, or for "auto" from the spectral facts (`best_step`, else 1, halved until the method accepts
    it), the step is doubled or halved while the measured number of steps falls, then refined once by √2.
    Deterministic. Each step α is given the tolerance at which it guarantees the same distance to the solution: with a
    gap (x - y)/α that distance is at most (1 + αL)‖gap‖/m.

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
    """
    if not isinstance(getattr(method, "step", None), float | int | str):
        raise OptionError(f"tune wants a method with a step, got {method!r}")
    check_options(tol, 0.0, max_steps, check_every=1)
    if samples < 1:
        raise OptionError(f"samples wants an integer ≥ 1, got {samples}")
    z0 = initial_state(A, B, z0)
    tol = epsilon(z0.dtype) ** (2 / 3) if tol is None else tol
    A = A.factored()
    L = A.lipschitz if A.lipschitz < math.inf else 0.0
    known = method.best_step(A.strong_monotonicity, A.lipschitz) if method.step == "auto" else method.step
    A, B, z0 = _few(A, B, z0, samples)
    with torch.no_grad():
        start = _accepted(method, A, B, 1.0 if known is None else float(known))

    @functools.cache
    def cost(exponent: float) -> float:
        step = start * 2.0**exponent
        goal = tol * (1 + start * L) / (1 + step * L)
        with torch.no_grad():
            try:
                loop = Loop(method.with_step(step), A, B, z0, goal, 0.0)
            except StepSizeError:  # outside of the steps with proven convergence
                return math.inf
            return _fractional_steps(loop.run(max_steps, 1, None, compact=False), goal)

    best = 0.0
    for stride, limit in ((1.0, 12), (0.5, 1)):
        best = min((_descend(cost, best, direction, limit) for direction in (stride, -stride)), key=cost)
    return method.with_step(start * 2.0**best)


def _accepted(method: SplittingMethod, A: MonotoneOperator, B: MonotoneOperator, step: float) -> float:
    """The step, halved until `method` accepts it."""
    for _ in range(60):
        try:
            method.with_step(step).prepare(A, B)
        except StepSizeError as error:
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
    domain = common_domain(A, B)
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


def _few(A: MonotoneOperator, B: MonotoneOperator, z0: Array, samples: int) -> Any:
    """The problem restricted to `samples` rows, evenly spread over the batch, where the operators can do that."""
    batch = tuple(z0.shape[: z0.ndim - rank_of(A, B, z0)])
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


def check_options(tol: float | None, atol: float, max_steps: int, check_every: int) -> None:
    """Raise an `OptionError` unless the options of `solve` are in their ranges."""
    if tol is not None and not 0 < tol < math.inf:
        raise OptionError(f"tol wants a number in (0, ∞), got {tol}")
    if not 0 <= atol < math.inf:
        raise OptionError(f"atol wants a number in [0, ∞), got {atol}")
    for name, value in (("max_steps", max_steps), ("check_every", check_every)):
        if not (isinstance(value, int) and value >= 1):
            raise OptionError(f"{name} wants an integer ≥ 1, got {value!r}")


def warn_of(result: Result, tol: float) -> None:
    """Warn that a solve did not converge, in the name of the caller's caller."""
    missed = int((~result.converged).sum())
    how = {
        Status.NON_FINITE: "with a NaN or infinity",
        Status.STALLED: f"since residuals stand still after {result.steps} steps (no solution, or a cycle)",
    }.get(result.status, f"after {result.steps} steps")
    warnings.warn(
        f"{type(result.method).__name__}: {missed} of {result.converged.size} samples not converged {how}; largest "
        f"residual {result.residual.max():.2e}, tolerance {tol:.2e}",
        ConvergenceWarning,
        stacklevel=3,
    )
