"""Splitting methods: the battery, their formulas and relations, and that the battery finds what is broken."""

import dataclasses
import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from cases import KINDS, draw_of, jit_warning, libraries, paper, quick
from hypothesis import given
from hypothesis import strategies as st

import monops.splitting
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
    SplittingMethod,
    SquaredL2,
    Step,
    Subdifferential,
    Tanh,
    solve,
)
from monops.arrays import Array, norm, to_numpy
from monops.errors import ConditionError, NotSingleValuedError, OptionError, StepSizeError
from monops.splitting import StepSize
from monops.splitting.rates import Facts, reflected_factor
from monops.testing import BrokenLaw, catalogue, check_splitting_method

METHODS = {
    "ForwardBackward": ForwardBackward,
    "PeacemanRachford": PeacemanRachford,
    "DouglasRachford": DouglasRachford,
}
methods = pytest.mark.parametrize("method", list(METHODS.values()))


def test_every_method_has_a_case() -> None:
    exported = {getattr(monops.splitting, name) for name in monops.splitting.__all__}
    classes = {kind for kind in exported if isinstance(kind, type) and issubclass(kind, SplittingMethod)}
    concrete = {kind for kind in classes if not inspect.isabstract(kind)}
    assert concrete == {type(make()) for make in catalogue.METHODS.values()}


@pytest.mark.parametrize("name", list(catalogue.METHODS))
@pytest.mark.parametrize("device", sorted({device for _, device in KINDS.values()}))
def test_laws(name: str, device: str) -> None:
    check_splitting_method(catalogue.METHODS[name], device=device)


@methods
def test_laws_for_other_problems(method: type[Any]) -> None:
    check_splitting_method(method("auto"), dtypes=(np.float64,), seed=1)


def run(method: SplittingMethod, A: Any, B: Any, z: Array, steps: int) -> list[Step]:
    plan, done = method.prepare(A, B), []
    state = method.start(plan, z)
    for _ in range(steps):
        done.append(method.advance(plan, state))
        state = done[-1].state
    return done


@libraries
@quick
@given(seed=st.integers(0, 10**6), step=st.floats(0.05, 3.0))
def test_methods_agree_step_by_step(kind: str, seed: int, step: float) -> None:
    """Douglas-Rachford averages Peaceman-Rachford; from a solution, both stay; forward-backward by hand."""
    draw = draw_of(kind, seed)
    A, matrix, b = paper(draw, 3)
    B, z = Subdifferential(Tanh()), draw.put(draw.array(3, 6))
    (pr,), (dr,) = (run(method(step), A, B, z, 1) for method in (PeacemanRachford, DouglasRachford))
    np.testing.assert_allclose(to_numpy(dr.state), to_numpy((pr.state + z) / 2), atol=1e-13)
    np.testing.assert_allclose(to_numpy(dr.point), to_numpy(pr.approximation()), atol=1e-13)
    np.testing.assert_allclose(to_numpy(dr.gap()), to_numpy(pr.gap()), atol=1e-11)
    (fb,) = run(ForwardBackward(step, allow_unproven=True), A, B, z, 1)
    want = to_numpy(Tanh().prox(draw.put(to_numpy(z) - step * (to_numpy(z) @ matrix.T - b)), step))
    np.testing.assert_allclose(to_numpy(fb.point), want, atol=1e-13)
    np.testing.assert_allclose(to_numpy(fb.gap()), (to_numpy(z) - want) / step, atol=1e-11)


@libraries
@quick
@given(seed=st.integers(0, 10**6), step=st.floats(0.05, 3.0), spread=st.sampled_from([10.0, 1.0, 0.01]))
def test_any_two_states_contract(kind: str, seed: int, step: float, spread: float) -> None:
    """Stronger than what a rate promises, which is about the distance to the limit."""
    draw = draw_of(kind, seed)
    A, _, _ = paper(draw, 3)
    m, L, B = A.strong_monotonicity, A.lipschitz, Subdifferential(Tanh())
    z = draw.put(draw.array(3, 6, scale=3.0))
    w = z + draw.put(draw.array(3, 6, scale=spread))
    for method in (PeacemanRachford(step), DouglasRachford(step), ForwardBackward(step * m / L**2 / 1.6)):
        rate = method.rate(m, L)
        (one,), (other,) = (run(method, A, B, x, 1) for x in (z, w))
        assert rate is not None
        room = 1e-12 * (1 + to_numpy(norm(z, 1)))
        assert (to_numpy(norm(one.state - other.state, 1)) <= rate * to_numpy(norm(z - w, 1)) + room).all()


@libraries
def test_reflections_are_what_the_book_says(kind: str) -> None:
    draw = draw_of(kind)
    A, _, _ = paper(draw)
    B, z, step = Subdifferential(L1(0.3)), draw.put(draw.array(6)), 0.4
    J_A, J_B = A.resolvent(step), B.resolvent(step)

    def reflect(J: Any, z: Array) -> Array:
        return 2 * J(z) - z

    (pr,) = run(PeacemanRachford(step), A, B, z, 1)
    np.testing.assert_allclose(to_numpy(pr.state), to_numpy(reflect(J_B, reflect(J_A, z))), atol=1e-14)


