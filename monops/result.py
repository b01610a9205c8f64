"""What a solve returns."""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch

from monops.arrays import Array, detach, device_of, epsilon, floating, norm, to_numpy
from monops.errors import MonopsError, NoResolventError, NotSingleValuedError, OptionError
from monops.monotone import MonotoneOperator
from monops.monotone.base import common_rank
from monops.splitting import SplittingMethod, State

# What a step costs beside its products, in operations; what the two spectral facts of n unknowns cost, in units of n³;
# and the share of a run that computing them may cost, where only the comparison of rates asks for them.
STEP_COST, FACTS_COST, FACTS_SHARE = 1e6, 20, 0.1


class Status(enum.IntEnum):
    """How a solve ended; for a batch, the worst of its samples.

    MAX_STEPS: out of steps. INTERRUPTED: the callback raised, see `solve`. STALLED: the residual has come to rest above
    the tolerance, as where there is no solution, or a method cycles. NON_FINITE: a NaN or infinity.
    """

    CONVERGED = 0
    MAX_STEPS = 1
    INTERRUPTED = 2
    STALLED = 3
    NON_FINITE = 4

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class History:
    """The residuals of all samples at each convergence check.

    Attributes:
        steps: number of steps done at each check.
        residual: shape (checks, *batch); a sample that is done keeps its last value.
    """

    steps: list[int]
    residual: np.ndarray

    def rate(self, last: int = 5) -> float:
        """Measured contraction a step of the largest residual, over the last checks; NaN with fewer than two."""
        worst = self.residual.reshape(len(self.steps), math.prod(self.residual.shape[1:])).max(1, initial=0)
        k = min(last, len(self.steps) - 1)
        if k < 1 or worst[-1 - k] <= 0:
            return math.nan
        return float((worst[-1] / worst[-1 - k]) ** (1 / (self.steps[-1] - self.steps[-1 - k])))


