"""Claimed rates against worst cases: PEPit runs the methods' own `advance` on symbolic points."""

from collections.abc import Callable
from typing import Any

import pytest

from monops import DouglasRachford, ForwardBackward, PeacemanRachford
from monops.monotone import MonotoneOperator, Resolvent, ZeroOperator
from monops.splitting import (
    ADMM,
    FISTA,
    ChambollePock,
    CondatVu,
    DavisYin,
    Extragradient,
    FixedPoint,
    ForwardBackwardForward,
    ForwardReflectedBackward,
    Halpern,
    LinearizedADMM,
    ProximalPoint,
    Relaxed,
    SplittingMethod,
    Step,
)
from monops.splitting.admm import Multipliers
from monops.splitting.condat_vu import PrimalDual
from monops.splitting.fista import Inertial
from monops.splitting.forward_reflected_backward import Reflected
from monops.splitting.halpern import Anchored

pepit = pytest.importorskip("PEPit", reason="worst cases are computed by PEPit, of the extra dev")
operators = pytest.importorskip("PEPit.operators")
functions = pytest.importorskip("PEPit.functions")
steps = pytest.importorskip("PEPit.primitive_steps")


# Of PEPit and the solvers that it calls.
quiet = pytest.mark.filterwarnings("ignore")


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

    def inverse(self) -> MonotoneOperator:
        return SymbolicInverse(self.f)


class SymbolicInverse(Symbolic):
    """By Moreau's identity; that of the package adds zeros to points, which PEPit does not."""

    def resolvent(self, step: float) -> Any:
        J = SymbolicResolvent(self.f, 1 / step)
        return lambda x: x - step * J(x / step)


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
    B: Any = ZeroOperator() if isinstance(method, ProximalPoint) else Symbolic(g, gradient=convex)
    return contraction(problem, method, Symbolic(f, m, L), B, pairwise)


def contraction(problem: Any, method: SplittingMethod, A: Symbolic, B: Any, pairwise: bool) -> float:
    """PEPit's bound for two operators of the problem."""
    plan, z = method.prepare(A, B), problem.set_initial_point()
    after = method.advance(plan, z).state
    w = problem.set_initial_point() if pairwise else pepit.Point()
    if pairwise:
        after_w = method.advance(plan, w).state
    else:
        B.f.add_point((w, -A.f.gradient(w), pepit.Expression()))
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


@quiet
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


@quiet
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
    state: Any = Anchored(z0, z0, 0, None)
    for _ in range(k):
        state = Halpern(Given(), restart=None).advance((T.gradient, 1), state).state
    problem.set_performance_metric((T.gradient(state.z) - state.z) ** 2)
    assert problem.solve(verbose=0) ** 0.5 == pytest.approx(2 / (k + 1), rel=1e-3)


@quiet
@pytest.mark.parametrize("k", [1, 2, 4])
def test_fista_falls_as_beck_and_teboulle_say(k: int) -> None:
    """F(x) - min F ≤ 2L‖x₀ - x*‖²/(k + 1)² at the step 1/L; some reach 0.4 of it, and longer steps break it."""
    L = 2.0
    bound = 2 * L / (k + 1) ** 2
    found = objective_after(FISTA(1 / L, restart=False), k, L)
    print(f"FISTA, k = {k}: bound {bound:.5f}, worst {found:.5f}")
    assert 0.4 * bound <= found <= bound * (1 + 1e-4)
    if k == 4:
        assert objective_after(FISTA(1.5 / L, restart=False, allow_unproven=True), k, L) > bound


def objective_after(method: FISTA, k: int, L: float) -> float:
    """The worst (f + g)(x) - min(f + g) after k steps from a distance of 1."""
    problem = pepit.PEP()
    f = problem.declare_function(functions.SmoothConvexFunction, L=L)
    g = problem.declare_function(functions.ConvexFunction)
    total = f + g
    best = total.stationary_point()
    z0 = problem.set_initial_point()
    problem.set_initial_condition((z0 - best) ** 2 <= 1)
    plan = method.prepare(Symbolic(f, L=L, gradient=True), Symbolic(g, gradient=True))
    state: Any = Inertial(z0, z0, 1.0)
    for _ in range(k):
        state = method.advance(plan, state).state
    problem.set_performance_metric(total(state.x) - total(best))
    return float(problem.solve(verbose=0))


