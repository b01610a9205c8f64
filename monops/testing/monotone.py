"""The laws of monotone operators and their resolvents."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch

from monops.arrays import Array, DType, Shape, is_torch, namespace, norm, to_numpy
from monops.errors import DTypeError, NoResolventError, NotSingleValuedError, OptionError, StepSizeError
from monops.linear import LinearOperator
from monops.monotone import MonotoneOperator, Resolvent
from monops.testing.differences import derivative_law
from monops.testing.laws import Laws, holds_arrays, inner, loop_over_batch, require_a, require_samples, require_steps

STEPS = (0.2, 1.0, 4.0)
# Up to this many unknowns, claims are checked in the direction that is worst for them.
DENSE_LIMIT = 64


def check_monotone_operator(
    A: MonotoneOperator,
    samples: Array | None = None,
    *,
    domain: Shape | None = None,
    steps: Sequence[float] = STEPS,
    dtype: DType | None = None,
    seed: int = 0,
    tol: float | None = None,
) -> None:
    """Raise unless `A` obeys the laws of a maximal monotone operator.

    With p = J(x), J the resolvent at a step, so that v = (x - p)/step is in A(p):

    - J at another step t maps p + t·v to p; where A is single-valued, v = A(p) too;
    - the derivatives of J and of A agree with difference quotients, and D = J' has ⟨d, D d⟩ ≥ ‖D d‖²; both are
      symmetric where `is_gradient` says that A is the gradient of a function;
    - ⟨v - w, p - q⟩ ≥ m‖p - q‖² and ≥ β‖v - w‖² for two points, and ‖v - w‖ ≤ L‖p - q‖, with the m, β and L claimed;
      likewise with A(x) where A is single-valued; in the worst direction, by the derivatives, up to 64 unknowns;
    - the resolvents of 2·A, of A⁻¹ (Moreau) and of A translated are what they should be;
    - `take` leaves samples out: those that stay have the same values;
    - a batch is its samples one by one; dtype and library are kept, inputs left untouched, steps ≤ 0 refused.

    Args:
        A: what to check. If it has data of single samples, give `samples` which fit.
        samples: points (k, *domain) to check at, k ≥ 2; normal numbers unless given.
        domain: shape of one point, for an operator that acts on any; of at least `A.rank` axes.
        steps: at which steps of the resolvent.
        dtype: of the points, torch's or NumPy's, unless they, or `A.zero()`, tell; torch.float64 unless given, and then
            float32 is kept too, where A holds no arrays.
        seed: of the random numbers.
        tol: largest relative error; the dtype's ε to the power ⅔ unless given.

    Raises:
        BrokenLaw: an `AssertionError` which says what broke, at which step, by how much.
        OptionError: `A` is no monotone operator, there are less than 2 samples, `steps` is empty, or holds something
            else than numbers in (0, ∞), or `domain` has too few axes.

    Example:
        >>> from monops import ReLU, Subdifferential
        >>> check_monotone_operator(Subdifferential(ReLU()))
    """
    require_a(MonotoneOperator, A, "Subdifferential(L1())")
    require_steps(steps)
    require_samples(samples)
    like = A.zero() if samples is None else samples
    kind = (dtype or torch.float64) if like is None else like.dtype
    laws = Laws.of(A, seed, kind, getattr(like, "device", None), tol)
    domain = _domain(A, samples, domain)
    rank = len(domain)
    if samples is None:
        batch = () if like is None else tuple(like.shape[: like.ndim - rank])
        samples = laws.normal(*(batch or (12,)), *domain, scale=2.0)
    with torch.no_grad(), laws.trying("the laws of a monotone operator"):
        zero = A.zero()
        if zero is not None:
            tail = tuple(zero.shape[zero.ndim - rank :])
            laws.true("zero() is a state of the domain", tail == domain and not bool(zero.any()), "", f"{tail}")
        m, L, beta = A.strong_monotonicity, A.lipschitz, A.cocoercivity
        laws.true("0 ≤ m ≤ L", 0 <= m <= L * (1 + laws.tol), "", f"m = {m:.3e}, L = {L:.3e}")
        laws.true("0 ≤ cocoercivity", beta >= 0, "", f"β = {beta:.3e}")
        has_resolvent = _has_resolvent(A)
        # First what A(x), J and their derivatives have to do with each other, and then what is claimed of them.
        _values(laws, A, samples, rank)
        proxes = {}
        for step in steps if has_resolvent else ():
            proxes[step] = _arrays(laws, A, A.resolvent(step), samples, step)
            _inclusion(laws, A, samples, proxes[step], step, steps)
        _derivative_of_values(laws, A, samples, rank)
        for step in proxes:
            _derivative(laws, A, A.resolvent(step), samples, step, rank)
        _claims(laws, A, samples, rank)
        for step, p in proxes.items():
            J = A.resolvent(step)
            _inequalities(laws, A, J, samples, p, step, rank)
            _worst_directions(laws, A, J, samples, step)
            _algebra(laws, A, samples, p, step)
        for step in (0.0, -1.0, math.nan, math.inf) if has_resolvent else ():
            with laws.refused("a step outside of (0, ∞) is refused", StepSizeError, f"step {step:g}"):
                A.resolvent(step)
    if like is None and dtype is None and not holds_arrays(A):
        single = Laws.of(A, seed, torch.float32, None, tol)
        with torch.no_grad(), single.trying("the laws of a monotone operator"):
            samples = single.normal(12, *domain, scale=2.0)
            _values(single, A, samples, rank)
            for step in proxes:
                _arrays(single, A, A.resolvent(step), samples, step)


def _domain(A: MonotoneOperator, samples: Array | None, domain: Shape | None) -> Shape:
    """The shape of one point."""
    if A.domain is not None:
        return A.domain
    domain = tuple(samples.shape[1:]) if samples is not None else (5, 3, 2, 2)[: A.rank] if domain is None else domain
    if len(domain) < A.rank:
        raise OptionError(
            f"{type(A).__name__} acts on points of at least {A.rank} axes, got points of shape {domain}; "
            f"give a domain with {A.rank} axes, or samples with {A.rank + 1}"
        )
    return domain


def _has_resolvent(A: MonotoneOperator) -> bool:
    try:
        A.resolvent(1.0)
    except NoResolventError:
        return False
    return True


def _shares_data(A: MonotoneOperator, x: Array, rank: int) -> bool:
    """Whether no sample has data of its own, so that samples may be taken one by one, or none at all."""
    zero = A.zero()
    return zero is None or zero.ndim == rank


def _reverse(x: Array) -> Array:
    return x.flip(0) if is_torch(x) else x[::-1]


def _values(laws: Laws, A: MonotoneOperator, x: Array, rank: int) -> None:
    """Shapes, kinds and batches of A(x), where A is single-valued."""
    try:
        with laws.untouched(x):
            u = A(x)
    except NotSingleValuedError:
        return
    laws.same_kind("A(x) keeps shape, dtype and device", u, x, tuple(x.shape))
    if _shares_data(A, x, rank):
        laws.equal("A of a batch is that of its samples", u, loop_over_batch(A, x), scale=1.0)
        laws.same_kind("an empty batch stays empty", A(x[:0]), x, (0, *x.shape[1:]))
    origin = norm(A(0 * x), rank)
    scale = A.scale(0 * x, rank)
    laws.true("scale() is ‖A(0)‖ of a single-valued A", scale is not None, "", "it is None")
    laws.equal("scale() is ‖A(0)‖", scale + 0 * origin, origin, scale=1.0)


def _jacobian(A: MonotoneOperator, x: Array) -> LinearOperator | None:
    """A'(x), where A is single-valued and its derivative is known."""
    try:
        A(x)
        return A.derivative(x)
    except (NotSingleValuedError, DTypeError):  # nothing differentiates NumPy arrays
        return None


