"""Methods for three operators and for operators behind linear ones, and wrappers: formulas and refusals."""

import math
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from cases import draw_of, libraries, paper, quick
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize

from monops import (
    ADMM,
    FISTA,
    L1,
    AdaptiveForwardBackward,
    Affine,
    Anderson,
    Box,
    ChambollePock,
    CondatVu,
    DavisYin,
    Dense,
    DouglasRachford,
    ElasticNet,
    Extragradient,
    FixedPoint,
    ForwardBackward,
    ForwardBackwardForward,
    ForwardReflectedBackward,
    Halpern,
    LinearizedADMM,
    NormalCone,
    PeacemanRachford,
    ProximalPoint,
    Relaxed,
    ReLU,
    SquaredL2,
    Subdifferential,
    Tanh,
    equilibrium,
    search_step,
    solve,
)
from monops.arrays import Array, norm, to_numpy
from monops.errors import ConditionError, OptionError
from monops.monotone import MonotoneOperator

D = torch.float64
TIGHT: dict[str, Any] = {"tol": 1e-11, "max_steps": 50000}


def step_once(method: Any, A: MonotoneOperator, B: MonotoneOperator, z: Array) -> Any:
    plan = method.prepare(A, B)
    return method.advance(plan, method.start(plan, z))


def _fused_cost(S: np.ndarray, b: np.ndarray, K: np.ndarray, x: np.ndarray) -> float:
    return float(0.5 * x @ S @ x - b @ x + 0.7 * np.abs(K @ x).sum())


def fused_lasso(draw: Any, weight: float = 0.7) -> tuple[Affine, Dense, np.ndarray]:
    """½⟨x, S x⟩ - ⟨b, x⟩ + weight ‖K x‖₁: A, K and, through its dual (a least-squares problem in a box), x."""
    half, K, b = draw.array(6, 5), draw.array(7, 5), draw.array(3, 5)
    S = half.T @ half + 0.3 * np.eye(5)
    root = np.linalg.cholesky(np.linalg.inv(S)).T
    solutions = []
    for row in b:
        dual = optimize.lsq_linear(root @ K.T, root @ row, (-weight, weight), method="bvls", tol=1e-14)
        solutions.append(np.linalg.solve(S, row - K.T @ dual.x))
    return Affine(Dense(draw.put(S), symmetric=True), draw.put(b)), Dense(draw.put(K)), np.array(solutions)


@libraries
@pytest.mark.parametrize(
    "method",
    [ChambollePock(0.5), ChambollePock("auto"), ADMM(0.5), ADMM("auto"), LinearizedADMM(2.0), CondatVu(0.02)],
    ids=repr,
)
def test_an_operator_behind_a_linear_one(method: Any, kind: str) -> None:
    A, K, want = fused_lasso(draw_of(kind))
    result = solve(method, A, Subdifferential(L1(0.7)).precompose(K), **TIGHT)
    np.testing.assert_allclose(to_numpy(result.point), want, atol=1e-8)
    assert result.state[0].shape == result.point.shape
    again = solve(result.method, A, Subdifferential(L1(0.7)).precompose(K), result.state, tol=1e-9)
    assert again.steps <= 10


@libraries
def test_admm_behind_a_frame(kind: str) -> None:
    """min 0.3‖x‖₁ + ¼‖x‖² + 0.7‖K x - c‖₁ with KᴴK = 3 I, where f is no quadratic; against CVXPY."""
    cp = pytest.importorskip("cvxpy", reason="an independent solver, of the extra dev")
    draw = draw_of(kind)
    K, c = np.sqrt(3.0) * np.linalg.qr(draw.array(7, 5))[0], draw.array(3, 7)
    A, B = Subdifferential(ElasticNet(0.3, 0.5)), Subdifferential(L1(0.7)).translate(draw.put(c))
    linked = B.precompose(Dense(draw.put(K)))
    x = solve(ADMM(0.5), A, linked, draw.put(np.zeros((3, 5))), **TIGHT).point
    other = solve(ChambollePock(0.5), A, linked, draw.put(np.zeros((3, 5))), **TIGHT).point
    np.testing.assert_allclose(to_numpy(x), to_numpy(other), atol=1e-8)
    for i in range(3):
        v = cp.Variable(5)
        cost = 0.3 * cp.norm1(v) + 0.25 * cp.sum_squares(v) + 0.7 * cp.norm1(K @ v - c[i])
        cp.Problem(cp.Minimize(cost)).solve(solver="CLARABEL", tol_gap_abs=1e-11, tol_gap_rel=1e-11, tol_feas=1e-11)
        np.testing.assert_allclose(to_numpy(x)[i], v.value, atol=1e-6)


