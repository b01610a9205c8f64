"""One instance of every function that is no sum over entries, or made of others, each with plain data."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from monops.arrays import Shape
from monops.functions import (
    L1,
    AffineSet,
    BoxHyperplane,
    Distance,
    Function,
    HalfSpace,
    Hyperplane,
    L1Ball,
    L2Ball,
    PSDCone,
    SecondOrderCone,
    SeparableSum,
    Simplex,
    Softmax,
    SquarePerspective,
    Support,
)
from monops.linear import Dense
from monops.testing.draw import Draw


class JointCase(NamedTuple):
    """A function with its name and parameters in `monops.reference.projections`, and the shape of its points."""

    f: Function
    reference: str
    parameters: dict[str, Any]
    domain: Shape = (5,)


# Binary fractions, so that single precision has the same numbers.
NORMAL = np.array([1.0, -2.0, 0.5, 0.0, 3.0])
MATRIX = np.array([[1.0, -0.5, 2.0, 0.0, 0.25], [0.5, 1.0, 0.0, -1.5, 1.0]])
RIGHT = np.array([1.0, -0.5])


def _with_array(kind: type, **numbers: float) -> Callable[[Draw], JointCase]:
    def make(draw: Draw) -> JointCase:
        return JointCase(kind(draw.put(NORMAL), **numbers), kind.__name__, {"normal": NORMAL, **numbers})

    return make


def _plain(f: Function, **parameters: float) -> Callable[[Draw], JointCase]:
    return lambda draw: JointCase(f, type(f).__name__, parameters, (4, 4) if f.axes == 2 else (5,))


def _affine(draw: Draw) -> JointCase:
    return JointCase(AffineSet(draw.put(MATRIX), draw.put(RIGHT)), "AffineSet", {"K": MATRIX, "b": RIGHT})


def _precomposed(draw: Draw) -> JointCase:
    f = L1(0.25).precompose(Dense(draw.put(np.full((1, 5), 2.0))))
    return JointCase(f, "abs of a sum", {"weight": 0.5})


def _perturbed(draw: Draw) -> JointCase:
    f = L1(0.5).perturb(0.75, draw.put(NORMAL), center=draw.put(MATRIX[0]))
    return JointCase(f, "perturbed abs", {"w": 0.5, "m": 0.75, "b": NORMAL, "c": MATRIX[0]})


JOINT: dict[str, Callable[[Draw], JointCase]] = {
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
    "Distance": lambda draw: JointCase(Distance(L2Ball(1.0)), "Distance to a ball", {}),
    "SeparableSum": lambda draw: JointCase(SeparableSum((L1(0.5), Simplex(), L2Ball()), (1, 2, 2)), "SeparableSum", {}),
    "Multiple": lambda draw: JointCase(2.0 * L1(0.25), "translated abs", {"c": 0.0, "w": 0.5}),
    "Translated": lambda draw: JointCase(
        L1(0.5).translate(draw.put(NORMAL)), "translated abs", {"c": NORMAL, "w": 0.5}
    ),
    "Rescaled": lambda draw: JointCase(Support(0.0, 1.0).rescale(-2.0), "rescaled hinge", {"s": -2.0}),
    "Perturbed": _perturbed,
    "Precomposed": _precomposed,
    "MoreauEnvelope": lambda draw: JointCase(L1(0.5).envelope(0.25), "envelope of L1", {"w": 0.5, "d": 0.25}),
}
