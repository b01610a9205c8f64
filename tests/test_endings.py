"""How a solve ends where it does not converge: residuals at rest, and callbacks that raise."""

from typing import Any

import numpy as np
import pytest
import torch
from cases import draw_of, libraries

import monops as mo
from monops import Status
from monops.errors import ConditionError, ConvergenceWarning
from monops.linear import Dense
from monops.loop import Progress


def boxes(*lower: float) -> tuple[Any, Any]:
    """Two boxes, one a sample for each lower bound: [0, 1] and [lower, ∞)."""
    low = torch.tensor(lower, dtype=torch.float64)[:, None]
    return mo.NormalCone(mo.Box(0.0, 1.0)), mo.NormalCone(mo.Box(low, torch.full_like(low, 9.0)))


START = torch.full((2, 3), 0.3, dtype=torch.float64)


@pytest.mark.parametrize(
    "method", [mo.DouglasRachford(1.0), mo.PeacemanRachford(0.5, allow_unproven=True), mo.ProjectiveSplitting(1.0)]
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_disjoint_sets_end_as_stalled(method: Any, dtype: torch.dtype) -> None:
    A, B = mo.NormalCone(mo.Box(0.0, 1.0)), mo.NormalCone(mo.Box(2.0, 3.0))
    start = torch.tensor([0.3, 0.7, -2.0], dtype=dtype)
    result = mo.solve(method, A, B, start, max_steps=10**6, warn=False)
    assert result.status is Status.STALLED
    assert result.steps < 25_000
    assert not result.converged


LINKED = [mo.ChambollePock(1.0), mo.LinearizedADMM(1.0)]
APART = [mo.DouglasRachford(1.0), mo.ADMM(1.0), mo.ProjectiveSplitting(1.0), *LINKED]


@pytest.mark.parametrize("method", APART, ids=lambda m: type(m).__name__)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, np.float64])
def test_sets_far_apart_are_noticed_soon(method: Any, dtype: Any) -> None:
    """A box and a hyperplane, and a box behind a linear operator; alone, and beside a sample that has a solution."""

    def array(values: Any) -> Any:
        values = np.asarray(values)
        return torch.as_tensor(values, dtype=dtype) if isinstance(dtype, torch.dtype) else values.astype(dtype)

    A = mo.NormalCone(mo.Box(0.0, 1.0))
    B = mo.NormalCone(mo.Hyperplane(array(np.ones(6)), array(30.0)))
    result = mo.solve(method, A, B, array(np.linspace(-1, 2, 6)), max_steps=10**6, warn=False)
    assert (result.status, bool(result.converged)) == (Status.STALLED, False)
    assert result.steps < 10_000
    level = array([[2.0], [40.0]])
    pair: Any = mo.NormalCone(mo.Box(level, level + 60.0))
    if method in LINKED:
        pair = pair.precompose(Dense(array([[1.0, 2.0, 3.0], [3.0, 0.5, 1.0]])))
    wide = mo.NormalCone(mo.Box(0.0, 3.0))
    result = mo.solve(method, wide, pair, array(np.full((2, 3), 0.3)), max_steps=10**6, warn=False)
    assert result.status is Status.STALLED
    assert result.converged.tolist() == [True, False]
    assert result.steps < 10_000


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("wrap", [mo.Anderson, mo.Broyden, mo.Halpern])
def test_far_away_is_not_taken_for_a_solution(wrap: Any, dtype: torch.dtype) -> None:
    """Where T z - z has one length everywhere, extrapolations go where rounding hides it."""
    A = mo.NormalCone(mo.Box(0.0, 1.0))
    for distance in (0.2, 100.0):
        B = mo.NormalCone(mo.Hyperplane(torch.ones(10, dtype=dtype), 10.0 + distance * 10**0.5))
        start = torch.linspace(0, 1, 10, dtype=dtype)
        result = mo.solve(wrap(mo.DouglasRachford(1.0)), A, B, start, max_steps=1500, warn=False)
        assert not result.converged
        assert result.residual > 0.01


def test_out_of_steps_it_is_said_that_residuals_stood_still() -> None:
    A, B = mo.NormalCone(mo.Box(0.0, 1.0)), mo.NormalCone(mo.Box(2.0, 3.0))
    start = torch.tensor([0.3, 0.7, -2.0], dtype=torch.float64)
    result = mo.solve(mo.DouglasRachford(1.0), A, B, start, warn=False)
    assert (result.status, result.steps) == (Status.STALLED, 1000)