AVERAGED: dict[str, SplittingMethod] = {
    "ForwardBackward": ForwardBackward(1.2),
    "DavisYin": DavisYin(1.2),
    "PeacemanRachford": PeacemanRachford(0.7, allow_unproven=True),
    "DouglasRachford": DouglasRachford(0.7),
    "ProximalPoint": ProximalPoint(0.7),
}


@quiet
@pytest.mark.parametrize("name", list(AVERAGED))
def test_steps_are_as_averaged_as_stated(name: str) -> None:
    assert averagedness_broken(name, 1.0) <= 1e-5
    assert averagedness_broken(name, 0.9) > 1e-3  # no smaller a would do


def averagedness_broken(name: str, share: float) -> float:
    """The largest ‖T z - T w‖² + (1 - a)/a ‖(I - T)z - (I - T)w‖² - ‖z - w‖² for a times `share`, and C with β = 1."""
    problem = pepit.PEP()
    pair: Any = [Symbolic(problem.declare_function(operators.MonotoneOperator)) for _ in range(2)]
    method, (A, B) = AVERAGED[name], pair
    if name == "ProximalPoint":
        B = ZeroOperator()
    if name in ("ForwardBackward", "DavisYin"):
        C = Cocoercive(problem.declare_function(operators.CocoerciveOperator, beta=1.0), L=1.0)
        A = C if name == "ForwardBackward" else pair[0] + C
    stated = method.averagedness(A, B)
    assert stated is not None
    a = share * stated
    plan, z, w = method.prepare(A, B), problem.set_initial_point(), problem.set_initial_point()
    d, e = z - w, method.advance(plan, z).state - method.advance(plan, w).state
    problem.set_initial_condition(d**2 <= 1)
    problem.set_performance_metric(e**2 + (1 - a) / a * (d - e) ** 2 - d**2)
    return float(problem.solve(verbose=0))


Pair = Callable[[Any, Any], Any]


def primal_dual_step(problem: Any, method: Any, A: Any, tau: float, sigma: float) -> tuple[Any, Any]:
    """Of any two states, Δx²/τ - 2ΔxΔy + Δy²/σ before and after."""
    plan = method.prepare(A, Symbolic(problem.declare_function(operators.MonotoneOperator)))
    states = [PrimalDual(problem.set_initial_point(), problem.set_initial_point()) for _ in range(2)]
    problem.set_initial_condition(sum(((p - q) ** 2 for p, q in zip(*states, strict=True)), 0 * states[0].x ** 2) <= 1)

    def size(one: PrimalDual, other: PrimalDual) -> Any:
        d, e = one.x - other.x, one.y - other.y
        return d**2 / tau - 2 * d * e + e**2 / sigma

    return size(*states), size(*(method.advance(plan, state).state for state in states))


def chambolle_pock(problem: Any, factor: float) -> tuple[Any, Any]:
    A = Symbolic(problem.declare_function(operators.MonotoneOperator))
    return primal_dual_step(problem, ChambollePock(0.5, 2 * factor, allow_unproven=True), A, 0.5, 2 * factor)


def condat_vu(problem: Any, factor: float) -> tuple[Any, Any]:
    """At 1/τ - σ = 1/(2β), β = 1."""
    C = Cocoercive(problem.declare_function(operators.CocoerciveOperator, beta=1.0), L=1.0)
    A = Symbolic(problem.declare_function(operators.MonotoneOperator)) + C
    sigma = factor * (2 - 0.5)
    return primal_dual_step(problem, CondatVu(0.5, sigma, allow_unproven=True), A, 0.5, sigma)


def multipliers_step(problem: Any, method: Any, size: Pair) -> tuple[Any, Any]:
    """Of any two states, in which w and u belong together, since they come from a step."""
    A, B = (Symbolic(problem.declare_function(operators.MonotoneOperator)) for _ in range(2))
    plan = method.prepare(A, B)
    starts = [Multipliers(*(problem.set_initial_point() for _ in range(3))) for _ in range(2)]
    problem.set_initial_condition(sum(((p - q) ** 2 for p, q in zip(*starts, strict=True)), 0 * starts[0].x ** 2) <= 1)
    states = [method.advance(plan, start).state for start in starts]
    return size(*states), size(*(method.advance(plan, state).state for state in states))


