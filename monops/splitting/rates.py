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


ABSENT = Facts(L=0.0, beta=math.inf, is_gradient=True)


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


def three_operator_factor(step: float, A: Facts, C: Facts, B: Facts) -> float:
    """What a Davis-Yin step z ↦ z + J_A(2x - z - αC(x)) - x, x = J_B(z), contracts by; 1 where that is not known.

    For differences of any two z: with u = (z - x)/α from B(x), c from C(x) and w = 2x - z - αc, the step is
    ½(z - αc) + ½R_A(w), and ‖z - αc‖² + ‖w‖² = 2‖x - αc‖² + 2‖αu‖² ≤ 2σ²‖z‖² by ‖z‖² = ‖x‖² + ‖αu‖² + 2α⟨x, u⟩. So it
    contracts by σ√((1 + ρ²)/2), where R_A does by ρ, I - αC by φ, and σ² is the largest of φ²/(1 + 2αθm) and
    1/(1 + 2(1 - θ)β/α) at the best θ in [0, 1], for ⟨x, u⟩ ≥ θm‖x‖² + (1 - θ)β‖u‖². Where A or C vanishes it is
    forward-backward or Douglas-Rachford splitting.
    """
    rho, phi = reflected_factor(step, A), forward_factor(step, C)
    if math.isinf(A.beta):
        return phi / (1 + step * B.m)
    if math.isinf(C.beta):
        return (1 + rho * reflected_factor(step, B)) / 2
    near, far = 2 * step * B.m, 2 * B.beta / step
    if math.isinf(far):  # B vanishes, and u with it
        sigma = phi / math.sqrt(1 + near)
    else:
        spread = near + phi**2 * far
        theta = 1.0 if spread == 0 else min(1.0, max(0.0, (phi**2 * (1 + far) - 1) / spread))
        sigma = math.sqrt(max(phi**2 / (1 + theta * near), 1 / (1 + (1 - theta) * far)))
    return sigma * math.sqrt((1 + rho**2) / 2)


def primal_dual_factor(tau: float, sigma: float, norm: float, m: float, gamma: float, C: Facts = ABSENT) -> float:
    """What a step of Chambolle and Pock, or of Condat and Vũ, contracts by on the average; 1 where that is not known.

    The step is (P + F)⁻¹(P - C), where ⟨Δ, PΔ⟩ = ‖x‖²/τ - 2⟨Kx, y⟩ + ‖y‖²/σ ≤ (1 + √(τσ)‖K‖)(‖x‖²/τ + ‖y‖²/σ) and
    ⟨FΔ, Δ⟩ ≥ m‖x‖² + γ‖y‖². Without C it contracts in this norm by 1/(1 + μ), μ = min(mτ, γσ)/(1 + √(τσ)‖K‖). With C
    it lets ‖Δ‖² + 2m‖x‖² + 2γ‖y‖² fall by 1 - s, the least of s(1 + √(τσ)‖K‖) = τδ + 2τm(1 - s) and 2σγ(1 - s), since
    P - C takes δ‖x‖² from ‖Δ‖², δ = m_C(2 - 1/(βκ)) with κ = 1/τ - σ‖K‖².

    Args:
        tau: the step of x.
        sigma: the step of y.
        norm: ‖K‖.
        m: the strong monotonicity of A.
        gamma: that of B⁻¹, the cocoercivity of B; ∞ where B vanishes.
        C: facts of the term that is taken as it is.
    """
    wide = 1 + math.sqrt(tau * sigma) * norm
    if math.isinf(C.beta):
        is_norm = tau * sigma * norm**2 <= 1 + 1e-12
        return 1 / (1 + min(m * tau, gamma * sigma) / wide) if is_norm else 1.0
    kappa = 1 / tau - sigma * norm**2
    if not 2 * C.beta * kappa >= 1:
        return 1.0
    delta = C.m * (2 - 1 / (C.beta * kappa))
    primal = tau * (delta + 2 * m) / (wide + 2 * tau * m)
    dual = 1.0 if math.isinf(gamma) else 2 * gamma * sigma / (wide + 2 * gamma * sigma)
    return math.sqrt(max(0.0, 1 - min(primal, dual)))
