"""Forward-backward splitting that measures its step size as it goes."""

from __future__ import annotations

import contextlib
import math
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch

from monops.arrays import Array, detach, device_of, full, is_torch, namespace, norm, to_numpy
from monops.monotone import MonotoneOperator
from monops.monotone.base import common_rank
from monops.options import require_number
from monops.splitting.base import SplittingMethod, Step
from monops.splitting.parts import require_gradient


class Measured(NamedTuple):
    """A point and the one before it, with A there; the step of each sample, and its ratio to the one before."""

    x: Array
    before: Array
    A_before: Array
    step: Array
    ratio: Array


@dataclass(frozen=True)
class AdaptiveForwardBackward(SplittingMethod):
    """x ← J_B(x - αₖ A(x)), with αₖ from the differences of the last two gradients: no constant has to be known.

    For A = ∇f with f convex and locally smooth. αₖ₊₁ = min(√(⅔ + αₖ/αₖ₋₁) αₖ, αₖ/√[2αₖ²Lₖ² - 1]₊) with Lₖ = ‖A(x) -
    A(x₋)‖/‖x - x₋‖, for each sample by itself. The resolvent of B is taken at all these steps at once where B is zero,
    or the subdifferential of a function with `takes_steps`; elsewhere sample by sample, and each step waits for the
    device once.

    Args:
        first_step: α₀ in (0, ∞). Far too small a one costs steps; the result does not depend on it.
        allow_unproven: accept an A that is not known to be a gradient.

    Raises:
        ConditionError: from `prepare`, if A is not known to be a gradient.
        OptionError: `first_step` is outside its range.

    Source: Malitsky & Mishchenko 2024 (*Adaptive proximal gradient method for convex optimization*), algorithm 3.

    Example:
        >>> AdaptiveForwardBackward().first_step
        0.001
    """

    remembers: ClassVar[bool] = True

    first_step: float = 1e-3
    allow_unproven: bool = field(default=False, kw_only=True, repr=False)

    def __post_init__(self) -> None:
        require_number("AdaptiveForwardBackward.first_step", self.first_step)

    def prepare(self, A: MonotoneOperator, B: MonotoneOperator) -> tuple[Any, ...]:
        if not self.allow_unproven:
            require_gradient(self, A)
        return A, B, common_rank(A, B)

    def start(self, plan: tuple[Any, ...], z0: Array) -> Measured:
        A, B, rank = plan
        Az = A.apply(z0)
        one = full((*z0.shape[: z0.ndim - rank], *(1,) * rank), 1.0, z0.dtype, device_of(z0))
        x = B.resolvent(self.first_step)(z0 - self.first_step * Az)
        return Measured(x, z0, Az, self.first_step * one, one / 3)

    def advance(self, plan: tuple[Any, ...], state: Measured) -> Step:
        A, B, rank = plan
        x, Ax = state.x, A.apply(state.x)
        step = _longest(x, Ax, state, rank)
        p = _backward(B, x - step * Ax, step, rank)
        return Step(Measured(p, x, Ax, step, step / state.step), point=p, gap=lambda: (x - p) / step - Ax + A.apply(p))


def _longest(x: Array, Ax: Array, state: Measured, rank: int) -> Array:
    """The next step, one number a sample."""
    xp, column = namespace(x), (..., *(None,) * rank)
    moved, turned = norm(detach(x - state.before), rank)[column], norm(detach(Ax - state.A_before), rank)[column]
    known = (moved > 0) & (turned > 0) & (turned < math.inf)  # a sample at rest, or spoilt, says nothing
    L = xp.where(known, turned, 0.0) / xp.where(known, moved, 1.0)
    bend = 2 * (state.step * L) ** 2 - 1
    room = xp.where(bend > 0, xp.where(bend > 0, bend, 1.0) ** -0.5, math.inf)
    return xp.clip(state.step * xp.minimum((2 / 3 + state.ratio) ** 0.5, room), None, 1e12)


def _backward(B: MonotoneOperator, x: Array, step: Array, rank: int) -> Array:
    """The resolvent of B at x, for each sample at its step."""
    if B.takes_steps:
        return B.resolvent(step)(x)
    steps = to_numpy(step).reshape(step.shape[: step.ndim - rank])
    if steps.size == 1:
        return B.resolvent(float(steps.reshape(())))(x)
    if steps.ndim == 1:
        with contextlib.suppress(NotImplementedError):  # of a B that does not say how to leave samples out
            return namespace(x).concatenate([_alone(B, x, i, float(alpha)) for i, alpha in enumerate(steps)])
    result = x
    for alpha in np.unique(steps):
        result = namespace(x).where(step == float(alpha), B.resolvent(float(alpha))(x), result)
    return result


def _alone(B: MonotoneOperator, x: Array, i: int, step: float) -> Array:
    index = np.array([i])
    chosen = torch.as_tensor(index, device=x.device) if is_torch(x) else index
    return B.take(chosen, x.shape).resolvent(step)(x[chosen])
