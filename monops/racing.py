"""Splitting methods side by side on the same problems: steps, operator calls and measured seconds."""

from __future__ import annotations

import dataclasses
import math
import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from monops.arrays import Array, is_torch
from monops.counting import Counter
from monops.errors import MonopsError, NotConvergedError, OptionError
from monops.inputs import problem_of, tolerance
from monops.loop import Loop, Progress
from monops.monotone import MonotoneOperator
from monops.options import require_integer, shown
from monops.result import Result
from monops.solver import solve
from monops.splitting import SplittingMethod
from monops.splitting.base import require_method
from monops.trials import Choice, Comparison, Trial
from monops.tuning import search_step

# A run that takes longer than this, in seconds, is timed once instead of several times.
_LONG = 1.0


def compare(
    methods: Mapping[str, SplittingMethod] | Sequence[SplittingMethod],
    problems: Mapping[str, tuple[Any, ...]] | tuple[Any, ...],
    *,
    tol: float | None = None,
    max_steps: int = 1000,
    repeats: int = 3,
    progress: Callable[[str], None] = lambda name: None,
) -> Comparison:
    """Run every method on every problem, and measure residuals against steps, operator calls and seconds.

    Residuals and calls are those of a `solve` that looks at the residual after each step; nothing that only such a look
    needs is counted. Seconds are measured apart: the same number of steps of the whole batch without any look, once
    without the clock and then `repeats` times, of which the median counts. A method with the step "auto" is tuned
    first; the time for that is reported, but is not among the seconds.

    Args:
        methods: by name, or a list of them, which are called by their classes; several of one class also by the
            parameters in which they differ, as in `PeacemanRachford(step=0.5)`.
        problems: (A, B) or (A, B, z0) by name, or one such tuple.
        tol: relative tolerance of the solves; the dtype's ε to the power ⅔ unless given.
        max_steps: of each solve.
        repeats: how often a run is timed, ≥ 1; one that takes over a second is timed once.
        progress: called with what comes next, such as "lasso: FISTA (2 of 6)".

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
    max_steps, repeats = require_integer("max_steps", max_steps), require_integer("repeats", repeats)
    named, posed = _named(methods), _posed(problems)
    rows: list[Trial] = []
    for problem, (A, B, z0) in posed.items():
        goal = tolerance(tol, z0)
        for name, method in named.items():
            progress(f"{problem}: {name} ({len(rows) + 1} of {len(posed) * len(named)})")
            rows.append(_trial(name, problem, method, A, B, z0, goal, max_steps, repeats))
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
        methods: see `compare`.
        A: see `monops.solve`.
        B: see `monops.solve`; zero unless given.
        z0: see `monops.solve`; of a state, every method starts from the point in it.
        tol: see `monops.solve`.
        max_steps: see `monops.solve`; of each method.
        repeats: see `compare`.

    Raises:
        NotConvergedError: no method came to the tolerance; the message has the table of what they did.
        OptionError: those of `compare`.

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
    missed = [row.method for row in others if row.status is not None and row.seconds_to() == math.inf]
    times = sorted(row.seconds_to() for row in others if row.seconds_to() < math.inf)
    lines = [
        f"{best.method}: the fastest of {len(result.rows)} methods by measured time, "
        f"{1e3 * best.seconds_to():.2f} ms for {best.steps_made} steps to a residual of {best.tol:.1e}"
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
            method = search_step(method, A, B, z0, tol=tol, max_steps=max_steps).method
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
    """The methods by name; those in a list by their class, and by what tells them from others of that class."""
    if isinstance(methods, Mapping):
        named = dict(methods)
        _require_names("methods", named)
    else:
        listed = [methods] if isinstance(methods, SplittingMethod) else methods
        if isinstance(listed, str) or not isinstance(listed, Iterable):
            raise OptionError(f"methods wants SplittingMethods by name, or a list of them, got {shown(methods)}")
        named, listed = {}, list(listed)
        for method in listed:
            require_method("each of methods", method)
        for method in listed:
            label = _label(method, [other for other in listed if type(other) is type(method)])
            count = sum(key == label or key.startswith(f"{label} #") for key in named)
            named[f"{label} #{count + 1}" if count else label] = method
    for name, method in named.items():
        require_method(f"methods[{name!r}]", method)
    if not named:
        raise OptionError("methods wants at least one SplittingMethod, got none")
    return named


def _label(method: SplittingMethod, alike: list[SplittingMethod]) -> str:
    """The class of the method, and those of its parameters in which methods of the same class differ."""
    name = type(method).__name__
    if not dataclasses.is_dataclass(method):
        return name
    names = [field.name for field in dataclasses.fields(method) if field.init and field.repr]
    differing = [f"{n}={getattr(method, n)!r}" for n in names if len({repr(getattr(m, n)) for m in alike}) > 1]
    return f"{name}({', '.join(differing)})" if differing else name


def _posed(problems: Any) -> dict[str, tuple[MonotoneOperator, MonotoneOperator, Array]]:
    """The problems by name, with B and z0 filled in."""
    posed = {}
    named = problems if isinstance(problems, Mapping) else {"problem": problems}
    _require_names("problems", named)
    for name, problem in named.items():
        if not (isinstance(problem, tuple | list) and 2 <= len(problem) <= 3):
            got = f"a tuple of {len(problem)}" if isinstance(problem, tuple | list) else shown(problem)
            raise OptionError(f"a problem is a tuple (A, B) or (A, B, z0), got {got} as {name!r}")
        if all(isinstance(part, tuple | list) for part in problem):
            raise OptionError(f"several problems want names, as in {{'{name}': (A, B)}}, got a list of them")
        try:
            posed[name] = problem_of(*(*problem, None)[:3])
        except MonopsError as error:
            raise type(error)(f"problem {name!r}: {error}") from error
    if not posed:
        raise OptionError("problems wants at least one (A, B), got none")
    return posed


def _require_names(what: str, named: Mapping[Any, Any]) -> None:
    for name in named:
        if not isinstance(name, str):
            raise OptionError(f"the names of {what} want to be strings, got {shown(name)}; write {str(name)!r}")
