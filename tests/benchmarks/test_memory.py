"""Peak memory of forward and backward, for few and for many steps, each in a process of its own."""

import os
import subprocess
import sys

SCRIPT = """
import resource, sys, torch
from monops import PeacemanRachford, ReLU, Subdifferential, equilibrium
from tests.benchmarks.problems import dense_affine, dense_leaves
torch.set_num_threads(1)
leaves = [t.requires_grad_() for t in dense_leaves(1024, 4096)]
A = dense_affine(leaves)
options = dict(tol=1e-30, max_steps=int(sys.argv[1]), check_every=3, warn=False)
result = equilibrium(PeacemanRachford(0.5), A, Subdifferential(ReLU()), **options)
result.point.square().sum().backward()
assert result.steps == result.backward.steps == int(sys.argv[1])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


def peak(steps: int) -> float:
    # glibc then gives freed arrays back to the system at once, so the peak is that of what is in use.
    environment = os.environ | {"MALLOC_MMAP_THRESHOLD_": "65536"}
    command = [sys.executable, "-c", SCRIPT, str(steps)]
    output = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return float(output.stdout)


def test_memory_does_not_grow_with_the_steps() -> None:
    few, many = peak(3), peak(300)
    print(
        f"n = 1024, batch 4096: peak {few:.0f} MiB with 3 + 3 steps, {many:.0f} MiB with 300 + 300: {many / few:.3f} ×"
    )
    assert many <= 1.05 * few  # memory, unlike time, is the same on every run
