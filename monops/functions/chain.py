"""Exact minimisers along a chain: the core of one-dimensional total variation and of isotonic regression."""

from __future__ import annotations

import math

import numpy as np
import torch

from monops.arrays import Array, cast, clip, concatenate, detach, epsilon, is_torch, known_true, largest, namespace
from monops.functions.jacobians import segment_mean, segments


def fuse(y: Array, down: float | Array, up: float | Array) -> Array:
    """The jumps of x = argmin ½‖x - y‖² + Σ_k down·max(x_k - x_{k+1}, 0) + up·max(x_{k+1} - x_k, 0).

    At each link of the chain -1 for a decrease, 1 for an increase, 0 where the price holds x_k and x_{k+1} together;
    where it only just does, or not at all, they are free. With the jumps x is a mean over each stretch, moved by the
    prices at its ends, of which derivatives are easily had.

    Whether x_k > t, for any level t, shows in the slope at t of the cost as a function of x_k alone. So each round asks
    every stretch at its mean which entries lie above, and cuts where the answer changes; a stretch that is not cut is
    constant. Rounds hardly grow with n (about a dozen), and each is a number of operations on whole arrays that grows
    with log n: all stretches of all samples go side by side. Computed in float64, whatever the dtype of y.

    Shapes: `y` (*batch, n) → (*batch, n - 1), in float64; `down` and `up` numbers, or arrays (*batch, 1).

    Args:
        y: the data.
        down: in [0, ∞), the price of a decrease.
        up: in [0, ∞], the price of an increase; with ∞ as a float, x must not increase.

    Source:
        Hochbaum 2001, An efficient algorithm for image segmentation, Markov random fields and related problems, for
        the levels; Johnson 2013, A dynamic programming algorithm for the fused lasso and L₀-segmentation, for the
        slope.
    """
    xp = namespace(y)
    held = cast(detach(y), xp.float64)
    n = held.shape[-1]
    jumps = 0 * held[..., 1:]
    if n < 2:
        return jumps
    held = held - held.sum(-1)[..., None] / n  # which moves x as much, and makes rounding smaller
    room = 8 * epsilon(held.dtype) * largest(abs(held))
    # A cut takes the stretch's spread or its size down by a factor, so that more rounds than this would cut rounding.
    for _ in range(min(n, 64 + 2 * n.bit_length())):
        is_cut = jumps != 0
        ids = segments(jumps)
        pull = xp.where(jumps > 0, up, xp.where(jumps < 0, -down, jumps))
        none = 0 * held[..., :1]
        pulled = held + concatenate([pull, none]) - concatenate([none, pull])
        slope = segment_mean(pulled, ids) - pulled
        low, high = xp.where(is_cut, jumps * 0, -down), xp.where(is_cut, jumps * 0, up)
        left = _from_left(slope, low, high)
        slope = slope + left + _flip(_from_left(_flip(slope), _flip(-high), _flip(-low)))
        error = room / segment_mean(concatenate([none + 1, cast(is_cut, xp.float64)]), ids)  # room for each entry
        is_above = slope < -error
        falls = is_above[..., :-1] & ~is_above[..., 1:] & ~is_cut
        rises = ~is_above[..., :-1] & is_above[..., 1:] & ~is_cut & (up < math.inf)
        if known_true(~(falls | rises).any()):
            break
        jumps = xp.where(falls, -1.0, xp.where(rises, 1.0, jumps))
    # Of a constant stretch, `left` is now what holds each link.
    falls, rises = left[..., 1:] <= low + error[..., 1:], left[..., 1:] >= high - error[..., 1:]
    return xp.where(is_cut, jumps, xp.where(falls, -1.0, xp.where(rises, 1.0, jumps)))


def _from_left(a: Array, low: Array, high: Array) -> Array:
    """What comes from the left to each entry: v_0 = 0, v_{k+1} = clip(v_k + a_k, low_k, high_k).

    Shapes: `a` (*batch, n), `low` and `high` (*batch, n - 1) → (*batch, n).
    """
    return concatenate([0 * a[..., :1], _clipped_sums(a[..., :-1], low, high)])


def _clipped_sums(a: Array, low: Array, high: Array) -> Array:
    """v_k = clip(v_{k-1} + a_k, low_k, high_k) with v_{-1} = 0, by halves: two such maps make one."""
    xp, n = namespace(a), a.shape[-1]
    if n < 2:
        return clip(a, low, high)
    pairs = n // 2
    (a0, l0, h0), (a1, l1, h1) = ([v[..., start : 2 * pairs : 2] for v in (a, low, high)] for start in (0, 1))
    odd = _clipped_sums(a0 + a1, clip(l0 + a1, l1, h1), clip(h0 + a1, l1, h1))
    before = concatenate([0 * a[..., :1], odd])[..., : n - pairs]
    even = clip(before + a[..., ::2], low[..., ::2], high[..., ::2])
    woven = xp.stack((even[..., :pairs], odd), -1).reshape((*a.shape[:-1], 2 * pairs))
    return concatenate([woven, even[..., pairs:]])


def _flip(x: Array) -> Array:
    return x.flip(-1) if is_torch(x) else x[..., ::-1]


def isotonic(y: Array) -> Array:
    """The jumps of the nearest x that does not increase along the last axis, as those of `fuse`."""
    return fuse(y, 0.0, math.inf)


def sorted_down(x: Array) -> tuple[Array, Array]:
    """The order that sorts x down along the last axis, ties kept, and the rank of each entry in it."""
    if is_torch(x):
        order = torch.argsort(x, dim=-1, descending=True, stable=True)
        return order, torch.argsort(order, dim=-1)
    down = np.argsort(-x, -1, kind="stable")
    return down, np.argsort(down, -1)
