"""The laws of splitting methods."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from monops.arrays import Array, DType, epsilon, norm, to_numpy
from monops.errors import ConvergenceWarning, StepSizeError
from monops.implicit import equilibrium
from monops.linear import Dense
from monops.monotone import Affine
from monops.reference import equilibrium as reference
from monops.result import Status
from monops.solver import solve
from monops.splitting import SplittingMethod
from monops.splitting.state import State, arrays, each, first
from monops.testing.laws import Laws
from monops.testing.problems import Problem, kind_for, random_problems

# The functions that are tried in each dtype; the others in the first one.
OFTEN = ("ReLU", "L1 (SoftThreshold)", "Tanh")
# After how many steps each solve looks at its residual.
LOOK = 10
DTYPES: tuple[DType, ...] = (torch.float64, torch.float32, np.float64, np.float32)


def check_splitting_method(
    method: SplittingMethod | Callable[[], SplittingMethod],
    *,
    max_steps: int = 2000,
    dtypes: tuple[DType, ...] = DTYPES,
    device: Any = "cpu",
    seed: int = 0,
) -> None:
    """Raise unless `method` solves 0 ∈ A(z) + B(z) and keeps the promises of a splitting method.

    On random problems, A affine and strongly monotone, B = ∂f for functions f of every sort, whose solutions
    `monops.reference` knows from Newton's method (with a symmetric A for methods that refuse others, and with B = 0 for
    those that refuse these too):

    - it reaches the solution within `max_steps` steps, on tensors and NumPy arrays alike, in both precisions; single
      problems and batches agree; the start is left untouched, dtype and device are kept; `error_bound` is true;
    - `gap` is an element of A(x) + B(point), with x near the point: it bounds the distance to the solution;
    - no step moves a random state farther from its limit (where `gap_is_step`, from any other state) than the proven
      `rate(m, L)` says; `best_step` has the best;
    - steps are as averaged as `averagedness` says; where `gap_is_step`, ‖gap‖ is the same multiple of ‖z⁺ - z‖ always;
    - out of steps it says so, by status and one warning; a NaN in one sample is reported and spoils no other;
    - the gradient of `equilibrium` through it is that of the reference.

    Args:
        method: what to check, with a number or "auto" as its step, or a function (the class, say) that makes it.
        max_steps: the most steps that it may take.
        dtypes: in which to check it; torch's or NumPy's.
        device: for tensors.
        seed: of the random problems.

    Raises:
        BrokenLaw: an `AssertionError` which says what broke, on which problem, by how much.

    Example:
        >>> from monops import PeacemanRachford
        >>> check_splitting_method(PeacemanRachford("auto"), dtypes=(torch.float64,))
    """
    method = method if isinstance(method, SplittingMethod) else method()
    problems = random_problems(seed, kind_for(method, seed))
    laws = Laws.of(method, seed, dtypes[0], device, None)
    with laws.trying("to solve a problem with f = SquaredL2"):
        _solution(laws, method, problems["SquaredL2"], max_steps, "f = SquaredL2")
    with torch.no_grad():
        with laws.trying("what the gap means, with f = SquaredL2"):
            _gap(laws, method, problems["SquaredL2"])
        for name, problem in problems.items():
            with laws.trying(f"what rate(m, L) and best_step(m, L) promise, with f = {name}"):
                _rate(laws, method, problem)
            with laws.trying(f"what averagedness and gap_is_step promise, with f = {name}"):
                _promises(laws, method, problem)
    for dtype in dtypes:
        laws = Laws.of(method, seed, dtype, device, None)
        for name, problem in problems.items():
            if dtype is dtypes[0] or name in OFTEN:
                on = f"f = {name}, {laws.draw.dtype}"
                with laws.trying(f"to solve a problem with {on}"):
                    _solution(laws, method, problem, max_steps, on)
                if dtype is torch.float64:
                    with laws.trying(f"the gradient of equilibrium through it, with {on}"):
                        _gradient(laws, method, problem, on)
        with laws.trying("two steps only, and a NaN in one sample"):
            _failures(laws, method, problems.get("Tanh", problems["SquaredL2"]), max_steps)


def _steps(method: SplittingMethod, L: float) -> Iterator[tuple[SplittingMethod, float]]:
    """The method at several steps, and these; the method itself where it has none."""
    if not hasattr(method, "step"):
        yield method, max(1.0, 1 / L)
        return
    for factor in (0.03, 0.3, 1.0, 3.0):
        yield method.with_step(factor / L), factor / L


def _solution(laws: Laws, method: SplittingMethod, problem: Problem, max_steps: int, on: str) -> None:
    A, B = problem.operators(laws.draw)
    want, tol = problem.solution, laws.tol
    start = laws.normal(*problem.b.shape)
    options: dict[str, Any] = {"tol": tol, "max_steps": max_steps, "check_every": LOOK, "warn": False}
    with laws.untouched(start):
        result = solve(method, A, B, start, **options)
    laws.true(
        f"it converges within {max_steps} steps",
        result.status is Status.CONVERGED,
        on,
        f"{result.status.name} after {result.steps}, residual {np.max(result.residual):.1e}",
    )
    laws.same_kind("the solution keeps shape, dtype and device", result.point, start, tuple(start.shape), on)
    laws.at_most("the residual is within the tolerance", result.residual, tol, on)
    laws.at_most("samples end before the solve does", result.sample_steps, result.steps, on)
    error = np.linalg.norm(to_numpy(result.point) - want, axis=-1)
    size = np.maximum(np.linalg.norm(want, axis=-1), np.linalg.norm(problem.b, axis=-1))
    laws.at_most("it reaches the solution", error, 100 * tol * size, on)
    rounding = 100 * epsilon(start.dtype) * size
    laws.at_most("error_bound bounds the error", error, result.error_bound + rounding, on)
    for i in (0, len(want) - 1):
        one = solve(result.method, *problem.operators(laws.draw, i), start[i], **options)
        laws.same_kind("a single problem has a single solution", one.point, start[i], tuple(start.shape[1:]), on)
        both = np.array([one.steps, result.sample_steps[i]])
        # Rounding may move the step at which a residual falls below the tolerance: then both are as right as they say.
        apart = 0.0 if both[0] == both[1] else one.error_bound + result.error_bound[i]
        difference = np.linalg.norm(to_numpy(result.point[i]) - to_numpy(one.point))
        law = "a sample of a batch is solved as if alone"
        laws.at_most(law, difference, 10 * tol * max(size[i], np.linalg.norm(to_numpy(one.point))) + apart, on)
        if not method.couples_samples:
            law = f"a sample takes as many steps as if alone, up to one look ({LOOK} steps) and a tenth"
            laws.at_most(law, abs(both[0] - both[1]), LOOK + 0.1 * both.max(), on)
    again = solve(result.method, A, B, result.state, tol=2 * tol, check_every=1, warn=False)
    laws.at_most("its state continues the solve", again.steps, 2, on)


def _gradient(laws: Laws, method: SplittingMethod, problem: Problem, on: str) -> None:
    draw = laws.draw
    M, b = draw.put(problem.matrix).requires_grad_(), draw.put(problem.b).requires_grad_()
    g = draw.array(*problem.b.shape)
    options: dict[str, Any] = {"tol": laws.tol, "max_steps": 5000, "warn": False}
    A = Affine(Dense(M, symmetric=problem.kind == "gradient"), b)
    z = equilibrium(method, A, problem.second, **options).point
    want = reference.gradient(problem.matrix, problem.b, problem.solution, g, problem.maps[1])
    for name, mine, theirs in zip("Mb", torch.autograd.grad(z, (M, b), draw.put(g)), want, strict=True):
        laws.equal(f"the gradient in {name} is the reference's", mine, theirs, on, slack=100)


def _failures(laws: Laws, method: SplittingMethod, problem: Problem, max_steps: int) -> None:
    """Out of steps, and a NaN in one sample; with a numeric step."""
    A, B = problem.operators(laws.draw)
    method = solve(method, A, B, warn=False).method
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = solve(method, A, B, tol=laws.tol, max_steps=2)
    laws.true("out of steps, the status says so", result.status is Status.MAX_STEPS, "", result.status.name)
    laws.true("it stops at max_steps", result.steps == 2, "", f"{result.steps}")
    kinds = [warning.category for warning in caught]
    laws.true("out of steps, there is one warning", kinds == [ConvergenceWarning], "", f"{kinds}")
    b = problem.b.copy()
    b[2, 0] = np.nan
    with warnings.catch_warnings(), np.errstate(invalid="ignore"):
        warnings.simplefilter("ignore")
        spoilt = solve(method, *replace(problem, b=b).operators(laws.draw), max_steps=max_steps)
        clean = solve(method, A, B, max_steps=max_steps)
    laws.true("a NaN is reported", spoilt.status is Status.NON_FINITE, "", spoilt.status.name)
    law, found = "a NaN spoils its own sample only", spoilt.converged.tolist()
    laws.true(law, found == [i != 2 for i in range(len(b))], "NaN in sample 2", f"converged is {found}")
    others = np.arange(len(b)) != 2
    laws.equal("samples beside a NaN are solved", to_numpy(spoilt.point)[others], to_numpy(clean.point)[others])


def _gap(laws: Laws, method: SplittingMethod, problem: Problem) -> None:
    """With B single-valued, gap = A(x) + B(y) has one solution x: it must lie as near to y as gap is small."""
    A, B = problem.operators(laws.draw)
    L, m, rank = A.lipschitz, A.strong_monotonicity, 1
    inverse, want = np.linalg.inv(problem.matrix), laws.draw.put(problem.solution)
    for trial, step in _steps(method, L):
        on = f"step {step:.3g}"
        try:
            plan = trial.prepare(A, B)
        except StepSizeError:
            continue
        state = trial.start(plan, laws.normal(*problem.b.shape))
        for _ in range(6):
            done = trial.advance(plan, state)
            state, gap, y = done.state, done.gap(), done.approximation()
            for part in (first(state), y, *(gap if isinstance(gap, tuple) else (gap,))):
                laws.same_kind("state, point and gap are arrays like the start", part, want, tuple(want.shape), on)
            if isinstance(gap, tuple):
                primal, dual = gap
                scale = 1 + float(norm(y, y.ndim)) + float(norm(primal, y.ndim)) + float(norm(dual, y.ndim))
                law = "gap = (r, s) with r - A(point) = B(point + step·s)"
                laws.equal(law, primal - A(y), B(y + step * dual), on, scale=scale, slack=100)
                continue
            target = to_numpy(gap - B(y)) + problem.b
            x = laws.draw.put(target.astype(np.float64) @ inverse.T)
            rounding = 100 * laws.tol * (1 + norm(y, rank) + norm(gap, rank))
            law = "gap is an element of A(x) + B(point) with ‖x - point‖ ≤ 2·step·‖gap‖"
            laws.at_most(law, norm(x - y, rank), 2 * step * norm(gap, rank) + rounding / m, on)
            far = norm(y - want, rank) * m
            law = "gap bounds the distance: m‖point - z*‖ ≤ (1 + 2·step·L)‖gap‖"
            laws.at_most(law, far, (1 + 2 * step * L) * norm(gap, rank) + rounding, on)
        result = solve(trial, A, B, max_steps=20000, tol=laws.tol, warn=False)
        last = trial.advance(plan, result.state).gap()
        for part in last if isinstance(last, tuple) else (last,):
            law, bound = "gap vanishes at the solution", 1e3 * laws.tol * (1 + norm(want, rank))
            laws.at_most(law, norm(part, rank), bound, on)


def _rate(laws: Laws, method: SplittingMethod, problem: Problem) -> None:
    """States come nearer to each other or their limit by the claimed rate; the best step has no better neighbour."""
    A, B = problem.operators(laws.draw)
    m, L = A.strong_monotonicity, A.lipschitz
    for trial, step in _steps(method, L):
        rate, on = trial.rate(m, L), f"step {step:.3g}, f = {problem.f.reference}"
        if rate is None:
            continue
        laws.true("a rate lies in [0, 1]", 0 <= rate <= 1, on, f"{rate}")
        flat = trial.rate(0.0, L)
        law = "no rate without strong monotonicity beats 1"
        laws.true(law, flat is None or flat >= 1, on, f"rate(m=0, L={L:.3g}) is {flat}")
        plan = trial.prepare(A, B)
        if trial.gap_is_step:
            w = trial.start(plan, laws.normal(*problem.b.shape))
            for _ in range(10):
                w = trial.advance(plan, w).state
            after_w = trial.advance(plan, w).state
        else:
            w = after_w = solve(trial, A, B, tol=1e-3 * laws.tol, max_steps=20000, warn=False).state
        for spread in (10.0, 1.0, 0.01):
            z = _near(laws, w, spread)
            before, after = _distance(z, w), _distance(trial.advance(plan, z).state, after_w)
            room = laws.tol * (1 + _size(z))
            laws.at_most(f"states contract by rate(m, L) = {rate:.4f}", after, rate * before + room, on)
    best = method.best_step(m, L)
    if best is not None and any(trial.rate(m, L) is not None for trial, _ in _steps(method, L)):
        rates = [method.with_step(best * factor).rate(m, L) for factor in (1.0, 0.8, 1.25)]
        laws.true("best_step has the smallest rate", rates[0] is not None, "", "it has none")
        laws.at_most("best_step has the smallest rate", rates[0], min(1.0 if r is None else r for r in rates[1:]))


def _promises(laws: Laws, method: SplittingMethod, problem: Problem) -> None:
    """What `Relaxed` and `RateWarning` rest on."""
    A, B = problem.operators(laws.draw)
    for trial, step in _steps(method, A.lipschitz):
        try:
            plan = trial.prepare(A, B)
        except StepSizeError:
            continue
        on = f"step {step:.3g}, f = {problem.f.reference}"
        state = trial.start(plan, laws.normal(*problem.b.shape))
        a = trial.averagedness(A, B)
        if a is not None:
            laws.true("averagedness lies in (0, 1]", 0 < a <= 1, on, f"{a}")
            for spread in (10.0, 0.01):
                _averaged(laws, trial, plan, a, _near(laws, state, spread), state, on)
        if trial.gap_is_step:
            _gap_is_step(laws, trial, plan, state, on)


def _averaged(laws: Laws, method: SplittingMethod, plan: Any, a: float, z: State, w: State, on: str) -> None:
    """‖Nz - Nw‖ ≤ ‖z - w‖ for N = I + (T - I)/a, again and again, as that finds the direction in which N stretches."""

    def N(v: State) -> State:
        return each(lambda old, new: old + (new - old) / a, v, method.advance(plan, v).state)

    for _ in range(6):
        before, room = _distance(z, w), laws.tol * (1 + _size(z) + _size(w)) / a
        z, w = N(z), N(w)
        law = f"a step T is averaged with a = {a:.4g}: ‖Td‖² ≤ ‖d‖² - (1 - a)/a·‖d - Td‖²"
        laws.at_most(law, _distance(z, w), before + room, on)


def _gap_is_step(laws: Laws, method: SplittingMethod, plan: Any, state: State, on: str) -> None:
    multiple = None
    for _ in range(6):
        done = method.advance(plan, state)
        gap, moved = _size(done.gap()), _distance(done.state, state)
        multiple = float((gap / moved).max()) if multiple is None else multiple
        room = 10 * laws.tol * multiple * (1 + _size(state))
        laws.at_most("where gap_is_step, ‖gap‖ = c·‖z⁺ - z‖ at every step", abs(gap - multiple * moved), room, on)
        state = done.state


def _near(laws: Laws, state: State, spread: float) -> State:
    return each(lambda part: part + laws.normal(*part.shape, scale=spread), state)


def _size(state: State) -> Array:
    """The norm of each sample of a state: over all its arrays, if it is a tuple."""
    return sum(norm(part, part.ndim - 1) ** 2 for part in arrays(state)) ** 0.5


def _distance(z: State, w: State) -> Array:
    return _size(each(lambda one, other: one - other, z, w))
