"""Exact minimisers along a chain: the core of one-dimensional total variation and of isotonic regression."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch

from monops.arrays import Array, cast, clip, detach, is_torch, largest, namespace
from monops.functions.jacobians import take_along


def fuse(y: Array, down: float | Array, up: float | Array) -> Array:
    """The jumps of x = argmin ½‖x - y‖² + Σ_k down·max(x_k - x_{k+1}, 0) + up·max(x_{k+1} - x_k, 0).

    At each link of the chain -1 for a decrease, 1 for an increase, 0 where the price holds x_k and x_{k+1} together;
    where it only just does, or not at all, they are free. With the jumps x is a mean over each stretch, moved by the
    prices at its ends, of which derivatives are easily had.

    Dynamic programming over the derivative of the cost of all that lies to the left, as a function of the last
    entry: it increases, is linear between knots, and each link of the chain clips it to [-down, up]. Samples of the
    batch go side by side: n steps on arrays of at most 2n knots, in float64, whatever the dtype of y, so that the
    work grows with n²: it is meant for up to some thousand entries.

    Shapes: `y` (*batch, n) → (*batch, n - 1), in float64; `down` and `up` numbers, or arrays (*batch, 1).

    Args:
        y: the data.
        down: in [0, ∞), the price of a decrease.
        up: in [0, ∞], the price of an increase; with ∞ as a float, x must not increase.

    Source:
        Johnson 2013, A dynamic programming algorithm for the fused lasso and L₀-segmentation. Knots that Johnson's
        deque drops are moved to the ends of what is left, where they do no harm: all samples have as many.
    """
    xp = namespace(y)
    held = cast(detach(y), xp.float64)
    like = held[..., :1] * 0
    low, high = -(down + like), (up + like)
    bounded = not (isinstance(up, float) and math.isinf(up))
    n = held.shape[-1]
    if n < 2:
        return held[..., 1:]
    at = held[..., :1]  # the mean of all y so far
    lower, upper = [at + low], [at + high]
    knots = xp.concatenate((lower[0], upper[0]) if bounded else (lower[0],), -1)
    values = xp.concatenate((low, high) if bounded else (low,), -1)
    root: Callable[[Array], Array] = lambda level: at + level  # noqa: E731
    for k in range(1, n):
        here = held[..., k : k + 1]
        at = at + (here - at) / (k + 1)
        values = values + knots - here
        root = _inverse(knots, values, here - low, here - high if bounded else None, at, k + 1)
        lower.append(root(low))
        upper.append(root(high) if bounded else lower[-1] + math.inf)
        knots, values = clip(knots, lower[-1], upper[-1]), clip(values, low, high)
        if bounded:
            knots = xp.concatenate((lower[-1], knots, upper[-1]), -1)
            values = xp.concatenate((low, values, high), -1)
        else:
            knots, values = xp.concatenate((lower[-1], knots), -1), xp.concatenate((low, values), -1)
    room = 1e-14 * largest(abs(held))
    x, jumps = root(0 * like), []
    for k in range(n - 2, -1, -1):
        falls, rises = x <= lower[k] + room, x >= upper[k] - room
        jumps.append(xp.where(falls, -1.0, xp.where(rises, 1.0, 0 * like)))
        x = clip(x, lower[k], upper[k])
    return xp.concatenate(jumps[::-1], -1)


def _inverse(
    knots: Array, values: Array, left: Array, right: Array | None, mean: Array, count: int
) -> Callable[[Array], Array]:
    """The inverse of the increasing function with these values at these sorted knots.

    To the left of the knots it is x - left, to the right x - right, or count·(x - mean) where `right` is none.
    """
    xp = namespace(knots)
    last = knots.shape[-1] - 1

    def root(level: Array) -> Array:
        behind = (values <= level).sum(-1)[..., None]
        i, j = clip(behind - 1, 0, last), clip(behind, 0, last)
        (a, b), (u, v) = ((take_along(x, i), take_along(x, j)) for x in (knots, values))
        between = a + (level - u) * (b - a) / xp.where(v > u, v - u, 1.0)
        beyond = mean + level / count if right is None else level + right
        return xp.where(behind == 0, level + left, xp.where(behind == last + 1, beyond, between))

    return root


def isotonic(y: Array) -> Array:
    """The jumps of the nearest x that does not increase along the last axis, likewise."""
    return fuse(y, 0.0, math.inf)


def sorted_down(x: Array) -> tuple[Array, Array]:
    """The order that sorts x down along the last axis, ties kept, and the rank of each entry in it."""
    if is_torch(x):
        order = torch.argsort(x, dim=-1, descending=True, stable=True)
        return order, torch.argsort(order, dim=-1)
    down = np.argsort(-x, -1, kind="stable")
    return down, np.argsort(down, -1)
