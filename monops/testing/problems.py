"""Random problems 0 ∈ A(z) + B(z) with known solutions, in kinds that methods ask for."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache, partial
from typing import Any, Literal

import numpy as np

from monops.errors import ConditionError, NoResolventError
from monops.functions import SquaredL2
from monops.linear import Dense
from monops.monotone import Affine, MonotoneOperator, Subdifferential, ZeroOperator
from monops.reference import equilibrium as reference
from monops.reference.functions import FUNCTIONS as REFERENCE_FUNCTIONS
from monops.splitting import SplittingMethod
from monops.testing import catalogue
from monops.testing.catalogue import Draw, FunctionCase

Kind = Literal["monotone", "gradient", "alone"]
KINDS: tuple[Kind, ...] = ("monotone", "gradient", "alone")
# Functions of every sort: indicators, kinked and smooth ones, bounded and unbounded ones.
TRIED = ("ReLU", "L1 (SoftThreshold)", "Tanh", "Box (HardTanh)", "Support", "SquaredL2", "Softplus")


@dataclass(frozen=True)
class Problem:
    """0 ∈ matrix·z - b + ∂f(z), on plain arrays; rows of b are samples, solved at very different speeds.

    Attributes:
        kind: "monotone" for any matrix, "gradient" for a symmetric one, "alone" for a problem without f.
    """

    matrix: np.ndarray
    b: np.ndarray
    f: FunctionCase
    kind: Kind = "monotone"

    @classmethod
    def random(cls, draw: Draw, f: FunctionCase, kind: Kind = "monotone", rows: int = 5) -> Problem:
        """With a matrix whose norm is about three times its monotonicity."""
        n = draw.size
        a, b = draw.array(n, n, scale=(2 * n) ** -0.5), draw.array(n, n, scale=(2 * n) ** -0.5)
        scale = 2.0 ** np.linspace(-6, 3, rows).astype(int)[:, None]
        skew = 0 * b if kind == "gradient" else b - b.T
        return cls(np.eye(n) + a.T @ a + skew, draw.array(rows, n) * scale, f, kind)

    def operators(self, draw: Draw, rows: Any = ...) -> tuple[Affine, MonotoneOperator]:
        """A and B, for these rows of b."""
        M = Dense(draw.put(self.matrix), symmetric=self.kind == "gradient")
        return Affine(M, draw.put(self.b[rows])), self.second

    @property
    def second(self) -> MonotoneOperator:
        """B."""
        return ZeroOperator() if self.kind == "alone" else Subdifferential(self.f.f)

    @property
    def maps(self) -> tuple[Any, Any]:
        """Prox and its derivative, from the reference."""
        known = REFERENCE_FUNCTIONS[self.f.reference]
        return partial(known.prox, **self.f.parameters), partial(known.prox_derivative, **self.f.parameters)

    @cached_property
    def solution(self) -> np.ndarray:
        """The zeros, by Newton's method."""
        return reference.equilibrium(self.matrix, self.b, *self.maps)


@lru_cache(maxsize=6)
def random_problems(seed: int, kind: Kind) -> dict[str, Problem]:
    """One problem for each sort of function; kept, since solving them for reference takes a while."""
    if kind == "alone":
        nothing = FunctionCase(SquaredL2(0.0), "SquaredL2", {"weight": 0.0})
        return {"SquaredL2": Problem.random(Draw(seed), nothing, kind)}
    return {name: Problem.random(Draw(seed), catalogue.FUNCTIONS[name](), kind) for name in TRIED}


def kind_for(method: SplittingMethod, seed: int) -> Kind:
    """The most general kind of problem whose operators the method does not refuse."""
    refusals = []
    for kind in KINDS:
        A, B = random_problems(seed, kind)["SquaredL2"].operators(Draw(seed))
        trial = method.with_step(1e-3) if getattr(method, "step", None) == "auto" else method
        try:
            trial.start(trial.prepare(A, B), A.b)
        except (ConditionError, NoResolventError) as error:
            refusals.append(error)
        else:
            return kind
    raise refusals[0]
