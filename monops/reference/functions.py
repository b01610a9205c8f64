"""Convex functions on plain arrays: values, proximal maps and their derivatives, by other ways than the package goes.

Those which act on each entry by itself need a selection of their subdifferential, their kinks and their second
derivative: the proximal map is found by bisection. Those of whole points have a module for each way: `norms` and `sets`
by bisection for a threshold or a multiplier, `quadratics` by least squares, `matrices` by eigenvalues of other
matrices, `variation` by the dual problem; the derivatives come from the optimality conditions.
"""

from typing import Any

import numpy as np

from monops.reference.activations import ACTIVATIONS
from monops.reference.calculus import CALCULUS
from monops.reference.entries import ENTRIES
from monops.reference.kinds import Array, Reference
from monops.reference.matrices import MATRICES, of_singular_values
from monops.reference.norms import NORMS
from monops.reference.quadratics import QUADRATICS
from monops.reference.sets import SETS
from monops.reference.variation import VARIATION

__all__ = ["FUNCTIONS", "Reference"]

FUNCTIONS: dict[str, Reference] = ENTRIES | ACTIVATIONS


def _supported(reference: Reference) -> Reference:
    """The same function where the parameter `mask` is one, and zero kept where it is zero."""

    def value(x: Array, mask: Any = 1.0, **parameters: Any) -> Array:
        return np.where(mask == 1, reference.value(x, **parameters), np.where(x == 0, 0.0, np.inf))

    def prox(v: Array, step: float, mask: Any = 1.0, **parameters: Any) -> Array:
        return np.where(mask == 1, reference.prox(v, step, **parameters), 0.0)

    def prox_derivative(v: Array, step: float, mask: Any = 1.0, **parameters: Any) -> Array:
        return np.where(mask == 1, reference.prox_derivative(v, step, **parameters), 0.0)

    return Reference(value, prox, prox_derivative)


FUNCTIONS |= {f"Supported {name}": _supported(reference) for name, reference in FUNCTIONS.items()}
FUNCTIONS |= NORMS | SETS | CALCULUS | QUADRATICS | MATRICES | VARIATION
FUNCTIONS |= {
    f"Spectral {name}": of_singular_values(FUNCTIONS[name])
    for name in ("Box", "L1", "L2", "LInf", "LInfBall", "SquaredL2", "ElasticNet", "Huber", "SortedL1")
}
FUNCTIONS["NuclearNorm"] = FUNCTIONS["Spectral L1"]