def _derivative_of_values(laws: Laws, A: MonotoneOperator, x: Array, rank: int) -> None:
    D, d = _jacobian(A, x), laws.normal(*x.shape)
    if D is not None:
        derivative_law(laws, "A.derivative(x) is the derivative of A", A, D(d), x, d)
        _symmetric(laws, A, D, "the derivative of A", d, rank, "")


def _claims(laws: Laws, A: MonotoneOperator, x: Array, rank: int) -> None:
    """The constants claimed, by the values of A and by its derivative."""
    try:
        y = laws.normal(*x.shape)
        _constants(laws, A, A(x) - A(y), x - y, rank, "A(x)")
    except NotSingleValuedError:
        return
    D = _jacobian(A, x) if math.prod(x.shape[x.ndim - rank :]) <= DENSE_LIMIT else None
    if D is not None:
        dense = to_numpy(D.to_dense()).astype(np.float64)
        _every_direction(laws, A, dense, np.broadcast_to(np.eye(dense.shape[-1]), dense.shape), "A.derivative(x)")


def _symmetric(laws: Laws, A: MonotoneOperator, D: LinearOperator, what: str, d: Array, rank: int, on: str) -> None:
    """A gradient has a symmetric derivative, and so has its resolvent."""
    if A.is_gradient:
        e = laws.normal(*d.shape)
        left, right, size = inner(D(d), e, rank), inner(d, D(e), rank), float(norm(D(d), d.ndim) + norm(d, d.ndim))
        laws.equal(f"{what} is symmetric, as A.is_gradient says", left, right, on, scale=size)


