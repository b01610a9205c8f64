"""One instance of every function that is no sum over entries, not convex, or made of others, each with plain data."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from monops.arrays import Shape
from monops.functions import (
    L0,
    L1,
    L21,
    TV2D,
    AffineSet,
    BoxHyperplane,
    Distance,
    ElasticNet,
    Function,
    GroupL2,
    HalfSpace,
    Hyperplane,
    L1Ball,
    L2Ball,
    LeastSquares,
    LInf,
    NuclearNorm,
    PSDCone,
    QuadraticForm,
    ReLU,
    SecondOrderCone,
    SeparableSum,
    Simplex,
    Softmax,
    SortedL1,
    Spectral,
    SquarePerspective,
    Support,
    Supported,
)
from monops.linear import Dense
from monops.testing.draw import Draw


class FunctionCase(NamedTuple):
    """A function with its name and parameters in `monops.reference.functions`, and the shape of its points.

    Where parameters differ from sample to sample, `batch` is their shape on the axes before those of a point.
    """

    f: Function
    reference: str
    parameters: dict[str, Any]
    domain: Shape = (5,)
    batch: Shape = ()


# Binary fractions, so that single precision has the same numbers.
NORMAL = np.array([1.0, -2.0, 0.5, 0.0, 3.0])
MATRIX = np.array([[1.0, -0.5, 2.0, 0.0, 0.25], [0.5, 1.0, 0.0, -1.5, 1.0]])
RIGHT = np.array([1.0, -0.5])
WEIGHTS = np.array([1.0, 0.75, 0.5, 0.5, 0.0])
MASK = np.array([1.0, 0.0, 1.0, 1.0, 0.0])
GROUPS = ((0, 3), (1,), (2, 4))
ROWS = ((0, 1, 2), (3, 4, 5))


def _with_array(kind: type, **numbers: float) -> Callable[[Draw], FunctionCase]:
    def make(draw: Draw) -> FunctionCase:
        return FunctionCase(kind(draw.put(NORMAL), **numbers), kind.__name__, {"normal": NORMAL, **numbers})

    return make


def _plain(f: Function, **parameters: float) -> Callable[[Draw], FunctionCase]:
    return lambda draw: FunctionCase(f, type(f).__name__, parameters, (4, 4) if f.axes == 2 else (5,))


def _affine(draw: Draw) -> FunctionCase:
    return FunctionCase(AffineSet(draw.put(MATRIX), draw.put(RIGHT)), "AffineSet", {"K": MATRIX, "b": RIGHT})


def _quadratic(draw: Draw) -> FunctionCase:
    matrix = MATRIX.T @ MATRIX
    f = QuadraticForm(Dense(draw.put(matrix), symmetric=True), draw.put(NORMAL))
    return FunctionCase(f, "QuadraticForm", {"Q": matrix, "q": NORMAL})


def _precomposed(draw: Draw) -> FunctionCase:
    f = L1(0.25).precompose(Dense(draw.put(np.full((1, 5), 2.0))))
    return FunctionCase(f, "abs of a sum", {"weight": 0.5})


def _perturbed(draw: Draw) -> FunctionCase:
    f = L1(0.5).perturb(0.75, draw.put(NORMAL), center=draw.put(MATRIX[0]))
    return FunctionCase(f, "perturbed abs", {"w": 0.5, "m": 0.75, "b": NORMAL, "c": MATRIX[0]})


JOINT: dict[str, Callable[[Draw], FunctionCase]] = {
    "Simplex": _plain(Simplex(2.0), total=2.0),
    "L1Ball": _plain(L1Ball(1.5), radius=1.5),
    "L2Ball": _plain(L2Ball(1.5), radius=1.5),
    "HalfSpace": _with_array(HalfSpace, offset=1.0),
    "Hyperplane": _with_array(Hyperplane, offset=1.0),
    "AffineSet": _affine,
    "SecondOrderCone": _plain(SecondOrderCone()),
    "PSDCone": _plain(PSDCone()),
    "BoxHyperplane": _with_array(BoxHyperplane, offset=1.0, lower=-1.0, upper=2.0),
    "Softmax": _plain(Softmax()),
    "SquarePerspective": _plain(SquarePerspective()),
    "Distance": lambda draw: FunctionCase(Distance(L2Ball(1.0)), "Distance to a ball", {}),
    "SeparableSum": lambda draw: FunctionCase(
        SeparableSum((L1(0.5), Simplex(), L2Ball()), (1, 2, 2)), "SeparableSum", {}
    ),
    "Multiple": lambda draw: FunctionCase(2.0 * L1(0.25), "translated abs", {"c": 0.0, "w": 0.5}),
    "Translated": lambda draw: FunctionCase(
        L1(0.5).translate(draw.put(NORMAL)), "translated abs", {"c": NORMAL, "w": 0.5}
    ),
    "Rescaled": lambda draw: FunctionCase(Support(0.0, 1.0).rescale(-2.0), "rescaled hinge", {"s": -2.0}),
    "Perturbed": _perturbed,
    "Precomposed": _precomposed,
    "GroupL2": lambda draw: FunctionCase(GroupL2(0.7, groups=GROUPS), "GroupL2", {"weight": 0.7, "groups": GROUPS}),
    "L21": lambda draw: FunctionCase(L21(0.7), "GroupL2", {"weight": 0.7, "groups": ROWS}, (2, 3)),
    "SortedL1": lambda draw: FunctionCase(SortedL1(draw.put(WEIGHTS)), "SortedL1", {"weights": WEIGHTS}),
    "L0": lambda draw: FunctionCase(L0(0.75), "L0", {"weight": 0.75}),
    "Supported": lambda draw: FunctionCase(Supported(ReLU(), draw.put(MASK)), "Supported ReLU", {"mask": MASK}),
    "QuadraticForm": _quadratic,
    "LeastSquares": lambda draw: FunctionCase(
        LeastSquares(Dense(draw.put(MATRIX)), draw.put(RIGHT)), "LeastSquares", {"A": MATRIX, "b": RIGHT}
    ),
    "NuclearNorm": lambda draw: FunctionCase(NuclearNorm(0.75), "NuclearNorm", {"weight": 0.75}, (4, 3)),
    "Spectral": lambda draw: FunctionCase(
        Spectral(ElasticNet(0.5, 0.25)), "Spectral ElasticNet", {"l1": 0.5, "l2": 0.25}, (3, 4)
    ),
    "Spectral, not separable": lambda draw: FunctionCase(
        Spectral(LInf(0.75)), "Spectral LInf", {"weight": 0.75}, (3, 3)
    ),
    "TV2D": lambda draw: FunctionCase(TV2D(0.3, tol=1e-7), "TV2D", {"weight": 0.3}, (4, 3)),
    "TV2D, anisotropic": lambda draw: FunctionCase(
        TV2D(0.3, isotropic=False, tol=1e-7), "TV2D", {"weight": 0.3, "isotropic": False}, (4, 3)
    ),
    "MoreauEnvelope": lambda draw: FunctionCase(L1(0.5).envelope(0.25), "envelope of L1", {"w": 0.5, "d": 0.25}),
}
