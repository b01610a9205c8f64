"""Functions whose prox at step 1 is a smooth activation; at other steps its argument is solved for.

Where σ is the prox of f at step 1, u = σ⁻¹(x) = x + f'(x). So x is the prox of f at v and step t,
that is x + t f'(x) = v, exactly if x = σ(u) for the u with

    t u + (1 - t) σ(u) = v,

an increasing equation in one unknown, with slopes between min(t, 1) and max(t, 1). It is solved in
the form p σ(u) + q (u - σ(u)) = target with p, q ≤ 1 (divided by t where t > 1), whose limit p = 0
is f'(x) = target.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from monops.arrays import Array, clip, detach, epsilon, namespace, softplus
from monops.functions.base import Separable

# The smallest weight: it is 0 to working precision next to 1, and its reciprocal is finite in
# float32.
TINY = 1e-20
# exp(-REACH) is 0 in float64: beyond this argument, saturating activations have arrived.
REACH = 800.0


class Weights(NamedTuple):
    """The factors p of σ(u) and q of u - σ(u) in the equation for u."""

    p: float
    q: float


class Expansion(NamedTuple):
    """F(u) = p σ(u) + q (u - σ(u)) and its derivatives: F', F''/2, F'''/6."""

    value: Array
    slope: Array
    second: Array
    third: Array


@dataclass(frozen=True, eq=False)
class Activation(Separable):
    """f(x) = φ(x) - x²/2 summed over entries, with (φ')⁻¹ = σ increasing, smooth, slope in [0, 1].

    A new one gives σ, its slope, the expansion of the equation for u, and a start for it (see the
    module).
    """

    # Whether σ is constant (to working precision) far to the left and far to the right.
    _saturates: ClassVar[tuple[bool, bool]] = (True, True)
    # Iterations to add where the start is not that near.
    _more_iterations: ClassVar[int] = 0

    @abstractmethod
    def _activation(self, u: Array) -> Array:
        """σ(u)."""

    @abstractmethod
    def _slopes(self, u: Array) -> tuple[Array, Array]:
        """σ'(u) and 1 - σ'(u), each without cancellation."""

    @abstractmethod
    def _excess(self, u: Array) -> Array:
        """u - σ(u) without cancellation."""

    @abstractmethod
    def _start(self, target: Array, weights: Weights) -> Array:
        """An approximate u with p σ(u) + q (u - σ(u)) = target."""

    @abstractmethod
    def _expansion(self, u: Array, weights: Weights) -> Expansion:
        """The left side of the equation and its derivatives at u."""

    def _conjugate_prox(self, x: Array, step: float) -> Array:
        # With x' the prox of f in Moreau's identity, this is f'(x').
        return self._excess(self._argument(self._admit(x) / step, 1 / step))

    def _prox(self, x: Array, step: float) -> Array:
        return self._activation(self._argument(x, step))

    def _prox_slope(self, x: Array, step: float) -> Array:
        slope, complement = self._slopes(self._argument(x, step))
        if step == 1:
            return slope
        p, q = _weights(step)
        return p * slope / (p * slope + q * complement)

    def _argument(self, x: Array, step: float) -> Array:
        """The u with prox(x, step) = σ(u)."""
        if step == 1:
            return x
        weights = _weights(step)
        reach = REACH * weights.q + 2.0
        low, high = (reach if saturates else math.inf for saturates in self._saturates)
        return self._solve(clip(x / max(1.0, step), -low, high), weights)

    def _solve(self, target: Array, weights: Weights) -> Array:
        """The u with p σ(u) + q (u - σ(u)) = target, by Householder's third-order method.

        The starts are near enough for two or three iterations to reach machine precision, whatever
        the target and the weights. All but the last run on detached data. The last one starts from
        a constant u, and is a series in the target that agrees with the inverse function up to
        third order: its derivatives are right through it.
        """
        held = detach(target)
        u = self._start(held, weights)
        for _ in range(_iterations(weights, target) + self._more_iterations - 1):
            u = householder(u, self._expansion(u, weights), held)
        return householder(u, self._expansion(u, weights), target)


def stationary() -> Weights:
    """The weights that make the equation f'(σ(u)) = target, to working precision."""
    return _weights(math.inf)


def saturation(log_factor: float, target: Array) -> Array:
    """About the y with y - K exp(-y) = target, log K = `log_factor`: target + W(K exp(-target)).

    Lambert's W(z) is taken as l (1 - log(1 + l) / (2 + l)) with l = log(1 + z), off by about a
    hundredth. Where z is large W = log(z / W) is put in, so that nothing cancels.
    """
    xp = namespace(target)
    log_z = log_factor - target
    log_1z = softplus(log_z)
    w = log_1z * (1 - xp.log1p(log_1z) / (2 + log_1z))
    return xp.where(log_z > 1, log_factor - xp.log(clip(w, 0.5, None)), target + w)


def _weights(step: float) -> Weights:
    return Weights(max(1 / max(1.0, step), TINY), max(min(1.0, step), TINY))


def _iterations(weights: Weights, target: Array) -> int:
    """How many iterations to run: fewer where the equation is nearly linear, or digits are few."""
    nearly_linear = 0.5 <= weights.q / weights.p <= 1.25
    return 2 if nearly_linear or epsilon(target.dtype) > 1e-10 else 3


def householder(u: Array, at: Expansion, target: Array) -> Array:
    """One step of Householder's third-order method for F(u) = target, from the expansion of F at u."""
    r = (target - at.value) / at.slope
    h = r / at.slope
    bend = at.second * h
    return u + r * (1 + bend) / (1 + 2 * bend + at.third * h * r)
