"""The one loop that runs every splitting method, and the tuning of its step size."""

from __future__ import annotations

import contextlib
import warnings

import torch

from monops.arrays import is_torch
from monops.errors import ConvergenceWarning, OptionError, RateWarning
from monops.inputs import problem_of, tolerance
from monops.loop import Callback, Loop
from monops.monotone import MonotoneOperator
from monops.options import require_integer, require_number, shown
from monops.result import Result, Status
from monops.splitting import SplittingMethod, State
from monops.splitting.base import require_method
from monops.tuning import StepSearch, search_step


def solve(
    method: SplittingMethod,
    A: MonotoneOperator,
    B: MonotoneOperator | None = None,
    z0: State | None = None,
    *,
    tol: float | None = None,
    atol: float = 0.0,
    max_steps: int = 1000,
    check_every: int | None = None,
    callback: Callback | None = None,
    unroll: bool = False,
    compile: bool = False,
    warn: bool = True,
) -> Result:
    """Find z with 0 ∈ A(z) + B(z).

    Three operators, and operators behind linear ones, are written in the algebra: `solve(DavisYin(), A + C, B)`,
    `solve(ChambollePock(), A, B.precompose(K))`. The methods made for them take them apart.

    A sample is done when ‖gap‖ ≤ max(tol·‖point‖, tol·‖A(0)‖, atol), where gap ∈ A(x) + B(point), x - point → 0. It
    is then kept as it is, and leaves the batch once enough others have too; unless steps are unrolled.

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
            the host waits for the device. A look at a small state costs about as much as a step. Unless given, 10, but
            1 for `SemismoothNewton`, whose steps are few.
        callback: called with a `Progress` at each check. What it raises ends the solve and goes on to the caller as it
            is, with the `Result` so far as its attribute `result`, of status INTERRUPTED if a sample was not done.
        unroll: track every step with autograd, for which memory grows with the steps; `monops.equilibrium` has the
            derivative without that. All samples then make all steps, until the last one is done. Otherwise the result
            is cut off from any graph.
        compile: fuse the elementwise parts of a step by `torch.compile`, which pays for large states and many solves:
            the first one of a kind waits some seconds for the compiler. Steps after which convergence is looked at are
            not compiled. Where there is no compiler, a warning says so.
        warn: warn when a sample did not converge, and when one contracted more slowly than is proven. For the latter
            the constants of A are needed: it is told where they are known, or cost little beside the steps made.

    Returns:
        A `Result`, whose `status` tells how it ended. STALLED, for what has no solution, say: out of steps, or after
        10,000 of them, a residual above the tolerance had not changed by more than a millionth (in float32: 1.2e-4)
        since about half of all steps, while the state did not shrink; or sooner, where the state has left for more than
        a thousand times the size of the point; or the residual fell below the tolerance because the point itself grows
        without end, while the gap does not fall. A sample that is on its way to a solution far away, by steps of equal
        length, is taken for stalled too: start it nearer, or with another step size.

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
    require_method("method", method)
    max_steps = require_integer("max_steps", max_steps)
    check_every = method.check_every if check_every is None else require_integer("check_every", check_every)
    atol = require_number("atol", atol, closed="[")
    if not (callback is None or callable(callback)):
        raise OptionError(f"callback wants a function of one argument, a Progress, got {shown(callback)}")
    state = z0 if isinstance(z0, tuple) else None
    A, B, z0 = problem_of(A, B, z0)
    tol = tolerance(tol, z0)
    if compile and (unroll or not is_torch(z0)):
        raise OptionError("compile wants tensors and steps that autograd does not track: no NumPy arrays, no unroll")
    search: StepSearch | None = None
    if getattr(method, "step", None) == "auto":
        search = search_step(method, A, B, z0, tol=tol, max_steps=max_steps)
        method = search.method
    with contextlib.nullcontext() if unroll else torch.no_grad():
        loop = Loop(method, A, B, z0, tol, atol, state, search)
        result = loop.run(max_steps, check_every, callback, compact=not unroll, compile=compile)
    if warn and result.status is not Status.CONVERGED:
        warn_of(result, tol)
    if warn and result.is_slower_than_proven:
        warn_of_rate(result)
    return result


def warn_of_rate(result: Result) -> None:
    """Warn where a solve contracted more slowly than is proven."""
    warnings.warn(
        f"{type(result.method).__name__}: the residual is {result.rate_excess:.3g} × larger than the proven rate of "
        f"{result.predicted_rate:.4g} a step allows (measured: {result.measured_rate:.4g}); so a constant of A is "
        "wrong: its claim perhaps, or a norm that was computed with a wrong adjoint; see monops.testing",
        RateWarning,
        stacklevel=3,
    )


def warn_of(result: Result, tol: float) -> None:
    """Warn that a solve did not converge, in the name of the caller's caller."""
    missed = int((~result.converged).sum())
    how = {
        Status.NON_FINITE: "with a NaN or infinity",
        Status.STALLED: f"as nothing comes nearer after {result.steps} steps (no solution, a cycle, or a long way)",
    }.get(result.status, f"after {result.steps} steps")
    warnings.warn(
        f"{type(result.method).__name__}: {missed} of {result.converged.size} samples not converged {how}; largest "
        f"residual {result.residual.max():.2e}, tolerance {tol:.2e}",
        ConvergenceWarning,
        stacklevel=3,
    )
