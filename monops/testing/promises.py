"""What splitting methods promise: rates, averagedness, and what steps do."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np

from monops.arrays import Array, epsilon, norm, to_numpy
from monops.errors import MonopsError, StepSizeError
from monops.solver import solve
from monops.splitting import SplittingMethod
from monops.splitting.state import State, arrays, each
from monops.testing.laws import Laws
from monops.testing.problems import Problem

# Steps far beyond what most proofs allow, as multiples of 1/L, and after how many of them a method is looked at.
FAR, FAR_STEPS = (30.0, 1000.0), 300
# For how many steps points are followed as they come nearer.
RATE_STEPS = 60


def tried_steps(method: SplittingMethod, L: float) -> Iterator[tuple[SplittingMethod, float]]:
    """The method at several steps, and these; the method itself where it has none."""
    if not hasattr(method, "step"):
        yield method, max(1.0, 1 / L)
        return
    for factor in (0.03, 0.3, 1.0, 3.0):
        yield method.with_step(factor / L), factor / L


def far_steps(laws: Laws, method: SplittingMethod, problem: Problem) -> None:
    """Where `prepare` takes a step far beyond 1/L, points stay bounded, and a solve that says so has converged.

    How fast it has to be cannot be said, but all proofs of convergence that are known bound the distance to the
    solution by a multiple of that of the start.
    """
    if not hasattr(method, "step"):
        return
    A, B = problem.operators(laws.draw)
    L, m = A.lipschitz, A.strong_monotonicity
    start, want = laws.normal(*problem.b.shape), laws.draw.put(problem.solution)
    size = np.maximum(np.linalg.norm(problem.solution, axis=-1), np.linalg.norm(problem.b, axis=-1))
    for factor in FAR:
        step = factor / L
        try:
            with np.errstate(all="ignore"):
                result = solve(method.with_step(step), A, B, start, tol=laws.tol, max_steps=FAR_STEPS, warn=False)
        except MonopsError:
            continue
        on = f"f = {problem.f.reference}, step {step:.3g} = {factor:g}/L, after {result.steps} steps"
        far = to_numpy(norm(result.point - want, 1))
        law = "with a step that prepare does not refuse it does not diverge: ‖point - z*‖ ≤ 1000·(‖start - z*‖ + ‖b‖)"
        laws.at_most(law, far, 1e3 * (to_numpy(norm(start - want, 1)) + size), on)
        law = "where it says that it converged, m‖point - z*‖ ≤ (1 + 2·step·L)·tol·(‖z*‖ + ‖b‖)"
        bound = np.where(result.converged, 2 * (1 + 2 * step * L) * laws.tol * (1 + m) * size, np.inf)
        laws.at_most(law, m * far, bound, on)


def uses_step(laws: Laws, method: SplittingMethod, problem: Problem) -> None:
    """Other steps make other states, already at the first few."""
    if not hasattr(method, "step"):
        return
    A, B = problem.operators(laws.draw)
    start, seen = laws.normal(*problem.b.shape), []
    for trial, step in tried_steps(method, A.lipschitz):
        try:
            plan = trial.prepare(A, B)
        except StepSizeError:
            continue
        state, parts = trial.start(plan, start), []
        for _ in range(3):
            done = trial.advance(plan, state)
            state = done.state
            parts += [to_numpy(part) for part in (*arrays(state), done.approximation())]
        seen.append((step, parts))
    for (step, parts), (other, others) in pairwise(seen):
        differ = any(np.linalg.norm(a - b) > laws.tol * np.linalg.norm(a) for a, b in zip(parts, others, strict=True))
        on = f"steps {step:.3g} and {other:.3g}, f = {problem.f.reference}"
        laws.true("its steps depend on its field `step`", differ, on, "the first three states and points are the same")


def proven_rate(laws: Laws, method: SplittingMethod, problem: Problem) -> None:
    """States come nearer to each other or their limit by the claimed rate; the best step has no better neighbour."""
    A, B = problem.operators(laws.draw)
    m, L = A.strong_monotonicity, A.lipschitz
    for trial, step in tried_steps(method, L):
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
            near = laws.draw.put(problem.solution)  # so that what is left to find is what else is in a state
            w = after_w = solve(trial, A, B, near, tol=1e-3 * laws.tol, max_steps=20000, warn=False).state
        for spread in (10.0, 1.0, 0.01):
            z = _near(laws, w, spread)
            before = trial.state_norm(plan, _difference(z, w))
            after = trial.state_norm(plan, _difference(trial.advance(plan, z).state, after_w))
            room = laws.tol * (1 + trial.state_norm(plan, z))
            laws.at_most(f"states contract by rate(m, L) = {rate:.4f}", after, rate * before + room, on)
    best = method.best_step(m, L)
    if best is not None and any(trial.rate(m, L) is not None for trial, _ in tried_steps(method, L)):
        rates = [method.with_step(best * factor).rate(m, L) for factor in (1.0, 0.8, 1.25)]
        laws.true("best_step has the smallest rate", rates[0] is not None, "", "it has none")
        laws.at_most("best_step has the smallest rate", rates[0], min(1.0 if r is None else r for r in rates[1:]))


def rate_of_operators(laws: Laws, method: SplittingMethod, problem: Problem) -> None:
    """`rate_for` and `gap_slack`, which `Result.predicted_rate` and `RateWarning` rest on."""
    A, B = problem.operators(laws.draw)
    m, L = A.strong_monotonicity, A.lipschitz
    start, want = laws.normal(*problem.b.shape, scale=3.0), laws.draw.put(problem.solution)
    room = 100 * laws.tol * (1 + to_numpy(norm(want, 1)) + np.linalg.norm(problem.b, axis=-1))
    for trial, step in tried_steps(method, L):
        try:
            plan = trial.prepare(A, B)
        except StepSizeError:
            continue
        rate, on = trial.rate_for(A, B), f"step {step:.3g}, f = {problem.f.reference}"
        if rate is None:
            continue
        laws.true("rate_for lies in [0, 1]", 0 <= rate <= 1, on, f"{rate}")
        known = trial.rate(m, L)
        law = "rate_for, where more is known than m and L, is not above rate(m, L)"
        laws.at_most(law, rate, (1.0 if known is None else known) * (1 + 1e-12), on)
        slack, state, points, gaps = trial.gap_slack(A, B), trial.start(plan, start), [], []
        for _ in range(1 + RATE_STEPS):
            done = trial.advance(plan, state)
            state = done.state
            points.append(to_numpy(norm(done.approximation() - want, 1)))
            gaps.append(to_numpy(_size(done.gap())))
        fall = rate ** np.arange(1 + RATE_STEPS)[:, None]
        law = f"points come nearer by rate_for = {rate:.4f} on the average: ‖yₖ - z*‖ ≤ 1000·rateᵏ·(‖y₀ - z*‖ + ‖b‖)"
        bound = 1e3 * fall * (points[0] + np.linalg.norm(problem.b, axis=-1))
        laws.at_most(law, np.array(points), bound + room, on)
        if slack is not None:
            law = f"gap_slack = {slack:.3g} for rate_for = {rate:.4f}: ‖gapₖ‖ ≤ gap_slack·rateᵏ·‖gap₀‖"
            laws.at_most(law, np.array(gaps[1:]), slack * fall[1:] * gaps[0] + room / step, on)


def averaged_and_gap(laws: Laws, method: SplittingMethod, problem: Problem) -> None:
    """What `Relaxed` and `RateWarning` rest on."""
    A, B = problem.operators(laws.draw)
    for trial, step in tried_steps(method, A.lipschitz):
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
    """‖Nz - Nw‖ ≤ ‖z - w‖ in `state_norm`, N = I + (T - I)/a, again and again, which finds where N stretches."""

    def N(v: State) -> State:
        return each(lambda old, new: old + (new - old) / a, v, method.advance(plan, v).state)

    for _ in range(6):
        before = method.state_norm(plan, _difference(z, w))
        room = laws.tol * (1 + _size(z) + _size(w)) / a
        z, w = N(z), N(w)
        if type(method).state_norm is not SplittingMethod.state_norm:  # a square root of terms that may cancel
            step = float(method.step)
            room = room + (epsilon(laws.draw.dtype) * max(step, 1 / step)) ** 0.5 * _size(_difference(z, w)) / a
        law = f"a step T is averaged with a = {a:.4g}: ‖Td‖² ≤ ‖d‖² - (1 - a)/a·‖d - Td‖²"
        laws.at_most(law, method.state_norm(plan, _difference(z, w)), before + room, on)


def _gap_is_step(laws: Laws, method: SplittingMethod, plan: Any, state: State, on: str) -> None:
    multiple = None
    for _ in range(6):
        done = method.advance(plan, state)
        gap, moved = _size(done.gap()), _size(_difference(done.state, state))
        multiple = float((gap / moved).max()) if multiple is None else multiple
        room = 10 * laws.tol * multiple * (1 + _size(state))
        laws.at_most("where gap_is_step, ‖gap‖ = c·‖z⁺ - z‖ at every step", abs(gap - multiple * moved), room, on)
        state = done.state


def _near(laws: Laws, state: State, spread: float) -> State:
    return each(lambda part: part + laws.normal(*part.shape, scale=spread), state)


def _size(state: State) -> Array:
    """The norm of each sample of a state: over all its arrays, if it is a tuple."""
    return sum(norm(part, part.ndim - 1) ** 2 for part in arrays(state)) ** 0.5


def _difference(z: State, w: State) -> State:
    return each(lambda one, other: one - other, z, w)
