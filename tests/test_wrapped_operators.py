"""Operators made of others: what these know is known of them, and what their resolvents tell."""

import numpy as np
import pytest
import torch
from cases import draw_of, libraries

from monops import (
    L1,
    Affine,
    Box,
    CondatVu,
    DavisYin,
    Dense,
    Diagonal,
    Identity,
    LeastSquares,
    NormalCone,
    PeacemanRachford,
    ReLU,
    SquaredL2,
    Subdifferential,
)
from monops.arrays import to_numpy
from monops.errors import ConditionError
from monops.functions import Function
from monops.splitting import SplittingMethod


@libraries
def test_a_wrapped_resolvent_tells_its_derivative_where_the_inner_one_does(kind: str) -> None:
    draw = draw_of(kind)
    A, x, v = Subdifferential(Box(-0.3, 0.2)), draw.put(draw.array(3, 5)), draw.put(draw.array(5))
    for B, tells in ((2.0 * A, True), (A + v, True), (A + Identity((5,)), True), (A.translate(v), False)):
        J = B.resolvent(0.7)
        found = J.derivative_from(J(x))
        assert (found is not None) == tells
        if found is not None:
            np.testing.assert_array_equal(to_numpy(found.to_dense()), to_numpy(J.derivative(x).to_dense()))


def test_facts_that_cost_nothing_are_known_through_wrappers() -> None:
    skew = Dense(torch.tensor([[0.0, -1.0], [1.0, 0.0]]))
    B = NormalCone(Box(0.0, 1.0))
    for A in (Affine(skew, claim=0.0), 2.0 * Affine(skew, claim=0.0), Affine(skew, claim=0.0).translate(torch.ones(2))):
        assert A.is_known("strong_monotonicity")
        with pytest.raises(ConditionError, match="round in circles"):
            PeacemanRachford(0.5).prepare(A, B)
    assert not (2.0 * Affine(skew)).is_known("strong_monotonicity")
    assert PeacemanRachford(0.5).prepare(2.0 * Affine(skew), B)


@pytest.mark.parametrize("method", [DavisYin("auto"), CondatVu("auto")], ids=["DavisYin", "CondatVu"])
def test_a_search_begins_with_what_is_known_of_the_term_that_is_taken_as_it_is(method: SplittingMethod) -> None:
    C = Affine(Diagonal(torch.tensor([1.0, 4.0])), torch.zeros(2))
    for A in (C, NormalCone(Box(0.0, 1.0)) + C, C + NormalCone(Box(0.0, 1.0))):
        assert method.starting_step(A) == pytest.approx(2 / (1 + 4))


@libraries
@pytest.mark.parametrize("name", ["multiple", "translated", "rescaled", "perturbed", "precomposed", "number"])
def test_wrappers_of_quadratics_know_their_affine_gradients(name: str, kind: str) -> None:
    draw = draw_of(kind)
    f: Function = LeastSquares(Dense(draw.put(draw.array(6, 5))), draw.put(draw.array(6)))
    turn, _ = np.linalg.qr(draw.array(5, 5))
    v = draw.put(draw.array(5))
    g = {
        "multiple": lambda: 2.0 * f,
        "translated": lambda: f.translate(v),
        "rescaled": lambda: f.rescale(-1.5),
        "perturbed": lambda: f.perturb(0.7, v, center=0.3),
        "precomposed": lambda: f.precompose(Dense(draw.put(2 * turn)), 0.4),
        "number": lambda: f.translate(0.3),
    }[name]()
    known, x = g.affine_gradient(), draw.put(draw.array(3, 5))
    assert known is not None
    np.testing.assert_allclose(to_numpy(known[0].apply(x) - known[1]), to_numpy(g.gradient(x)), rtol=1e-9, atol=1e-9)
    assert Subdifferential(g).as_affine() is not None


@libraries
def test_a_prox_tells_its_derivative_through_multiples_and_quadratic_terms(kind: str) -> None:
    draw = draw_of(kind)
    x = draw.put(draw.array(3, 5))
    for f in (2.0 * Box(-0.3, 0.2), ReLU().perturb(0.7, 0.3), ReLU() + SquaredL2(0.5)):
        found = f.prox_derivative_from(f.prox(x, 0.6), 0.6)
        assert found is not None
        np.testing.assert_array_equal(to_numpy(found.to_dense()), to_numpy(f.prox_derivative(x, 0.6).to_dense()))
    assert L1().translate(0.3).prox_derivative_from(x, 0.6) is None