def test_numpy_stalls_alike() -> None:
    A, B = mo.NormalCone(mo.Box(0.0, 1.0)), mo.NormalCone(mo.Box(2.0, 3.0))
    result = mo.solve(mo.DouglasRachford(1.0), A, B, np.array([0.3, 0.7]), max_steps=10**6, warn=False)
    assert result.status is Status.STALLED


def test_a_stalled_sample_does_not_keep_others_from_converging() -> None:
    result = mo.solve(mo.DouglasRachford(1.0), *boxes(0.5, 2.0), START, max_steps=10**5, warn=False)
    assert result.status is Status.STALLED
    assert result.converged.tolist() == [True, False]
    assert result.sample_steps[0] < 200 <= result.sample_steps[1] == result.steps
    assert bool((result.point[0] - 0.5).abs().max() < 1e-6)


def test_a_stall_is_warned_of() -> None:
    with pytest.warns(ConvergenceWarning, match="1 of 2 samples not converged as nothing comes nearer"):
        mo.solve(mo.DouglasRachford(1.0), *boxes(0.5, 2.0), START, max_steps=10**5)


def test_a_method_that_cycles_stalls() -> None:
    """Peaceman-Rachford on two lines at a right angle: the product of the reflections is -I."""
    A = mo.NormalCone(mo.Box(torch.tensor([-9.0, 0.0]), torch.tensor([9.0, 0.0])))
    B = mo.NormalCone(mo.Box(torch.tensor([0.0, -9.0]), torch.tensor([0.0, 9.0])))
    start = torch.tensor([1.0, 1.0])
    method = mo.PeacemanRachford(1.0, allow_unproven=True)
    result = mo.solve(method, A, B, start, max_steps=10**5, warn=False)
    assert result.status is Status.STALLED
    with pytest.raises(ConditionError, match=r"round in circles.*NormalCone and NormalCone.*take DouglasRachford"):
        mo.solve(mo.PeacemanRachford(1.0), A, B, start)
    with pytest.raises(ConditionError, match="Affine"):
        mo.solve(mo.PeacemanRachford(1.0), mo.Affine(Dense(torch.eye(2)), claim=0.0), B, start)
    for averaged in (mo.Relaxed(mo.PeacemanRachford(1.0), 0.5), mo.Halpern(mo.PeacemanRachford(1.0))):
        assert mo.solve(averaged, A, B, start).converged
    with pytest.raises(ConditionError, match="round in circles"):
        mo.solve(mo.Relaxed(mo.PeacemanRachford(1.0), 1.0), A, B, start)


def test_slow_rates_are_not_called_stalled() -> None:
    """A linear rate of 1 - 1e-5, over which the residual hardly falls in hundreds of steps."""
    A = mo.Affine(Dense(torch.diag(torch.tensor([1.0, 1e-5], dtype=torch.float64))), torch.ones(2, dtype=torch.float64))
    for start in (None, torch.full((2,), 2e5, dtype=torch.float64)):
        result = mo.solve(mo.DouglasRachford(1.0), A, None, start, tol=1e-9, max_steps=20000, warn=False)
        assert result.status is Status.MAX_STEPS
        assert result.steps == 20000


def test_sublinear_rates_are_not_called_stalled() -> None:
    """∇f for f = ¼ x⁴ by its resolvent alone: the distance to 0 falls as 1/√k."""

    class Cube(mo.MonotoneOperator):
        def apply(self, x: Any) -> Any:
            return x**3

        def resolvent(self, step: float) -> Any:
            return Root(step)

    class Root(mo.monotone.Resolvent):
        def __init__(self, step: float) -> None:
            self.step = step

        def derivative(self, x: Any) -> Any:
            raise NotImplementedError

        def __call__(self, x: Any) -> Any:
            y = x
            for _ in range(30):
                y = y - (y + self.step * y**3 - x) / (1 + 3 * self.step * y**2)
            return y

    start = torch.ones(1, dtype=torch.float64)
    result = mo.solve(mo.ProximalPoint(1.0), Cube(), None, start, tol=1e-9, max_steps=5000, warn=False)
    assert result.status is Status.MAX_STEPS


def test_the_way_back_from_afar_is_not_called_stalled() -> None:
    """Steps of equal length towards a box that is 5,000 steps away."""
    A, B = mo.Subdifferential(mo.L1(1.0)), mo.ZeroOperator()
    start = torch.full((2,), 5000.0, dtype=torch.float64)
    result = mo.solve(mo.ProximalPoint(1.0), A, B, start, tol=1e-8, atol=1e-8, max_steps=10**5, warn=False)
    assert result.status is Status.CONVERGED
    assert 5000 <= result.steps <= 5020


