"""The report of a verification."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Check:
    """One comparison: what, the relative error, and the largest error allowed."""

    name: str
    error: float
    tolerance: float

    @property
    def passed(self) -> bool:
        """Whether the error is a number within the tolerance."""
        return bool(self.error <= self.tolerance)


@dataclass(frozen=True)
class Report:
    """All comparisons of a verification; true where every one of them passed."""

    checks: tuple[Check, ...]

    @property
    def passed(self) -> bool:
        """Whether there was a check and all passed."""
        return bool(self.checks) and all(check.passed for check in self.checks)

    @property
    def worst(self) -> float:
        """The largest error; NaN if there is one, or no check."""
        return float(np.max([check.error for check in self.checks])) if self.checks else math.nan

    def __bool__(self) -> bool:
        return self.passed

    def __str__(self) -> str:
        width = max((len(check.name) for check in self.checks), default=0)
        lines = [
            f"{'ok  ' if c.passed else 'FAIL'}  {c.name:<{width}}  {c.error:.1e}  (≤ {c.tolerance:.0e})"
            for c in self.checks
        ]
        failed = sum(not check.passed for check in self.checks)
        return "\n".join([*lines, f"{len(self.checks) - failed} passed, {failed} failed"])

    def to_dict(self) -> dict[str, Any]:
        """Plain data, for JSON."""
        rows = [{"name": c.name, "error": c.error, "tolerance": c.tolerance, "passed": c.passed} for c in self.checks]
        return {"passed": self.passed, "checks": rows}
