"""The equilibrium of a trained dense layer: operator calls and time to a true error, against torchdeq's solvers.

Needs the extra `bench`: `pip install -e ".[bench]"`.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from monops import Anderson, Broyden, FixedPoint, PeacemanRachford, SemismoothNewton, SplittingMethod, solve, tune
from monops.data import digits
from monops.nn import Equilibrium, MonotoneDense

from .conftest import Timer

solvers = pytest.importorskip("torchdeq.solver", reason="torchdeq is not installed: the extra `bench` has it")
UNITS, BATCH, ERROR, LIMIT = 87, 128, 1e-5, 400
EIGHTHS = range(-16, 17)  # of an octave, around the step that "auto" finds


def trained(m: float, epochs: int = 12) -> tuple[Equilibrium, Tensor]:
    """A layer trained on the digits, and a batch of held-out ones."""
    torch.manual_seed(0)
    data = digits()
    x, y = data.train_x.flatten(1), data.train_y
    layer, head = Equilibrium(MonotoneDense(64, UNITS, m=m), tol=1e-2), nn.Linear(UNITS, 10)
    optimizer = torch.optim.Adam([*layer.parameters(), *head.parameters()], 3e-3)
    for _ in range(epochs):
        for rows in torch.randperm(len(x)).split(16):
            optimizer.zero_grad()
            nn.functional.cross_entropy(head(layer(x[rows])), y[rows]).backward()
            optimizer.step()
    return layer, data.test_x.flatten(1)[:BATCH]


def first_below(run: Callable[[int], Tensor], error: Callable[[Tensor], float]) -> int | None:
    """The fewest steps after which the error is small enough, or None."""
    return next((steps for steps in range(1, LIMIT) if error(run(steps)) <= ERROR), None)


@pytest.mark.parametrize("m", [1.0, 0.05])
def test_calls_and_seconds_to_a_true_error(m: float, interleave: Timer) -> None:
    layer, x = trained(m)
    with torch.no_grad():
        A, B = layer.problem(x)
        exact_A, exact_B = Equilibrium(layer.linear.double(), tol=1e-2).problem(x.double())
        truth = solve(SemismoothNewton(1.0), exact_A, exact_B, tol=1e-13, warn=False).point.float()
        layer.linear.float()
        A, B = layer.problem(x)
    size = truth.norm(dim=1)

    def error(point: Tensor) -> float:
        return float(((point - truth).norm(dim=1) / size).max())

    options: dict[str, Any] = {"tol": 1e-30, "check_every": LIMIT, "warn": False}

    def ours(method: SplittingMethod) -> Callable[[int], Tensor]:
        return lambda steps: solve(method, A, B, max_steps=steps, **options).point

    W = (torch.eye(UNITS) - A.linear.to_dense()).detach().mT.contiguous()
    b = A.b.detach()

    def layer_map(z: Tensor) -> Tensor:
        return torch.relu(torch.addmm(b, z, W))

    def theirs(solver: Any) -> Callable[[int], Tensor]:
        def run(steps: int) -> Tensor:
            with torch.no_grad():
                z, *_ = solver(layer_map, torch.zeros(BATCH, UNITS), max_iter=steps, tol=1e-12, return_final=True)
            return z

        return run

    splitting = tune(PeacemanRachford("auto"), A, B, tol=ERROR)
    contenders = {
        "Peaceman-Rachford, tuned": ours(splitting),
        "Anderson on it": ours(Anderson(splitting)),
        "Broyden on it": ours(Broyden(splitting)),
        "semismooth Newton": ours(SemismoothNewton(splitting.step)),
        "Anderson on the plain iteration": ours(Anderson(FixedPoint(0.5))),
        "Broyden on the plain iteration": ours(Broyden(FixedPoint(1.0))),
        "torchdeq: Anderson": theirs(solvers.anderson_solver),
        "torchdeq: Broyden": theirs(solvers.broyden_solver),
        "torchdeq: plain iteration": theirs(solvers.fixed_point_iter),
    }
    print(f"m = {m}, ‖I - W‖ = {A.lipschitz:.2f}, PR step {splitting.step:.3g}, error {ERROR:g} in the worst sample")
    needed: dict[str, int | None] = {}
    timed: dict[str, Callable[[], object]] = {}
    for name, run in contenders.items():
        needed[name] = steps = first_below(run, error)
        if steps is not None:
            timed[name] = partial(run, steps)
    seconds = interleave(timed)
    for name, calls in needed.items():
        time = f"{seconds[name] * 1e3:7.2f} ms" if name in seconds else "       -"
        print(f"  {name:32} {calls if calls else f'> {LIMIT}':>6} calls {time}")
    assert needed["Peaceman-Rachford, tuned"] is not None
    assert error(contenders["semismooth Newton"](20)) <= ERROR


@pytest.mark.parametrize("m", [1.0, 0.05])
def test_auto_is_near_the_best_step_of_a_fine_grid(m: float) -> None:
    layer, x = trained(m)
    with torch.no_grad():
        exact = Equilibrium(layer.linear.double()).problem(x.double())
        truth = solve(SemismoothNewton(1.0), *exact, tol=1e-13).point.float()
        layer.linear.float()
        A, B = layer.problem(x)

        def steps(step: Any) -> float:
            """Until each sample is within ERROR of the solution."""
            method, state = PeacemanRachford(step), torch.zeros_like(truth)
            plan = method.prepare(A, B)
            for k in range(1, LIMIT):
                now = method.advance(plan, state)
                state = now.state
                if bool(((now.approximation() - truth).norm(dim=1) <= ERROR * truth.norm(dim=1)).all()):
                    return k
            return float("inf")

        auto = tune(PeacemanRachford("auto"), A, B, tol=ERROR).step
        assert isinstance(auto, float)
        grid = {auto * 2 ** (i / 8): steps(auto * 2 ** (i / 8)) for i in EIGHTHS}
    best = min(grid, key=lambda step: grid[step])
    print(f"m = {m}: auto {auto:.3g} takes {grid[auto]} steps, the best of the grid, {best:.3g}, {grid[best]}")
    assert grid[auto] <= 1.15 * grid[best]
