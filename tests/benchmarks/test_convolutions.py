"""Steps and training steps of the paper's convolutional networks, each network in a process of its own.

A fresh process begins with the C library's own way of handing out memory. The bare FFT step is timed both so and after
`monops.reuse_freed()`, under which everything else is timed.
"""

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from .convolutions import LAYERS

STEP = """
import json, statistics, sys, time, torch, monops
from monops import Affine, PeacemanRachford, ReLU, Subdifferential
from monops.compiled import CompiledSteps, state_after
from tests.benchmarks.convolutions import BATCH, LAYERS, bare_step, inputs, states
from torch.utils._python_dispatch import TorchDispatchMode
torch.set_num_threads(2); torch.set_grad_enabled(False); torch.manual_seed(0)

def median(functions, rounds=9):
    for f in functions.values():
        f(); f()
    seconds = {name: [] for name in functions}
    for _ in range(rounds):
        for name, f in functions.items():
            begin = time.perf_counter(); f(); seconds[name].append(time.perf_counter() - begin)
    return {name: statistics.median(times) for name, times in seconds.items()}

class Products(TorchDispatchMode):
    # Records the batched products, to run them again with nothing between them and into arrays that are there.

    def __init__(self):
        super().__init__()
        self.seen = []

    def __torch_dispatch__(self, function, types, arguments=(), options=None):
        result = function(*arguments, **(options or {}))
        if function is torch.ops.aten.bmm.default:
            self.seen.append((*arguments, torch.empty_like(result)))
        return result

    def again(self):
        for x, y, out in self.seen:
            torch.bmm(x, y, out=out)

linear = LAYERS[sys.argv[1]]()
bare = bare_step(states(linear))
plain = median({"bare": bare})["bare"]
monops.reuse_freed()
A = Affine(linear.operator(), linear.inject(inputs(linear)), claim=1.0)
method = PeacemanRachford(0.5)
plan = method.prepare(A, Subdifferential(linear.confine(ReLU())))
z, compiled, R = A.arrange(torch.randn(BATCH, *A.domain)), CompiledSteps(), A.resolvent(0.5).linear
assert torch.allclose(state_after(method, plan, z), compiled(method, plan, z), atol=1e-5)
with Products() as products:
    state_after(method, plan, z)
seconds = median({
    "bare, memory reused": bare, "step": lambda: state_after(method, plan, z),
    "compiled step": lambda: compiled(method, plan, z), "linear part": lambda: R.apply(z),
    "its products alone": products.again,
    "prepare": lambda: method.prepare(A, Subdifferential(linear.confine(ReLU()))),
})
print(json.dumps({"bare": plain, **seconds}))
"""

TRAINING = """
import json, statistics, sys, time, warnings, torch, monops
from monops import PeacemanRachford
from monops.nn import Equilibrium
from tests.benchmarks.convolutions import LAYERS, inputs
warnings.simplefilter("ignore")
torch.set_num_threads(2); torch.manual_seed(0)
monops.reuse_freed()
linear, steps = LAYERS[sys.argv[1]](), int(sys.argv[2])
x, seconds = inputs(linear), {}
for compile in (False, True):
    options = dict(tol=1e-30, max_steps=steps, check_every=steps, compile=compile)
    layer = Equilibrium(linear, method=PeacemanRachford(0.5), **options)
    times = []
    for _ in range(9):
        layer.zero_grad()
        begin = time.perf_counter()
        layer(x).square().sum().backward()
        times.append(time.perf_counter() - begin)
        assert layer.last.steps == layer.last.backward.steps == steps
    seconds["compiled" if compile else "plain"] = statistics.median(times[2:])
print(json.dumps(seconds))
"""

MEMORY = """
import resource, sys, warnings, torch
from monops import PeacemanRachford
from monops.nn import Equilibrium
from tests.benchmarks.convolutions import LAYERS, inputs, states
warnings.simplefilter("ignore")
torch.set_num_threads(2)
linear, steps = LAYERS[sys.argv[1]](), int(sys.argv[2])
layer = Equilibrium(linear, method=PeacemanRachford(0.5), tol=1e-30, max_steps=steps, check_every=min(steps, 50))
x = inputs(linear)
small = Equilibrium(type(linear)(1, 2, (6, 6)), method=PeacemanRachford(0.5), max_steps=3)
small(torch.randn(2, 1, 6, 6)).sum().backward()  # loads all code
before = int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize()
layer(x).square().sum().backward()
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
state = 4 * len(x) * sum(torch.Size(shape).numel() for shape in states(linear))
print((peak - before) / state)
"""


def run(script: str, *arguments: object, **environment: str) -> Any:
    command = [sys.executable, "-c", script, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | environment, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("name", LAYERS)
def test_a_step_against_the_bare_fft_step(name: str) -> None:
    seconds = run(STEP, name)
    bare = seconds.pop("bare")
    reused = seconds["bare, memory reused"]
    print(f"{name}: bare FFT step {bare * 1e3:.1f} ms")
    for what, value in seconds.items():
        print(f"  {what}: {value * 1e3:.1f} ms, {value / bare:.2f} × bare, {value / reused:.2f} × bare, memory reused")
    assert bare > 0


@pytest.mark.parametrize(("name", "steps"), [("81 channels, CIFAR-10", 3), ("tiers (16, 32, 60), CIFAR-10", 6)])
def test_a_training_step(name: str, steps: int) -> None:
    seconds = run(TRAINING, name, steps)
    for what, value in seconds.items():
        print(f"{name}: a training step of {steps} + {steps} steps, {what}: {value:.2f} s")
    assert set(seconds) == {"plain", "compiled"}


def test_peak_memory() -> None:
    name = "81 channels, CIFAR-10"
    # The C library then gives freed arrays back at once, so that the peak is of what is in use.
    few, many = (run(MEMORY, name, steps, MALLOC_MMAP_THRESHOLD_="65536") for steps in (3, 300))
    print(f"{name}: peak of a training step {few:.1f} states with 3 + 3 steps, {many:.1f} with 300 + 300")
    # Memory, unlike time, is the same on every run. Long solves keep the constant of a reflection: one state more.
    assert few <= many <= min(few + 1.1, 12)
