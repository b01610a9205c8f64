"""The one loop: convergence sample by sample, what it returns, its options, tuning, warm starts, failures."""

import math
import warnings
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import torch
from cases import draw_of, is_numpy, kinds, libraries, linear_case, paper, quick
from hypothesis import given
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode

import monops.loop
from monops import (
    L1,
    Affine,
    ConvergenceWarning,
    Dense,
    Diagonal,
    DouglasRachford,
    ForwardBackward,
    PeacemanRachford,
    ReLU,
    Result,
    SquaredL2,
    Status,
    Subdifferential,
    Tanh,
    error_bound,
    solve,
    tune,
)
from monops.arrays import Array, to_numpy
from monops.errors import OptionError, ShapeError
from monops.linear import FromCallable, LinearOperator
from monops.monotone import MonotoneOperator, Resolvent
from monops.reference import equilibrium as reference
from monops.reference.functions import FUNCTIONS

D = torch.float64
relu = Subdifferential(ReLU())
METHODS = [ForwardBackward, PeacemanRachford, DouglasRachford]


def uneven(kind: str, rows: int = 24, seed: int = 0) -> tuple[Affine, Any, np.ndarray]:
    """A problem whose samples need very different numbers of steps, and a start."""
    draw = draw_of(kind, seed)
    A, matrix, b = paper(draw, rows)
    z = np.array(
        [reference.equilibrium(matrix, row, FUNCTIONS["Tanh"].prox, FUNCTIONS["Tanh"].prox_derivative) for row in b]
    )
    start = z + 10.0 ** np.linspace(-13, 1, rows)[:, None] * draw.array(rows, 6)  # ever farther from the solution
    return A, draw.put(start), z


@libraries
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("check_every", [1, 4])
def test_each_sample_is_solved_as_if_alone(kind: str, method: Any, check_every: int) -> None:
    A, start, want = uneven(kind)
    B, method = Subdifferential(Tanh()), method(0.05)
    options: dict[str, Any] = {"tol": 1e-10, "check_every": check_every, "max_steps": 5000}
    whole = solve(method, A, B, start, **options)
    assert whole.status is Status.CONVERGED
    assert len(set(whole.sample_steps.tolist())) > 5
    assert whole.steps == whole.sample_steps.max()
    for i in range(len(want)):
        one = solve(method, Affine(A.linear, A.b[i]), B, start[i], **options)
        assert one.steps == whole.sample_steps[i] == one.sample_steps
        np.testing.assert_allclose(to_numpy(whole.point[i]), to_numpy(one.point), rtol=0, atol=1e-13)
        np.testing.assert_allclose(to_numpy(whole.state[i]), to_numpy(one.state), rtol=0, atol=1e-13)
        np.testing.assert_allclose(whole.residual[i], one.residual, rtol=1e-3, atol=1e-14)
    np.testing.assert_allclose(to_numpy(whole.point), want, atol=1e-8)


@dataclass(frozen=True, eq=False)
class Spy(Resolvent):
    """A resolvent that keeps a record of how many rows it is applied to."""

    J: Resolvent
    rows: list[int]
    leaves_out: bool = True

    def __call__(self, x: Array) -> Array:
        self.rows.append(len(x))
        return self.J(x)

    def derivative(self, x: Array) -> LinearOperator:
        return self.J.derivative(x)

    def take(self, index: Array, batch: tuple[int, ...]) -> Resolvent:
        if not self.leaves_out:
            return super().take(index, batch)
        return Spy(self.J.take(index, batch), self.rows)


@dataclass(frozen=True, eq=False)
class Watched(MonotoneOperator):
    A: MonotoneOperator
    rows: list[int] = field(default_factory=list)
    leaves_out: bool = True

    @property
    def domain(self) -> Any:
        return self.A.domain

    def resolvent(self, step: float) -> Resolvent:
        return Spy(self.A.resolvent(step), self.rows, self.leaves_out)

    def zero(self) -> Array:
        return self.A.zero()


