"""Broyden's method on the steps of any method."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from monops.arrays import Array, namespace
from monops.options import require_integer
from monops.splitting.accelerated import Accelerated, Plan
from monops.splitting.state import per_sample


@dataclass(frozen=True)
class Broyden(Accelerated):
    """z ← z - H F(z), F = z - T(z), with H an approximate inverse Jacobian, improved by one rank a step.

    The good update: H ← H + (s - H y) sᵀH/(sᵀH y) for s = z - z₋ and y = F - F₋, from H = I. Classical for deep
    equilibrium models on top of `FixedPoint`; here on any method, and safeguarded by its step: ‖F‖ may rise five times
    in a row, as it often does before it falls. A sample's updates are forgotten when a proposal is refused.

    Args:
        method: whose steps T are used.
        memory: how many updates are kept, ≥ 1; then it starts anew. They take two states each.

    Raises:
        OptionError: `memory` is outside its range.
        ConditionError: from `start`, if the method's state holds more than unknowns, as that of `FISTA` does.

    Source: Broyden 1965 (*A class of methods for solving nonlinear simultaneous equations*), method 1; Bai, Kolter &
    Koltun 2019, for equilibrium models.

    Example:
        >>> import torch
        >>> from monops import Affine, Dense, DouglasRachford, ReLU, Subdifferential, solve
        >>> A = Affine(Dense(torch.tensor([[0.1, -1.0], [1.0, 0.1]])), torch.tensor([1.0, 1.0]))
        >>> solve(Broyden(DouglasRachford(1.0)), A, Subdifferential(ReLU())).status.name
        'CONVERGED'
    """

    patience: ClassVar[int] = 5

    memory: int = 50

    def __post_init__(self) -> None:
        super().__post_init__()
        require_integer("Broyden.memory", self.memory)

    def remember(self, z: Array, none: Array) -> Any:
        return -1, z, z, none, ((0 * z, 0 * z),) * self.memory

    def propose(self, plan: Plan, z: Array, Tz: Array, accepted: Array, memory: Any) -> tuple[Array, Any]:
        xp, rank, F = namespace(z), plan.rank, z - Tz
        count, z_before, F_before, forgotten, slots = memory
        if count < 0:
            return Tz, (0, z, F, forgotten, slots)
        count, forgotten = (0, 0 * forgotten) if count == self.memory else (count, forgotten)
        updates = slots[:count]
        left, right = (xp.stack(side) for side in zip(*updates, strict=True)) if updates else (F[None] * 0,) * 2
        # The first so many updates are of no use to a sample; to ask whether it has any would wait for the device.
        forgotten = xp.where(accepted, forgotten, float(count))
        order = xp.cumsum(xp.ones_like(left[(..., *(slice(1),) * rank)]), 0)
        is_known = order > forgotten

        def products(side: Array, x: Array) -> Array:
            return xp.where(is_known, per_sample(side * x, rank), 0.0)

        s, y = z - z_before, F - F_before
        # With H = I + Σ u vᵀ, all u in `left` and all v in `right`.
        Hy, HF = (x + (left * products(right, x)).sum(0) for x in (y, F))
        weight = per_sample(s * Hy, rank)
        usable = accepted & (abs(weight) > 1e-8 * per_sample(s * s, rank))
        u = xp.where(usable, (s - Hy) / xp.where(usable, weight, 1.0), 0.0)
        v = xp.where(usable, s + (right * products(left, s)).sum(0), 0.0)
        proposal = z - HF - u * per_sample(v * F, rank)
        return proposal, (count + 1, z, F, forgotten, (*updates, (u, v), *slots[count + 1 :]))
