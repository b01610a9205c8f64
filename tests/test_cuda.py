"""On a GPU, where there is one: steps in which the host never waits for the device, and full precision.

The batteries run there too, as further kinds of the other tests (see `cases.KINDS`).
"""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch

import monops as mo
from monops.compiled import state_after
from monops.nn import MonotoneConv, MonotoneMultiTier
from monops.testing import catalogue

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="wants a GPU")
DTYPES = (torch.float64, torch.float32)


@contextmanager
def no_waiting() -> Iterator[None]:
    """A wait of the host for the device is an error."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the mode is a prototype, PyTorch says
            torch.cuda.set_sync_debug_mode("error")
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


LAYERS: dict[str, Callable[[], Any]] = {
    "dense": lambda: mo.nn.MonotoneDense(5, 20, device="cuda"),
    "one convolution": lambda: MonotoneConv(2, 4, (8, 8), device="cuda"),
    "tiers": lambda: MonotoneMultiTier(2, (2, 3, 4), (16, 16), device="cuda"),
    "by the FFT library": lambda: MonotoneConv(1, 2, (62, 62), device="cuda"),
}
# Methods which decide on the host what to do next, each step.
WAITING = {"SemismoothNewton", "AdaptiveForwardBackward"}


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("method", [name for name in catalogue.METHODS if name not in WAITING])
def test_steps_do_not_wait_for_the_device(method: str, layer: str) -> None:
    linear = LAYERS[layer]()
    x = torch.randn(3, 5, device="cuda") if layer == "dense" else images(linear)
    with torch.no_grad():
        M = linear.operator()
        if method == "FISTA":  # wants a gradient
            M = mo.Identity.like(M) if layer == "tiers" else M.H @ M
        A = mo.Affine(M, linear.inject(x), claim=1.0)
        B = mo.ZeroOperator() if method == "ProximalPoint" else mo.Subdifferential(linear.confine(mo.ReLU()))
        steps = catalogue.METHODS[method]()
        if getattr(steps, "step", None) == "auto":
            steps = steps.with_step(0.01)
        plan = steps.prepare(A, B)
        state = steps.start(plan, A.arrange(torch.randn(3, *A.domain, device="cuda")))
        state = state_after(steps, plan, state)  # tables that are made at first use
        with no_waiting():
            for _ in range(3):
                state = state_after(steps, plan, state)


def images(linear: Any) -> torch.Tensor:
    size = linear.size if isinstance(linear, MonotoneConv) else linear.images[0]
    return torch.randn(3, linear.inputs, *size, device="cuda")


def test_a_wait_is_found() -> None:
    with pytest.raises(RuntimeError), no_waiting():
        float(torch.ones((), device="cuda"))


def test_convolutions_keep_float32() -> None:
    """Not TF32, to which PyTorch rounds convolutions of float32 by default, and their derivatives."""
    weight = torch.randn(3, 3, 3, 3, dtype=torch.float64, device="cuda", requires_grad=True)
    x = torch.randn(2, 3, 8, 9, dtype=torch.float64, device="cuda")
    results = []
    for dtype in DTYPES:
        A = mo.CircularConv(weight.to(dtype), (8, 9))
        assert A.route == "space"
        product = (A.H @ mo.CircularConv(weight[:, :, :, :1].to(dtype), (8, 9))).to_dense()
        y = A(x.to(dtype))
        (gradient,) = torch.autograd.grad(y.square().sum(), weight)
        results.append((y, gradient, product))
    for exact, rounded in zip(*results, strict=True):
        assert (exact - rounded).norm() <= 1e-6 * exact.norm()