@dataclass(frozen=True, eq=False)
class Result:
    """A solution of 0 ∈ A(z) + B(z), and how it was reached.

    Attributes:
        point: the solution, shape (*batch, *domain); each sample as it was when its own residual met the tolerance, or,
            of unrolled steps, after the last one.
        state: the method's last state, from which a later solve may start.
        status: of the whole batch.
        steps: iterations done.
        sample_steps: iterations until each sample was done, shape (*batch).
        residual: relative residual of each sample, shape (*batch): ‖gap‖ / max(‖point‖, ‖A(0)‖), with the divisor
            kept from 0 by atol/tol and by the rounding of ‖z0‖.
        converged: which samples met the tolerance, shape (*batch).
        history: residuals over the course of the solve.
        method: the method used, with its step as a number.
        problem: the operators A and B, kept for the error bound; or None where only figures are kept.
        record: of `equilibrium`, where `backward` finds the last linearised solve; else empty.
        search: with `step="auto"`, the `StepSearch` that tells which step was chosen, and why; else None.
        first_look: ‖gap‖ of each sample at the first check, and what residuals are relative to beside ‖point‖.
    """

    point: Array = field(repr=False)
    state: State = field(repr=False)
    status: Status
    steps: int
    sample_steps: np.ndarray = field(repr=False)
    residual: np.ndarray = field(repr=False)
    converged: np.ndarray = field(repr=False)
    history: History = field(repr=False)
    method: SplittingMethod
    problem: tuple[MonotoneOperator, MonotoneOperator] | None = field(repr=False)
    record: dict[str, Result] = field(default_factory=dict, repr=False)
    search: Any = field(default=None, repr=False)
    first_look: tuple[Array, Array] | None = field(default=None, repr=False)

    @property
    def error_bound(self) -> np.ndarray:
        """A bound on the distance of each point to the true solution; see `error_bound`. Shape (*batch)."""
        step = getattr(self.method, "step", 1.0)
        return error_bound(*self._operators(), self.point, step=step)

    @property
    def backward(self) -> Result | None:
        """The last linearised solve made to differentiate this result of `equilibrium`, if there was one.

        Without point, state and problem, which take memory that the derivative needs.
        """
        return self.record.get("backward")

    @property
    def predicted_rate(self) -> float | None:
        """The contraction factor a step which theory promises for this problem, or None.

        From what A and B know of themselves, which is computed now unless it is known: of a matrix the strong
        monotonicity and the Lipschitz constant, by its eigenvalues and singular values.
        """
        return self.method.rate_for(*self._operators())

    @property
    def measured_rate(self) -> float:
        """The contraction a step of the largest residual over the last checks; NaN with fewer than two."""
        return self.history.rate()

    @property
    def rate_excess(self) -> float:
        """How many times larger ‖gap‖ has become than `predicted_rate` allows; NaN where that cannot be told.

        For methods with a `gap_slack`: 1 where ‖gap‖ is a multiple of ‖z⁺ - z‖, which falls by the rate at each step
        from the first one on. Looked at from the first check to the last; and also from where the residual bounds the
        error to a tenth, so that the point, which the residual is relative to, hardly changes, down to the level of
        rounding. Up to about 1.5 says nothing; more shows that the operators do not have the constants they claim, or
        that an adjoint is wrong.
        """
        A, B = self._operators()
        slack = self.method.gap_slack(A, B)
        rate = None if slack is None else self.predicted_rate
        if slack is None or not rate:
            return math.nan
        m, L = A.strong_monotonicity + B.strong_monotonicity, min(A.lipschitz, B.lipschitz)
        alpha = float(getattr(self.method, "step", 1.0))
        steps = np.array(self.history.steps)[:, None]
        residual = self.history.residual.astype(np.float64).reshape(len(steps), math.prod(self.residual.shape))
        is_near = residual * (1 + alpha * L) <= 0.1 * m
        is_near &= (residual > 1e4 * epsilon(self.point.dtype)) & (steps <= self.sample_steps.reshape(-1))
        excess = [math.nan, self._excess_from_first(slack, rate)]
        for sample in range(residual.shape[1]):
            (at,) = np.nonzero(is_near[:, sample])
            if len(at) > 1:
                first, last = residual[at[0], sample], residual[at[-1], sample]
                grown = math.log(last / first / slack) - (steps[at[-1], 0] - steps[at[0], 0]) * math.log(rate)
                excess.append(math.exp(min(grown, 700.0)))
        known = [value for value in excess if not math.isnan(value)]
        return max(known) if known else math.nan

    def _excess_from_first(self, slack: float, rate: float) -> float:
        """That from the first check to the last one of each sample, where the residual is not rounding yet."""
        if self.first_look is None or self.point is None:
            return math.nan
        rank = self.point.ndim - self.residual.ndim
        first, scale = (to_numpy(part).astype(np.float64).reshape(-1) for part in self.first_look)
        size = to_numpy(norm(detach(self.point), rank)).astype(np.float64).reshape(-1)
        residual, steps = (x.astype(np.float64).reshape(-1) for x in (self.residual, self.sample_steps))
        with np.errstate(all="ignore"):
            last = residual * np.maximum(size, scale)
            # By logarithms: of a run that diverges, the excess may be beyond all numbers.
            logs = np.log(last / first / slack) - (steps - self.history.steps[0]) * math.log(rate)
            excess = np.exp(np.minimum(logs, 700.0))
        excess = excess[(residual > 1e4 * epsilon(self.point.dtype)) & ~np.isnan(excess)]
        return float(excess.max(initial=-math.inf)) if excess.size else math.nan

    @property
    def is_rate_affordable(self) -> bool:
        """Whether `predicted_rate` costs little beside what the solve has cost.

        So it does where the facts of A and B are known already: the step size was found from them, the method asked
        for them, or there is no matrix, but claims. Elsewhere not on a GPU, which would wait long for an eigenvalue;
        and on the CPU where the run was so long that the facts of a matrix, at an estimate from the numbers of
        unknowns, samples and steps, cost a tenth of it at most.
        """
        A, B = self._operators()
        facts = ("strong_monotonicity", "lipschitz")
        sizes = [math.prod(op.domain or ()) for op in (A, B) if not all(map(op.is_known, facts))]
        if not sizes or self.search is not None:
            return True
        if device_of(self.point).type != "cpu":
            return False
        n, samples = max(sizes), self.residual.size
        run = self.steps * (STEP_COST + 2 * samples * float(n) ** 2)
        return STEP_COST + FACTS_COST * float(n) ** 3 <= FACTS_SHARE * run

    @property
    def is_slower_than_proven(self) -> bool:
        """Whether `rate_excess`, where it can be had and is affordable, shows that a constant of A is wrong."""
        if not (len(self.history.steps) > 1 and self.is_rate_affordable):
            return False
        try:
            return self.rate_excess > 2
        except MonopsError:  # the facts are not to be had, and the method did without them
            return False

    def _operators(self) -> tuple[MonotoneOperator, MonotoneOperator]:
        if self.problem is None:
            raise OptionError("this result was kept without its problem: it tells steps and residuals only")
        return self.problem

    def figures(self) -> Result:
        """The same result without its arrays and operators: what is left are status, steps and residuals."""
        return replace(self, point=None, state=None, problem=None, first_look=None)


def error_bound(A: MonotoneOperator, B: MonotoneOperator, point: Array, *, step: float = 1.0) -> np.ndarray:
    """A certified bound on ‖point - z*‖, where 0 ∈ A(z*) + B(z*), for any point however it was found.

    One forward-backward step gives y = J_B(point - step·A(point)) and an element g of (A + B)(y). Since A + B is
    strongly monotone with constant m, ‖y - z*‖ ≤ ‖g‖/m, and ‖point - z*‖ ≤ ‖point - y‖ + ‖g‖/m.

    Shapes: `point` (*batch, *domain) → (*batch); infinite where m = 0, A is set-valued or B has no resolvent.

    Args:
        A: single-valued.
        B: any monotone operator with a resolvent.
        point: of the type that the operators take.
        step: any number in (0, ∞); the bound is valid for all and tightest near 1/L.

    Raises:
        DTypeError: `point` is no array of float32 or float64 numbers.
    """
    floating(point)
    rank = common_rank(A, B)
    m = A.strong_monotonicity + B.strong_monotonicity
    with torch.no_grad():
        try:
            forward, J_B = A.apply(point), B.resolvent(step)
        except (NotSingleValuedError, NoResolventError):
            m = 0.0
        if m == 0:
            return np.full(tuple(point.shape[: point.ndim - rank]), math.inf)
        y = J_B(point - step * forward)
        g = (point - y) / step + A.apply(y) - forward
        return to_numpy(norm(point - y, rank) + norm(g, rank) / m)