@methods
def test_a_longer_step_for_the_gradient_of_a_convex_function(method: type[Any]) -> None:
    """A = ∂f with f smooth is 1/L-cocoercive, so forward-backward goes up to 2/L, beyond 2m/L²."""
    draw = draw_of("numpy64")
    weight = np.array([1.0, 2.0, 4.0, 0.5, 3.0, 1.0])
    A, B = Subdifferential(SquaredL2(weight)).translate(draw.array(6)), NormalCone(Box(-0.3, 0.2))
    if method is ForwardBackward:
        A = Subdifferential(SquaredL2(weight))
        assert 2 * A.cocoercivity == pytest.approx(2 / 4.0)
        method(0.49).prepare(A, B)
        with pytest.raises(StepSizeError, match=r"\(0, 0.5\)"):
            method(0.51).prepare(A, B)
    A = Affine(Dense(np.diag(weight), symmetric=True), draw.array(6))
    result = solve(method(0.45), A, B, tol=1e-12, max_steps=2000)
    np.testing.assert_allclose(result.point, np.clip(A.b / weight, -0.3, 0.2), atol=1e-11)


def test_the_bound_is_named() -> None:
    A, _, _ = paper(draw_of("torch64"))
    m, L = A.strong_monotonicity, A.lipschitz
    bound = 2 * A.cocoercivity
    with pytest.raises(StepSizeError, match=rf"\(0, {bound:.6g}\).*m = {m:.6g}, L = {L:.6g}.*got 0.9.*allow_unproven"):
        solve(ForwardBackward(0.9), A, Subdifferential(ReLU()))
    ForwardBackward(0.999 * bound).prepare(A, Subdifferential(ReLU()))
    with pytest.raises(StepSizeError):
        ForwardBackward(1.001 * bound).prepare(A, Subdifferential(ReLU()))
    ForwardBackward(1.5 * bound, allow_unproven=True).prepare(A, Subdifferential(ReLU()))
    with pytest.raises(ConditionError, match="the bound is 0"):
        ForwardBackward(1e-3).prepare(Affine(Dense(torch.tensor([[0.0, 1.0], [-1.0, 0.0]]))), Subdifferential(ReLU()))


def test_a_set_valued_first_operator_has_no_forward_step() -> None:
    A, B = Subdifferential(L1()), Subdifferential(SquaredL2(1.0)).translate(torch.ones(3))
    with pytest.raises(ConditionError, match="the bound is 0"):
        solve(ForwardBackward(0.1), A, B, torch.zeros(3))
    with pytest.raises(NotSingleValuedError, match="L1"):
        solve(ForwardBackward(0.1, allow_unproven=True), A, B, torch.zeros(3))
    # the resolvent methods take it first all the same: prox of |.| at 1 with curvature 1 is 0
    for method in (PeacemanRachford(0.9), DouglasRachford(1.0)):
        point = solve(method, A, B, torch.full((3,), 0.3), atol=1e-6).point
        torch.testing.assert_close(point, torch.zeros(3), atol=1e-5, rtol=0)


@pytest.mark.parametrize("kind", list(METHODS))
@pytest.mark.parametrize("step", [0, 0.0, -1.0, math.nan, math.inf, "fast", None, [1.0]])
def test_steps_out_of_range(kind: str, step: Any) -> None:
    with pytest.raises(OptionError, match=r"step.*\(0, ∞\)"):
        METHODS[kind](step)


def test_options_are_named_ones() -> None:
    with pytest.raises(TypeError, match="relaxation"):
        PeacemanRachford(relaxation=1.0)  # type: ignore[call-arg]
    with pytest.raises(dataclasses.FrozenInstanceError):
        PeacemanRachford().step = 2.0  # type: ignore[misc]
    assert PeacemanRachford(0.5) == PeacemanRachford(0.5)
    assert PeacemanRachford(0.5).with_step(2.0) == PeacemanRachford(2.0)
    assert ForwardBackward(0.5, allow_unproven=True).with_step("auto").allow_unproven
    with pytest.raises(StepSizeError, match="resolved by solve"):
        PeacemanRachford("auto").prepare(*paper(draw_of("torch64"))[:1], Subdifferential(ReLU()))


def test_rates() -> None:
    m, L, step = 1.0, 2.0, 0.3
    assert ForwardBackward(step).rate(m, L) == pytest.approx(math.sqrt(1 - 0.6 + 0.36))
    assert PeacemanRachford(step).rate(m, L) == pytest.approx(math.sqrt(1 - 1.2 / (1 + 0.6 + 0.36)))
    assert DouglasRachford(step).rate(m, L) == pytest.approx(0.5 + 0.5 * math.sqrt(1 - 1.2 / 1.96))
    for method in METHODS.values():
        assert method(step).rate(0.0, L) is None
        assert method(step).rate(m, math.inf) is None
        best = method("auto").best_step(m, L)
        assert method("auto").rate(m, L) == method(best).rate(m, L)
    assert ForwardBackward("auto").best_step(m, L) == pytest.approx(0.25)
    assert PeacemanRachford("auto").best_step(m, L) == pytest.approx(0.5)
    assert ForwardBackward(1.0).rate(m, L) is None
    assert ForwardBackward("auto").best_step(0.0, L) is None


