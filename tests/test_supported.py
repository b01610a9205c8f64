"""Functions with a support: what is kept at zero, and the rest as it was."""

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
import torch
from cases import draw_of, kinds

from monops import NormalCone, Subdifferential, verify
from monops.errors import MonopsError, OptionError
from monops.functions import L1, Box, Conjugate, Function, ReLU, SquaredL2, Supported, Tanh, Zero
from monops.testing import check_function

MASK = np.array([1.0, 0.0, 1.0, 1.0, 0.0])


@pytest.mark.parametrize("function", [ReLU(), Tanh(), L1(0.5), Box(-0.5, 2.0)], ids=lambda f: type(f).__name__)
@kinds
def test_laws(function: Any, kind: str) -> None:
    draw = draw_of(kind)
    f = Supported(function, draw.put(MASK))
    check_function(f, draw.put(draw.array(20, 5, scale=2.0)))
    assert verify(f, dtype=draw.dtype, device=draw.device)


@kinds
def test_entries_beside_the_support_are_kept_at_zero(kind: str) -> None:
    draw = draw_of(kind)
    f, x = Supported(ReLU(), draw.put(MASK)), draw.put(np.array([[-1.0, 2.0, 3.0, 0.5, -4.0]]))
    assert f.prox(x, 0.7).tolist() == f.prox_at(0.7)(x).tolist() == [[0.0, 0.0, 3.0, 0.5, 0.0]]
    assert f(x).tolist() == [math.inf]
    assert f(f.prox(x, 1.0)).tolist() == [0.0]
    assert f.prox_derivative(x, 1.0).entries.tolist() == [[0.0, 0.0, 1.0, 1.0, 0.0]]  # type: ignore[attr-defined]


def test_facts_and_axes() -> None:
    f = Supported(SquaredL2(2.0), torch.ones(3, 1))
    assert (f.strong_convexity, f.smoothness, f.is_indicator) == (2.0, math.inf, False)
    assert Supported(ReLU(), torch.ones(3)).is_indicator
    NormalCone(Supported(ReLU(), torch.ones(3)))
    three = f.on_axes(3)
    assert (three.axes, three.function.axes) == (3, 3)
    assert Conjugate(f).on_axes(2).axes == 2
    assert f.axes == 1


def test_samples_may_leave_unless_a_mask_is_their_own() -> None:
    shared, own = (Subdifferential(Supported(Tanh(), torch.ones(*shape))) for shape in ((3,), (4, 3)))
    assert shared.take(torch.tensor([0]), (4, 3)) is shared
    with pytest.raises(NotImplementedError):
        own.take(torch.tensor([0]), (4, 3))
    inner = Subdifferential(Supported(L1(torch.ones(4, 3)), torch.ones(3)))
    with pytest.raises(NotImplementedError):
        inner.take(torch.tensor([0]), (4, 3))


@dataclasses.dataclass(frozen=True, eq=False)
class NotElementwise(Function):
    def __call__(self, x: Any) -> Any:
        raise NotImplementedError

    def prox(self, x: Any, step: float) -> Any:
        raise NotImplementedError

    def prox_derivative(self, x: Any, step: float) -> Any:
        raise NotImplementedError


def test_wrong_input_is_named() -> None:
    with pytest.raises(OptionError, match="elementwise function"):
        Supported(NotElementwise(), torch.ones(3))  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="zeros and ones"):
        Supported(ReLU(), torch.tensor([0.5, 1.0]))
    with pytest.raises(MonopsError, match="does not broadcast"):
        Supported(ReLU(), torch.ones(3)).prox(torch.ones(2), 1.0)
    with pytest.raises(MonopsError, match="dtype"):
        Supported(ReLU(), torch.ones(3, dtype=torch.float64)).prox(torch.ones(3), 1.0)


@pytest.mark.parametrize(
    "ones",
    [
        (slice(1, 4), slice(0, 3)),
        (slice(None), slice(None)),
        (slice(2, 3), slice(1, 2)),
        (0, slice(None)),
        None,
        "all but one",
    ],
    ids=str,
)
@pytest.mark.parametrize("function", [ReLU(), Tanh(), Zero()], ids=lambda f: type(f).__name__)
def test_reflections_are_those_of_the_prox(function: Any, ones: Any) -> None:
    mask = torch.zeros(5, 4, dtype=torch.float64)
    if ones == "all but one":
        mask[:] = 1
        mask[2, 2] = 0
    elif ones is not None:
        mask[ones] = 1
    x = torch.randn(3, 2, 5, 4, dtype=torch.float64)
    for shape in ((5, 4), (20,), (1, 5, 4)):
        f, z = Supported(function, mask.reshape(shape)), x.reshape(3, 2, -1) if len(shape) == 1 else x
        before = z.clone()
        torch.testing.assert_close(f.reflection_at(0.7)(z), 2 * f.prox(z, 0.7) - z, rtol=0, atol=1e-15)
        assert torch.equal(z, before)


def test_masks_may_be_mapped() -> None:
    masks = torch.tensor([[1.0, 0.0, 1.0], [0.0, 1.0, 1.0]])
    x = torch.tensor([-1.0, 2.0, 3.0])
    got = torch.func.vmap(lambda mask: Supported(ReLU(), mask).reflection_at(0.7)(x))(masks)
    assert got.tolist() == [[1.0, -2.0, 3.0], [1.0, 2.0, 3.0]]
