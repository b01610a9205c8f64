"""Steps of each sample by itself, measured or given."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from cases import draw_of, libraries

from monops import (
    L1,
    L21,
    AdaptiveForwardBackward,
    Affine,
    Box,
    Dense,
    Distance,
    L2Ball,
    NormalCone,
    ReLU,
    SeparableSum,
    Simplex,
    Subdifferential,
    Supported,
    Tanh,
    ZeroOperator,
)
from monops.arrays import Array, to_numpy
from monops.batch import rows_of
from monops.errors import StepSizeError
from monops.monotone import Inverse, MonotoneOperator
from monops.splitting import adaptive
from monops.testing import catalogue


def uneven_batch(draw: Any) -> Affine:
    """Three gradients whose Lipschitz constants are far apart."""
    half = draw.array(3, 7, 5) * np.array([1.0, 3.0, 10.0])[:, None, None]
    return Affine(Dense(draw.put(half.swapaxes(1, 2) @ half), symmetric=True), draw.put(draw.array(3, 5)))


SECOND_TERMS: dict[str, tuple[Callable[[Any], MonotoneOperator], bool]] = {
    "L1": (lambda weights: Subdifferential(L1(0.3)), True),
    "L1 of each sample": (lambda weights: Subdifferential(L1(abs(weights))), True),
    "box": (lambda weights: NormalCone(Box(-0.1, 0.2)), True),
    "zero": (lambda weights: ZeroOperator(), True),
    "Tanh": (lambda weights: Subdifferential(Tanh()), False),
    "twice Tanh": (lambda weights: Subdifferential(2.0 * Tanh()), False),
    "Tanh moved": (lambda weights: Subdifferential(Tanh().translate(0.3)), False),
    "twice the operator": (lambda weights: 2.0 * Subdifferential(Tanh()), False),
    "affine": (lambda weights: Affine(Dense(0 * weights.mT @ weights, symmetric=True), 0.1 * weights), False),
}


@libraries
@pytest.mark.parametrize("name", list(SECOND_TERMS))
def test_measured_steps_are_those_of_each_sample(name: str, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    draw, (make, at_once) = draw_of(kind), SECOND_TERMS[name]
    A, weights, z = uneven_batch(draw), draw.put(draw.array(3, 5)), draw.put(draw.array(3, 5))
    B, method, reads = make(weights), AdaptiveForwardBackward(0.01), []

    def read(x: Array) -> np.ndarray:
        reads.append(x)
        return to_numpy(x)

    monkeypatch.setattr(adaptive, "to_numpy", read)

    def states(A: MonotoneOperator, B: MonotoneOperator, z: Array) -> list[Any]:
        plan, done = method.prepare(A, B), []
        done.append(method.start(plan, z))
        for _ in range(15):
            done.append(method.advance(plan, done[-1]).state)
        return done

    together = states(A, B, z)  # not so many that the differences by which steps are measured become rounding
    assert len(reads) == (0 if at_once else 15)
    for i in range(3):
        index = rows_of(np.array([i]), z)
        own = make(weights[i : i + 1]) if name == "L1 of each sample" else B.take(index, (3, 5))
        for mine, all_of_them in zip(states(A.take(index, (3, 5)), own, z[i : i + 1]), together, strict=True):
            for one, several in zip(mine, all_of_them, strict=True):
                np.testing.assert_allclose(to_numpy(several)[i], to_numpy(one)[0], rtol=1e-6, atol=1e-12)
    steps = to_numpy(together[-1].step).ravel()
    assert steps.max() > 5 * steps.min()


MADE_OF_OTHERS = (
    "multiple", "translated", "rescaled", "perturbed", "envelope", "distance", "precomposed", "supported",
    "separable sum",
)  # fmt: skip
TAKE_STEPS = {name for name, make in catalogue.FUNCTIONS.items() if make().f.takes_steps}


@libraries
@pytest.mark.parametrize("name", [*sorted(TAKE_STEPS), "L2Ball", "Simplex", "L21", *MADE_OF_OTHERS])
def test_a_prox_at_a_step_for_each_sample(name: str, kind: str) -> None:
    draw = draw_of(kind)
    others = {
        "L2Ball": L2Ball(0.7),
        "Simplex": Simplex(),
        "L21": L21(0.4, axes=2),
        "multiple": 2.0 * L1(0.3),
        "translated": L1(0.3).translate(draw.put(draw.array(5))),
        "rescaled": L1(0.3).rescale(-2.0),
        "perturbed": L1(0.3).perturb(0.7, draw.put(draw.array(5)), center=0.2),
        "envelope": L1(0.3).envelope(0.4),
        "distance": Distance(L2Ball(0.7)),
        "precomposed": L1(0.3).precompose(Dense(draw.put(np.eye(5)[:3] * 2)), 0.3),
        "supported": Supported(L1(0.3), draw.put(np.array([1.0, 0, 1, 1, 0]))),
        "separable sum": SeparableSum((L1(0.3), ReLU()), (2, 3)),
    }
    f = others[name] if name in others else catalogue.FUNCTIONS[name]().f
    assert f.takes_steps
    x = draw.put(draw.array(3, *(4, 5)[-f.axes :], scale=3.0))
    steps = draw.put(np.array([0.2, 1.0, 4.0]).reshape(3, *(1,) * f.axes))
    for prox in (lambda x, step: f.prox(x, step), lambda x, step: Subdifferential(f).resolvent(step)(x)):
        together = to_numpy(prox(x, steps))
        for i, step in enumerate((0.2, 1.0, 4.0)):
            np.testing.assert_allclose(together[i], to_numpy(prox(x[i], step)), atol=1e-13)


@libraries
@pytest.mark.parametrize("name", ["multiple", "translated", "perturbed", "inverse"])
def test_a_resolvent_at_a_step_for_each_sample(name: str, kind: str) -> None:
    draw = draw_of(kind)
    A: MonotoneOperator = Subdifferential(L1(0.3))
    x, v = draw.put(draw.array(3, 5, scale=3.0)), draw.put(draw.array(5))
    B = {"multiple": 2.0 * A, "translated": A.translate(v), "perturbed": A + v, "inverse": Inverse(A)}[name]
    assert B.takes_steps
    together = to_numpy(B.resolvent(draw.put(np.array([[0.2], [1.0], [4.0]])))(x))
    for i, step in enumerate((0.2, 1.0, 4.0)):
        np.testing.assert_allclose(together[i], to_numpy(B.resolvent(step)(x[i])), atol=1e-13)


def test_a_prox_that_wants_one_step_says_so() -> None:
    with pytest.raises(StepSizeError, match="wants a step in"):
        Tanh().prox(torch.ones(2, 3), torch.ones(2, 1))  # type: ignore[arg-type]
