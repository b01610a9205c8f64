"""Taking operators apart for the methods that treat their parts one by one."""

from __future__ import annotations

import functools
import math
import operator
from typing import NamedTuple

from monops.errors import ConditionError, StepSizeError
from monops.linear import LinearOperator
from monops.monotone import Affine, MonotoneOperator, MonotoneSum, Precomposed, Resolvent, ZeroOperator
from monops.monotone.zero import Unchanged


class Linked(NamedTuple):
    """An operator Kᴴ ∘ B ∘ K taken apart.

    Attributes:
        B: the operator in the middle.
        K: the linear operator; what leaves everything unchanged where there is none.
        K_H: its adjoint, likewise.
        norm: ‖K‖, or an upper bound.
    """

    B: MonotoneOperator
    K: LinearOperator | Resolvent
    K_H: LinearOperator | Resolvent
    norm: float

    @property
    def is_linked(self) -> bool:
        """Whether there is a K."""
        return isinstance(self.K, LinearOperator)


def take_apart(method: object, B: MonotoneOperator) -> Linked:
    """The parts of B = Kᴴ ∘ B' ∘ K, made by `B'.precompose(K)`; any other B is linked by the identity.

    Multiples and translations of such a B, and a further K, are of this form again.

    Raises:
        ConditionError: such a B is only a part of what was given.
    """
    if isinstance(B, Precomposed):
        return Linked(B.A, B.K, B.K.H, B.K.norm())
    parts = summands(B) if isinstance(B, MonotoneSum) else [getattr(B, "A", B)]
    if any(isinstance(part, Precomposed) and part.nu is None for part in parts):
        raise ConditionError(
            f"{type(method).__name__} takes KᴴBK apart where it is all of the second operator, "
            f"`B.precompose(K)` or a multiple of it, got it inside of a {type(B).__name__}; add the rest to the first "
            f"operator, A"
        )
    return Linked(B, Unchanged(), Unchanged(), 1.0)


# Where K is 0, or nearly so, a second step that is left open is this many times as long as ‖K‖ = 1 would allow.
FREE = 1e6


def second_step(given: float | None, room: float, norm: float) -> tuple[float, float]:
    """The step on the other side of K, and the largest s with s‖K‖² ≤ room: the one given, or that largest one."""
    limit = 0.0 if not room > 0 else room / norm / norm if norm > 0 else math.inf
    return (min(limit, FREE * room) if given is None else given), limit


def require_second_step(
    method: object, name: str, step: float, limit: float, condition: str, known: str, *, closed: bool = True
) -> float:
    """The step on the other side of K, once it is certain that it is below its limit, or equal to it where `closed`.

    `condition` and `known` are for the message: what the method wants, and the numbers that give the limit.

    Raises:
        StepSizeError: it is not, and the method does not say `allow_unproven`.
    """
    if 0 < step <= limit * (1 + 1e-12 if closed else 1 - 1e-12) or getattr(method, "allow_unproven", False):
        return step
    interval = f"(0, {limit:.6g}{']' if closed else ')'}"
    raise StepSizeError(
        f"{type(method).__name__} wants {condition}, so {name} in {interval} with {known}; got {step:.6g}"
    )


def summands(A: MonotoneOperator) -> list[MonotoneOperator]:
    """The terms of a sum, however it was put together; a single operator is its only term."""
    return [*summands(A.A), *summands(A.B)] if isinstance(A, MonotoneSum) else [A]


