"""Semismooth Newton on the fixed points of Douglas-Rachford splitting."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, ClassVar

from monops.arrays import Array, cast, namespace
from monops.splitting.accelerated import Accelerated, Plan
from monops.splitting.base import SplittingMethod, StepSize
from monops.splitting.douglas_rachford import DouglasRachford
from monops.splitting.state import per_sample


@dataclass(frozen=True)
class SemismoothNewton(Accelerated):
    """z ← z + (I - S')⁻¹ (S(z) - z), S = R_B R_A, with R_A and R_B the reflected resolvents of A and B.

    S' is an element of Clarke's Jacobian: the product of the derivatives of the two reflections. Where they are
    matrices the system is solved directly, one a sample; otherwise matrix-free by GMRES, to which R_A is the
    preconditioner, as it were: it is in the operator. If B is piecewise linear, it ends exactly after a few steps.
    Safeguarded by the steps of Douglas-Rachford splitting, to which it falls back, so it converges from everywhere.

    Args:
        step: α in (0, ∞), or "auto". It matters little.

    Raises:
        NotConvergedError: GMRES did not reach its tolerance.

    Source: Qi & Sun 1993 (*A nonsmooth version of Newton's method*); on splittings, Xiao, Li, Wen & Zhang 2018 (*A
    regularized semi-smooth Newton method with projection steps for composite convex programs*).

    Example:
        >>> import torch
        >>> from monops import Affine, Dense, ReLU, Subdifferential, solve
        >>> A = Affine(Dense(torch.tensor([[0.1, -1.0], [1.0, 0.1]])), torch.tensor([1.0, 1.0]))
        >>> solve(SemismoothNewton(1.0), A, Subdifferential(ReLU()), check_every=1).steps < 5
        True
    """

    patience: ClassVar[int] = 10

    method: SplittingMethod = field(init=False)
    step: StepSize = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "method", DouglasRachford(self.step))

    def with_step(self, step: StepSize) -> SemismoothNewton:
        return SemismoothNewton(step)

    def propose(self, plan: Plan, z: Array, Tz: Array, accepted: Array, memory: Any) -> tuple[Array, Any]:
        R_A, J_B = plan.inner
        xp, u = namespace(z), R_A(z)
        # A sample with a NaN, which is never accepted again, must not spoil the system of the others.
        is_sound = per_sample(cast(~xp.isfinite(Tz + u), z.dtype), plan.rank) == 0
        u, z_sound = xp.where(is_sound, u, 0.0), xp.where(is_sound, z, 0.0)
        derivative = J_B.reflected().derivative(u) @ R_A.derivative(z_sound)
        # A Douglas-Rachford step goes half of the way from z to S(z).
        return z + (-derivative).resolvent(1.0).apply(xp.where(is_sound, 2 * (Tz - z), 0.0)), ()

    def best_step(self, m: float, L: float) -> float | None:
        return 1 / L if 0 < L < math.inf else None
