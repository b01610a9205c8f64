"""Accelerations and anchors of methods whose states are several unknowns, and of methods that they must not spoil."""

from typing import Any

import numpy as np
import pytest
import torch
from cases import draw_of, libraries, paper

from monops import (
    ADMM,
    FISTA,
    L1,
    Affine,
    Anderson,
    Broyden,
    ChambollePock,
    CircularConv,
    CondatVu,
    Dense,
    ForwardReflectedBackward,
    Halpern,
    Identity,
    LinearizedADMM,
    PeacemanRachford,
    ProjectiveSplitting,
    Relaxed,
    ReLU,
    SplittingMethod,
    Step,
    Subdifferential,
    Tanh,
    solve,
)
from monops.arrays import Array, to_numpy
from monops.errors import ConditionError
from monops.monotone import MonotoneOperator
from monops.splitting import state as states

D = torch.float64
WRAPPERS = [Anderson, Broyden, Halpern]
by_name: dict[str, Any] = {"ids": lambda thing: thing.__name__}
QUIET: dict[str, Any] = {"check_every": 1, "max_steps": 20000, "warn": False}


def lasso(kind: str) -> tuple[Affine, MonotoneOperator]:
    """½‖x - b‖² + 0.3 ‖K x‖₁ for five vectors b, of which one is nearly solved at the start: 12 unknowns and 8 more."""
    draw = draw_of(kind)
    b = draw.array(5, 12)
    b[1] *= 1e-6
    K = Dense(draw.put(draw.array(8, 12) / 3))
    return Affine(Identity((12,), dtype=K.dtype), draw.put(b)), Subdifferential(L1(0.3)).precompose(K)


@libraries
@pytest.mark.parametrize("method", [ChambollePock, CondatVu, ADMM, LinearizedADMM], **by_name)
@pytest.mark.parametrize("wrap", WRAPPERS, **by_name)
def test_a_state_of_several_unknowns_is_accelerated(wrap: type[Any], method: type[Any], kind: str) -> None:
    A, B = lasso(kind)
    base = method("auto")
    plain, wrapped = (solve(way, A, B, tol=1e-10, max_steps=3000) for way in (base, wrap(base)))
    assert wrapped.status.name == "CONVERGED"
    np.testing.assert_allclose(to_numpy(wrapped.point), to_numpy(plain.point), rtol=0, atol=1e-8)
    assert wrap is Halpern or wrapped.steps < 0.8 * plain.steps


@pytest.mark.parametrize(
    ("base", "most"),
    [(ForwardReflectedBackward(0.03), 0.9), (ProjectiveSplitting(0.5), 1.5)],
    ids=["FRB", "Projective"],
)
@pytest.mark.parametrize("wrap", WRAPPERS, **by_name)
def test_methods_that_carry_two_arrays_are_accelerated(wrap: type[Any], base: SplittingMethod, most: float) -> None:
    """Steps of projective splitting come no nearer to rest one by one: refused, they are taken nevertheless."""
    torch.manual_seed(0)
    half, skew = torch.randn(2, 30, 30, dtype=D) / 5
    A = Affine(Dense(torch.eye(30, dtype=D) + half @ half.mT + 5 * (skew - skew.mT)), torch.randn(5, 30, dtype=D))
    plain, wrapped = (solve(way, A, Subdifferential(ReLU()), tol=1e-8, max_steps=3000) for way in (base, wrap(base)))
    assert wrapped.status.name == "CONVERGED"
    torch.testing.assert_close(wrapped.point, plain.point, rtol=0, atol=1e-5)
    assert wrap is Halpern or wrapped.steps < most * plain.steps


def test_relaxation_of_a_state_of_two_arrays_takes_longer_by_its_share() -> None:
    torch.manual_seed(0)
    half, skew = torch.randn(2, 10, 10, dtype=D) / 3
    M = 0.05 * torch.eye(10, dtype=D) + 0.1 * half @ half.mT + 3 * (skew - skew.mT)
    A, B = Affine(Dense(M), torch.randn(4, 10, dtype=D)), Subdifferential(ReLU())
    base = ForwardReflectedBackward(0.45 / A.lipschitz)
    plain, halved = (solve(way, A, B, tol=1e-7, max_steps=4000) for way in (base, Relaxed(base, 0.5)))
    assert 1.5 * plain.steps < halved.steps < 2.5 * plain.steps
    torch.testing.assert_close(halved.point, plain.point, rtol=0, atol=1e-4)