@libraries
def test_three_operators_and_a_linear_one(kind: str) -> None:
    """The same problem, with a box, once as 0 ∈ N + C + KᴴBK and once by its optimality conditions."""
    draw = draw_of(kind)
    C, K, _ = fused_lasso(draw)
    box, B = NormalCone(Box(-0.1, 0.2)), Subdifferential(L1(0.7)).precompose(K)
    x = solve(CondatVu(0.05), box + C, B, draw.put(np.zeros((3, 5))), **TIGHT).point
    other = solve(DavisYin(0.05), C + box, Subdifferential(SquaredL2(1.0)), draw.put(np.zeros((3, 5))), **TIGHT).point
    S, b, plain = to_numpy(C.linear.to_dense()), to_numpy(C.b), to_numpy(K.to_dense())
    for i in range(3):
        cost = partial(_fused_cost, S, b[i], plain)
        mine = cost(to_numpy(x)[i])
        rng = np.random.default_rng(0)
        for scale in (1e-1, 1e-3, 1e-5):
            rivals = np.clip(to_numpy(x)[i] + scale * rng.standard_normal((200, 5)), -0.1, 0.2)
            assert all(cost(v) >= mine - 1e-9 for v in rivals)
        bounded = optimize.lsq_linear(
            np.linalg.cholesky(S + np.eye(5)).T,
            np.linalg.solve(np.linalg.cholesky(S + np.eye(5)), b[i]),
            (-0.1, 0.2),
            method="bvls",
            tol=1e-14,
        )
        np.testing.assert_allclose(to_numpy(other)[i], bounded.x, atol=1e-9)


@libraries
@quick
@given(seed=st.integers(0, 10**6), step=st.floats(0.05, 3.0))
def test_relations_between_methods(kind: str, seed: int, step: float) -> None:
    draw = draw_of(kind, seed)
    A, _, _ = paper(draw, 3)
    B, z = Subdifferential(Tanh()), draw.put(draw.array(3, 6))
    pr, dr = step_once(PeacemanRachford(step), A, B, z), step_once(DouglasRachford(step), A, B, z)
    half = step_once(Relaxed(PeacemanRachford(step), 0.5), A, B, z)
    np.testing.assert_allclose(to_numpy(half.state), to_numpy(dr.state), atol=1e-13)
    over = step_once(Relaxed(DouglasRachford(step), 1.5), A, B, z)
    np.testing.assert_allclose(to_numpy(over.state), to_numpy(0.25 * z + 0.75 * pr.state), atol=1e-12)
    davis = step_once(DavisYin(step), Subdifferential(SquaredL2(0.0)), B, z)
    np.testing.assert_allclose(to_numpy(davis.point), to_numpy(B.resolvent(step)(z)), atol=1e-13)
    plain = step_once(FixedPoint(), A, B, z)
    want = np.tanh(to_numpy(z) - to_numpy(A(z)))
    np.testing.assert_allclose(to_numpy(plain.state), want, atol=1e-12)
    first = step_once(Halpern(DouglasRachford(step)), A, B, z).state
    np.testing.assert_allclose(to_numpy(first.z), to_numpy(0.5 * z + 0.5 * dr.state), atol=1e-13)
    tiny = 0.4 * A.cocoercivity
    fb, frb = step_once(ForwardBackward(tiny), A, B, z), step_once(ForwardReflectedBackward(tiny), A, B, z)
    np.testing.assert_allclose(to_numpy(frb.point), to_numpy(fb.point), atol=1e-13)  # nothing to reflect at first


