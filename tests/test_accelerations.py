"""Anderson's, Broyden's and Newton's methods on top of splitting methods."""

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from cases import draw_of, paper
from torch.utils._python_dispatch import TorchDispatchMode

from monops import (
    Affine,
    Anderson,
    Box,
    Broyden,
    Dense,
    DouglasRachford,
    FixedPoint,
    FromCallable,
    HalfSpace,
    NormalCone,
    PeacemanRachford,
    ReLU,
    SemismoothNewton,
    Subdifferential,
    Tanh,
    equilibrium,
    solve,
)
from monops.arrays import norm, to_numpy

D = torch.float64


@pytest.mark.parametrize("wrap", [Anderson, Broyden], ids=lambda w: w.__name__)
def test_an_acceleration_survives_bad_proposals(wrap: type[Any]) -> None:
    """With proposals that lead nowhere, it takes the steps of the method, each after some refused ones."""

    class Lost(wrap):
        def propose(self, plan: Any, z: Any, Tz: Any, accepted: Any, memory: Any) -> Any:
            return 1e6 * torch.ones_like(Tz), memory

    A, _, _ = paper(draw_of("torch64"), 3)
    B = Subdifferential(Tanh())
    plain = solve(DouglasRachford(0.5), A, B, tol=1e-10, check_every=1)
    lost = solve(Lost(DouglasRachford(0.5)), A, B, tol=1e-10, check_every=1)
    torch.testing.assert_close(lost.point, plain.point, atol=1e-8, rtol=0)
    assert plain.steps <= lost.steps <= (wrap.patience + 2) * (plain.steps + 1)


def test_accelerations_save_steps() -> None:
    """On an operator that is hardly monotone, as those of trained layers are; Newton's method ends exactly."""
    torch.manual_seed(0)
    half, skew = torch.randn(40, 40, dtype=D) / 12, torch.randn(40, 40, dtype=D) / 12
    M = 0.05 * torch.eye(40, dtype=D) + half.mT @ half + skew - skew.mT
    A = Affine(Dense(M), torch.randn(8, 40, dtype=D))
    B, steps = Subdifferential(ReLU()), {}
    base = DouglasRachford(1.0)
    for method in (base, Anderson(base), SemismoothNewton(1.0)):
        result = solve(method, A, B, tol=1e-10, max_steps=3000, check_every=1)
        steps[type(method).__name__] = result.steps
    assert steps["Anderson"] < 0.75 * steps["DouglasRachford"]
    assert steps["SemismoothNewton"] <= 15
    assert result.residual.max() < 1e-13


def skew_problem(library: str = "torch64") -> Any:
    """On which full Newton steps go round in circles."""
    torch.manual_seed(0)
    half, skew = torch.randn(40, 40, dtype=D) / 40**0.5, torch.randn(40, 40, dtype=D)
    M = 0.05 * torch.eye(40, dtype=D) + 0.5 * half.mT @ half + skew - skew.mT
    put = draw_of(library).put
    return Affine(Dense(put(M.numpy())), put(torch.randn(8, 40, dtype=D).numpy()))


@pytest.mark.parametrize("library", ["torch64", "numpy64"])
def test_newton_does_not_cycle(library: str) -> None:
    A, B = skew_problem(library), Subdifferential(ReLU())
    method, sizes = SemismoothNewton(1 / A.lipschitz), []
    result = solve(method, A, B, tol=1e-10, check_every=1)
    assert result.residual.max() < 1e-12
    plain = solve(DouglasRachford(1 / A.lipschitz), A, B, tol=1e-10, max_steps=20000)
    assert result.steps < 0.1 * plain.steps
    plan = method.prepare(A, B)
    state = method.start(plan, A.zero())
    for _ in range(result.steps):
        now = method.advance(plan, state)
        sizes.append(to_numpy(norm(now.gap(), 1)))
        state = now.state
    assert all((after <= before * (1 + 1e-9) + 1e-11).all() for before, after in itertools.pairwise(sizes))


@pytest.mark.parametrize("free", [False, True])
@pytest.mark.parametrize("library", ["torch64", "numpy64"])
def test_newton_falls_back_where_its_system_is_singular(library: str, free: bool) -> None:
    """Two lines that cross at the origin, for which I - S' is singular along both; and sets apart."""
    put = draw_of(library).put
    start = put(np.array([[3.0, 1.0], [0.5, -2.0]]))
    A: Any = Affine(Dense(put(np.array([[0.0, 0.0], [0.0, 0.0]]))))
    if free:
        A = NormalCone(HalfSpace(put(np.array([1.0, 1.0])), put(np.array(-1.0))))
    for B, has_solution in ((NormalCone(Box(-1.0, 1.0)), True), (NormalCone(Box(2.0, 3.0)), not free)):
        result = solve(SemismoothNewton(1.0), A, B, start, max_steps=200, check_every=1, warn=False)
        assert bool(result.converged.all()) == has_solution