@libraries
def test_finished_samples_leave_the_batch_and_nothing_changes(kind: str) -> None:
    A, start, _ = uneven(kind, rows=32)
    watched, stubborn = Watched(A), Watched(A, leaves_out=False)
    options: dict[str, Any] = {"tol": 1e-10, "check_every": 2}
    method, B = PeacemanRachford(0.3), Subdifferential(Tanh())
    plain, small, full = (solve(method, op, B, start, **options) for op in (A, watched, stubborn))
    assert small.steps == len(watched.rows)
    assert set(stubborn.rows) == {32}
    assert watched.rows[0] == 32
    assert watched.rows == sorted(watched.rows, reverse=True)
    assert watched.rows[-1] <= 8
    # a quarter of what is left is the least that leaves at once
    sizes = sorted(set(watched.rows), reverse=True)
    assert all(after <= 0.75 * before for before, after in zip(sizes, sizes[1:], strict=False))
    assert sum(watched.rows) < 0.7 * sum(stubborn.rows)
    for other in (small, full):
        np.testing.assert_array_equal(other.sample_steps, plain.sample_steps)
        np.testing.assert_allclose(to_numpy(other.point), to_numpy(plain.point), rtol=0, atol=1e-14)
        np.testing.assert_allclose(to_numpy(other.state), to_numpy(plain.state), rtol=0, atol=1e-14)
        np.testing.assert_allclose(other.history.residual, plain.history.residual, rtol=1e-6, atol=1e-15)


@libraries
def test_a_batch_of_several_axes_and_parts_of_rows(kind: str) -> None:
    draw = draw_of(kind)
    A, matrix, b = paper(draw, 5, 3)
    b = b * 10.0 ** np.linspace(-6, 2, 15).reshape(5, 3, 1)
    A = Affine(A.linear, draw.put(b))
    result = solve(PeacemanRachford(0.3), A, Subdifferential(L1(0.3)), draw.put(np.ones((5, 3, 6))), tol=1e-11)
    want = reference.equilibrium(
        matrix, b, lambda v, step: FUNCTIONS["L1"].prox(v, step, weight=0.3),
        lambda v, step: FUNCTIONS["L1"].prox_derivative(v, step, weight=0.3),
    )  # fmt: skip
    np.testing.assert_allclose(to_numpy(result.point), want, atol=1e-8)
    assert result.residual.shape == result.sample_steps.shape == result.converged.shape == (5, 3)
    assert result.history.residual.shape[1:] == (5, 3)
    assert result.error_bound.shape == (5, 3)


@libraries
def test_data_of_operators_leaves_with_its_samples(kind: str) -> None:
    """Families of matrices, one a sample; and a shared one."""
    draw = draw_of(kind)
    draws = [draw_of(kind, seed) for seed in range(12)]
    matrices = np.stack([paper(d)[1] for d in draws])
    b = draw.array(12, 6) * 10.0 ** np.linspace(-5, 2, 12)[:, None]
    family = Affine(Dense(draw.put(matrices)), draw.put(b))
    options: dict[str, Any] = {"tol": 1e-11, "max_steps": 3000, "check_every": 1}
    start = draw.put(np.ones(6))
    whole = solve(DouglasRachford(0.3), family, relu, start, **options)
    for i in range(12):
        one = solve(DouglasRachford(0.3), Affine(Dense(draw.put(matrices[i])), draw.put(b[i])), relu, start, **options)
        np.testing.assert_allclose(to_numpy(whole.point[i]), to_numpy(one.point), atol=1e-12)
        assert whole.sample_steps[i] == one.steps


@kinds
def test_history_and_callback_tell_the_same(kind: str) -> None:
    A, start, _ = uneven(kind)
    seen: list[Any] = []
    tol = 1e-9 if kind.endswith("64") else 1e-4
    result = solve(
        PeacemanRachford(0.3), A, Subdifferential(Tanh()), start, tol=tol, check_every=3, callback=seen.append
    )
    history = result.history
    assert history.steps == [progress.step for progress in seen] == sorted(history.steps)
    assert history.steps[0] == 3
    assert history.steps[-1] == result.steps
    assert history.residual.shape == (len(seen), 24)
    assert seen[0].residual.shape == (24,)
    assert type(seen[0].state) is type(seen[0].point) is type(start)
    assert len(seen[-1].residual) < 24  # of the samples left
    np.testing.assert_allclose(seen[0].residual, history.residual[0])
    np.testing.assert_allclose(history.residual[-1], result.residual)
    for i, steps in enumerate(result.sample_steps):  # a finished sample keeps its last value
        at = history.steps.index(steps)
        assert (history.residual[at:, i] == result.residual[i]).all()
        assert (history.residual[:at, i] > tol).all()
    assert history.rate() == pytest.approx(
        (history.residual[-1].max() / history.residual[-6].max()) ** (1 / (history.steps[-1] - history.steps[-6])),
        rel=1e-5,
    )
    assert 0 < history.rate() < 1
    assert math.isnan(solve(PeacemanRachford(0.3), A, relu, max_steps=1, warn=False).history.rate())


