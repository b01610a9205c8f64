"""The laws of monotone operators and their resolvents."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch

from monops.arrays import Array, DType, Shape, is_torch, namespace, norm, to_numpy
from monops.errors import NoResolventError, NotSingleValuedError, StepSizeError
from monops.linear import LinearOperator
from monops.monotone import MonotoneOperator, Resolvent
from monops.testing.laws import Laws, derivative_law, inner, loop_over_batch, require_steps

STEPS = (0.2, 1.0, 4.0)
# Up to this many unknowns, claims are checked in the direction that is worst for them.
DENSE_LIMIT = 64


def check_monotone_operator(
    A: MonotoneOperator,
    samples: Array | None = None,
    *,
    domain: Shape = (5,),
    steps: Sequence[float] = STEPS,
    dtype: DType = torch.float64,
    seed: int = 0,
    tol: float | None = None,
) -> None:
    """Raise unless `A` obeys the laws of a maximal monotone operator.

    With p = J(x), J the resolvent at a step, so that v = (x - p)/step is in A(p):

    - ⟨v - w, p - q⟩ ≥ m‖p - q‖² and ≥ β‖v - w‖² for two points, and ‖v - w‖ ≤ L‖p - q‖, with the m, β and L claimed;
      likewise with A(x) where A is single-valued;
    - J at another step t maps p + t·v to p; where A is single-valued, v = A(p) too;
    - the resolvents of 2·A, of A⁻¹ (Moreau) and of A translated are what they should be;
    - the derivatives of J and of A agree with difference quotients, and D = J' has ⟨d, D d⟩ ≥ ‖D d‖²; both are
      symmetric where `is_gradient` says that A is the gradient of a function;
    - `take` leaves samples out: those that stay have the same values;
    - a batch is its samples one by one; dtype and library are kept, inputs left untouched, steps ≤ 0 refused.

    Args:
        A: what to check. If it has data of single samples, give `samples` which fit.
        samples: points (k, *domain) to check at, k ≥ 2; normal numbers unless given.
        domain: shape of one point, for an operator that acts on any.
        steps: at which steps of the resolvent.
        dtype: of the points, torch's or NumPy's, unless they, or `A.zero()`, tell.
        seed: of the random numbers.
        tol: largest relative error; the dtype's ε to the power ⅔ unless given.

    Raises:
        BrokenLaw: an `AssertionError` which says what broke, at which step, by how much.
        OptionError: `steps` is empty, or holds something else than numbers in (0, ∞).

    Example:
        >>> from monops import ReLU, Subdifferential
        >>> check_monotone_operator(Subdifferential(ReLU()))
    """
    require_steps(steps)
    like = A.zero() if samples is None else samples
    laws = Laws.of(A, seed, dtype if like is None else like.dtype, getattr(like, "device", None), tol)
    domain = domain if A.domain is None else A.domain
    if samples is None:
        batch = () if like is None else tuple(like.shape[: like.ndim - len(domain)])
        samples = laws.normal(*(batch or (12,)), *domain, scale=2.0)
    rank = len(domain)
    with torch.no_grad(), laws.trying("the laws of a monotone operator"):
        zero = A.zero()
        if zero is not None:
            tail = tuple(zero.shape[zero.ndim - rank :])
            laws.true("zero() is a state of the domain", tail == domain and not bool(zero.any()), "", f"{tail}")
        _operator(laws, A, samples, rank)
        try:
            A.resolvent(1.0)
        except NoResolventError:
            return
        for step in steps:
            J = A.resolvent(step)
            p = _arrays(laws, A, J, samples, step)
            _inequalities(laws, A, J, samples, p, step, rank)
            _inclusion(laws, A, samples, p, step, steps)
            _derivative(laws, J, samples, step, rank)
            _symmetric(
                laws,
                A,
                J.derivative(samples),
                "the derivative of J",
                laws.normal(*samples.shape),
                rank,
                f"step {step:g}",
            )
            _worst_directions(laws, A, J, samples, step)
            _algebra(laws, A, samples, p, step)
        for step in (0.0, -1.0, math.nan, math.inf):
            with laws.refused("a step outside of (0, ∞) is refused", StepSizeError, f"step {step:g}"):
                A.resolvent(step)


def _shares_data(A: MonotoneOperator, x: Array, rank: int) -> bool:
    """Whether no sample has data of its own, so that samples may be taken one by one, or none at all."""
    zero = A.zero()
    return zero is None or zero.ndim == rank


def _reverse(x: Array) -> Array:
    return x.flip(0) if is_torch(x) else x[::-1]


def _operator(laws: Laws, A: MonotoneOperator, x: Array, rank: int) -> None:
    """Laws of A(x), where A is single-valued, and of the constants claimed."""
    m, L, beta = A.strong_monotonicity, A.lipschitz, A.cocoercivity
    laws.true("0 ≤ m ≤ L", 0 <= m <= L * (1 + laws.tol), "", f"m = {m:.3e}, L = {L:.3e}")
    laws.true("0 ≤ cocoercivity", beta >= 0, "", f"β = {beta:.3e}")
    try:
        with laws.untouched(x):
            u = A(x)
    except NotSingleValuedError:
        return
    laws.same_kind("A(x) keeps shape, dtype and device", u, x, tuple(x.shape))
    origin = norm(A(0 * x), rank)
    scale = A.scale(0 * x, rank)
    laws.true("scale() is ‖A(0)‖ of a single-valued A", scale is not None, "", "it is None")
    laws.equal("scale() is ‖A(0)‖", scale + 0 * origin, origin, scale=1.0)
    y = laws.normal(*x.shape)
    _constants(laws, A, u - A(y), x - y, rank, "A(x)")
    if is_torch(x):
        d = laws.normal(*x.shape)
        D = A.derivative(x)
        derivative_law(laws, "A.derivative(x) is the derivative of A", A, D(d), x, d)
        _symmetric(laws, A, D, "the derivative of A", d, rank, "")


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
    laws.at_most(f"monotone with m = {m:.3g}", m * square, overlap + room, on)
    if 0 < beta < math.inf:
        laws.at_most(f"cocoercive with β = {beta:.3g}", beta * values, overlap + (1 + beta) * room, on)
    if math.isfinite(L):
        laws.at_most(f"Lipschitz with L = {L:.3g}", values, L**2 * square + (1 + L**2) * room, on)


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


def _derivative(laws: Laws, J: Resolvent, x: Array, step: float, rank: int) -> None:
    on, D, d = f"step {step:g}", J.derivative(x), laws.normal(*x.shape)
    slope = D(d)
    laws.same_kind("the derivative of the resolvent keeps shape and dtype", slope, x, tuple(x.shape), on)
    derivative_law(laws, "J.derivative(x) is the derivative of J", J, slope, x, d, on)
    room = laws.tol * inner(d, d, rank)
    firm = inner(slope, slope, rank)
    laws.at_most("the derivative of the resolvent is firmly nonexpansive", firm, inner(d, slope, rank) + room, on)
    e = laws.normal(*x.shape)
    left, right = inner(slope, e, rank), inner(d, D.H(e), rank)
    laws.equal("⟨D d, e⟩ = ⟨d, D.H e⟩", left, right, on, scale=float(norm(d, x.ndim)))


def _worst_directions(laws: Laws, A: MonotoneOperator, J: Resolvent, x: Array, step: float) -> None:
    """The claims m and L in the direction that is worst for them, from the derivative D of the resolvent.

    With v = (x - p)/step, small moves have dp = D dx and dv = (I - D) dx/step, so the claims are that the symmetric
    matrices (D + Dᴴ)/2 - (1 + step·m) DᴴD and (step·L)² DᴴD - (I - D)ᴴ(I - D) have no negative eigenvalue.
    """
    if math.prod(x.shape[x.ndim - A.rank :] if A.domain is None else A.domain) > DENSE_LIMIT:
        return
    D = to_numpy(J.derivative(x).to_dense()).astype(np.float64)
    transposed, rest = D.swapaxes(-1, -2), np.eye(D.shape[-1]) - D
    m, L, on = A.strong_monotonicity, A.lipschitz, f"step {step:g}"
    least = np.linalg.eigvalsh((D + transposed) / 2 - (1 + step * m) * transposed @ D).min(-1, initial=0)
    laws.at_most(f"monotone with m = {m:.3g} in every direction", -least, 10 * laws.tol * (1 + step * m), on)
    if math.isfinite(L):
        least = np.linalg.eigvalsh((step * L) ** 2 * transposed @ D - rest.swapaxes(-1, -2) @ rest).min(-1, initial=0)
        laws.at_most(f"Lipschitz with L = {L:.3g} in every direction", -least, 10 * laws.tol * (1 + step * L) ** 2, on)


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