def test_few_looks_are_not_enough() -> None:
    A, B = mo.NormalCone(mo.Box(0.0, 1.0)), mo.NormalCone(mo.Box(2.0, 3.0))
    start = torch.zeros(2, dtype=torch.float64)
    result = mo.solve(mo.DouglasRachford(1.0), A, B, start, max_steps=1000, check_every=250, warn=False)
    assert result.status is Status.MAX_STEPS


class Stop(Exception):
    """Raised by a callback."""


def equilibrium_problem(batch: int | None = 4) -> tuple[Any, Any]:
    torch.manual_seed(0)
    scale = torch.logspace(-6, 0, batch or 1, dtype=torch.float64)[:, None]
    b = torch.randn(batch or 1, 6, dtype=torch.float64) * scale
    M = torch.eye(6, dtype=torch.float64) + torch.randn(6, 6, dtype=torch.float64).triu(1) / 9
    return mo.Affine(Dense(M), b if batch else b[0]), mo.Subdifferential(mo.ReLU())


@pytest.mark.parametrize("batch", [None, 4])
def test_what_a_callback_raises_carries_the_partial_result(batch: int | None) -> None:
    A, B = equilibrium_problem(batch)
    stop = Stop("enough")

    def callback(progress: Progress) -> None:
        if progress.step == 6:
            raise stop

    method = mo.DouglasRachford(0.3)
    with pytest.raises(Stop) as caught:
        mo.solve(method, A, B, tol=1e-9, check_every=2, callback=callback)
    assert caught.value is stop
    result = stop.result  # type: ignore[attr-defined]
    assert isinstance(result, mo.Result)
    assert result.status is Status.INTERRUPTED
    assert (result.steps, result.history.steps) == (6, [2, 4, 6])
    same = mo.solve(method, A, B, tol=1e-9, check_every=2, max_steps=6, warn=False)
    assert torch.equal(result.point, same.point)
    assert np.array_equal(result.residual, same.residual)
    assert np.array_equal(result.sample_steps, same.sample_steps)
    again = mo.solve(method, A, B, result.state, tol=1e-9)
    assert again.status is Status.CONVERGED


def test_samples_set_aside_are_in_the_partial_result() -> None:
    A, B = equilibrium_problem()
    start = mo.solve(mo.PeacemanRachford(0.5), A, B, tol=1e-12).point.clone()
    start[2:] += 1.0  # two samples are done at once

    def callback(progress: Progress) -> None:
        if len(progress.residual) < 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as caught:
        mo.solve(mo.ForwardBackward(0.3), A, B, start, tol=1e-8, check_every=1, callback=callback)
    result = caught.value.result  # type: ignore[attr-defined]
    assert result.status is Status.INTERRUPTED
    assert tuple(result.point.shape) == (4, 6)
    assert result.converged.tolist() == [True, True, False, False]


def test_equilibrium_lets_the_exception_through_as_it_is() -> None:
    A, B = equilibrium_problem()

    def callback(progress: Progress) -> None:
        raise Stop

    with pytest.raises(Stop) as caught:
        mo.equilibrium(mo.DouglasRachford(0.3), A, B, callback=callback)
    assert caught.value.result.steps == 10  # type: ignore[attr-defined]


def test_an_exception_without_room_for_attributes_still_gets_through() -> None:
    A, B = equilibrium_problem()

    class Bare(Exception):
        def __setattr__(self, name: str, value: object) -> None:
            raise AttributeError(name)

    def callback(progress: Progress) -> None:
        raise Bare

    with pytest.raises(Bare):
        mo.solve(mo.DouglasRachford(0.3), A, B, callback=callback)


def test_a_stalled_sample_stays_so_beside_others_that_go_on() -> None:
    """One of five, which is too few to be taken out of the batch; the others come back from afar."""
    start = torch.full((5, 1), 15_000.0, dtype=torch.float64)
    start[0] = 0.3
    A, B = boxes(2.0, 0.5, 0.5, 0.5, 0.5)
    result = mo.solve(mo.DouglasRachford(1.0), A, B, start, max_steps=10**5, check_every=100, warn=False)
    assert result.status is Status.STALLED
    assert result.converged.tolist() == [False, True, True, True, True]
    assert 1000 <= result.sample_steps[0] < 10_000 < 25_000 < result.steps


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, np.float32, np.float64])
@pytest.mark.parametrize("method", [mo.DouglasRachford, mo.ADMM, mo.ChambollePock])
def test_no_absurd_step_is_found_for_what_has_no_solution(method: Any, dtype: Any) -> None:
    """Far apart as they are: numbers overflow in trials, of which nobody is to be warned."""
    for distance in (50.0, 1e6):
        A, B = mo.NormalCone(mo.Box(0.0, 1.0)), mo.NormalCone(mo.Box(distance, distance + 1.0))
        start: Any = np.array([0.3, 0.7, -2.0])
        start = torch.as_tensor(start, dtype=dtype) if isinstance(dtype, torch.dtype) else start.astype(dtype)
        with np.errstate(over="ignore"):  # of norms in the solve itself
            result = mo.solve(method("auto"), A, B, start, max_steps=300, warn=False)
        assert result.status in (Status.STALLED, Status.NON_FINITE)
        assert result.method.step == 1.0
        assert "by none of 5 steps tried it converges" in str(result.search)
        assert min(result.search.trials.values()) == np.inf
        with pytest.warns(ConvergenceWarning, match="by none of 5 steps tried"):
            mo.tune(method("auto"), A, B, start)