def test_a_derivative_through_newtons_steps() -> None:
    A, _, b = paper(draw_of("torch64"), 3)
    shift, B = torch.as_tensor(b).requires_grad_(), Subdifferential(Tanh())
    gradients = [
        torch.autograd.grad(z.square().sum(), shift)[0]
        for z in (
            solve(SemismoothNewton(0.5), Affine(A.linear, shift), B, tol=1e-12, check_every=1, unroll=True).point,
            equilibrium(SemismoothNewton(0.5), Affine(A.linear, shift), B, tol=1e-12).point,
            equilibrium(DouglasRachford(0.5), Affine(A.linear, shift), B, tol=1e-12).point,
        )
    ]
    for gradient in gradients[:2]:
        torch.testing.assert_close(gradient, gradients[2], atol=1e-9, rtol=0)


def test_newton_on_an_operator_without_a_matrix() -> None:
    """Its systems are solved by GMRES; the steps are those with a matrix."""
    A, matrix, b = paper(draw_of("torch64"), 3)
    M = torch.as_tensor(matrix)
    free = Affine(FromCallable(lambda x: x @ M.mT, lambda y: y @ M, (6,), dtype=D), torch.as_tensor(b))
    B = Subdifferential(ReLU())
    direct, krylov = (solve(SemismoothNewton(0.5), op, B, tol=1e-10, check_every=1) for op in (A, free))
    torch.testing.assert_close(krylov.point, direct.point, atol=1e-9, rtol=0)
    assert abs(krylov.steps - direct.steps) <= 1


def layer(m: float, gain: float, skew: float, seed: int = 0) -> Affine:
    """I - W and b of a layer of 30 units, W = (1 - m) I - AᵀA + B - Bᵀ, and 20 inputs."""
    draw = torch.Generator().manual_seed(seed)
    half, other = (torch.randn(30, 30, dtype=D, generator=draw) / 30**0.5 for _ in range(2))
    M = m * torch.eye(30, dtype=D) + gain**2 * half.mT @ half + skew * (other - other.mT)
    return Affine(Dense(M), torch.randn(20, 30, dtype=D, generator=draw), claim=m)


LAYERS = [(m, gain, skew) for m in (1.0, 0.05) for gain, skew in ((0.5, 0.5), (1.0, 1.0), (2.0, 1.0), (1.0, 3.0))]


@pytest.mark.parametrize(("m", "gain", "skew"), LAYERS)
@pytest.mark.parametrize("seed", range(3))
def test_broyden_takes_hardly_ever_more_steps_than_the_method(m: float, gain: float, skew: float, seed: int) -> None:
    A, B = layer(m, gain, skew, seed), Subdifferential(ReLU())
    base = PeacemanRachford(1 / A.lipschitz)
    plain, wrapped = (solve(way, A, B, tol=1e-8, check_every=1, max_steps=2000) for way in (base, Broyden(base)))
    assert wrapped.status.name == "CONVERGED"
    assert wrapped.steps <= 1.1 * plain.steps + 2
    torch.testing.assert_close(wrapped.point, plain.point, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("m", "gain", "skew", "most"), [(1.0, 1.0, 1.0, 60), (0.05, 1.0, 1.0, 90), (1.0, 2.0, 1.0, 1500)]
)
def test_broyden_solves_layers_on_which_plain_iteration_diverges(m: float, gain: float, skew: float, most: int) -> None:
    A, B = layer(m, gain, skew), Subdifferential(ReLU())
    plain, wrapped = (
        solve(way, A, B, tol=1e-6, check_every=1, max_steps=most, warn=False)
        for way in (FixedPoint(1.0), Broyden(FixedPoint(1.0)))
    )
    assert not plain.converged.any()
    assert wrapped.status.name == "CONVERGED"


class Waits(TorchDispatchMode):
    """Notes what would make the host wait for a GPU: reads of numbers, and asking whether a matrix was singular."""

    found: list[str]

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if any(name in str(func) for name in ("_local_scalar_dense", "_linalg_check_errors", "nonzero", "is_nonzero")):
            self.found.append(str(func))
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("wrap", [Anderson, Broyden], ids=lambda w: w.__name__)
def test_an_acceleration_does_not_wait_for_the_device(wrap: type[Any]) -> None:
    """Not even where proposals are refused, which is seen to happen here."""
    A, B, waits = layer(1.0, 2.0, 1.0), Subdifferential(ReLU()), Waits()
    waits.found = []
    method = wrap(FixedPoint(), memory=5)
    plan = method.prepare(A, B)
    state, refused = method.start(plan, torch.zeros(20, 30, dtype=D)), []
    for _ in range(60):
        with waits:
            state = method.advance(plan, state).state
        refused.append(bool((state.share < 1).any()))
    assert any(refused)
    assert waits.found == []
    with waits:
        float(torch.ones(()))
    assert waits.found
