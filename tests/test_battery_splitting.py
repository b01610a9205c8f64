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


class NeverAveraged(mo.DouglasRachford):
    def averagedness(self, A: Any, B: Any) -> float:
        return 1.5


class OtherGap(mo.ForwardReflectedBackward):
    """Steps use A at two points, its gap at a third one."""

    gap_is_step = True


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


@pytest.mark.parametrize(
    ("method", "message"),
    [
        (HalfAveraged, r"a step T is averaged with a = 0.5"),
        (TooAveraged, r"a step T is averaged with a = 0.5"),
        (NeverAveraged, r"averagedness lies in \(0, 1\] \[.*: 1.5"),
        (OtherGap, r"where gap_is_step, ‖gap‖ = c·‖z⁺ - z‖"),
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
