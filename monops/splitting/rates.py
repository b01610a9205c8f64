"""How much the steps that methods are made of contract, from what is known of their operators."""

from __future__ import annotations

import math
from typing import NamedTuple, Self

from monops.monotone import MonotoneOperator


class Facts(NamedTuple):
    """What is known of an operator A; the defaults know nothing more than that it is monotone.

    Attributes:
        m: its strong monotonicity, in [0, ∞).
        L: its Lipschitz constant, in [0, ∞].
        beta: its cocoercivity, in [0, ∞].
        is_gradient: whether it is the gradient of a convex function.
    """

    m: float = 0.0
    L: float = math.inf
    beta: float = 0.0
    is_gradient: bool = False

    @classmethod
    def of(cls, A: MonotoneOperator) -> Self:
        """What A says of itself; a matrix may have to compute it."""
        return cls(A.strong_monotonicity, A.lipschitz, A.cocoercivity, A.is_gradient)


def forward_factor(step: float, facts: Facts) -> float:
    """A Lipschitz constant of I - αA, the least known; ∞ where none is.

    √(1 - 2αm + α²L²), and √(1 - αm(2 - α/β)) for α ≤ 2β, follow from the definitions of m, L and β. For gradients it is
    max(``|1 - αm|``, ``|1 - αL|``) (Taylor, Hendrickx & Glineur 2018, *Exact worst-case convergence rates of the
    proximal gradient method for composite convex minimization*).
    """
    m, L, beta, is_gradient = facts
    factor = math.inf
    if math.inf > L:
        factor = math.sqrt(max(0.0, 1 - 2 * step * m + (step * L) ** 2))
        if is_gradient:
            factor = min(factor, max(abs(1 - step * m), abs(1 - step * L)))
    if step <= 2 * beta:
        factor = min(factor, math.sqrt(max(0.0, 1 - step * m * (2 - step / beta))))
    return factor


def reflected_factor(step: float, facts: Facts) -> float:
    """A Lipschitz constant of 2 J_A - I at step α, the least known; 1 where A is not known to be strongly monotone.

    With p = J_A(x) and v = (x - p)/α, an element of A(p), 2 J_A - I takes p + αv to p - αv. So it contracts by
    √((1 - 2s)/(1 + 2s)) where ⟨Δp, αΔv⟩ ≥ s(‖Δp‖² + ‖αΔv‖²) for any two x. That holds with s = αm/(1 + α²L²) and, by
    cocoercivity, with s = αm/(1 + α²m/β) (Giselsson 2017, *Tight global linear convergence rate bounds for
    Douglas-Rachford splitting*). For gradients it is max((1 - αm)/(1 + αm), (αL - 1)/(αL + 1)) (Giselsson & Boyd 2017,
    *Linear convergence and metric selection for Douglas-Rachford splitting and ADMM*).
    """
    m, L, beta, is_gradient = facts
    if m == 0:
        return 1.0
    if is_gradient:
        return max(0.0, (1 - step * m) / (1 + step * m), (step * L - 1) / (step * L + 1) if math.inf > L else 1.0)
    s = step * m / (1 + (step * L) ** 2)
    if beta > 0:
        s = max(s, step * m / (1 + step**2 * m / beta))
    return math.sqrt(max(0.0, 1 - 2 * s) / (1 + 2 * s))


def reflections_factor(step: float, A: MonotoneOperator, B: MonotoneOperator) -> float | None:
    """What (2 J_B - I)(2 J_A - I) contracts by, either of which never expands; None where that is not known."""
    factor = reflected_factor(step, Facts.of(A)) * reflected_factor(step, Facts.of(B))
    return factor if factor < 1 else None
