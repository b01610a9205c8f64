"""The one loop: convergence sample by sample, what it returns, what it costs, tuning, error bounds."""

import functools
import itertools
import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import torch
from cases import calls_of, draw_of, kinds, libraries, paper, quick, uneven
from hypothesis import given
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode

import monops.loop
from monops import (
    L1,
    Affine,
    Box,
    Dense,
    DouglasRachford,
    ForwardBackward,
    NormalCone,
    PeacemanRachford,
    ReLU,
    SquaredL2,
    Status,
    Subdifferential,
    Tanh,
    error_bound,
    search_step,
    solve,
    tune,
)
from monops.arrays import Array, to_numpy
from monops.linear import LinearOperator
from monops.monotone import MonotoneOperator, Resolvent
from monops.reference import equilibrium as reference
from monops.reference.functions import FUNCTIONS

D = torch.float64
relu = Subdifferential(ReLU())
METHODS = [ForwardBackward, PeacemanRachford, DouglasRachford]


@libraries
@pytest.mark.parametrize(
    ("method", "check_every"),
    [(ForwardBackward, 4), (PeacemanRachford, 1), (PeacemanRachford, 4), (DouglasRachford, 1)],
)
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

    def take(self, index: Array, shape: tuple[int, ...]) -> Resolvent:
        if not self.leaves_out:
            return super().take(index, shape)
        return Spy(self.J.take(index, shape), self.rows)


@dataclass(frozen=True, eq=False)
class Watched(MonotoneOperator):
    A: MonotoneOperator
    rows: list[int] = field(default_factory=list)
    leaves_out: bool = True

    @property
    def domain(self) -> Any:
        return self.A.domain

    def apply(self, x: Array) -> Array:
        return self.A.apply(x)

    def resolvent(self, step: float) -> Resolvent:
        return Spy(self.A.resolvent(step), self.rows, self.leaves_out)

    def zero(self) -> Array:
        return self.A.zero()


@libraries
def test_finished_samples_leave_the_batch_and_nothing_changes(kind: str) -> None:
    A, start, _ = uneven(kind)
    watched, stubborn = Watched(A), Watched(A, leaves_out=False)
    options: dict[str, Any] = {"tol": 1e-10, "check_every": 2}
    method, B = PeacemanRachford(0.3), Subdifferential(Tanh())
    plain, small, full = (solve(method, op, B, start, **options) for op in (A, watched, stubborn))
    assert small.steps == len(watched.rows)
    assert set(stubborn.rows) == {len(start)}
    assert watched.rows[0] == len(start)
    assert watched.rows == sorted(watched.rows, reverse=True)
    assert watched.rows[-1] <= 8
    # a quarter of what is left is the least that leaves at once
    sizes = sorted(set(watched.rows), reverse=True)
    assert all(after <= 0.75 * before for before, after in itertools.pairwise(sizes))
    assert sum(watched.rows) < 0.8 * sum(stubborn.rows)
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
        PeacemanRachford(0.3), A, Subdifferential(Tanh()), start, tol=tol, check_every=2, callback=seen.append
    )
    history = result.history
    assert history.steps == [progress.step for progress in seen] == sorted(history.steps)
    assert history.steps[0] == 2
    assert history.steps[-1] == result.steps
    assert history.residual.shape == (len(seen), len(start))
    assert seen[0].residual.shape == (len(start),)
    assert type(seen[0].state) is type(seen[0].point) is type(start)
    assert len(seen[-1].residual) < len(start)  # of the samples left
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
    reads = calls_of(monkeypatch, monops.loop, "to_numpy")

    def cost(max_steps: int, check_every: int) -> tuple[int, int]:
        reads.clear()
        options: dict[str, Any] = {"max_steps": max_steps, "check_every": check_every}
        with Waits() as waits:  # without a warning no rate is looked at, which on the CPU may ask for the facts
            solve(method(0.02), A, Subdifferential(Tanh()), tol=1e-14, warn=False, **options)
        return len(reads), waits.count

    cost(1, 1)  # the spectral facts, which forward-backward asks for once
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
        return float(
            solve(PeacemanRachford(step), A, B, tol=1e-8, check_every=1, max_steps=400, warn=False).sample_steps.mean()
        )

    best = min(steps(0.1 * 1.3**k) for k in range(12))
    for first in ("auto", 0.01, 30.0):
        tuned = tune(PeacemanRachford(first), A, B, tol=1e-8)
        assert steps(tuned.step) <= 1.2 * best + 1
        assert tuned == tune(PeacemanRachford(first), A, B, tol=1e-8)  # deterministic
    chosen = solve(PeacemanRachford("auto"), A, B, start, tol=1e-8)
    assert isinstance(chosen.method.step, float)
    assert chosen.status is Status.CONVERGED
    forward = tune(ForwardBackward("auto"), A, B)
    assert 0 < forward.step < 2 * A.cocoercivity
    again = search_step(ForwardBackward("auto"), A, B, chosen.point, tol=1e-4)
    assert again.trials[again.start] == 1.0, "from a solution one step is enough"


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
def test_error_bounds_are_true_where_a_long_step_hardly_moves(kind: str) -> None:
    """In a box the forward-backward step may end near where it began, far from the solution."""
    draw = draw_of(kind)
    A, matrix, b = paper(draw, 1)
    edge: dict[str, Any] = {"lower": -0.3, "upper": 0.3}
    prox, slope = (functools.partial(f, **edge) for f in (FUNCTIONS["Box"].prox, FUNCTIONS["Box"].prox_derivative))
    want = reference.equilibrium(matrix, b, prox, slope)
    points = np.clip(want + 0.1 * draw.array(400, 6), -0.3, 0.3)
    error = np.linalg.norm(points - want, axis=-1)
    for step in (0.1, 1.0, 10.0):
        bound = error_bound(A, NormalCone(Box(**edge)), draw.put(points), step=step)
        assert (error <= bound * (1 + 1e-9)).all()
