"""The laws of splitting methods."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from monops.arrays import DType, epsilon, norm, to_numpy
from monops.errors import ConvergenceWarning, StepSizeError
from monops.implicit import equilibrium
from monops.linear import Dense
from monops.monotone import Affine
from monops.reference import equilibrium as reference
from monops.result import Status
from monops.solver import solve
from monops.splitting import SplittingMethod
from monops.splitting.state import first
from monops.testing.laws import Laws, require_a
from monops.testing.problems import Problem, kind_for, random_problems
from monops.testing.promises import averaged_and_gap, far_steps, proven_rate, rate_of_operators, tried_steps, uses_step

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
    - points come nearer by `rate_for(A, B)` on the average, and ‖gap‖ with `gap_slack(A, B)` as its constant;
    - steps are as averaged as `averagedness` says; where `gap_is_step`, ‖gap‖ is the same multiple of ‖z⁺ - z‖ always;
    - a step far beyond what is proven is refused, or makes nothing diverge; the field `step` is used;
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
        OptionError: `method` is no splitting method, and makes none.

    Example:
        >>> from monops import PeacemanRachford
        >>> check_splitting_method(PeacemanRachford("auto"), dtypes=(torch.float64,))
    """
    if not isinstance(method, SplittingMethod):
        method = method() if callable(method) else method
    require_a(SplittingMethod, method, 'PeacemanRachford("auto")')
    problems = random_problems(seed, kind_for(method, seed))
    laws = Laws.of(method, seed, dtypes[0], device, None)
    with laws.trying("to solve a problem with f = SquaredL2"):
        _solution(laws, method, problems["SquaredL2"], max_steps, "f = SquaredL2")
    with torch.no_grad():
        for name in ("SquaredL2", "Tanh"):
            if name in problems:
                with laws.trying(f"steps of all sizes, with f = {name}"):
                    uses_step(laws, method, problems[name])
                    far_steps(laws, method, problems[name])
        with laws.trying("what the gap means, with f = SquaredL2"):
            _gap(laws, method, problems["SquaredL2"])
        for name, problem in problems.items():
            with laws.trying(f"what rate(m, L) and best_step(m, L) promise, with f = {name}"):
                proven_rate(laws, method, problem)
            with laws.trying(f"what rate_for(A, B) and gap_slack(A, B) promise, with f = {name}"):
                rate_of_operators(laws, method, problem)
            with laws.trying(f"what averagedness and gap_is_step promise, with f = {name}"):
                averaged_and_gap(laws, method, problem)
    found: dict[str, SplittingMethod] = {}  # with the step that was found where it was "auto", for all dtypes
    for dtype in dtypes:
        laws = Laws.of(method, seed, dtype, device, None)
        for name, problem in problems.items():
            if dtype is dtypes[0] or name in OFTEN:
                on = f"f = {name}, {laws.draw.dtype}"
                with laws.trying(f"to solve a problem with {on}"):
                    found[name] = _solution(laws, found.get(name, method), problem, max_steps, on)
                if dtype is torch.float64:
                    with laws.trying(f"the gradient of equilibrium through it, with {on}"):
                        _gradient(laws, found[name], problem, on)
        with laws.trying("two steps only, and a NaN in one sample"):
            name = "Tanh" if "Tanh" in problems else "SquaredL2"
            _failures(laws, found.get(name, method), problems[name], max_steps)


def _solution(laws: Laws, method: SplittingMethod, problem: Problem, max_steps: int, on: str) -> SplittingMethod:
    """Of a batch and its samples; returns the method, with a number as its step.

    One that was found is a little shorter, as a bound of it is rounded otherwise in another precision.
    """
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
    return result.method.with_step(0.999 * float(result.method.step)) if result.search is not None else result.method


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
    """Out of steps, and a NaN in one sample."""
    A, B = problem.operators(laws.draw)
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
    for trial, step in tried_steps(method, L):
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
        law = "with a step that prepare does not refuse it converges"
        found = f"{result.status.name} after {result.steps} steps"
        laws.true(law, result.status is Status.CONVERGED, f"{on}, f = {problem.f.reference}", found)
        last = trial.advance(plan, result.state).gap()
        for part in last if isinstance(last, tuple) else (last,):
            law, bound = "gap vanishes at the solution", 1e3 * laws.tol * (1 + norm(want, rank))
            laws.at_most(law, norm(part, rank), bound, on)