def _constants(laws: Laws, A: MonotoneOperator, w: Array, d: Array, rank: int, on: str) -> None:
    """The inequalities for a difference w of values and a difference d of points."""
    m, L, beta = A.strong_monotonicity, A.lipschitz, A.cocoercivity
    overlap, square, values = inner(w, d, rank), inner(d, d, rank), inner(w, w, rank)
    room = 10 * laws.tol * (square + values)
    laws.at_most(f"monotone with m = {m:.6g}", m * square, overlap + room, on)
    if 0 < beta < math.inf:
        laws.at_most(f"cocoercive with β = {beta:.6g}", beta * values, overlap + (1 + beta) * room, on)
    if math.isfinite(L):
        laws.at_most(f"Lipschitz with L = {L:.6g}", values, L**2 * square + (1 + L**2) * room, on)


def _arrays(laws: Laws, A: MonotoneOperator, J: Resolvent, x: Array, step: float) -> Array:
    """Shapes, kinds and batches; returns J(x)."""
    on = f"step {step:g}"
    rank = x.ndim - 1 if A.domain is None else len(A.domain)
    with laws.untouched(x):
        p = J(x)
    laws.same_kind("the resolvent keeps shape, dtype and device", p, x, tuple(x.shape), on)
    if _shares_data(A, x, rank):
        laws.equal("the resolvent of a batch is that of its samples", p, loop_over_batch(J, x), on)
        laws.same_kind("an empty batch stays empty", J(x[:0]), x, (0, *x.shape[1:]), on)
    index = torch.tensor([len(x) - 1, 0], device=x.device) if is_torch(x) else [len(x) - 1, 0]
    try:
        laws.equal("J.take leaves samples out", J.take(index, tuple(x.shape))(x[index]), p[index], on, scale=1.0)
        laws.equal(
            "A.take leaves samples out",
            A.take(index, tuple(x.shape)).resolvent(step)(x[index]),
            p[index],
            on,
            scale=1.0,
        )
        laws.equal("A.take leaves samples out", A.take(index, tuple(x.shape))(x[index]), A(x)[index], on, scale=1.0)
    except (NotImplementedError, NotSingleValuedError):  # both are allowed: the samples stay, or there are no values
        pass
    return p


def _inequalities(laws: Laws, A: MonotoneOperator, J: Resolvent, x: Array, p: Array, step: float, rank: int) -> None:
    on = f"step {step:g}"
    y = x + laws.normal(*x.shape)
    q = J(y)
    d, e = p - q, x - y
    laws.at_most(
        "the resolvent is firmly nonexpansive",
        inner(d, d, rank),
        inner(d, e, rank) + 10 * laws.tol * inner(e, e, rank),
        on,
    )
    _constants(laws, A, (e - d) / step, d, rank, on)
    d = laws.normal(*x.shape)
    slope = J.derivative(x)(d)
    room, firm = laws.tol * inner(d, d, rank), inner(slope, slope, rank)
    laws.at_most("the derivative of the resolvent is firmly nonexpansive", firm, inner(d, slope, rank) + room, on)


def _inclusion(laws: Laws, A: MonotoneOperator, x: Array, p: Array, step: float, steps: Sequence[float]) -> None:
    on, v = f"step {step:g}", (x - p) / step
    for t in (*steps, 0.5 * step):
        at = p + t * v
        again = A.resolvent(t)(at)
        reach = float(norm(at, x.ndim))
        laws.equal(f"J at step {t:g} maps p + {t:g}·v to p", again, p, on, scale=reach, slack=10)
    try:
        value = A(p)
    except NotSingleValuedError:
        return
    reach = float(norm(x, x.ndim)) / step
    laws.equal("(x - J(x))/step = A(J(x))", value, v, on, scale=reach, slack=10)
    laws.equal("J(x + step·A(x)) = x", A.resolvent(step)(x + step * A(x)), x, on, slack=10)


