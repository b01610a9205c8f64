"""Splitting methods side by side on the same problems: steps, operator calls and measured seconds."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from monops.arrays import Array, epsilon, is_torch
from monops.counting import Counter
from monops.errors import MonopsError, NotConvergedError, OptionError
from monops.loop import Loop, Progress
from monops.monotone import MonotoneOperator
from monops.result import Result
from monops.solver import solve
from monops.splitting import SplittingMethod
from monops.trials import Choice, Comparison, Trial
from monops.tuning import check_options, initial_state, second_operator, tune

# A run that takes longer than this, in seconds, is timed once instead of several times.
_LONG = 1.0


def compare(
    methods: Mapping[str, SplittingMethod] | Sequence[SplittingMethod],
    problems: Mapping[str, tuple[Any, ...]] | tuple[Any, ...],
    *,
    tol: float | None = None,
    max_steps: int = 1000,
    repeats: int = 3,
) -> Comparison:
    """Run every method on every problem, and measure residuals against steps, operator calls and seconds.

    Residuals and calls are those of a `solve` that looks at the residual after each step; nothing that only such a look
    needs is counted. Seconds are measured apart: the same number of steps of the whole batch without any look, once
    without the clock and then `repeats` times, of which the median counts. A method with the step "auto" is tuned
    first; the time for that is reported, but is not among the seconds.

    Args:
        methods: by name, or a list of them, which are called by their classes.
        problems: (A, B) or (A, B, z0) by name, or one such tuple.
        tol: relative tolerance of the solves; the dtype's ε to the power ⅔ unless given.
        max_steps: of each solve.
        repeats: how often a run is timed, ≥ 1; one that takes over a second is timed once.

    Returns:
        A `Comparison`. A method that refuses a problem is in it with its message.

    Raises:
        OptionError: no methods or problems, something else among them, or an option outside its range.

    Example:
        >>> import torch
        >>> from monops import Affine, Dense, DouglasRachford, FISTA, PeacemanRachford, ReLU, Subdifferential
        >>> A = Affine(Dense(torch.tensor([[2.0, -1.0], [1.0, 2.0]])), torch.tensor([1.0, -1.0]))
        >>> methods = [PeacemanRachford(0.5), DouglasRachford(0.5), FISTA(0.1)]
        >>> result = compare(methods, (A, Subdifferential(ReLU())))
        >>> for row in result.rows:
        ...     print(row.method, row.refusal[:35] or row.steps[-1])
        PeacemanRachford 8
        DouglasRachford 22
        FISTA FISTA wants the gradient of a conve
    """
    check_options(tol, 0.0, max_steps, check_every=1)
    if not (isinstance(repeats, int) and repeats >= 1):
        raise OptionError(f"repeats wants an integer ≥ 1, got {repeats!r}")
    named, posed = _named(methods), _posed(problems)
    rows: list[Trial] = []
    for problem, (A, B, z0) in posed.items():
        start = initial_state(A, B, z0)
        goal = epsilon(start.dtype) ** (2 / 3) if tol is None else tol
        rows += [_trial(name, problem, method, A, B, start, goal, max_steps, repeats) for name, method in named.items()]
    return Comparison(tuple(rows), tol)


def choose(
    methods: Mapping[str, SplittingMethod] | Sequence[SplittingMethod],
    A: MonotoneOperator,
    B: MonotoneOperator | None = None,
    z0: Array | None = None,
    *,
    tol: float | None = None,
    max_steps: int = 1000,
    repeats: int = 3,
) -> Choice:
    """The method that solves this problem in the least measured time, and a report that says so.

    It depends on the machine and on what else runs there: the choice is as good as the measurement. For many problems
    of one kind, choose on one of them and keep the method.

    Args:
        methods: as for `compare`.
        A: as for `solve`.
        B: as for `solve`.
        z0: as for `solve`.
        tol: as for `solve`.
        max_steps: as for `solve`.
        repeats: as for `compare`.

    Raises:
        NotConvergedError: no method came to the tolerance; the message has the table of what they did.
        OptionError: as for `compare`.

    Example:
        >>> import torch
        >>> from monops import Affine, Dense, DouglasRachford, PeacemanRachford, ReLU, Subdifferential
        >>> A = Affine(Dense(torch.tensor([[2.0, -1.0], [1.0, 2.0]])), torch.tensor([1.0, -1.0]))
        >>> choice = choose([PeacemanRachford(0.5), DouglasRachford(0.001)], A, Subdifferential(ReLU()))
        >>> choice.method, choice.report.splitlines()[0]
        (PeacemanRachford(step=0.5), 'PeacemanRachford: the fastest of 2 methods by measured time, ...')
    """
    result = compare(methods, {"this": (A, B, z0)}, tol=tol, max_steps=max_steps, repeats=repeats)
    best = result.fastest().get("this")
    details = "\n".join("  ".join(line.split("  ")[1:]).strip() for line in result.table().splitlines())
    if best is None or best.solver is None:
        wanted = result.rows[0].tol
        raise NotConvergedError(f"no method came to a residual of {wanted:.2e} on this problem:\n{details}")
    others = [row for row in result.rows if row is not best]
    refused = [row.method for row in others if row.status is None]
    missed = [row.method for row in others if row.status is not None and row.reached() is None]
    times = sorted(row.seconds_to() for row in others if row.reached() is not None)
    lines = [
        f"{best.method}: the fastest of {len(result.rows)} methods by measured time, "
        f"{1e3 * best.seconds_to():.2f} ms for {best.steps[-1]} steps to a residual of {best.tol:.1e}"
    ]
    if times:
        lines.append(f"the next one took {1e3 * times[0]:.2f} ms")
    if missed:
        lines.append(f"not converged: {', '.join(missed)}")
    if refused:
        lines.append(f"refused the problem: {', '.join(refused)}")
    return Choice(best.solver, best.method, "\n".join([*lines, details]), result)


def _trial(
    name: str,
    problem: str,
    method: SplittingMethod,
    A: MonotoneOperator,
    B: MonotoneOperator,
    z0: Array,
    tol: float,
    max_steps: int,
    repeats: int,
) -> Trial:
    counter, calls, tuning = Counter(), [], 0.0

    def note(progress: Progress) -> None:
        calls.append(counter.total)

    try:
        if getattr(method, "step", None) == "auto":
            begin = time.perf_counter()
            method = tune(method, A, B, z0, tol=tol, max_steps=max_steps)
            tuning = time.perf_counter() - begin
        with np.errstate(all="ignore"):
            result = solve(
                counter.method(method),
                counter.operator(A),
                counter.operator(B),
                z0,
                tol=tol,
                max_steps=max_steps,
                check_every=1,
                callback=note,
                warn=False,
            )
            setup, per_step = _timed(method, A, B, z0, tol, max(result.steps, 1), repeats)
    except MonopsError as error:
        return Trial(name, problem, refusal=str(error), tol=tol)
    except Exception as error:  # of somebody's own method or operator: the others race on
        return Trial(name, problem, refusal=f"{type(error).__name__}: {error}", tol=tol)
    result = replace(result, method=method, problem=(A, B))  # without counters
    residual = result.history.residual
    worst = residual.max(tuple(range(1, residual.ndim)), initial=0.0)
    return Trial(
        name,
        problem,
        status=result.status,
        solver=method,
        steps=tuple(result.history.steps),
        residual=tuple(worst.tolist()),
        calls=tuple(calls),
        calls_by_kind=dict(counter.calls),
        seconds_per_step=per_step,
        setup=setup,
        tuning=tuning,
        tol=tol,
        predicted_rate=_proven_rate(result),
        measured_rate=result.measured_rate,
    )


def _proven_rate(result: Result) -> float | None:
    try:
        return result.predicted_rate if result.is_rate_affordable else None
    except MonopsError:  # the facts are not to be had, and the method did without them
        return None


def _timed(
    method: SplittingMethod, A: MonotoneOperator, B: MonotoneOperator, z0: Array, tol: float, steps: int, repeats: int
) -> tuple[float, float]:
    """Median seconds before the first step, and of one step, warm."""

    def run() -> tuple[float, float]:
        wait(z0)
        begin = time.perf_counter()
        loop = Loop(method, A, B, z0, tol, 0.0)
        plan, state = loop.plan, loop.start
        wait(z0)
        middle = time.perf_counter()
        for _ in range(steps):
            state = method.advance(plan, state).state
        wait(z0)
        return middle - begin, (time.perf_counter() - middle) / steps

    with torch.no_grad():
        setup, step = run()
        runs = [run() for _ in range(repeats if setup + steps * step < _LONG else 1)]
    setups, per_step = zip(*runs, strict=True)
    return statistics.median(setups), statistics.median(per_step)


def wait(x: Array) -> None:
    """Wait until the device of x has done what it was asked to."""
    if is_torch(x) and x.is_cuda:
        torch.cuda.synchronize(x.device)


def _named(methods: Any) -> dict[str, SplittingMethod]:
    if isinstance(methods, Mapping):
        named = dict(methods)
    else:
        named = {}
        for method in [methods] if isinstance(methods, SplittingMethod) else methods:
            name = type(method).__name__
            count = sum(key.partition(" (")[0] == name for key in named)
            named[f"{name} ({count + 1})" if count else name] = method
    for name, method in named.items():
        if not isinstance(method, SplittingMethod):
            raise OptionError(f"methods wants SplittingMethods such as PeacemanRachford(), got {method!r} as {name!r}")
    if not named:
        raise OptionError("methods wants at least one SplittingMethod, got none")
    return named


def _posed(problems: Any) -> dict[str, tuple[Any, Any, Any]]:
    posed = {}
    for name, problem in (problems if isinstance(problems, Mapping) else {"problem": problems}).items():
        if not (isinstance(problem, tuple | list) and 2 <= len(problem) <= 3):
            raise OptionError(f"a problem is a tuple (A, B) or (A, B, z0), got {problem!r} as {name!r}")
        A, B, z0 = (*problem, None)[:3]
        posed[name] = A, second_operator(A, B), z0
    if not posed:
        raise OptionError("problems wants at least one (A, B), got none")
    return posed
