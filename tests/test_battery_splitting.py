"""What splitting methods promise is tried: averagedness, `gap_is_step`, and rates of states with several parts."""

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
import torch

import monops as mo
from monops.testing import BrokenLaw, check_splitting_method, splitting
from monops.testing.problems import random_problems


class HalfAveraged(mo.PeacemanRachford):
    """Reflections are nonexpansive, not averaged."""

    def averagedness(self, A: Any, B: Any) -> float:
        return 0.5


class TooAveraged(mo.ForwardBackward):
    def averagedness(self, A: Any, B: Any) -> float:
        return 0.5


class TooAveragedInItsNorm(mo.ChambollePock):
    def averagedness(self, A: Any, B: Any) -> float:
        return 0.45


class NeverAveraged(mo.DouglasRachford):
    def averagedness(self, A: Any, B: Any) -> float:
        return 1.5


class OtherGap(mo.ForwardReflectedBackward):
    """Steps use A at two points, its gap at a third one."""

    gap_is_step = True


class TakesEveryStep(mo.ForwardBackward):
    def prepare(self, A: Any, B: Any) -> Any:
        return A, B.resolvent(self.step)


class SaysThatItConverged(mo.DouglasRachford):
    """Where its step is large."""

    def advance(self, plan: Any, z: Any) -> mo.Step:
        done = super().advance(plan, z)
        return done._replace(gap=lambda: done.gap() * (float(self.step) < 10))


class AlwaysTheSame(mo.DouglasRachford):
    """Has a field for its step, and does not use it."""

    def prepare(self, A: Any, B: Any) -> Any:
        return A.resolvent(0.3).reflected(), B.resolvent(0.3)

    def advance(self, plan: Any, z: Any) -> mo.Step:
        done = super().advance(plan, z)
        return done._replace(gap=lambda: (z - done.state) / 0.3)


class Parts(NamedTuple):
    z: Any
    steps: int
    twice: Any


class InParts(mo.DouglasRachford):
    """Keeps its state twice, and counts."""

    def start(self, plan: Any, z0: Any) -> Parts:
        return Parts(z0, 0, 2 * z0)

    def advance(self, plan: Any, state: Any) -> mo.Step:
        from_z, from_twice = (super(InParts, self).advance(plan, z) for z in (state.z, state.twice / 2))
        return from_z._replace(state=Parts(from_z.state, state.steps + 1, 2 * from_twice.state))


class FromLimitInParts(InParts):
    """Says of its rate that it holds between states and their limit only."""

    gap_is_step = False


class BoastfulInParts(InParts):
    def rate(self, m: float, L: float) -> float | None:
        return 0.3 if m > 0 else None


class BoastfulOfOperators(mo.DouglasRachford):
    def rate_for(self, A: Any, B: Any) -> float:
        return 0.3


class ForgetsItsRate(mo.DouglasRachford):
    def rate_for(self, A: Any, B: Any) -> float:
        return 0.9999


class BoastfulOfItsGap(mo.ForwardBackwardForward):
    def gap_slack(self, A: Any, B: Any) -> float:
        return 1e-3


@pytest.mark.parametrize(
    ("method", "message"),
    [
        (HalfAveraged, r"a step T is averaged with a = 0.5"),
        (TooAveraged, r"a step T is averaged with a = 0.5"),
        (TooAveragedInItsNorm, r"a step T is averaged with a = 0.45"),
        (NeverAveraged, r"averagedness lies in \(0, 1\] \[.*: 1.5"),
        (OtherGap, r"where gap_is_step, ‖gap‖ = c·‖z⁺ - z‖"),
        (TakesEveryStep, r"with a step that prepare does not refuse it does not diverge.* step 13.9 = 30/L"),
        (SaysThatItConverged, r"where it says that it converged, .* step 13.9 = 30/L"),
        (AlwaysTheSame, r"its steps depend on its field `step` \[steps 0.0139 and 0.139"),
        (BoastfulOfOperators, r"points come nearer by rate_for = 0.3000 on the average"),
        (ForgetsItsRate, r"rate_for, where more is known than m and L, is not above rate\(m, L\)"),
        (BoastfulOfItsGap, r"gap_slack = 0.001 for rate_for = 0\.\d+: ‖gapₖ‖ ≤ gap_slack·rateᵏ·‖gap₀‖"),
        (BoastfulInParts, r"states contract by rate\(m, L\) = 0.3"),
    ],
)
def test_a_broken_promise_is_found(method: Callable[..., Any], message: str) -> None:
    with pytest.raises(BrokenLaw, match=message):
        check_splitting_method(method("auto"), dtypes=(torch.float64,))


def test_a_state_of_several_parts_may_have_a_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    few = {name: random_problems(0, "monotone")[name] for name in ("SquaredL2", "ReLU")}
    monkeypatch.setattr(splitting, "random_problems", lambda *given: few)
    for method in (InParts("auto"), FromLimitInParts("auto")):
        check_splitting_method(method, dtypes=(torch.float64,))


def test_a_method_that_writes_to_its_start_spoils_no_problem_for_others() -> None:
    class Impolite(mo.DouglasRachford):
        def start(self, plan: Any, z0: Any) -> Any:
            z0[1, 2] = 7.0
            return z0

    before = {name: problem.b.copy() for name, problem in random_problems(0, "monotone").items()}
    with pytest.raises(BrokenLaw, match="left untouched"):
        check_splitting_method(Impolite("auto"))
    assert all((problem.b == before[name]).all() for name, problem in random_problems(0, "monotone").items())


class MyForwardBackward(mo.SplittingMethod):
    """As somebody would write it, who knows of no base class but one."""

    def __init__(self, step: Any = "auto") -> None:
        self.step = step

    def with_step(self, step: Any) -> Any:
        return MyForwardBackward(step)

    def prepare(self, A: Any, B: Any) -> Any:
        return A, B.resolvent(self.require_step_below(lambda: (2 * A.cocoercivity, "which is (0, 2β)")))

    def advance(self, plan: Any, z: Any) -> mo.Step:
        A, J_B = plan
        y = J_B(z - self.step * A.apply(z))
        return mo.Step(y, y, lambda: (z - y) / self.step - A.apply(z) + A.apply(y))

    def best_step(self, m: float, L: float) -> float:
        return m / L**2


def test_rounding_may_move_the_look_at_which_a_sample_is_done() -> None:
    """So it does here in the problem with Softplus."""
    check_splitting_method(mo.Anderson(MyForwardBackward()), dtypes=(torch.float64,))