@pytest.mark.parametrize("step", [1.5, "auto"])
@pytest.mark.parametrize("wrap", [mo.Anderson, mo.Broyden, mo.Halpern])
def test_leaps_towards_infinity_are_not_taken_for_solutions(wrap: Any, step: Any) -> None:
    """A linear function has no minimum: where it leads, gaps have one length and points grow by leaps."""
    for slope in (1.0, 1e-3) if step != "auto" else (1e-3,):
        b = torch.full((3,), slope, dtype=torch.float64)
        A = mo.Affine(mo.linear.Zero((3,), (3,), dtype=torch.float64), b)
        method, B = wrap(mo.DouglasRachford(step)), mo.Subdifferential(mo.L1(slope / 5))
        result = mo.solve(method, A, B, max_steps=200, warn=False)
        assert not result.converged
        assert result.status in (Status.STALLED, Status.MAX_STEPS)
        if step == "auto":
            assert min(result.search.trials.values()) > 0  # numbers of steps


def test_a_partial_result_keeps_the_search_for_its_step() -> None:
    A, B = mo.Affine(Dense(torch.tensor([[2.0, -1.0], [1.0, 2.0]])), torch.ones(2)), mo.Subdifferential(mo.L1(0.1))

    def stop(progress: Progress) -> None:
        raise KeyError("enough")

    with pytest.raises(KeyError) as caught:
        mo.solve(mo.DouglasRachford("auto"), A, B, callback=stop)
    search = caught.value.result.search  # type: ignore[attr-defined]
    assert str(search) == str(mo.solve(mo.DouglasRachford("auto"), A, B).search)
    assert "steps a sample" in str(search)


def test_methods_with_few_dear_steps_look_at_each() -> None:
    A, B = mo.Affine(Dense(torch.tensor([[2.0, -1.0], [1.0, 2.0]])), torch.ones(2)), mo.Subdifferential(mo.L1(0.1))
    newton = mo.SemismoothNewton(0.5)
    assert mo.solve(newton, A, B).steps == mo.solve(newton, A, B, check_every=1).steps < 5
    assert mo.solve(mo.DouglasRachford(0.5), A, B).steps % 10 == 0


@libraries
def test_a_first_point_of_zero_is_no_infinity(kind: str) -> None:
    """At 0 nothing is known of a set-valued sum, but of its terms."""
    draw = draw_of(kind)
    fit = mo.Subdifferential(mo.LeastSquares(mo.Dense(draw.put(draw.array(15, 10))), draw.put(draw.array(15))))
    A, B = mo.Subdifferential(mo.L1(0.5)) + fit, mo.NormalCone(mo.Box(-0.1, 0.15))
    runs = [mo.solve(mo.DavisYin(0.02), A, B, draw.put(np.zeros(10)), check_every=n) for n in (1, 10)]
    assert [run.status.name for run in runs] == ["CONVERGED"] * 2
    assert runs[0].history.residual.max() < 1e3  # relative to the gradient at 0 of the one term that has it
    search = mo.search_step(mo.DavisYin("auto"), A, B, draw.put(np.zeros(10)))
    assert min(search.trials.values()) < np.inf


def test_a_residual_that_has_nothing_to_compare_with_is_a_number() -> None:
    class Late(mo.SplittingMethod):
        def prepare(self, A: Any, B: Any) -> None:
            return None

        def advance(self, plan: None, z: Any) -> mo.Step:
            return mo.Step(z + 1, 0 * z, lambda: 5.0 * (z == 0))

    result = mo.solve(Late(), mo.ZeroOperator(), mo.ZeroOperator(), np.zeros((2, 3)), check_every=1)
    assert result.status is Status.CONVERGED
    assert result.steps == 2
    assert result.history.residual[0] == pytest.approx(np.finfo(float).max)