@pytest.mark.parametrize("factor", [0.2, 1.0, 4.0])
def test_the_rate_of_the_reflection_is_reached(factor: float) -> None:
    """The worst case is a rotation and scaling of the plane: there nothing smaller would do."""
    m, L = 1.0, 3.0
    M = torch.tensor([[m, math.sqrt(L**2 - m**2)], [-math.sqrt(L**2 - m**2), m]], dtype=torch.float64)
    step = factor / L
    J = Dense(M).resolvent(step)
    x = torch.randn(50, 2, dtype=torch.float64)
    ratio = norm(2 * J(x) - x, 1) / norm(x, 1)
    assert ratio.tolist() == pytest.approx([reflected_factor(step, Facts(m, L))] * 50)
    z = x - step * Dense(M)(x)
    forward = norm(z, 1) / norm(x, 1)
    want = math.sqrt(1 - 2 * step * m + step**2 * L**2)
    torch.testing.assert_close(forward, torch.full_like(forward, want))


# A method that is right, written as a person would; and what happens if one thing in it is wrong.


@dataclass(frozen=True)
class Mine(SplittingMethod):
    """Douglas-Rachford."""

    step: StepSize = "auto"

    def prepare(self, A: Any, B: Any) -> tuple[Any, Any]:
        step = self._numeric_step()
        return A.resolvent(step), B.resolvent(step)

    def advance(self, plan: Any, z: Array) -> Step:
        x = plan[0](z)
        y = plan[1](2 * x - z)
        return Step(z + (y - x), y, lambda: (x - y) / self.step)

    def rate(self, m: float, L: float) -> float | None:
        return DouglasRachford(self.step).rate(m, L)


def test_a_persons_own_method_passes() -> None:
    check_splitting_method(Mine, dtypes=(torch.float64, np.float64))


def spoilt(**parts: Callable[..., Any]) -> SplittingMethod:
    return type("Spoilt", (Mine,), parts)()


def advance_with(change: Callable[[Any, Array, Array, Array], Step]) -> Callable[..., Step]:
    def advance(self: Any, plan: Any, z: Array) -> Step:
        x = plan[0](z)
        return change(self, z, x, plan[1](2 * x - z))

    return advance


def _in_place(self: Any, plan: Any, z: Array) -> Step:
    x = plan[0](z)
    y = plan[1](2 * x - z)
    z += y - x
    return Step(z, y, lambda: (x - y) / self.step)


SPOILT: dict[str, tuple[SplittingMethod, str]] = {
    "gap without division by the step": (
        spoilt(advance=advance_with(lambda s, z, x, y: Step(z + y - x, y, lambda: x - y))), "gap is"),
    "gap of the wrong sign": (
        spoilt(advance=advance_with(lambda s, z, x, y: Step(z + y - x, y, lambda: (y - x) / s.step))), "gap is an"),
    "gap too small": (
        spoilt(advance=advance_with(lambda s, z, x, y: Step(z + y - x, y, lambda: 0.3 * (x - y) / s.step))), "gap is"),
    "gap zero": (
        spoilt(advance=advance_with(lambda s, z, x, y: Step(z + y - x, y, lambda: 0 * x))), "reaches the solution"),
    "wrong point": (
        spoilt(advance=advance_with(lambda s, z, x, y: Step(z + y - x, z, lambda: (x - y) / s.step))), "solution"),
    "diverging": (
        spoilt(advance=advance_with(lambda s, z, x, y: Step(z - (y - x), y, lambda: (x - y) / s.step))), "converges"),
    "claims too good a rate": (spoilt(rate=lambda s, m, L: 0.1 if m > 0 else None), "states contract"),
    "claims a wrong best step": (
        spoilt(best_step=lambda s, m, L: 30 / L, rate=lambda s, m, L: DouglasRachford(s.step).rate(m, L)), "best_step"),
    "wrong step for B": (
        spoilt(prepare=lambda s, A, B: (A.resolvent(s.step), B.resolvent(2 * s.step))), "reaches the solution"),
    "writes to the start": (spoilt(advance=_in_place), "untouched"),
    "NumPy only": (
        spoilt(advance=advance_with(lambda s, z, x, y: Step(to_numpy(z + y - x), y, lambda: x - y))), "expects torch"),
    "one number for the batch": (
        spoilt(advance=advance_with(
            lambda s, z, x, y: Step(z + y - x + 0 * (x - y) / (abs(x - y).max() + 1e-300), y, lambda: (x - y) / s.step)
        )), "NaN"),
}  # fmt: skip


@jit_warning
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("wrong", list(SPOILT))
def test_the_battery_finds_what_is_wrong(wrong: str) -> None:
    method, law = SPOILT[wrong]
    with pytest.raises((BrokenLaw, TypeError, OptionError), match=law):
        check_splitting_method(method, dtypes=(torch.float64,))