def _derivative(laws: Laws, A: MonotoneOperator, J: Resolvent, x: Array, step: float, rank: int) -> None:
    on, D, d = f"step {step:g}", J.derivative(x), laws.normal(*x.shape)
    slope = D(d)
    laws.same_kind("the derivative of the resolvent keeps shape and dtype", slope, x, tuple(x.shape), on)
    derivative_law(laws, "J.derivative(x) is the derivative of J", J, slope, x, d, on)
    e = laws.normal(*x.shape)
    left, right = inner(slope, e, rank), inner(d, D.H(e), rank)
    laws.equal("⟨D d, e⟩ = ⟨d, D.H e⟩ for D = J.derivative(x)", left, right, on, scale=float(norm(d, x.ndim)))
    _symmetric(laws, A, D, "the derivative of J", d, rank, on)


def _worst_directions(laws: Laws, A: MonotoneOperator, J: Resolvent, x: Array, step: float) -> None:
    """The claims in the direction that is worst for them, from the derivative D of the resolvent.

    With v = (x - p)/step, small moves have dp = D dx and dv = (I - D) dx/step.
    """
    if math.prod(x.shape[x.ndim - A.rank :] if A.domain is None else A.domain) <= DENSE_LIMIT:
        D = to_numpy(J.derivative(x).to_dense()).astype(np.float64)
        _every_direction(laws, A, (np.eye(D.shape[-1]) - D) / step, D, f"J.derivative(x), step {step:g}")


def _every_direction(laws: Laws, A: MonotoneOperator, W: np.ndarray, D: np.ndarray, on: str) -> None:
    """The claims m, L and β for all moves dp = D dx of points and dv = W dx of values.

    They are that the symmetric matrices (DᴴW + WᴴD)/2 - m DᴴD, L² DᴴD - WᴴW and (DᴴW + WᴴD)/2 - β WᴴW have no negative
    eigenvalue.
    """
    m, L, beta = A.strong_monotonicity, A.lipschitz, A.cocoercivity
    D_H, W_H = D.swapaxes(-1, -2), W.swapaxes(-1, -2)
    points, values, overlap = D_H @ D, W_H @ W, (D_H @ W + W_H @ D) / 2
    size = np.linalg.norm(points, axis=(-2, -1)) + np.linalg.norm(values, axis=(-2, -1))
    claims = [(f"monotone with m = {m:.6g}", overlap - m * points, 1 + m)]
    if math.isfinite(L):
        claims.append((f"Lipschitz with L = {L:.6g}", L**2 * points - values, 1 + L**2))
    if 0 < beta < math.inf:
        claims.append((f"cocoercive with β = {beta:.6g}", overlap - beta * values, 1 + beta))
    for law, matrix, weight in claims:
        least = np.linalg.eigvalsh(matrix).min(-1, initial=0)
        laws.at_most(f"{law} in every direction", -least, 10 * laws.tol * weight * size, on)


def _algebra(laws: Laws, A: MonotoneOperator, x: Array, p: Array, step: float) -> None:
    on, xp = f"step {step:g}", namespace(x)
    reach = float(norm(x, x.ndim)) * (1 + step) / step
    laws.equal("the resolvent of 2·A", (2 * A).resolvent(step / 2)(x), p, on, scale=reach)
    dual = A.inverse()
    v = (x - p) / step
    laws.equal("Moreau: the resolvent of A⁻¹", dual.resolvent(1 / step)(x / step), v, on, scale=reach, slack=10)
    laws.equal("(A⁻¹)⁻¹ is A", dual.inverse().resolvent(step)(x), p, on, scale=reach, slack=10)
    center = laws.normal(*x.shape[1:])
    moved = A.translate(center).resolvent(step)(x + center)
    laws.equal("the resolvent of A translated", moved, p + center, on, scale=reach)
    shifted = (A + center).resolvent(step)(x + step * center)
    laws.equal("the resolvent of A + c", shifted, p, on, scale=reach + step * float(norm(center, x.ndim - 1)))
    laws.true("states stay in their library", xp is namespace(moved), on)
