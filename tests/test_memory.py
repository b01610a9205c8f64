"""What is kept after a solve, and what is not: no cycle of references may hold arrays."""

import gc
import weakref

import pytest
import torch

import monops
from monops.errors import OptionError
from monops.nn import Equilibrium, MonotoneConv, MonotoneDense, MonotoneLinear, MonotoneMultiTier

LAYERS = {
    "dense": (lambda: MonotoneDense(3, 4), (3,)),
    "conv": (lambda: MonotoneConv(2, 3, (4, 4)), (2, 4, 4)),
    "tiers": (lambda: MonotoneMultiTier(2, (2, 3), (4, 4)), (2, 4, 4)),
}


@pytest.mark.parametrize("name", LAYERS)
def test_arrays_die_with_their_last_user(name: str) -> None:
    make, shape = LAYERS[name]
    linear: MonotoneLinear = make()
    gc.collect()
    gc.disable()
    try:
        layer = Equilibrium(linear)
        z = layer(torch.randn(5, *shape))
        z.square().sum().backward()
        assert layer.last is not None
        assert layer.last.problem is not None
        held = [weakref.ref(thing) for thing in (layer.last.point, layer.last.problem[0], layer.last)]
        layer(torch.randn(5, *shape)).sum().backward()
        del z
        assert [ref() for ref in held] == [None, None, None], "a cycle keeps the last step's arrays"
    finally:
        gc.enable()


def test_a_backward_solve_leaves_its_figures_only() -> None:
    layer = Equilibrium(MonotoneDense(3, 4))
    layer(torch.randn(5, 3)).sum().backward()
    assert layer.last is not None
    backward = layer.last.backward
    assert backward is not None
    assert (backward.point, backward.state, backward.problem) == (None, None, None)
    assert backward.steps > 0
    with pytest.raises(OptionError, match="without its problem"):
        _ = backward.error_bound
    assert layer.last.error_bound.shape == (5,)


def test_the_call_that_keeps_memory_tells_whether_it_worked() -> None:
    assert monops.reuse_freed() in (True, False)
    assert torch.ones(10).sum() == 10
