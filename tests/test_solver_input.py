"""What a solve does with shapes, starts, empty batches, and with data or steps that lead nowhere."""

import contextlib
import math
import warnings
from typing import Any

import numpy as np
import pytest
import torch
from cases import draw_of, is_numpy, libraries, linear_case, paper, uneven

from monops import (
    ADMM,
    L1,
    Affine,
    ConvergenceWarning,
    Dense,
    Diagonal,
    DouglasRachford,
    ForwardBackwardForward,
    PeacemanRachford,
    ReLU,
    Result,
    SquaredL2,
    Status,
    Subdifferential,
    Tanh,
    solve,
)
from monops.arrays import Array, to_numpy
from monops.errors import OptionError, ShapeError
from monops.linear import FromCallable
from monops.reference import equilibrium as reference
from monops.reference.functions import FUNCTIONS

D = torch.float64
relu = Subdifferential(ReLU())
TIGHT: dict[str, Any] = {"tol": 1e-9}


@libraries
def test_an_earlier_state_continues(kind: str) -> None:
    A, start, _ = uneven(kind)
    B, method = Subdifferential(Tanh()), PeacemanRachford(0.3)
    full = solve(method, A, B, start, tol=1e-10, check_every=1)
    half = solve(method, A, B, start, tol=1e-10, check_every=1, max_steps=6, warn=False)
    rest = solve(method, A, B, half.state, tol=1e-10, check_every=1)
    assert rest.steps == full.steps - 6
    np.testing.assert_allclose(to_numpy(rest.point), to_numpy(full.point), atol=1e-10)


@libraries
def test_starts_broadcast_with_the_data(kind: str) -> None:
    draw = draw_of(kind)
    A, _, _ = paper(draw, 3)
    method, options = DouglasRachford(0.5), TIGHT
    z = draw.array(6)
    one = solve(method, A, relu, draw.put(z), **options)
    same = solve(method, A, relu, draw.put(np.broadcast_to(z, (3, 6)).copy()), **options)
    assert tuple(one.point.shape) == (3, 6)
    np.testing.assert_array_equal(to_numpy(one.point), to_numpy(same.point))
    more = solve(method, A, relu, draw.put(draw.array(4, 1, 6)), **options)
    assert tuple(more.point.shape) == (4, 3, 6)
    np.testing.assert_allclose(to_numpy(more.point), np.broadcast_to(to_numpy(one.point), (4, 3, 6)), atol=1e-7)
    single, _, _ = paper(draw)
    assert tuple(solve(method, single, relu, **options).point.shape) == (6,)
    assert solve(method, single, relu, **options).residual.shape == ()
    batched = solve(method, single, relu, draw.put(draw.array(7, 6)), **options)
    assert tuple(batched.point.shape) == (7, 6)
    with pytest.raises(ShapeError, match=r"z0 of shape \(4, 6\) does not fit states \(3, 6\)"):
        solve(method, A, relu, draw.put(draw.array(4, 6)))


@libraries
@pytest.mark.parametrize("where", ["center", "shift", "weight"])
def test_data_of_the_other_terms_decides_the_batch_too(kind: str, where: str) -> None:
    """With A single and B a batch, or a shift of A a batch: solved for each sample, or refused by name."""
    draw = draw_of(kind)
    A, _, _ = paper(draw)
    rows = draw.put(abs(draw.array(4, 6)))

    def terms(rows: Array) -> tuple[Any, Any]:
        f = Subdifferential(Tanh())
        if where == "weight":
            return A, Subdifferential(L1(rows))
        return A, f.translate(rows) if where == "center" else f + rows

    whole = solve(PeacemanRachford(0.4), *terms(rows), draw.put(np.zeros((4, 6))), tol=1e-10)
    ones = [to_numpy(solve(PeacemanRachford(0.4), *terms(rows[i]), tol=1e-10).point) for i in range(4)]
    np.testing.assert_allclose(to_numpy(whole.point), np.stack(ones), atol=1e-9)
    for start in (None, draw.put(np.zeros(6))):  # a start that is too small may be refused, but by name
        with contextlib.suppress(ShapeError):
            again = solve(PeacemanRachford(0.4), *terms(rows), start, tol=1e-10)
            np.testing.assert_allclose(to_numpy(again.point), to_numpy(whole.point), atol=1e-8)


@libraries
def test_states_of_two_axes(kind: str) -> None:
    draw = draw_of(kind)
    entries, b = abs(draw.array(3, 4)) + 0.2, draw.array(9, 3, 4) * 10.0 ** np.linspace(-4, 2, 9)[:, None, None]
    center = draw.array(3, 4)
    A = Affine(Diagonal(draw.put(entries)), draw.put(b)).translate(draw.put(center))
    result = solve(DouglasRachford(1.0), A, Subdifferential(ReLU(axes=2)), tol=1e-12, max_steps=3000)
    np.testing.assert_allclose(to_numpy(result.point), np.maximum(center + b / entries, 0), atol=1e-8)
    assert result.residual.shape == (9,)


@libraries
@pytest.mark.parametrize("step", [0.5, "auto"])
def test_an_empty_batch_is_solved(kind: str, step: Any) -> None:
    A, _, _ = paper(draw_of(kind), 0)
    result = solve(PeacemanRachford(step), A, relu)
    assert tuple(result.point.shape) == tuple(result.state.shape) == (0, 6)
    assert result.status is Status.CONVERGED
    assert result.steps == 0
    assert result.error_bound.shape == result.residual.shape == (0,)
    assert math.isnan(result.history.rate())


