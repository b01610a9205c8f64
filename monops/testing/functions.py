"""The laws of convex functions and their proximal maps."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import numpy as np
import torch

from monops import tree
from monops.arrays import Array, DType, epsilon, is_torch, namespace, norm, to_numpy
from monops.errors import NotSingleValuedError, OptionError, StepSizeError
from monops.functions import Function
from monops.testing.differences import autograd_laws, derivative_law
from monops.testing.laws import (
    BrokenLaw,
    Laws,
    holds_arrays,
    inner,
    loop_over_batch,
    require_a,
    require_samples,
    require_steps,
)

STEPS = (0.1, 1.0, 7.0)


def check_function(
    f: Function,
    samples: Array | None = None,
    *,
    steps: Sequence[float] = STEPS,
    dtype: DType | None = None,
    seed: int = 0,
    tol: float | None = None,
) -> None:
    """Raise unless `f` obeys the laws of a convex function with a proximal map.

    With p = prox(x, step) and v = (x - p)/step, at several steps:

    - f(u) ≥ f(p) + ⟨v, u - p⟩ for all u, which is what makes p the minimiser (other proxes, and points around p, are
      tried as u);
    - ‖p - q‖² ≤ ⟨p - q, x - y⟩ for two points, with the claimed strong convexity and smoothness;
    - the proxes at two steps belong together: p is the prox at t of p + t·v;
    - Moreau: prox of f* at (x/step, 1/step) is v; Fenchel-Young: f(p) + f*(v) = ⟨p, v⟩ where rounding has not
      moved v out of the domain of f*, and next to it f* ≤ its chord between subgradients; f** is f again;
    - the derivative of the prox agrees with difference quotients, and lies between 0 and I;
    - the gradient, where there is one, agrees with difference quotients, and p + step·∇f(p) = x;
    - an indicator has values 0 and ∞, and one projection for all steps;
    - `prox_at`, `reflection_at`, `conjugate_prox`, `conjugate_value` and `on_axes` agree with `prox`, `conjugate()` and
      the value;
    - a batch is its samples one by one; dtype and library are kept, inputs left untouched, steps ≤ 0 refused.

    Args:
        f: what to check.
        samples: points (k, *domain) to check at, k ≥ 2; normal numbers unless given.
        steps: at which steps of the prox.
        dtype: of the points, torch's or NumPy's, unless they are given; float64 of both, one after the other, where f
            holds no arrays, else of the library of these.
        seed: of the random numbers.
        tol: largest relative error; the dtype's ε to the power ⅔ unless given.

    Raises:
        BrokenLaw: an `AssertionError` which says what broke, at which step, by how much.
        OptionError: `f` is no function, there are less than 2 samples, or `steps` is empty, or holds something else
            than numbers in (0, ∞).

    Example:
        >>> from monops import L1
        >>> check_function(L1(0.3))
    """
    require_a(Function, f, "L1(0.3)")
    require_steps(steps)
    require_samples(samples)
    if samples is None and dtype is None:
        for library in _libraries(f):
            try:
                check_function(f, steps=steps, dtype=library, seed=seed, tol=tol)
            except Exception as error:
                if library is np.float64 and not isinstance(error, BrokenLaw):
                    error.add_note("on NumPy arrays; a function for tensors alone is checked with dtype=torch.float64")
                raise
        return
    dtype = dtype if samples is None else samples.dtype
    laws = Laws.of(f, seed, dtype, getattr(samples, "device", None), tol)
    x = laws.normal(20, *(5, 3, 2, 1)[: f.axes], scale=2.0) if samples is None else samples
    laws.true("these are laws of convex functions", f.is_convex, found=f"{type(f).__name__} says it is not convex")
    with torch.no_grad(), laws.trying("the laws of a convex function"):
        for step in steps:
            p = _arrays(laws, f, x, step)
            _minimiser(laws, f, x, p, step)
            _pairs(laws, f, x, p, step)
            _steps(laws, f, x, p, step, steps)
            _derivative(laws, f, x, step)
            if f.is_indicator:
                laws.equal("an indicator is 0 on its set", f(p), f(p) * 0, _at(step))
                laws.equal("a projection projects once", f.prox(p, step), p, _at(step))
                laws.equal("a projection is the same at every step", f.prox(x, 2 * step), p, _at(step))
            _gradient(laws, f, x, p, step)
            _conjugate(laws, f, x, p, step)
            _other_forms(laws, f, x, p, step)
        for step in (0.0, -1.0, math.nan, math.inf):
            with laws.refused("a step outside of (0, ∞) is refused", StepSizeError, _at(step)):
                f.prox(x, step)


def _libraries(f: Function) -> tuple[DType, ...]:
    """The dtypes of the points to try: those of the arrays in f, or any."""
    if tree.flatten(f).leaves:
        return (torch.float64,)
    return (np.float64,) if holds_arrays(f) else (torch.float64, np.float64)


def _at(step: float) -> str:
    return f"step {step:g}"


def _arrays(laws: Laws, f: Function, x: Array, step: float) -> Array:
    """Shapes, kinds and batches; returns the prox."""
    on = _at(step)
    batch = tuple(x.shape[: x.ndim - f.axes])
    with laws.untouched(x):
        p, value = f.prox(x, step), f(x)
        f.prox_derivative(x, step)
    laws.same_kind("the prox keeps shape, dtype and device", p, x, tuple(x.shape), on)
    laws.same_kind("f(x) is one number a sample", value, x, batch, on)
    laws.equal("the prox of a batch is that of its samples", p, loop_over_batch(lambda v: f.prox(v, step), x), on)
    at_p = f(p)
    laws.true("f is finite at its proxes", bool(namespace(x).isfinite(at_p).all()), on)
    laws.equal("f of a batch is that of its samples", at_p, loop_over_batch(f, p), on, scale=1.0)
    empty = x[:0]
    laws.same_kind("an empty batch stays empty", f.prox(empty, step), empty, tuple(empty.shape), on)
    laws.same_kind("an empty batch has no values", f(empty), empty, (0, *batch[1:]), on)
    return p


def _other_forms(laws: Laws, f: Function, x: Array, p: Array, step: float) -> None:
    """What loops, and functions made of this one, call in place of `prox`."""
    on, size = _at(step), float(norm(x, x.ndim))
    with laws.untouched(x):
        laws.equal("prox_at(step) is the prox at this step", f.prox_at(step)(x), p, on, scale=size)
        reflected = f.reflection_at(step)(x)
    laws.equal("reflection_at(step) is 2·prox - I", reflected, 2 * p - x, on, scale=size)
    law = "conjugate_prox is the prox of conjugate()"
    laws.equal(law, f.conjugate_prox(x, step), f.conjugate().prox(x, step), on, scale=size)
    with suppress(OptionError):  # of functions whose points have a fixed number of axes
        longer = f.on_axes(f.axes + 1)
        batch = x.ndim - f.axes
        y = x.reshape(*x.shape[:batch], 1, *x.shape[batch:])
        laws.true("on_axes(k) has k axes", longer.axes == f.axes + 1, on, f"{longer.axes}")
        law = "on points with a further axis of length 1, on_axes has the same prox and values"
        laws.equal(law, longer.prox(y, step), p.reshape(y.shape), on)
        laws.equal(law, longer(p.reshape(y.shape)), f(p), on, scale=1.0)


def _size(f: Function, x: Array, step: float) -> Array:
    """The size of f(p) and of products with v, for rounding errors."""
    return 1 + norm(x, f.axes) ** 2 * (1 + 1 / step) if f.axes else 1 + x * x * (1 + 1 / step)


def _minimiser(laws: Laws, f: Function, x: Array, p: Array, step: float) -> None:
    v, value = (x - p) / step, f(p)
    rng, scale = laws.draw.rng, to_numpy(abs(x)).max()
    rivals = [f.prox(x + laws.draw.put(rng.standard_normal(x.shape) * scale * s), step) for s in (1.0, 0.1, 0.001)]
    rivals += [p + laws.draw.put(rng.standard_normal(x.shape) * scale * s) for s in (1.0, 0.1, 0.001)]
    rivals += [0 * x, x, 0.5 * (x + p)]
    allowance = 10 * laws.tol * (_size(f, x, step) + abs(value))
    for u in rivals:
        below = value + inner(v, u - p, f.axes) - f(u)
        laws.at_most("f(u) ≥ f(p) + ⟨v, u - p⟩, so that p = prox(x) is the minimiser", below, allowance, _at(step))
        at_u = f(u)
        inside = namespace(x).isfinite(at_u)
        chord = 0.5 * (at_u[inside] + value[inside])
        bend = f(0.5 * (u + p))[inside] - chord
        laws.at_most("f is convex", bend, allowance[inside] + 10 * laws.tol * abs(chord), _at(step))


def _pairs(laws: Laws, f: Function, x: Array, p: Array, step: float) -> None:
    """Laws for two points: far apart, and next to each other."""
    for y in (x.flip(0) if is_torch(x) else x[::-1], x + laws.normal(*x.shape, scale=0.01)):
        _pair(laws, f, x, y, p, f.prox(y, step), step)


def _pair(laws: Laws, f: Function, x: Array, y: Array, p: Array, q: Array, step: float) -> None:
    on, d, e = _at(step), p - q, x - y
    w = (e - d) / step  # the difference of the two subgradients
    product, square = inner(d, e, f.axes), inner(d, d, f.axes)
    allowance = 10 * laws.tol * (inner(e, e, f.axes) + _size(f, x, step))
    laws.at_most("the prox is firmly nonexpansive", square, product + allowance, on)
    m, L = f.strong_convexity, f.smoothness
    laws.true("0 ≤ strong_convexity ≤ smoothness", 0 <= m <= L, on, f"m = {m:.3e}, L = {L:.3e}")
    overlap = inner(w, d, f.axes)
    laws.at_most(f"f is strongly convex with m = {m:.3g}", m * square, overlap + allowance / step, on)
    if 0 < L < math.inf:
        square = inner(w, w, f.axes) / L
        laws.at_most(f"f is smooth with L = {L:.3g}", square, overlap + allowance / step, on)


def _steps(laws: Laws, f: Function, x: Array, p: Array, step: float, steps: Sequence[float]) -> None:
    for t in (*steps, 0.5 * step):
        again = f.prox(p + (t / step) * (x - p), t)
        reach = float(norm(p + (t / step) * (x - p), x.ndim))
        laws.equal(f"p is the prox at step {t:g} of p + {t:g}·v", again, p, _at(step), scale=reach, slack=10)


def _conjugate(laws: Laws, f: Function, x: Array, p: Array, step: float) -> None:
    on, dual, v = _at(step), f.conjugate(), (x - p) / step
    reach = float(norm(x, x.ndim)) / step
    laws.equal("Moreau: (x - p)/step is the prox of f*", dual.prox(x / step, 1 / step), v, on, scale=reach, slack=10)
    twice = dual.conjugate()
    laws.equal("f** has the prox of f", twice.prox(x, step), p, on, scale=reach * step)
    value = f(p)
    laws.equal("f** has the values of f", twice(p), value, on, scale=1.0)
    # f* may be +∞ next to v, which rounding moves, and need not have a formula: half of the digits.
    accuracy, at_v = math.sqrt(laws.tol), inner(p, v, f.axes) - value  # f*(v), by Fenchel-Young
    allowance = accuracy * (_size(f, x, step) + abs(value))
    got = dual(v)
    known = got != math.inf
    laws.at_most("Fenchel-Young: f(p) + f*(v) = ⟨p, v⟩", abs(got - at_v)[known], allowance[known], on)
    inside, chord = _between(f, x, step)
    got = dual(inside)
    if type(f).conjugate_value is not Function.conjugate_value:
        own = f.conjugate_value(inside)
        both = (own < math.inf) & (got < math.inf)
        law = "conjugate_value(y) is the value of conjugate() at y"
        laws.at_most(law, abs(own[both] - got[both]), allowance[both] + accuracy * abs(got[both]), on)
    # Where x and p nearly cancel, rounding may move v out of a domain without interior, too.
    noise = 100 * epsilon(x.dtype) * norm(x, x.ndim) / step  # of which the subgradients of a constant f consist
    size = norm(v, f.axes)
    known = (got != math.inf) | ((size >= 0.1 * norm(x, f.axes) / step) & (size > noise))
    law = "f* is finite between subgradients of f, and at most its chord"
    laws.true(law, (got < math.inf).any() or norm(v, x.ndim) <= noise, on)
    laws.at_most(law, got[known], (chord + allowance)[known], on)
    for y in (laws.normal(*x.shape), 0 * x, inside):
        below = inner(p, y, f.axes) - value - dual(y)
        laws.at_most("Fenchel-Young: f(p) + f*(y) ≥ ⟨p, y⟩", below, allowance + accuracy * norm(p * y, x.ndim), on)


def _between(f: Function, x: Array, step: float) -> tuple[Array, Array]:
    """Points a tenth of the way from subgradients to the mean of many, and what f* is there at most, by convexity."""
    y = namespace(x).concatenate([x, -x, 10 * x, -10 * x])
    p = f.prox(y, step)
    v = (y - p) / step
    if f.smoothness < math.inf:
        with suppress(NotSingleValuedError):
            v = f.gradient(p)  # where that is Lipschitz it is the more precise of the two
    value = f(p)
    at_v = inner(p, v, f.axes) - value
    kept = namespace(x).isfinite(value)  # rounding may put a prox of large x outside of a set
    middle, height = v[kept].mean(0), at_v[kept].mean(0)
    v, at_v = v[: len(x)], at_v[: len(x)]
    return v + 0.1 * (middle - v), at_v + 0.1 * (height - at_v)


def _derivative(laws: Laws, f: Function, x: Array, step: float) -> None:
    on, D = _at(step), f.prox_derivative(x, step)
    d, e = laws.normal(*x.shape), laws.normal(*x.shape)
    slope = D(d)
    laws.same_kind("the derivative of the prox keeps shape and dtype", slope, x, tuple(x.shape), on)
    derivative_law(laws, "the derivative of the prox", lambda at: f.prox(at, step), slope, x, d, on)
    left, right = inner(D(d), e, f.axes), inner(d, D(e), f.axes)
    laws.equal("the derivative of the prox is symmetric", left, right, on, scale=float(norm(d, x.ndim)))
    curvature, room = inner(slope, d, f.axes), laws.tol * inner(d, d, f.axes)
    laws.at_most("0 ⪯ derivative of the prox", -curvature, room, on)
    laws.at_most("derivative of the prox ⪯ I", curvature, inner(d, d, f.axes) + room, on)
    known = f.prox_derivative_from(f.prox(x, step), step)
    if known is not None:
        laws.equal("the prox tells its derivative", known(d), slope, on)
    at_origin: Any = f.prox_derivative(0 * x, step)(d)
    laws.true("the derivative of the prox is finite at 0", np.isfinite(to_numpy(at_origin)).all(), on)
    autograd_laws(laws, f, x, step, on)


def _gradient(laws: Laws, f: Function, x: Array, p: Array, step: float) -> None:
    on = _at(step)
    try:
        slope = f.gradient(p)
    except NotSingleValuedError:
        return
    laws.same_kind("the gradient keeps shape and dtype", slope, x, tuple(x.shape), on)
    laws.equal("p + step·∇f(p) = x", p + step * slope, x, on, scale=step * float(norm(slope, x.ndim)), slack=10)
    d = laws.normal(*x.shape)
    if f.axes:
        derivative_law(laws, "∇f is the derivative of f", f, inner(slope, d, f.axes), p, d, on)
