"""Semismooth Newton on the fixed points of Douglas-Rachford splitting."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import torch

from monops.arrays import Array, cast, known_true, namespace, norm
from monops.errors import NotConvergedError, OptionError, SingularError
from monops.linear import Dense, Diagonal, Identity, LinearOperator
from monops.options import shown
from monops.splitting.accelerated import Accelerated, Plan
from monops.splitting.base import SplittingMethod, StepSize
from monops.splitting.douglas_rachford import DouglasRachford
from monops.splitting.state import per_sample

# A full step is taken where ‖S(z) - z‖ falls to this share of itself; else the best of it, these shares of it, and S's.
DESCENT, SHORTER = 0.95, (0.7, 0.5, 0.3, 0.15, 0.07, 0.03)


@dataclass(frozen=True)
class SemismoothNewton(Accelerated):
    """z ← z + (I - S')⁻¹ (S(z) - z), S = R_B R_A, with R_A and R_B the reflected resolvents of A and B.

    S' is an element of Clarke's Jacobian: the product of the derivatives of the two reflections. Where they are
    matrices the system is solved directly, one a sample; otherwise matrix-free by GMRES, to which R_A is the
    preconditioner, as it were: it is in the operator. If B is piecewise linear, it ends exactly after a few steps.
    Where a full step does not bring ‖S(z) - z‖ down, as on strongly skew problems, the best of some shorter ones and of
    the Douglas-Rachford step is taken, which never increases it; so no step is lost to cycles.

    Args:
        step: α in (0, ∞), or "auto". It matters little.

    Source: Qi & Sun 1993 (*A nonsmooth version of Newton's method*), theorem 3.2; on splittings, Xiao, Li, Wen & Zhang
    2018 (*A regularized semi-smooth Newton method with projection steps for composite convex programs*).

    Example:
        >>> import torch
        >>> from monops import Affine, Dense, ReLU, Subdifferential, solve
        >>> A = Affine(Dense(torch.tensor([[0.1, -1.0], [1.0, 0.1]])), torch.tensor([1.0, 1.0]))
        >>> solve(SemismoothNewton(1.0), A, Subdifferential(ReLU())).steps < 5
        True
    """

    check_every: ClassVar[int] = 1

    method: SplittingMethod = field(init=False, repr=False)
    step: StepSize = 1.0

    def __post_init__(self) -> None:
        if isinstance(self.step, SplittingMethod):
            raise OptionError(
                f"SemismoothNewton wraps no method, it is built on DouglasRachford: write SemismoothNewton(1.0), got "
                f"{shown(self.step)}"
            )
        SplittingMethod.__post_init__(self)
        object.__setattr__(self, "method", DouglasRachford(self.step))

    def with_step(self, step: StepSize) -> SemismoothNewton:
        return SemismoothNewton(step)

    def propose(self, plan: Plan, z: Array, Tz: Array, accepted: Array, memory: Any) -> tuple[Array, Any]:
        R_A, J_B = plan.inner
        xp, u, column = namespace(z), R_A(z), (..., *(None,) * plan.rank)
        # A sample with a NaN, which is never accepted again, must not spoil the system of the others.
        is_sound = per_sample(cast(~xp.isfinite(Tz + u), z.dtype), plan.rank) == 0
        u, z_sound = xp.where(is_sound, u, 0.0), xp.where(is_sound, z, 0.0)
        derivative = J_B.reflected().derivative(u) @ R_A.derivative(z_sound)
        # A Douglas-Rachford step goes half of the way from z to S(z).
        try:
            d = _solve(derivative, xp.where(is_sound, 2 * (Tz - z), 0.0))
        except (NotConvergedError, SingularError):  # where I - S' is singular, or nearly so
            return Tz, ()

        def size(x: Array) -> Array:
            return norm(self.method.advance(plan.inner, x).state - x, plan.rank)[column]

        proposal, least = z + d, size(z + d)
        falls = least <= DESCENT * norm(Tz - z, plan.rank)[column]
        if not known_true((falls | ~is_sound | ~accepted).all()):
            for trial in (Tz, *(z + t * d for t in SHORTER)):
                other = size(trial)
                is_less = ~falls & ~(other >= least)
                proposal, least = xp.where(is_less, trial, proposal), xp.where(is_less, other, least)
        return proposal, ()

    def best_step(self, m: float, L: float) -> float | None:
        return 1 / L if 0 < L < math.inf else None


def _solve(derivative: LinearOperator, b: Array) -> Array:
    """(I - derivative)⁻¹ b; what is not finite where a matrix is singular, and b/2, a step, where an entry is."""
    if isinstance(derivative, Diagonal):
        xp, entries = namespace(b), 1 - derivative.entries
        return b / xp.where(entries == 0, 2.0, entries)
    if not isinstance(derivative, Dense):
        return (-derivative).resolvent(1.0).apply(b)
    matrix = (Identity.like(derivative) - derivative).to_dense()
    if isinstance(matrix, torch.Tensor):
        return torch.linalg.solve_ex(matrix, b[..., None]).result[..., 0]
    try:
        return np.linalg.solve(matrix, b[..., None])[..., 0]
    except np.linalg.LinAlgError:
        return np.full_like(b, np.nan)
