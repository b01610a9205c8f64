"""Projective splitting."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

from monops.arrays import Array, namespace
from monops.monotone import MonotoneOperator
from monops.monotone.base import common_rank
from monops.splitting.base import SplittingMethod, Step, StepSize
from monops.splitting.state import per_sample


class PointAndDual(NamedTuple):
    """z and w with, at a solution, w ∈ B(z) and -w ∈ A(z)."""

    z: Array
    w: Array


@dataclass(frozen=True)
class ProjectiveSplitting(SplittingMethod):
    """(z, w) ← its projection on a half-space that holds all solutions, found by one resolvent of A and one of B.

    x = J_A(z - α w), a = (z - α w - x)/α ∈ A(x); y = J_B(z + α w), b = (z + α w - y)/α ∈ B(y). Solutions (z*, w*)
    fulfil ⟨z* - x, a + w*⟩ + ⟨z* - y, b - w*⟩ ≤ 0. Converges for every step > 0.

    Args:
        step: α in (0, ∞), or "auto".

    Source: Eckstein & Svaiter 2008 (*A family of projective splitting methods for the sum of two maximal monotone
    operators*), algorithm 1 with equal steps and no relaxation.

    Example:
        >>> import torch
        >>> from monops import Affine, Dense, ReLU, Subdifferential, solve
        >>> A = Affine(Dense(torch.tensor([[2.0, -1.0], [1.0, 2.0]])), torch.tensor([1.0, -1.0]))
        >>> solve(ProjectiveSplitting(0.5), A, Subdifferential(ReLU())).point.round(decimals=3).abs()
        tensor([0.5000, 0.0000])
    """

    step: StepSize = 1.0

    def prepare(self, A: MonotoneOperator, B: MonotoneOperator) -> tuple[Any, ...]:
        step = self._numeric_step()
        return A.resolvent(step), B.resolvent(step), common_rank(A, B)

    def start(self, plan: tuple[Any, ...], z0: Array) -> PointAndDual:
        return PointAndDual(z0, 0 * z0)

    def advance(self, plan: tuple[Any, ...], state: PointAndDual) -> Step:
        J_A, J_B, rank = plan
        z, w = state
        x = J_A(z - self.step * w)
        y = J_B(z + self.step * w)
        a, b = (z - x) / self.step - w, (z - y) / self.step + w
        # Solutions lie in the half-space ⟨(z, w), (a + b, y - x)⟩ ≤ ⟨x, a⟩ + ⟨y, b⟩, onto which the state is projected.
        excess = per_sample((z - x) * (a + w) + (z - y) * (b - w), rank)
        size = per_sample((a + b) ** 2 + (x - y) ** 2, rank)
        length = excess / namespace(z).where(size > 0, size, 1.0)
        return Step(
            PointAndDual(z - length * (a + b), w - length * (y - x)),
            point=x,
            gap=lambda: (a + b, (y - x) / self.step),
        )

    def best_step(self, m: float, L: float) -> float | None:
        return 1 / L if 0 < L < math.inf else None