def test_chambolle_pock_at_the_limit_is_douglas_rachford() -> None:
    A, _, _ = paper(draw_of("torch64"), 3)
    B = Subdifferential(Tanh())
    method, dr = ChambollePock(0.4), DouglasRachford(0.4)
    plan, dr_plan = method.prepare(A, B), dr.prepare(A, B)
    state = method.start(plan, torch.randn(3, 6, dtype=D))
    w = state.x - 0.4 * state.y
    for _ in range(5):
        state, w = method.advance(plan, state).state, dr.advance(dr_plan, w).state
        torch.testing.assert_close(state.x - 0.4 * state.y, w)


def test_condat_vu_without_a_smooth_term_is_chambolle_pock() -> None:
    A, B = Subdifferential(L1(0.3)), Subdifferential(Tanh()).precompose(Dense(torch.randn(5, 4, dtype=D)))
    first, second = ChambollePock(0.3, 0.1), CondatVu(0.3, 0.1)
    plans = first.prepare(A, B), second.prepare(A, B)
    z = torch.randn(3, 4, dtype=D)
    states = first.start(plans[0], z), second.start(plans[1], z)
    for _ in range(4):
        steps = first.advance(plans[0], states[0]), second.advance(plans[1], states[1])
        states = steps[0].state, steps[1].state
        for one, other in zip((*states[0], *steps[0].gap()), (*states[1], *steps[1].gap()), strict=True):
            torch.testing.assert_close(one, other)


@libraries
def test_inertia_and_measured_steps(kind: str) -> None:
    """On a badly conditioned least-squares problem in a box: fewer steps, and the answer of SciPy."""
    draw = draw_of(kind)
    matrix = draw.array(40, 12) * np.logspace(0, -2, 12)
    target = draw.array(40)
    want = optimize.lsq_linear(matrix, target, (0.0, 1.0), method="bvls", tol=1e-15).x
    S, b = matrix.T @ matrix, matrix.T @ target
    A, B = Affine(Dense(draw.put(S), symmetric=True), draw.put(b)), NormalCone(Box(0.0, 1.0))
    steps = {}
    for method in (ForwardBackward(1 / A.lipschitz), FISTA(1 / A.lipschitz), AdaptiveForwardBackward()):
        result = solve(method, A, B, tol=1e-10, max_steps=200000, check_every=1)
        steps[type(method).__name__] = result.steps
        assert A.lipschitz * np.linalg.norm(matrix @ (to_numpy(result.point) - want)) < 1e-6
    assert steps["FISTA"] < 0.3 * steps["ForwardBackward"]
    assert steps["AdaptiveForwardBackward"] < steps["ForwardBackward"]


def test_the_bound_of_halpern() -> None:
    """‖T z - z‖ ≤ 2‖z₀ - z*‖/(k + 1), which the Douglas-Rachford method itself does not keep to on a rotation."""
    angle = 0.05
    skew = torch.tensor([[0.0, 1.0], [-1.0, 0.0]], dtype=D)
    A, B = Affine(Dense(skew)), Subdifferential(SquaredL2(0.0))
    method = Halpern(PeacemanRachford(math.tan(angle)), restart=None)
    plan = method.prepare(A, B)
    state = method.start(plan, torch.tensor([1.0, 0.0], dtype=D))
    for k in range(200):
        step = method.method.advance(plan[0], state.z)
        assert float(norm(step.state - state.z, 1)) <= 2 / (k + 1) + 1e-12
        state = method.advance(plan, state).state


@libraries
def test_a_saddle_point(kind: str) -> None:
    """min_x max_y of a matrix game on boxes: A is skew, so plain forward-backward steps go round in circles."""
    draw = draw_of(kind)
    G, n = draw.array(4, 4), 4
    skew = np.block([[np.zeros((n, n)), G], [-G.T, np.zeros((n, n))]])
    A, B = Affine(Dense(draw.put(skew)), draw.put(draw.array(2 * n))), NormalCone(Box(-1.0, 1.0))
    step = float(0.4 / A.lipschitz)
    points = [
        to_numpy(solve(method, A, B, **TIGHT).point)
        for method in (ForwardBackwardForward(step), ForwardReflectedBackward(step), Extragradient(step))
    ]
    for z in points:
        F = skew @ z - to_numpy(A.b)
        assert np.abs(z - np.clip(z - F, -1, 1)).max() < 1e-8
    with pytest.raises(ConditionError, match="the bound is 0"):
        solve(ForwardBackward(step), A, B)


