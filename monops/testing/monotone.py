"""The laws of monotone operators and their resolvents."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from monops.arrays import Array, DType, Shape, is_torch, namespace, norm
from monops.errors import NoResolventError, NotSingleValuedError, OptionError, StepSizeError
from monops.monotone import MonotoneOperator, Resolvent
from monops.testing.claims import claims_of_resolvent, claims_of_values, constants, jacobian, symmetric
from monops.testing.differences import derivative_law
from monops.testing.laws import Laws, holds_arrays, inner, loop_over_batch, require_a, require_samples, require_steps

STEPS = (0.2, 1.0, 4.0)


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
        claims_of_values(laws, A, samples, rank)
        for step, p in proxes.items():
            J = A.resolvent(step)
            _inequalities(laws, A, J, samples, p, step, rank)
            claims_of_resolvent(laws, A, J, samples, step)
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


def _derivative_of_values(laws: Laws, A: MonotoneOperator, x: Array, rank: int) -> None:
    D, d = jacobian(A, x), laws.normal(*x.shape)
    if D is not None:
        derivative_law(laws, "A.derivative(x) is the derivative of A", A, D(d), x, d)
        symmetric(laws, A, D, "the derivative of A", d, rank, "")


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
    constants(laws, A, (e - d) / step, d, rank, on)
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
    symmetric(laws, A, D, "the derivative of J", d, rank, on)


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