@libraries
def test_a_solution_of_zero_is_found(kind: str) -> None:
    """Where the data are zero, nothing is left for a relative residual to be compared with but the start."""
    draw = draw_of(kind)
    A, _, _ = paper(draw)
    A = Affine(A.linear)
    assert solve(PeacemanRachford(0.3), A, Subdifferential(Tanh()), check_every=1).steps == 1
    away = solve(PeacemanRachford(0.3), A, Subdifferential(Tanh()), draw.put(np.ones(6)))
    assert away.status is Status.CONVERGED
    assert away.steps < 300
    loose = solve(PeacemanRachford(0.3), A, Subdifferential(Tanh()), draw.put(np.ones(6)), atol=1e-6)
    assert loose.steps < 60
    assert float(abs(loose.point).max()) < 1e-5


@libraries
def test_out_of_steps_warns_once_with_the_residual(kind: str) -> None:
    A, start, _ = uneven(kind)
    with pytest.warns(ConvergenceWarning) as caught:
        result = solve(PeacemanRachford(0.01), A, relu, start, max_steps=7)
    assert len(caught) == 1
    message = str(caught[0].message)
    missed = int((~result.converged).sum())
    assert f"PeacemanRachford: {missed} of {len(start)} samples not converged after 7 steps" in message
    assert f"{result.residual.max():.2e}" in message
    assert caught[0].filename == __file__
    assert result.status is Status.MAX_STEPS
    assert result.steps == 7
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        quiet = solve(PeacemanRachford(0.01), A, relu, start, max_steps=7, warn=False)
    assert isinstance(quiet, Result)


@libraries
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("where", ["b", "z0"])
def test_non_finite_data_has_its_status(kind: str, value: float, where: str) -> None:
    draw = draw_of(kind)
    A, _, b = paper(draw, 4)
    start = np.zeros((4, 6))
    (b if where == "b" else start)[2, 1] = value
    A = Affine(A.linear, draw.put(b))
    with np.errstate(invalid="ignore"), pytest.warns(ConvergenceWarning, match="1 of 4 .* NaN or infinity"):
        result = solve(PeacemanRachford(0.4), A, Subdifferential(Tanh()), draw.put(start))
    assert result.status is Status.NON_FINITE
    assert result.converged.tolist() == [True, True, False, True]
    assert np.isfinite(to_numpy(result.point)[[0, 1, 3]]).all()
    assert result.steps < 100  # the others are not kept waiting


def test_unrolled_steps_carry_the_gradient_and_others_do_not() -> None:
    A, matrix, b = paper(draw_of("torch64"), 2)
    c = A.b.clone().requires_grad_()
    z = solve(PeacemanRachford(0.4), Affine(A.linear, c), Subdifferential(Tanh()), tol=1e-13, unroll=True).point
    want = reference.gradient(matrix, b, to_numpy(z), np.ones((2, 6)), FUNCTIONS["Tanh"].prox_derivative)[1]
    np.testing.assert_allclose(torch.autograd.grad(z.sum(), c)[0], want, atol=1e-9)
    assert not solve(PeacemanRachford(0.4), Affine(A.linear, c), relu).point.requires_grad


def test_neither_operator_knows_the_shape() -> None:
    with pytest.raises(OptionError, match="give z0"):
        solve(DouglasRachford(), relu, relu)
    result = solve(DouglasRachford(), Subdifferential(SquaredL2(1.0)).translate(torch.ones(3)), relu, torch.zeros(2, 3))
    torch.testing.assert_close(result.point, torch.ones(2, 3), atol=1e-4, rtol=0)
    with pytest.raises(ShapeError, match=r"A acts on \(6,\), B on \(5,\)"):
        solve(DouglasRachford(), paper(draw_of("torch64"))[0], paper(draw_of("torch64", size=5))[0])


def test_operators_by_functions_run_through_the_same_loop() -> None:
    for kind in ("torch64", "numpy64"):
        draw = draw_of(kind)
        A, matrix, b = paper(draw, 3)
        M = draw.put(matrix)
        hidden = FromCallable(lambda x, M=M: x @ M.T, lambda y, M=M: y @ M, (6,), **draw.kind)
        got = solve(PeacemanRachford(0.5), Affine(hidden, draw.put(b)), relu, tol=1e-10)
        np.testing.assert_allclose(
            to_numpy(got.point), to_numpy(solve(PeacemanRachford(0.5), A, relu, tol=1e-10).point), atol=1e-9
        )
        assert is_numpy(kind) is isinstance(got.point, np.ndarray)
    assert linear_case("FromCallable", "torch64").op.domain == (6,)


@pytest.mark.parametrize("library", [torch.as_tensor, np.asarray])
@pytest.mark.parametrize("entries", [[2.0, -0.5], [[1.0, 0.0], [3.0, 1.0]]], ids=["diagonal", "dense"])
def test_what_is_not_monotone_is_refused_by_every_method(library: Any, entries: Any) -> None:
    data = library(np.array(entries))
    M = Diagonal(data) if data.ndim == 1 else Dense(data)
    B = Subdifferential(ReLU())
    for method in (PeacemanRachford(0.5), DouglasRachford("auto"), ForwardBackwardForward(0.1), ADMM(0.5)):
        with pytest.raises(OptionError, match=r"wants a monotone M, got .* = -0.5 ‖z‖² for some z"):
            solve(method, Affine(M), B)
    assert solve(DouglasRachford(0.5), Affine(M, claim=0.0), B, max_steps=3, warn=False).steps == 3  # on one's own risk
    for edge in (Dense(library(np.array([[0.0, 3.0], [-3.0, 0.0]]))), Dense(library(np.ones((2, 2))))):
        assert Affine(edge).may_be_monotone()
