"""What comparisons of splitting methods return."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from monops.result import Status
from monops.splitting import SplittingMethod


@dataclass(frozen=True)
class Trial:
    """One method on one problem.

    Attributes:
        method: the name of the method in the comparison.
        problem: the name of the problem.
        status: how the solve ended, or None where the method refused the problem.
        refusal: the message with which it refused, or "".
        solver: the method itself, with its step as a number; None where it refused.
        steps: at which the residual was looked at: each of them.
        residual: the largest of the samples' residuals at each.
        calls: operator calls of all kinds up to each.
        calls_by_kind: how many calls there were of "apply", "resolvent", "linear" and "derivative".
        seconds_per_step: measured without looks at the residual, on the whole batch.
        setup: seconds for what a solve does before its first step, factorisations above all.
        tuning: seconds that finding the step took; 0 for a method with a number.
        tol: the tolerance of the solve; what `reached` and `seconds_to` ask for unless told.
        predicted_rate: the contraction a step that is proven; None where nothing is, or where the constants of A are
            not known and cost too much (see `Result.is_rate_affordable`).
        measured_rate: the contraction a step over the last looks.
    """

    method: str
    problem: str
    status: Status | None = None
    refusal: str = ""
    solver: SplittingMethod | None = field(default=None, repr=False)
    steps: tuple[int, ...] = field(default=(), repr=False)
    residual: tuple[float, ...] = field(default=(), repr=False)
    calls: tuple[int, ...] = field(default=(), repr=False)
    calls_by_kind: Mapping[str, int] = field(default_factory=dict, repr=False)
    seconds_per_step: float = math.nan
    setup: float = math.nan
    tuning: float = 0.0
    tol: float = math.nan
    predicted_rate: float | None = None
    measured_rate: float = math.nan

    @property
    def seconds(self) -> tuple[float, ...]:
        """Seconds from the beginning of a solve to each of `steps`; the search for a step size is not among them."""
        return tuple(self.setup + k * self.seconds_per_step for k in self.steps)

    @property
    def steps_made(self) -> int:
        """How many steps the solve took; none for an empty batch."""
        return self.steps[-1] if self.steps else 0

    def reached(self, tol: float | None = None) -> int | None:
        """The place in `steps`, `calls` and `seconds` of the first residual ≤ tol; None if there is none."""
        tol = self.tol if tol is None else tol
        return next((i for i, residual in enumerate(self.residual) if residual <= tol), None)

    def seconds_to(self, tol: float | None = None) -> float:
        """Seconds to the first residual ≤ tol; infinite if there is none. To solve an empty batch takes the setup."""
        if not self.steps and self.status is Status.CONVERGED:
            return self.setup
        place = self.reached(tol)
        return math.inf if place is None else self.seconds[place]


@dataclass(frozen=True)
class Comparison:
    """What `compare` measured.

    Attributes:
        rows: one `Trial` for each method on each problem.
        tol: the tolerance that was asked for; None where each solve had that of its dtype, which its trial tells.
    """

    rows: tuple[Trial, ...] = field(repr=False)
    tol: float | None

    def __str__(self) -> str:
        return self.table()

    def fastest(self, tol: float | None = None) -> dict[str, Trial]:
        """For each problem, the trial that came to a residual ≤ tol in the fewest seconds; not those nobody solved.

        Args:
            tol: that of each trial unless given; not below it, as solves end there.
        """
        best: dict[str, Trial] = {}
        for row in self.rows:
            before = best[row.problem].seconds_to(tol) if row.problem in best else math.inf
            if row.seconds_to(tol) < before:
                best[row.problem] = row
        return best

    def cells(self) -> list[tuple[str, ...]]:
        """The table as text, its headings first; the command line prints it too."""
        heads = ("problem", "method", "status", "steps", "calls", "residual", "µs/step", "setup ms", "ms")
        lines: list[tuple[str, ...]] = [heads]
        for row in self.rows:
            if row.status is None:
                lines.append((row.problem, row.method, f"refused: {row.refusal}", *("",) * 6))
                continue
            calls, residual = (row.calls[-1], row.residual[-1]) if row.steps else (0, 0.0)
            total = f"{1e3 * (row.setup + row.steps_made * row.seconds_per_step):.2f}"
            figures = (row.steps_made, calls, f"{residual:.1e}", f"{1e6 * row.seconds_per_step:.1f}")
            lines.append(
                (row.problem, row.method, row.status.name, *map(str, figures), f"{1e3 * row.setup:.2f}", total)
            )
        return lines

    def table(self) -> str:
        """The measurements as plain text, one line a trial; a refusal shows its message."""
        lines = self.cells()
        is_refusal = [len(line[3]) == 0 for line in lines]
        widths = [
            max(len(line[i]) for line, refused in zip(lines, is_refusal, strict=True) if not (refused and i == 2))
            for i in range(len(lines[0]))
        ]
        text = []
        for line in lines:
            left = [cell.ljust(width) for cell, width in zip(line[:3], widths, strict=False)]
            right = [cell.rjust(width) for cell, width in zip(line[3:], widths[3:], strict=True)]
            text.append("  ".join([*left, *right]).rstrip())
        return "\n".join(text)

    def plot(self) -> Any:
        """A matplotlib `Figure`: residual against steps, operator calls and seconds, one line a method.

        One row of panels a problem. Where a rate is proven, a dotted line over the steps falls by it, and a
        dash-dotted one by the rate measured. Needs matplotlib, of the extra `train`.
        """
        from monops import plots

        return plots.comparison(self.rows)

    def to_dict(self) -> dict[str, Any]:
        """All figures as plain data, for JSON."""
        return {"tol": self.tol, "trials": [_plain(row) for row in self.rows]}


@dataclass(frozen=True)
class Choice:
    """What `choose` chose, and why.

    Attributes:
        method: the fastest method, with its step as a number.
        name: its name.
        report: what was chosen and why, in text: times, steps and refusals of all.
        comparison: the measurements.
    """

    method: SplittingMethod
    name: str
    report: str = field(repr=False)
    comparison: Comparison = field(repr=False)

    def __str__(self) -> str:
        return self.report


def _plain(row: Trial) -> dict[str, Any]:
    def number(value: float) -> float | None:
        return value if math.isfinite(value) else None

    return {
        "method": row.method,
        "problem": row.problem,
        "status": None if row.status is None else row.status.name,
        "refusal": row.refusal or None,
        "step": getattr(row.solver, "step", None),
        "steps": list(row.steps),
        "residual": [number(value) for value in row.residual],
        "calls": list(row.calls),
        "calls_by_kind": dict(row.calls_by_kind),
        "seconds_per_step": number(row.seconds_per_step),
        "setup": number(row.setup),
        "tuning": row.tuning,
        "tol": number(row.tol),
        "predicted_rate": row.predicted_rate,
        "measured_rate": number(row.measured_rate),
    }