def test_a_search_tells_what_it_chose() -> None:
    A, _, _ = paper(draw_of("torch64"), 3)
    B = Subdifferential(ReLU())
    search = solve(PeacemanRachford("auto"), A, B).search
    assert search.start == 1 / A.lipschitz
    assert search.trials[search.method.step] == min(search.trials.values())
    assert str(search).startswith(f"PeacemanRachford: step {search.method.step:.4g} of {len(search.trials)} tried")
    assert "spectral facts" in str(search)
    assert solve(PeacemanRachford(0.3), A, B).search is None


@pytest.mark.parametrize("scale", [1e-4, 1.0, 1e4])
def test_without_facts_the_search_begins_where_residuals_are_in_balance(scale: float) -> None:
    """min ‖x‖₁ in the box around c: whatever the units, it starts where few steps are needed, and ends right."""
    center = scale * torch.tensor([[3.0, -2.0, 0.5, 1.0]], dtype=D)
    A, B = Subdifferential(L1(1.0)), NormalCone(Box(-scale, scale)).translate(center)
    search = search_step(DouglasRachford("auto"), A, B, torch.zeros(1, 4, dtype=D), tol=1e-9)
    assert search.source == "where the residuals are in balance"
    assert search.trials[search.start] < 30
    result = solve(search.method, A, B, torch.zeros(1, 4, dtype=D), tol=1e-9)
    want = torch.sign(center) * (center.abs() - scale).clip(0)
    torch.testing.assert_close(result.point, want, atol=1e-7 * scale, rtol=0)


def test_another_methods_state_is_refused() -> None:
    A, K, _ = fused_lasso(draw_of("torch64"))
    state = solve(ChambollePock(0.5), A, Subdifferential(L1(0.7)).precompose(K), tol=1e-2).state
    with pytest.raises(OptionError, match=r"ADMM starts from a point, or from a Multipliers.*got a PrimalDual"):
        solve(ADMM(0.5), A, Subdifferential(L1(0.7)).precompose(K), state)


def test_a_problem_of_one_operator() -> None:
    A, matrix, b = paper(draw_of("torch64"), 3)
    want = torch.as_tensor(np.linalg.solve(matrix, b.T).T)
    for method in (ProximalPoint(3.0), PeacemanRachford(0.4), ForwardBackward("auto"), ADMM(0.5)):
        torch.testing.assert_close(solve(method, A, **TIGHT).point, want, atol=1e-8, rtol=0)


def test_gradients_through_primal_dual_methods() -> None:
    """The implicit derivative is that of the solution, whichever method has found it."""
    A, _, b = paper(draw_of("torch64"), 3)
    shift = torch.as_tensor(b).requires_grad_()
    gradients = []
    for method in (PeacemanRachford(0.4), ChambollePock(0.4), ADMM(0.4), Anderson(DouglasRachford(0.4))):
        z = equilibrium(method, Affine(A.linear, shift), Subdifferential(Tanh()), **TIGHT).point
        gradients.append(torch.autograd.grad(z.square().sum(), shift)[0])
    for gradient in gradients[1:]:
        torch.testing.assert_close(gradient, gradients[0], atol=1e-8, rtol=0)


def test_primal_dual_steps_are_overrelaxed_as_far_as_they_are_averaged() -> None:
    torch.manual_seed(0)
    K = Dense(torch.randn(5, 4, dtype=D))
    C = Affine(Dense(torch.diag(torch.arange(1.0, 5.0, dtype=D)), symmetric=True), torch.randn(4, dtype=D))
    B = Subdifferential(L1(0.3)).precompose(K)
    want = solve(ChambollePock(0.3), C, B, tol=1e-12, max_steps=5000).point
    for method in (Relaxed(ChambollePock(0.3), 1.9), Relaxed(CondatVu(0.1, 0.1), 1.5)):
        result = solve(method, C, B, tol=1e-11, max_steps=5000)
        torch.testing.assert_close(result.point, want, rtol=1e-9, atol=1e-9)
    plain, relaxed = (solve(m, C, B, tol=1e-9, max_steps=5000).steps for m in (method.method, method))
    assert relaxed < plain
    with pytest.raises(OptionError, match=r"in \(0, 1.\d+\) for steps of CondatVu here"):
        solve(Relaxed(CondatVu(0.1, 0.1), 1.99), C, B)