def test_the_predicted_rate_bounds_the_measured_one() -> None:
    A, _, _ = uneven("torch64")
    for method in METHODS:
        result = solve(method("auto"), A, Subdifferential(Tanh()), tol=1e-10, max_steps=5000, check_every=1)
        assert isinstance(result.method.step, float)
        predicted = result.predicted_rate
        assert predicted is None or result.history.rate() <= predicted + 0.02


class Waits(TorchDispatchMode):
    """Counts how often the host reads a value from a tensor."""

    count = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += function is torch.ops.aten._local_scalar_dense.default
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize("method", METHODS)
def test_the_host_waits_once_a_check(monkeypatch: pytest.MonkeyPatch, method: Any) -> None:
    A, _, _ = uneven("torch64")
    reads = []
    original = monops.loop.to_numpy
    monkeypatch.setattr(monops.loop, "to_numpy", lambda x: reads.append(1) or original(x))

    def cost(max_steps: int, check_every: int) -> tuple[int, int]:
        reads.clear()
        with Waits() as waits, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            solve(method(0.02), A, Subdifferential(Tanh()), tol=1e-14, max_steps=max_steps, check_every=check_every)
        return len(reads), waits.count

    few, start = cost(40, 20)
    assert few == 2
    assert cost(40, 5) == (8, start)
    assert cost(400, 200) == (2, start)
    assert start <= 2  # before the first step: one look at the factorisation


@libraries
def test_tuning_finds_a_step_near_the_best(kind: str) -> None:
    A, start, _ = uneven(kind)
    B = Subdifferential(Tanh())

    def steps(step: float) -> float:
        return float(solve(PeacemanRachford(step), A, B, tol=1e-8, check_every=1, max_steps=3000).sample_steps.mean())

    best = min(steps(0.05 * 1.2**k) for k in range(30))
    for first in ("auto", 0.01, 30.0):
        tuned = tune(PeacemanRachford(first), A, B, tol=1e-8)
        assert steps(tuned.step) <= 1.2 * best + 1
        assert tuned == tune(PeacemanRachford(first), A, B, tol=1e-8)  # deterministic
    chosen = solve(PeacemanRachford("auto"), A, B, start, tol=1e-8)
    assert isinstance(chosen.method.step, float)
    assert chosen.status is Status.CONVERGED
    forward = tune(ForwardBackward("auto"), A, B)
    assert 0 < forward.step < 2 * A.cocoercivity


@libraries
@quick
@given(seed=st.integers(0, 10**6), steps=st.integers(1, 12), step=st.floats(0.02, 20.0), scale=st.floats(1e-3, 1e3))
def test_error_bounds_are_true(kind: str, seed: int, steps: int, step: float, scale: float) -> None:
    draw = draw_of(kind, seed)
    A, matrix, b = paper(draw, 3)
    names = {"Tanh": Tanh(), "ReLU": ReLU(), "L1": L1(), "SquaredL2": SquaredL2()}
    for name, f in names.items():
        B = Subdifferential(f)
        known = FUNCTIONS[name]
        want = reference.equilibrium(matrix, b, known.prox, known.prox_derivative)
        result = solve(PeacemanRachford(0.4), A, B, max_steps=steps, warn=False)
        anywhere = want + scale * draw.array(3, 6)
        for point, bound in (
            (to_numpy(result.point), result.error_bound),
            (anywhere, error_bound(A, B, draw.put(anywhere), step=step)),
        ):
            error = np.linalg.norm(point - want, axis=-1)
            assert (error <= bound * (1 + 1e-9) + 1e-12).all()
    assert np.isinf(error_bound(Subdifferential(L1()), Subdifferential(SquaredL2()), draw.put(b))).all()
    assert np.isinf(error_bound(Affine(0 * A.linear), relu, draw.put(b))).all()


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
    method, options = DouglasRachford(0.5), {"tol": 1e-9}
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

    try:
        whole = solve(PeacemanRachford(0.4), *terms(rows), tol=1e-10)
    except ShapeError as error:
        assert "z0" in str(error)
        whole = solve(PeacemanRachford(0.4), *terms(rows), draw.put(np.zeros((4, 6))), tol=1e-10)
    ones = [to_numpy(solve(PeacemanRachford(0.4), *terms(rows[i]), tol=1e-10).point) for i in range(4)]
    np.testing.assert_allclose(to_numpy(whole.point), np.stack(ones), atol=1e-9)


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
    assert solve(PeacemanRachford(0.3), A, Subdifferential(Tanh())).steps <= 5
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
    assert f"PeacemanRachford: {missed} of 24 samples not converged after 7 steps" in message
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