def admm(problem: Any, factor: float) -> tuple[Any, Any]:
    """Δw² + Δu²; every step is allowed."""
    return multipliers_step(problem, ADMM(factor), lambda s, t: (s.w - t.w) ** 2 + (s.u - t.u) ** 2)


def linearized_admm(problem: Any, factor: float) -> tuple[Any, Any]:
    """Δx²/τ + 2ΔxΔy + αΔy², with αy the multiplier before: Chambolle and Pock's method from the dual side."""
    method = LinearizedADMM(1.0, factor, allow_unproven=True)

    def size(s: Any, t: Any) -> Any:
        d, e = s.x - t.x, (s[2] - s[1]) - (t[2] - t[1])  # K x - w is the second part
        return d**2 / factor + 2 * d * e + e**2

    return multipliers_step(problem, method, size)


def towards_a_solution(problem: Any, L: float = 2.0) -> tuple[Symbolic, Symbolic, Any]:
    """A monotone and L-Lipschitz, B monotone, and z* with 0 ∈ (A + B)(z*)."""
    f = problem.declare_function(operators.LipschitzStronglyMonotoneOperatorCheap, mu=0.0, L=L)
    g, star = problem.declare_function(functions.ConvexFunction), pepit.Point()
    g.add_point((star, -f.gradient(star), pepit.Expression()))
    return Symbolic(f, 0.0, L), Symbolic(g, gradient=True), star


def two_looks(method: Any, problem: Any) -> tuple[Any, Any]:
    A, B, star = towards_a_solution(problem)
    z = problem.set_initial_point()
    problem.set_initial_condition((z - star) ** 2 <= 1)
    return (z - star) ** 2, (method.advance(method.prepare(A, B), z).state - star) ** 2


def forward_reflected_backward(problem: Any, factor: float) -> tuple[Any, Any]:
    """(z - z*)² + 2α⟨A(z) - A(z₋), z* - z⟩ + ½(z - z₋)², the inequality 2.7 of Malitsky and Tam at α = 1/(2L)."""
    A, B, star = towards_a_solution(problem)
    method = ForwardReflectedBackward(factor / 4, allow_unproven=True)
    z, before = problem.set_initial_point(), problem.set_initial_point()
    problem.set_initial_condition((z - star) ** 2 + (z - before) ** 2 <= 1)

    def size(z: Any, before: Any) -> Any:
        turned = A.apply(z) - A.apply(before)
        return (z - star) ** 2 + factor / 2 * turned * (star - z) + 0.5 * (z - before) ** 2

    after = method.advance(method.prepare(A, B), Reflected(z, A.apply(before))).state.z
    return size(z, before), size(after, z)


# Name: what falls at a step that is `factor` times the longest with proven convergence; whether a longer one breaks it.
LYAPUNOV: dict[str, tuple[Callable[[Any, float], tuple[Any, Any]], bool]] = {
    "ChambollePock": (chambolle_pock, True),
    "CondatVu": (condat_vu, True),
    "ADMM": (admm, False),
    "LinearizedADMM": (linearized_admm, True),
    "ForwardReflectedBackward": (forward_reflected_backward, True),
    "ForwardBackwardForward": (
        lambda problem, factor: two_looks(ForwardBackwardForward(factor / 2, allow_unproven=True), problem), True),
    "Extragradient": (lambda problem, factor: two_looks(Extragradient(factor / 2, allow_unproven=True), problem), True),
}  # fmt: skip


@quiet
@pytest.mark.parametrize("name", list(LYAPUNOV))
def test_what_proves_convergence_falls_with_each_step(name: str) -> None:
    def growth(factor: float) -> float:
        problem = pepit.PEP()
        before, after = LYAPUNOV[name][0](problem, factor)
        problem.set_performance_metric(after - before)
        return float(problem.solve(verbose=0))

    assert growth(1.0) <= 1e-5
    assert growth(0.5) <= 1e-5
    if LYAPUNOV[name][1]:
        assert growth(1.3) > 1e-3
    else:
        assert growth(4.0) <= 1e-5


class Cocoercive(Symbolic):
    @property
    def cocoercivity(self) -> float:
        return 1.0
