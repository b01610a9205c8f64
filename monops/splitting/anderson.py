"""Anderson acceleration of any method."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from monops.arrays import Array, device_of, epsilon, eye, flatten_trailing, is_torch, namespace
from monops.options import require_integer
from monops.splitting.accelerated import Accelerated, Plan


@dataclass(frozen=True)
class Anderson(Accelerated):
    """z ← T(z) - Σ γᵢ ΔTᵢ, γ minimising ‖F - Σ γᵢ ΔFᵢ‖ with F = T(z) - z: type II, for each sample by itself.

    ΔTᵢ and ΔFᵢ are the differences of the last steps. Safeguarded: a proposal which does not bring ‖F‖ down is replaced
    by the method's own step, and that sample's memory is emptied. Small least-squares problems are solved by their
    normal equations, regularised at the level of rounding, so a singular system does no harm.

    Args:
        method: whose steps T are accelerated.
        memory: how many differences are kept, ≥ 1.

    Raises:
        OptionError: `memory` is outside its range.
        ConditionError: from `start`, if the method's state holds more than unknowns, as that of `FISTA` does.

    Source: Anderson 1965; Walker & Ni 2011 (*Anderson acceleration for fixed-point iterations*), algorithm AA; called
    type II by Fang & Saad 2009 (*Two classes of multisecant methods for nonlinear acceleration*). Safeguard in the
    spirit of Zhang, O'Donoghue & Boyd 2020.

    Example:
        >>> import torch
        >>> from monops import Affine, Dense, DouglasRachford, ReLU, Subdifferential, solve
        >>> A = Affine(Dense(torch.tensor([[0.1, -1.0], [1.0, 0.1]])), torch.tensor([1.0, 1.0]))
        >>> plain, fast = (
        ...     solve(method, A, Subdifferential(ReLU()), check_every=1).steps
        ...     for method in (DouglasRachford(1.0), Anderson(DouglasRachford(1.0)))
        ... )
        >>> fast < plain
        True
    """

    memory: int = 10

    def __post_init__(self) -> None:
        super().__post_init__()
        require_integer("Anderson.memory", self.memory)

    def remember(self, z: Array, none: Array) -> Any:
        return 0, z, z, ((0 * z, 0 * z),) * self.memory

    def propose(self, plan: Plan, z: Array, Tz: Array, accepted: Array, memory: Any) -> tuple[Array, Any]:
        xp, F = namespace(z), Tz - z
        count, T_before, F_before, differences = memory
        if count == 0:
            return Tz, (1, Tz, F, differences)
        # Where a proposal was refused, this difference and all before it count for nothing.
        newest = Tz - T_before, F - F_before
        differences = tuple(tuple(xp.where(accepted, d, 0.0) for d in pair) for pair in (*differences[1:], newest))
        dF = xp.stack([flatten_trailing(f, plan.rank) for _, f in differences], -2)
        gamma = _least_squares(dF, flatten_trailing(F, plan.rank))
        proposal = Tz
        for i, (dT, _) in enumerate(differences):
            proposal = proposal - gamma[..., i][(..., *(None,) * plan.rank)] * dT
        return proposal, (count + 1, Tz, F, differences)


def _least_squares(rows: Array, target: Array) -> Array:
    """γ minimising ‖target - Σ γᵢ rowsᵢ‖. Shapes: (*batch, k, n), (*batch, n) → (*batch, k)."""
    xp = namespace(rows)
    size = (rows * rows).sum(-1) ** 0.5
    unit = rows / xp.where(size > 0, size, 1.0)[..., None]
    gram = unit @ unit.swapaxes(-1, -2)
    level = 10 * epsilon(rows.dtype) * rows.shape[-2]
    regular = gram + level * eye(rows.shape[-2], rows.dtype, device_of(rows))
    right = unit @ target[..., None]
    # `solve` would wait for the device, to see whether the matrix is singular.
    solution = torch.linalg.solve_ex(regular, right).result if is_torch(rows) else np.linalg.solve(regular, right)
    return solution[..., 0] / xp.where(size > 0, size, 1.0)
