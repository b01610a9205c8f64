"""Claimed rates against worst cases: PEPit runs the methods' own `advance` on symbolic points."""

from collections.abc import Callable
from typing import Any

import pytest

from monops import DouglasRachford, ForwardBackward, PeacemanRachford
from monops.monotone import MonotoneOperator, Resolvent, ZeroOperator
from monops.splitting import (
    DavisYin,
    Extragradient,
    FixedPoint,
    ForwardBackwardForward,
    ProximalPoint,
    Relaxed,
    SplittingMethod,
    Step,
)

pepit = pytest.importorskip("PEPit", reason="worst cases are computed by PEPit, of the extra dev")
operators = pytest.importorskip("PEPit.operators")
functions = pytest.importorskip("PEPit.functions")
steps = pytest.importorskip("PEPit.primitive_steps")


class Symbolic(MonotoneOperator):
    """Any operator of one of PEPit's classes."""

    def __init__(self, f: Any, m: float = 0.0, L: float = float("inf"), gradient: bool = False) -> None:
        self.f, self.m, self.L, self.gradient = f, m, L, gradient

    @property
    def strong_monotonicity(self) -> float:
        return self.m

    @property
    def lipschitz(self) -> float:
        return self.L

    @property
    def is_gradient(self) -> bool:
        return self.gradient

    def apply(self, x: Any) -> Any:
        return self.f.gradient(x)

    def resolvent(self, step: float) -> Resolvent:
        return SymbolicResolvent(self.f, step)


class SymbolicResolvent(Resolvent):
    def __init__(self, f: Any, step: float) -> None:
        self.f, self.step = f, step

    def __call__(self, x: Any) -> Any:
        return steps.proximal_step(x, self.f, self.step)[0]

    def derivative(self, x: Any) -> Any:
        raise NotImplementedError


def worst(method: SplittingMethod, m: float, L: float, pairwise: bool, convex: bool = False) -> float:
    """PEPit's bound on the contraction a step: of any two states, or of the distance to a zero of A + B."""
    problem = pepit.PEP()
    f = problem.declare_function(operators.LipschitzStronglyMonotoneOperatorCheap, mu=m, L=L)
    g = problem.declare_function(functions.ConvexFunction if convex else operators.MonotoneOperator)
    A = Symbolic(f, m, L)
    B: Any = ZeroOperator() if isinstance(method, ProximalPoint) else Symbolic(g, gradient=convex)
    plan, z = method.prepare(A, B), problem.set_initial_point()
    after = method.advance(plan, z).state
    w = problem.set_initial_point() if pairwise else pepit.Point()
    if pairwise:
        after_w = method.advance(plan, w).state
    else:
        g.add_point((w, -f.gradient(w), pepit.Expression()))
        after_w = w
    problem.set_initial_condition((z - w) ** 2 <= 1)
    problem.set_performance_metric((after - after_w) ** 2)
    return float(problem.solve(verbose=0)) ** 0.5


# Name: method at a step, whether any two states contract, B a subdifferential, how tight the rate is: 1 exactly.
CASES: dict[str, tuple[Callable[[float], SplittingMethod], bool, bool, bool]] = {
    "ForwardBackward": (lambda L: ForwardBackward(0.3 / L), True, False, True),
    "PeacemanRachford, short": (lambda L: PeacemanRachford(0.3 / L), True, False, True),
    "PeacemanRachford, long": (lambda L: PeacemanRachford(2 / L), True, False, True),
    "DouglasRachford": (lambda L: DouglasRachford(1 / L), True, False, False),
    "ProximalPoint": (lambda L: ProximalPoint(2 / L), True, False, True),
    "Relaxed": (lambda L: Relaxed(PeacemanRachford(1 / L), 0.7), True, False, False),
    "FixedPoint": (lambda L: FixedPoint(0.2), True, False, False),
    "ForwardBackwardForward": (lambda L: ForwardBackwardForward(0.4 / L), False, False, False),
    "Extragradient": (lambda L: Extragradient(0.4 / L), False, True, False),
}


@pytest.mark.filterwarnings("ignore")  # of PEPit and the solvers that it calls
@pytest.mark.parametrize(("m", "L"), [(1.0, 1.2), (1.0, 1.5), (0.5, 2.0)])
@pytest.mark.parametrize("name", list(CASES))
def test_no_step_is_slower_than_the_rate(name: str, m: float, L: float) -> None:
    make, pairwise, convex, is_tight = CASES[name]
    method = make(L)
    rate = method.rate(m, L)
    if rate is None:
        assert isinstance(method, FixedPoint)  # which claims nothing where W is far from a contraction
        return
    found = worst(method, m, L, pairwise, convex)
    print(f"{name}, m = {m}, L = {L}: rate {rate:.5f}, worst {found:.5f}, ratio {found / rate:.5f}")
    assert found <= rate * (1 + 1e-4)
    if is_tight:
        assert found >= rate * (1 - 1e-3)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("k", [1, 4])
def test_halpern_falls_as_lieder_says(k: int) -> None:
    """‖T z - z‖ ≤ 2‖z₀ - z*‖/(k + 1) for every nonexpansive T, and for some no less."""

    class Given(SplittingMethod):
        def prepare(self, A: Any, B: Any) -> Any:
            return A

        def advance(self, plan: Any, z: Any) -> Step:
            return Step(plan(z), z, lambda: z)

    problem = pepit.PEP()
    T = problem.declare_function(operators.NonexpansiveOperator)
    limit, _, _ = T.fixed_point()
    z0 = problem.set_initial_point()
    problem.set_initial_condition((z0 - limit) ** 2 <= 1)
    z, ratio = z0, 1.0
    for i in range(k):  # the formula of Halpern.advance, which wants arrays
        ratio = 1 / (i + 2)
        z = Given().advance(T.gradient, z).state * (1 - ratio) + ratio * z0
    problem.set_performance_metric((T.gradient(z) - z) ** 2)
    assert problem.solve(verbose=0) ** 0.5 == pytest.approx(2 / (k + 1), rel=1e-3)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["ForwardBackward", "DavisYin"])
def test_steps_are_as_averaged_as_stated(name: str) -> None:
    """(1 - a)/a ‖(I - T)z - (I - T)w‖² ≤ ‖z - w‖² - ‖T z - T w‖² for a β-cocoercive C at β = 1, as stated."""
    problem = pepit.PEP()
    C = Cocoercive(problem.declare_function(operators.CocoerciveOperator, beta=1.0), L=1.0)
    B = Symbolic(problem.declare_function(operators.MonotoneOperator))
    third = Symbolic(problem.declare_function(operators.MonotoneOperator))
    method: SplittingMethod = ForwardBackward(1.2) if name == "ForwardBackward" else DavisYin(1.2)
    A = C if name == "ForwardBackward" else third + C
    a = method.averagedness(A, B)
    assert a is not None
    plan, z, w = method.prepare(A, B), problem.set_initial_point(), problem.set_initial_point()
    Tz, Tw = method.advance(plan, z).state, method.advance(plan, w).state
    problem.set_initial_condition((z - w) ** 2 <= 1)
    d, e = Tz - Tw, (z - Tz) - (w - Tw)
    problem.set_performance_metric(d**2 + (1 - a) / a * e**2 - (z - w) ** 2)
    assert problem.solve(verbose=0) <= 1e-5


class Cocoercive(Symbolic):
    @property
    def cocoercivity(self) -> float:
        return 1.0
