"""A GPU's Peaceman-Rachford steps and training steps, beside the bare kernels of both transforms."""

import functools
import statistics
import warnings
from collections.abc import Callable

import pytest
import torch

from monops import Affine, PeacemanRachford, ReLU, Subdifferential
from monops.compiled import CompiledSteps, state_after
from monops.linear import fourier
from monops.nn import Equilibrium, MonotoneConv

from .convolutions import BATCH, LAYERS, bare_step, inputs, states

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="wants a GPU")
STEPS = {**LAYERS, "200 channels, CIFAR-10": lambda: MonotoneConv(3, 200, (32, 32))}


def milliseconds(functions: dict[str, Callable[[], object]], rounds: int = 9, repeat: int = 10) -> dict[str, float]:
    """Median milliseconds of some functions, called `repeat` times in a row, in turn, after a warm-up."""
    times: dict[str, list[float]] = {name: [] for name in functions}
    for function in functions.values():
        for _ in range(3):
            function()
    for _ in range(rounds):
        for name, function in functions.items():
            begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            torch.cuda.synchronize()
            begin.record()
            for _ in range(repeat):
                function()
            end.record()
            torch.cuda.synchronize()
            times[name].append(begin.elapsed_time(end) / repeat)
    return {name: statistics.median(t) for name, t in times.items()}


def bare_products(shapes: list[tuple[int, ...]], batch: int = BATCH) -> Callable[[], None]:
    """As `bare_step`, but with products with DFT matrices as the transforms: the second transform's bare kernels."""
    runs = []
    for channels, height, width in shapes:
        columns, rows = channels * batch, height // 2 + 1
        sizes = [(width, 2 * rows, height), (rows, 2 * width, 2 * width)]
        matrices = [torch.randn(size) for size in [*sizes, sizes[1], (width, height, 2 * rows)]]
        arrays = [torch.randn(m.shape[0], m.shape[2], columns) for m in matrices]
        targets = [torch.empty(m.shape[0], m.shape[1], columns) for m in matrices]
        matrix = torch.randn(rows * width, channels, channels)
        spectra = [torch.randn(rows * width, channels, batch) for _ in range(6)]
        clamped = torch.empty_like(targets[-1])
        runs.append((matrices, arrays, targets, matrix, spectra, clamped))

    def step() -> None:
        for matrices, arrays, targets, matrix, spectra, clamped in runs:
            for m, x, y in zip(matrices, arrays, targets, strict=True):
                torch.bmm(m, x, out=y)
            for x, y in zip(spectra[:3], spectra[3:], strict=True):
                torch.bmm(matrix, x, out=y)
            torch.clamp(targets[-1], min=0, out=clamped)

    return step


@pytest.mark.parametrize("name", STEPS)
def test_a_step_against_the_bare_kernels(name: str) -> None:
    torch._dynamo.reset()
    with torch.device("cuda"), torch.no_grad():
        linear = STEPS[name]()
        A = Affine(linear.operator(), linear.inject(inputs(linear)), claim=1.0)
        method = PeacemanRachford(0.5)
        plan = method.prepare(A, Subdifferential(linear.confine(ReLU())))
        z, compiled, R = A.arrange(torch.randn(BATCH, *A.domain)), CompiledSteps(), A.resolvent(0.5).linear
        assert torch.allclose(state_after(method, plan, z), compiled(method, plan, z), atol=1e-4)
        times = milliseconds({
            "bare FFT step": bare_step(states(linear)), "bare products": bare_products(states(linear)),
            "step": lambda: state_after(method, plan, z), "compiled step": lambda: compiled(method, plan, z),
            "linear part": lambda: R.apply(z),
        })  # fmt: skip
    best = min(times["bare FFT step"], times["bare products"])
    print(f"{name}, {torch.cuda.get_device_name()}")
    for what, value in times.items():
        print(f"  {what}: {value:.3f} ms, {value / best:.2f} × the faster bare kernels")
    assert best > 0


@pytest.mark.parametrize(("name", "steps"), [("81 channels, CIFAR-10", 3), ("tiers (16, 32, 60), CIFAR-10", 6)])
def test_a_training_step(name: str, steps: int) -> None:
    torch._dynamo.reset()
    with torch.device("cuda"):
        linear = LAYERS[name]()
        x = inputs(linear)
        layers = {
            "compiled" if compile else "plain": Equilibrium(
                linear, method=PeacemanRachford(0.5), tol=1e-30, max_steps=steps, check_every=steps, compile=compile
            )
            for compile in (False, True)
        }

        def run(layer: Equilibrium) -> None:
            layer.zero_grad()
            layer(x).square().sum().backward()

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            times = milliseconds({n: functools.partial(run, layer) for n, layer in layers.items()}, repeat=3)
            before = torch.cuda.memory_allocated()
            torch.cuda.reset_peak_memory_stats()
            run(layers["plain"])
            peak = torch.cuda.max_memory_allocated() - before
    state = 4 * BATCH * sum(torch.Size(shape).numel() for shape in states(linear))
    print(f"{name}: {steps} + {steps} steps, {times}, peak {peak / state:.1f} states")
    assert getattr(layers["plain"].last, "steps", None) == steps


@pytest.mark.parametrize("side", [8, 16, 24, 32, 34, 48, 64, 96, 128, 192, 256])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_which_transform_is_faster(side: int, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    x = torch.randn(side, side, 16, max(1, 2**20 // side**2), device="cuda", dtype=dtype)
    grid, results = (side, side), []
    seconds: dict[str, float] = {}
    for name, limit in (("products", 1000), ("library", 0)):
        monkeypatch.setitem(fourier.SEPARABLE_LIMIT, "cuda", limit)
        results.append(fourier.inverse(fourier.spectrum(x, grid), grid))
        seconds |= milliseconds({name: lambda: fourier.inverse(fourier.spectrum(x, grid), grid)})
    print(f"{side} × {side}, {dtype}: {seconds}")
    assert (results[0] - results[1]).norm() <= 1e-5 * x.norm()