def test_points_of_several_axes_in_any_memory_order() -> None:
    torch.manual_seed(0)
    kernel = torch.randn(2, 2, 3, 3, dtype=D) / 8
    conv = CircularConv(kernel, (6, 5))
    A = Affine(Identity((2, 6, 5), dtype=D) + conv - conv.H, torch.randn(3, 2, 6, 5, dtype=D))
    plain, wrapped = (
        solve(way, A, Subdifferential(ReLU()), tol=1e-10, **QUIET)
        for way in (ProjectiveSplitting(0.7), Anderson(ProjectiveSplitting(0.7)))
    )
    torch.testing.assert_close(wrapped.point, plain.point, rtol=0, atol=1e-8)


class Shear(SplittingMethod):
    """Steps by T = [[0.9, 10], [0, 0.9]], which tend to rest, but not before they have grown fifty times."""

    T = torch.tensor([[0.9, 10.0], [0.0, 0.9]], dtype=D)
    step = 1.0

    def prepare(self, A: MonotoneOperator, B: MonotoneOperator) -> tuple[()]:
        return ()

    def advance(self, plan: tuple[()], z: Array) -> Step:
        Tz = z @ self.T.mT
        return Step(Tz, point=Tz, gap=lambda: z - Tz)


@pytest.mark.parametrize("wrap", [Anderson, Broyden], **by_name)
def test_refused_proposals_keep_no_method_from_converging(wrap: type[Any]) -> None:
    """Even where its steps, damped or not, lead farther from rest first."""

    class Lost(wrap):
        def propose(self, plan: Any, z: Array, Tz: Array, accepted: Array, memory: Any) -> Any:
            return 1e6 * torch.ones_like(Tz), memory

    A, B = Affine(Identity((2,), dtype=D), torch.ones(2, dtype=D)), Subdifferential(ReLU())
    z0 = torch.tensor([0.0, 1.0], dtype=D)
    plain, lost = (solve(way, A, B, z0, tol=1e-6, atol=1e-6, **QUIET) for way in (Shear(), Lost(Shear())))
    assert plain.status.name == lost.status.name == "CONVERGED"
    # Steps that come nearer cost some refused proposals each; then there are as many rounds as it takes to give
    # in often enough, of a dozen halved steps each.
    assert lost.steps <= (wrap.patience + 2) * (plain.steps + 12 * np.log2(plain.steps))


@pytest.mark.parametrize("wrap", WRAPPERS, **by_name)
@pytest.mark.parametrize("inner", [FISTA(0.1), Anderson(PeacemanRachford(0.1))], ids=["FISTA", "Anderson"])
def test_what_remembers_more_than_unknowns_is_refused(wrap: type[Any], inner: Any) -> None:
    A = Affine(Identity((6,), dtype=D), torch.ones(6, dtype=D))
    with pytest.raises(ConditionError, match=f"{wrap.__name__} wants .*unknowns.*{type(inner).__name__} has a"):
        solve(wrap(inner), A, Subdifferential(Tanh()))


@libraries
def test_a_packed_state_is_unpacked_as_it_was(kind: str) -> None:
    draw = draw_of(kind)
    A, _, _ = paper(draw, 3)
    B = Subdifferential(ReLU())
    method = ProjectiveSplitting(0.5)
    plan = method.prepare(A, B)
    state = method.advance(plan, method.start(plan, draw.put(draw.array(3, 6)))).state
    packed, rank = states.pack(state, 1)
    again = states.unpack(packed, state)
    assert rank == 1
    assert tuple(packed.shape) == (3, 12)
    assert type(again) is type(state)
    for part, known in zip(again, state, strict=True):
        np.testing.assert_array_equal(to_numpy(part), to_numpy(known))
    assert states.pack(packed, 1)[0] is packed


@pytest.mark.parametrize("wrap", [Anderson, Broyden])
@pytest.mark.parametrize("seed", [0, 1, 3])
def test_accelerations_come_as_near_as_their_method_in_float32(wrap: Any, seed: int) -> None:
    """They went on comparing what rounding hides, and stood still at four times the error."""
    draw = torch.Generator().manual_seed(seed)
    half, skew = (torch.randn(40, 40, generator=draw, dtype=D) / 40**0.5 for _ in range(2))
    M = 0.05 * torch.eye(40, dtype=D) + 0.5 * half.mT @ half + skew - skew.mT
    b, B = torch.randn(64, 40, generator=draw, dtype=D), Subdifferential(ReLU())
    truth = solve(PeacemanRachford(0.5), Affine(Dense(M), b), B, tol=1e-13, max_steps=5000).point

    def error(method: SplittingMethod) -> float:
        A = Affine(Dense(M.float()), b.float())
        point = solve(method, A, B, tol=1e-30, max_steps=600, check_every=600, warn=False).point
        return float(((point - truth).norm(dim=1) / truth.norm(dim=1)).max())

    assert error(wrap(PeacemanRachford(0.5))) <= 1.3 * error(PeacemanRachford(0.5))