def two_terms(method: object, A: MonotoneOperator) -> tuple[MonotoneOperator, MonotoneOperator]:
    """(A₁, C) with A = A₁ + C: one with a resolvent, one cocoercive.

    A₁ is the one term that is not cocoercive; or zero, of a single operator that is; or else the first of the terms. C
    is the sum of the others, in whichever order they were added.

    Raises:
        ConditionError: several terms are not cocoercive, and so have to be taken by their resolvents.
    """
    zero = ZeroOperator(A.rank)
    if not isinstance(A, MonotoneSum):
        return (zero, A) if A.cocoercivity > 0 else (A, zero)
    terms = summands(A)
    rough = [term for term in terms[1:] if not term.cocoercivity > 0]
    if rough and not terms[0].cocoercivity > 0:
        rough = [terms[0], *rough]
        if getattr(method, "allow_unproven", False):
            rough = [term for term in rough if not math.inf > term.lipschitz] or rough[:1]
    if len(rough) > 1:
        raise ConditionError(
            f"{type(method).__name__} wants a sum in which all terms but one are cocoercive, since it takes the "
            f"resolvent of one only; got {', '.join(type(term).__name__ for term in rough)} that are not; take one of "
            f"them as the second operator, B, or write their sum as one function"
        )
    first = rough[0] if rough else terms[0]
    return first, functools.reduce(operator.add, (term for term in terms if term is not first))


def require_gradient(method: object, A: MonotoneOperator) -> None:
    """Raise unless A is known to be the gradient of a convex function."""
    if not A.is_gradient:
        raise ConditionError(
            f"{type(method).__name__} wants the gradient of a convex function as A: Subdifferential(f) of a smooth f, "
            f"or Affine(M, b) with an M known to be symmetric, as K.H @ K and Dense(matrix, symmetric=True) are; got "
            f"{type(A).__name__}, not known to be one; take ForwardBackwardForward, or allow_unproven=True"
        )


def may_be_strongly_monotone(A: MonotoneOperator) -> bool:
    """Whether m > 0 is known of A, or could be found by an eigenvalue, for which one does not ask."""
    return not A.is_known("strong_monotonicity") or A.strong_monotonicity > 0


def inverse_lipschitz(method: object, A: MonotoneOperator, times: int = 1) -> tuple[float, str]:
    """1/(times·L) for the Lipschitz constant L of A, and its formula, for `require_step_below`."""
    L = A.lipschitz
    if not math.inf > L:
        raise ConditionError(
            f"{type(method).__name__} wants a single-valued Lipschitz operator as A, got {type(A).__name__} with "
            f"lipschitz = {L}; exchange A and B, or take a method that uses A's resolvent, such as DouglasRachford"
        )
    formula = "1/L" if times == 1 else f"1/({times}L)"
    return 1 / (times * L) if L > 0 else math.inf, f"{formula} for L = {L:.6g}"


def twice_cocoercivity(C: MonotoneOperator) -> tuple[float, str]:
    """2β for the cocoercivity β of C, and its formula, for `require_step_below`."""
    beta = C.cocoercivity
    # A gradient has its β from L alone; its m would cost an eigenvalue.
    facts = "" if C.is_gradient else f" (m = {C.strong_monotonicity:.6g}, L = {C.lipschitz:.6g})"
    return 2 * beta, f"2β for the cocoercivity β = {beta:.6g} of {type(C).__name__}{facts}"


def affine_part(method: object, A: MonotoneOperator) -> Affine:
    """A as an `Affine`, where it is known to be one."""
    affine = A.as_affine()
    if affine is None:
        raise ConditionError(
            f"{type(method).__name__} has to invert A + KᴴK/step, which it can for an Affine A, or where "
            f"KᴴK = ν I; got {type(A).__name__} and another K; take LinearizedADMM or ChambollePock"
        )
    return affine


def forward_step(C: MonotoneOperator) -> float | None:
    """A first step where C is taken as it is: `gradient_step`, or its cocoercivity where it is no gradient, if any."""
    if C.is_gradient:
        return gradient_step(C)
    return C.cocoercivity if 0 < C.cocoercivity < math.inf else None


def gradient_step(A: MonotoneOperator) -> float | None:
    """2/(m + 1/β), the best step along the gradient of an m-strongly convex function; β for m = 0. None for no β.

    Source: Nesterov 2018, theorem 2.1.15.
    """
    m, beta = A.strong_monotonicity, A.cocoercivity
    if not 0 < beta < math.inf:
        return None
    return 2 / (m + 1 / beta) if m > 0 else beta
