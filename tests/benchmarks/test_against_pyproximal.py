"""Lasso, nonnegative least squares and TV deblurring by the same methods as in PyProximal: seconds to one accuracy.

Both sides run the same method with the same steps in float64, for 25, 50, 100, … iterations until the objective is
within the goal of the least one known (relatively, in the worst of the batch); that last run is timed. A single dense
problem is given to monops as NumPy arrays too; of a batch the matrix KᴴK is formed, which is part of what is timed. One
thread for both: set OMP_NUM_THREADS=1. Needs the extra `bench`: `pip install -e ".[bench]"`.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from scipy import fft

from monops import (
    FISTA,
    L1,
    Affine,
    ChambollePock,
    CircularConv,
    Dense,
    FiniteDifference,
    FromCallable,
    LinearOperator,
    NonNegative,
    SplittingMethod,
    Subdifferential,
    solve,
)

from .conftest import Timer

pylops = pytest.importorskip("pylops", reason="pylops is not installed: the extra `bench` has it")
pyproximal = pytest.importorskip("pyproximal", reason="pyproximal is not installed: the extra `bench` has it")
GOAL, COUNTS = 1e-4, [25 * 2**k for k in range(8)]
D = torch.float64
Run = Callable[[int], np.ndarray]


@pytest.fixture(autouse=True)
def one_thread(two_threads: None) -> None:
    torch.set_num_threads(1)


def ours(method: SplittingMethod, A: Any, B: Any, z0: torch.Tensor) -> Run:
    options: dict[str, Any] = {"tol": 1e-300, "check_every": 10**6, "warn": False}
    return lambda steps: np.asarray(solve(method, A, B, z0, max_steps=steps, **options).point)


def report(
    title: str,
    runs: dict[str, Run],
    cost: Callable[[np.ndarray], np.ndarray],
    least: np.ndarray,
    interleave: Timer,
    goal: float = GOAL,
) -> None:
    """Time each run to the goal, and print the seconds beside those of the first."""
    needed: dict[str, int] = {}
    for name, run in runs.items():
        within = (steps for steps in COUNTS if ((cost(run(steps)) - least) / least).max() <= goal)
        needed[name] = next(within, 0)
        assert needed[name], f"{name} does not come within {goal} of the least objective"
    rounds = 3 if goal == GOAL else 1
    seconds = interleave({name: (lambda run=run, k=needed[name]: run(k)) for name, run in runs.items()}, rounds=rounds)
    print(title)
    for name in runs:
        ratio = seconds[name] / seconds["monops"]
        print(f"  {name:14} {needed[name]:5} iterations {seconds[name]:9.4f} s  {ratio:6.2f} ×")


PROBLEMS = [
    *((penalty, 1500, 1000, batch) for batch in (1, 32) for penalty in ("lasso", "nonnegative")),
    ("lasso", 2000, 10_000, 1),
    ("nonnegative", 12_000, 10_000, 1),
]


@pytest.mark.parametrize(("penalty", "rows", "columns", "batch"), PROBLEMS)
def test_dense_least_squares(penalty: str, rows: int, columns: int, batch: int, interleave: Timer) -> None:
    rng = np.random.default_rng(0)
    K = rng.standard_normal((rows, columns)) / rows**0.5
    signal = (rng.random((batch, columns)) < 0.02) * abs(rng.standard_normal((batch, columns)))
    data = signal @ K.T + 0.01 * rng.standard_normal((batch, rows))
    v = rng.standard_normal(columns)
    for _ in range(100):  # of the power method, for ‖K‖²
        v = K.T @ (K @ (v / np.linalg.norm(v)))
    weight, step = 0.1, float(0.95 / np.linalg.norm(v))
    B = Subdifferential(L1(weight) if penalty == "lasso" else NonNegative())
    method = FISTA(step, restart=False, allow_unproven=True)

    def least_squares(put: Callable[[np.ndarray], Any]) -> Run:
        matrix, right, start = put(K), put(data), put(np.zeros((batch, columns)))

        def gram(x: Any) -> Any:
            return x @ matrix.T @ matrix

        def run(steps: int) -> np.ndarray:
            if batch == 1:
                normal: LinearOperator = FromCallable(gram, gram, (columns,), known_symmetric=True, dtype=matrix.dtype)
            else:
                normal = Dense(matrix).H @ Dense(matrix)
            return ours(method, Affine(normal, right @ matrix, claim=0.0), B, start)(steps)

        return run

    second = pyproximal.L1(weight) if penalty == "lasso" else pyproximal.Box(0)
    losses = [pyproximal.L2(Op=pylops.MatrixMult(K), b=b) for b in data]

    def theirs(steps: int) -> np.ndarray:
        return np.stack(
            [
                pyproximal.optimization.primal.ProximalGradient(
                    loss, second, np.zeros(columns), tau=step, niter=steps, acceleration="fista"
                )
                for loss in losses
            ]
        )

    def cost(x: np.ndarray) -> np.ndarray:
        x = x if penalty == "lasso" else x.clip(0)
        return 0.5 * ((x @ K.T - data) ** 2).sum(1) + weight * (penalty == "lasso") * abs(x).sum(1)

    runs = {"monops": least_squares(torch.as_tensor), "monops, NumPy": least_squares(np.asarray)}
    least = cost(runs["monops"](3000 if columns < 5000 else 1000))
    report(f"{penalty}, {rows} × {columns}, {batch} at once", runs | {"pyproximal": theirs}, cost, least, interleave)


def blur(side: int) -> tuple[np.ndarray, LinearOperator, LinearOperator]:
    """A kernel, and the blur and the periodic forward differences."""
    line = np.exp(-0.5 * (np.arange(-4, 5) / 1.5) ** 2)
    kernel = np.outer(line, line) / line.sum() ** 2
    H = CircularConv(torch.as_tensor(kernel)[None, None], (side, side))
    return kernel, H, FiniteDifference((1, side, side), (1, 2), periodic=True, dtype=D)


def convolve(x: np.ndarray, symbol: np.ndarray) -> np.ndarray:
    return fft.irfft2(symbol * fft.rfft2(x, workers=1), s=x.shape[-2:], workers=1)


def symbol_of(kernel: np.ndarray, side: int) -> np.ndarray:
    return fft.rfft2(np.roll(np.pad(kernel, (0, side - 9)), (-4, -4), (0, 1)))


def blur_for_pylops(side: int, spectrum: np.ndarray) -> Any:
    return pylops.FunctionOperator(
        lambda x: convolve(x.reshape(side, side), spectrum).ravel(),
        lambda x: convolve(x.reshape(side, side), spectrum.conj()).ravel(),
        side * side,
        side * side,
    )


@pytest.mark.parametrize("penalty", ["lasso", "nonnegative"])
@pytest.mark.parametrize(("side", "batch"), [(64, 32), (1000, 1)])
def test_deblurring_by_least_squares(penalty: str, side: int, batch: int, interleave: Timer) -> None:
    rng = np.random.default_rng(0)
    images = (rng.random((batch, side, side)) < 0.02) * rng.random((batch, side, side))
    kernel, H, _ = blur(side)
    spectrum = symbol_of(kernel, side)
    data = convolve(images, spectrum) + 0.01 * rng.standard_normal(images.shape)
    weight, step = 0.001, float(0.99 / abs(spectrum).max() ** 2)
    b = H.H(torch.as_tensor(data)[:, None])
    f = L1(weight, axes=3) if penalty == "lasso" else NonNegative(axes=3)
    method = FISTA(step, restart=False, allow_unproven=True)
    run = ours(method, Affine(H.H @ H, b, claim=0.0), Subdifferential(f), torch.zeros_like(b))
    second = pyproximal.L1(weight) if penalty == "lasso" else pyproximal.Box(0)
    losses = [pyproximal.L2(Op=blur_for_pylops(side, spectrum), b=row.ravel()) for row in data]

    def theirs(steps: int) -> np.ndarray:
        solver = pyproximal.optimization.primal.ProximalGradient
        start, options = np.zeros(side * side), {"tau": step, "niter": steps, "acceleration": "fista"}
        return np.stack([solver(loss, second, start, **options) for loss in losses])

    def cost(x: np.ndarray) -> np.ndarray:
        x = x.reshape(batch, side, side)
        x = x if penalty == "lasso" else x.clip(0)
        misfit = 0.5 * ((convolve(x, spectrum) - data) ** 2).sum((1, 2))
        return misfit + weight * (penalty == "lasso") * abs(x).sum((1, 2))

    least = cost(run(1000 if side < 500 else 400))
    goal = GOAL if side < 500 else 1e-3
    title = f"{penalty} deblurring, {side} × {side}, {batch} at once, to {goal}"
    report(title, {"monops": run, "pyproximal": theirs}, cost, least, interleave, goal)


@pytest.mark.parametrize(("side", "batch"), [(64, 1), (64, 32), (256, 1), (1000, 1)])
def test_deblurring_by_total_variation(side: int, batch: int, interleave: Timer) -> None:
    rng = np.random.default_rng(0)
    images = np.kron(rng.random((batch, 8, 8)), np.ones((1, side // 8, side // 8)))
    kernel, H, gradient = blur(side)
    spectrum = symbol_of(kernel, side)
    data = convolve(images, spectrum) + 0.01 * rng.standard_normal(images.shape)
    weight, tau = 0.01, 0.5
    sigma = 0.99 / (8 * tau)
    b = H.H(torch.as_tensor(data)[:, None])
    A = Affine(H.H @ H, b, claim=0.0)
    B = Subdifferential(L1(weight, axes=4)).precompose(gradient)
    run = ours(ChambollePock(tau, sigma), A, B, torch.zeros_like(b))

    shape, size = (side, side), side * side
    blurring = blur_for_pylops(side, spectrum)
    forward = pylops.FunctionOperator(
        lambda x: np.stack([np.roll(x.reshape(shape), -1, i) - x.reshape(shape) for i in (0, 1)]).ravel(),
        lambda y: sum(np.roll(v, 1, i) - v for i, v in enumerate(y.reshape(2, *shape))).ravel(),
        2 * size,
        size,
    )

    def theirs(steps: int) -> np.ndarray:
        return np.stack(
            [
                pyproximal.optimization.primaldual.PrimalDual(
                    pyproximal.L2(Op=blurring, b=row.ravel(), niter=10, warm=True),
                    pyproximal.L1(weight),
                    forward,
                    np.zeros(size),
                    tau=tau,
                    mu=sigma,
                    niter=steps,
                    gfirst=False,
                ).reshape(1, *shape)
                for row in data
            ]
        )

    def cost(x: np.ndarray) -> np.ndarray:
        x = x.reshape(batch, side, side)
        rough = sum(abs(np.roll(x, -1, axis) - x).sum((1, 2)) for axis in (1, 2))
        return 0.5 * ((convolve(x, spectrum) - data) ** 2).sum((1, 2)) + weight * rough

    least = cost(run(3000 if side < 500 else 1000))
    goal = GOAL if side < 500 else 1e-3  # a million unknowns are done once, and not as far
    title = f"TV deblurring, {side} × {side}, {batch} at once, to {goal}"
    report(title, {"monops": run, "pyproximal": theirs}, cost, least, interleave, goal)
