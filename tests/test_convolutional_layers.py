"""Layers of convolutions: zero padding, shapes, memory order, parameters, derivatives, bad input."""

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from cases import jit_warning, quick
from hypothesis import given
from hypothesis import strategies as st

from monops import DouglasRachford, ForwardBackward, PeacemanRachford, ReLU, Tanh, verify
from monops.errors import DTypeError, MonopsError, NonFiniteError, OptionError, ShapeError
from monops.functions import Conjugate
from monops.linear import BlockDiagonal, BlockTriangular, Circulant, CircularConv, padded_grid
from monops.nn import Equilibrium, MonotoneConv, MonotoneMultiTier
from monops.reference import convolution
from monops.reference.equilibrium import equilibrium
from monops.reference.functions import FUNCTIONS

D = torch.float64
TIGHT: dict[str, Any] = {"tol": 1e-12, "max_steps": 5000}


def dense_of(weight: torch.Tensor, scale: float, grid: tuple[int, ...]) -> np.ndarray:
    """The matrix of a normalised kernel on a periodic grid."""
    kernel = weight.detach().numpy()
    return convolution.circular(scale * kernel / np.linalg.norm(kernel), grid).toarray()


@quick
@given(
    size=st.lists(st.integers(1, 4), min_size=1, max_size=2),
    kernel=st.sampled_from([1, 3, 5]),
    seed=st.integers(0, 99),
    extra=st.integers(0, 3),
)
def test_the_border_makes_it_a_zero_padded_convolution(size: list[int], kernel: int, seed: int, extra: int) -> None:
    """Assembled on a larger grid than the layer's, nothing changes: no wrap-around reaches the image."""
    torch.manual_seed(seed)
    linear = MonotoneConv(2, 2, size, kernel=kernel, m=0.5, dtype=D)
    layer = Equilibrium(linear, **TIGHT)
    x = torch.randn(3, 2, *size, dtype=D)
    z = layer(x).detach().flatten(1).numpy()
    grid = tuple(n + 2 * (kernel // 2) + 2 * extra for n in size)
    start = (kernel // 2 + extra,) * len(size)
    R = convolution.embedding((2, *grid), (2, *size), (0, *start)).toarray()
    A, B = dense_of(linear.A, 1.0, grid), dense_of(linear.B, 1.0, grid)
    M = R.T @ (0.5 * np.eye(len(A)) + A.T @ A - B + B.T) @ R
    bias = np.repeat(linear.bias.detach().numpy(), np.prod(size))  # type: ignore[union-attr]
    b = x.flatten(1).numpy() @ convolution.zero_padded(linear.U.detach().numpy(), tuple(size)).toarray().T + bias
    want = equilibrium(M, b, FUNCTIONS["ReLU"].prox, FUNCTIONS["ReLU"].prox_derivative)
    np.testing.assert_allclose(z, want, rtol=0, atol=1e-9)


def test_one_point_less_is_too_small_a_grid() -> None:
    """On a grid with one point less, what leaves the image on one side comes in on the other."""
    torch.manual_seed(0)
    weight, n = torch.randn(1, 1, 3), 4
    matrices = []
    for grid in (n + 1, *padded_grid((n,), (3,)), n + 9):
        A, R = dense_of(weight, 1.0, (grid,)), convolution.embedding((1, grid), (1, n), (0, 1)).toarray()
        matrices.append(R.T @ A.T @ A @ R)
    assert np.abs(matrices[0] - matrices[2]).max() > 1e-3
    assert np.abs(matrices[1] - matrices[2]).max() < 1e-12


CASES: dict[str, tuple[Callable[[], Any], tuple[int, ...], tuple[int, ...]]] = {
    "1-d": (lambda: MonotoneConv(2, 3, (5,), dtype=D), (2, 5), (3, 5)),
    "2-d": (lambda: MonotoneConv(2, 3, (4, 5), kernel=(3, 1), dtype=D), (2, 4, 5), (3, 4, 5)),
    "3-d": (lambda: MonotoneConv(1, 2, (2, 3, 2), dtype=D, bias=False), (1, 2, 3, 2), (2, 2, 3, 2)),
    "one tier": (lambda: MonotoneMultiTier(2, (3,), (4, 3), dtype=D), (2, 4, 3), (3, 4, 3)),
    "tiers": (lambda: MonotoneMultiTier(2, (2, 3, 2), (8, 4), dtype=D), (2, 8, 4), (2, 2, 1)),
    "tiers by 3": (lambda: MonotoneMultiTier(1, (2, 3), (6,), stride=3, kernel=5, dtype=D, bias=False), (1, 6), (3, 2)),
    "tiers, no border": (lambda: MonotoneMultiTier(1, (2, 2), (4, 4), kernel=1, dtype=D), (1, 4, 4), (2, 2, 2)),
}
cases = pytest.mark.parametrize(("make", "image", "out"), CASES.values(), ids=CASES)


@cases
def test_shapes_and_memory_order(make: Callable[[], Any], image: tuple[int, ...], out: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    layer = Equilibrium(make(), **TIGHT)
    x = torch.randn(2, 3, *image, dtype=D)
    z = layer(x)
    assert z.shape == (2, 3, *out)
    assert z.is_contiguous()
    torch.testing.assert_close(layer(x[1, 2]), z[1, 2], rtol=0, atol=1e-9)
    torch.testing.assert_close(layer(x.transpose(0, 1)), z.transpose(0, 1), rtol=0, atol=1e-9)
    assert layer(x[:, :0]).shape == (2, 0, *out)
    operator = layer.linear.operator()
    assert isinstance(operator, CircularConv | Circulant | BlockTriangular | BlockDiagonal)
    assert operator.monotonicity() >= layer.linear.m - 1e-10
    assert layer.linear.extra_repr() in repr(layer)


@cases
@jit_warning
def test_derivatives(make: Callable[[], Any], image: tuple[int, ...], out: tuple[int, ...]) -> None:
    torch.manual_seed(1)
    layer = Equilibrium(make(), Tanh(), PeacemanRachford(0.6), tol=1e-13, max_steps=3000)
    x = torch.randn(1, *image, dtype=D, requires_grad=True)
    names = [name for name, p in layer.named_parameters() if p.numel() <= 20]
    values = [dict(layer.named_parameters())[name].detach().requires_grad_() for name in names]

    def output(x: torch.Tensor, *parameters: torch.Tensor) -> torch.Tensor:
        return torch.func.functional_call(layer, dict(zip(names, parameters, strict=True)), (x,))

    assert torch.autograd.gradcheck(output, (x, *values), fast_mode=True)  # along random directions


@cases
@jit_warning
def test_function_transforms(make: Callable[[], Any], image: tuple[int, ...], out: tuple[int, ...]) -> None:
    torch.manual_seed(3)
    layer = Equilibrium(make(), Tanh(), PeacemanRachford(0.6), tol=1e-13, max_steps=3000)
    x, v = torch.randn(4, *image, dtype=D), torch.randn(4, *image, dtype=D)
    torch.testing.assert_close(torch.func.vmap(layer)(x), layer(x), rtol=0, atol=1e-9)
    push = torch.func.jvp(layer, (x,), (v,))[1]
    h = 1e-6
    torch.testing.assert_close(push, (layer(x + h * v) - layer(x - h * v)) / (2 * h), rtol=0, atol=1e-7)
    parameters = dict(layer.named_parameters())

    def loss(values: dict[str, Any], sample: torch.Tensor) -> torch.Tensor:
        return torch.func.functional_call(layer, values, (sample,)).square().sum()

    each = torch.func.vmap(torch.func.grad(loss), (None, 0))(parameters, x)["linear.U"]
    (whole,) = torch.autograd.grad(layer(x).square().sum(), parameters["linear.U"])
    torch.testing.assert_close(each.sum(0), whole, rtol=0, atol=1e-9)


@cases
def test_against_the_reference(make: Callable[[], Any], image: tuple[int, ...], out: tuple[int, ...]) -> None:
    torch.manual_seed(2)
    report = verify(Equilibrium(make()), torch.randn(2, *image, dtype=D))
    assert report, str(report)


@pytest.mark.parametrize("method", [ForwardBackward("auto"), DouglasRachford("auto")], ids=lambda m: type(m).__name__)
def test_other_methods_reach_the_same_point(method: Any) -> None:
    torch.manual_seed(0)
    linear = MonotoneMultiTier(1, (2, 2), (4, 4), dtype=D)
    x = torch.randn(3, 1, 4, 4, dtype=D)
    want = Equilibrium(linear, **TIGHT)(x)
    torch.testing.assert_close(Equilibrium(linear, method=method, **TIGHT)(x), want, rtol=0, atol=1e-9)


def test_the_border_may_be_seen_and_tiers_split() -> None:
    torch.manual_seed(0)
    linear = MonotoneMultiTier(1, (2, 3), (4, 6), border=True)
    layer = Equilibrium(linear)
    z = layer(torch.randn(5, 1, 4, 6))
    assert z.shape == (5, 3, 4, 5)
    assert z[..., 0, :].abs().max() == z[..., :, -1].abs().max() == 0
    assert layer.last is not None
    first, second = linear.split(layer.last.point)
    assert (first.shape, second.shape) == ((5, 2, 4, 6), (5, 3, 2, 3))
    torch.testing.assert_close(z[:, :, 1:-1, 1:-1], second, rtol=0, atol=0)


def test_scales_act_on_their_products() -> None:
    torch.manual_seed(0)
    linear = MonotoneConv(1, 2, (3, 3), dtype=D)
    base = linear.operator()
    with torch.no_grad():
        linear.g.fill_(-4.0)  # whose size counts
        linear.h.fill_(0.0)
    scaled = linear.operator()
    symmetric = (base + base.H) * 0.5 - base  # -(B - Bᴴ)/2 and so on is gone with h = 0
    assert symmetric.norm() > 0.01
    assert (scaled - scaled.H).norm() < 1e-12
    A = dense_of(linear.A, 1.0, linear.grid)
    np.testing.assert_allclose(scaled.to_dense().detach().numpy(), np.eye(len(A)) + 4 * A.T @ A, rtol=0, atol=1e-12)
    linear.g.data.fill_(0.0)
    (grad,) = torch.autograd.grad(linear.operator().to_dense().sum(), linear.g)
    assert torch.isfinite(grad)


def test_state_dict_moves_and_copies() -> None:
    torch.manual_seed(0)
    layer = Equilibrium(MonotoneMultiTier(1, (2, 2), (4, 4)), **TIGHT)
    other = Equilibrium(MonotoneMultiTier(1, (2, 2), (4, 4)), **TIGHT)
    other.load_state_dict(layer.state_dict())
    x = torch.randn(2, 1, 4, 4, dtype=D)
    layer.double()
    torch.testing.assert_close(copy.deepcopy(other).double()(x), layer(x), rtol=0, atol=1e-9)
    assert {name.split(".")[1] for name, _ in layer.named_parameters()} == {
        "A", "B", "down", "U", "bias", "g", "g_down", "h"}  # fmt: skip


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: MonotoneConv(2, 3, (4, 4), kernel=2), r"odd kernels.*got \(2, 2\)"),
        (lambda: MonotoneConv(2, 3, (4, 4), kernel=(3,)), "a kernel of as many axes"),
        (lambda: MonotoneConv(2, 3, ()), "1 to 3 sizes"),
        (lambda: MonotoneConv(2, 3, (4, 4, 4, 4)), "1 to 3 sizes"),
        (lambda: MonotoneConv(0, 3, (4,)), "integers ≥ 1 as inputs, got 0"),
        (lambda: MonotoneConv(2, 3, (0,)), r"integers ≥ 1 as size\[0\], got 0"),
        (lambda: MonotoneConv(2, 3, (4,), m=0.0), "m > 0, got 0.0"),
        (lambda: MonotoneMultiTier(2, (), (4,)), "at least one tier"),
        (lambda: MonotoneMultiTier(2, (2, 0), (4,)), r"channels\[1\], got 0"),
        (lambda: MonotoneMultiTier(2, (2, 2, 2), (6, 4)), r"of \(6, 4\) it leaves \(3, 2\) in tier 1"),
        (lambda: MonotoneMultiTier(2, (2, 2), (4, 4), stride=(2,)), "strides ≥ 1, one for each axis"),
        (lambda: MonotoneMultiTier(2, (2, 2), (4, 4), stride=0), r"integers ≥ 1 as stride\[0\]"),
    ],
)
def test_wrong_construction_is_named(make: Callable[[], Any], match: str) -> None:
    with pytest.raises(OptionError, match=match):
        make()


@pytest.mark.parametrize("make", [lambda: MonotoneConv(1, 2, (4, 4)), lambda: MonotoneMultiTier(1, (2, 2), (4, 4))])
def test_wrong_input_is_named(make: Callable[[], Any]) -> None:
    layer = Equilibrium(make())
    for x, error in (
        (torch.zeros(2, 1, 4, 5), ShapeError),
        (torch.zeros(2, 2, 4, 4), ShapeError),
        (torch.zeros(4), ShapeError),
        (torch.zeros(2, 1, 4, 4, dtype=D), DTypeError),
        (torch.full((2, 1, 4, 4), torch.nan), NonFiniteError),
    ):
        with pytest.raises(error):
            layer(x)
    with torch.no_grad():
        layer.linear.U.view(-1)[0] = torch.nan  # type: ignore[operator]
    with pytest.raises(NonFiniteError, match=r"parameter U holds a NaN"):
        layer(torch.zeros(2, 1, 4, 4))


def test_an_activation_must_be_elementwise() -> None:
    layer = Equilibrium(MonotoneConv(1, 2, (4, 4)), Conjugate(ReLU()))
    with pytest.raises(MonopsError, match="elementwise"):
        layer(torch.zeros(2, 1, 4, 4))


@pytest.mark.parametrize(("sides", "tiers"), [((64, 64), 2), ((54, 72), 2), ((64, 72), 3), ((100, 36), 3)])
def test_each_grid_has_room_for_the_samples_of_the_last(sides: tuple[int, ...], tiers: int) -> None:
    linear = MonotoneMultiTier(1, (1,) * tiers, sides)
    state = linear.inject(torch.randn(2, 1, *sides))
    assert linear.operator()(state).shape == state.shape


@pytest.mark.parametrize(("kernel", "stride"), [(3, 2), (5, 2), (5, 3), (1, 2), (7, 4), (3, 3)])
def test_which_points_the_next_tier_samples(kernel: int, stride: int) -> None:
    """By plain strided slicing of an ordinary zero-padded convolution."""
    size, r = (2 * stride * 3, stride * 3), kernel // 2
    linear = MonotoneMultiTier(1, (2, 3), size, kernel=kernel, stride=stride, dtype=D)
    x = torch.randn(4, 2, *size, dtype=D)
    weight = linear.down[0] / linear.down[0].norm()
    ordinary = torch.nn.functional.conv2d(x, weight, padding=r)
    first = -(-r // stride) * stride - r
    space = linear.space
    state = space.join([linear._frame(0).H(x), torch.zeros(1, *space.shapes[1], dtype=D)])
    block = linear._coupling(0, torch.ones((), dtype=D))
    got = linear._frame(1)(block(space.split(state)[0]))
    torch.testing.assert_close(got, ordinary[..., first::stride, first::stride])


def test_kernels_of_zeros_and_scales_of_zero() -> None:
    for linear in (MonotoneConv(1, 2, (4, 6), dtype=D), MonotoneMultiTier(1, (2, 2), (4, 6), dtype=D)):
        with torch.no_grad():
            for parameter in (linear.A, linear.B) if isinstance(linear, MonotoneConv) else (linear.A[0], linear.B[1]):
                parameter.zero_()
            linear.g.zero_()
        layer = Equilibrium(linear, **TIGHT)
        x = torch.randn(3, 1, 4, 6, dtype=D)
        layer(x).sum().backward()
        assert all(p.grad is not None and p.grad.isfinite().all() for p in layer.parameters() if p.numel())
        assert verify(layer, x)


def test_an_equilibrium_of_zero_is_certified() -> None:
    linear = MonotoneConv(1, 40, (9, 9), dtype=D)
    with torch.no_grad():
        linear.U.zero_()
        linear.bias.fill_(-1.0)  # type: ignore[union-attr]
    assert verify(Equilibrium(linear, **TIGHT), torch.randn(2, 1, 9, 9, dtype=D))


@pytest.mark.parametrize("size", [(5, 6.5), 5])
def test_sizes_that_are_no_integers(size: Any) -> None:
    with pytest.raises(OptionError, match=r"size\[1\]|one size for each axis"):
        MonotoneConv(1, 1, size)


@pytest.mark.parametrize("make", [lambda: MonotoneConv(1, 2, (4, 6)), lambda: MonotoneMultiTier(1, (2, 2), (4, 6))])
def test_gradients_of_several_models_at_once(make: Callable[[], Any]) -> None:
    models = [Equilibrium(make().to(D), method=PeacemanRachford(0.5), **TIGHT) for _ in range(2)]
    x = torch.randn(3, 1, 4, 6, dtype=D)
    stacked = {k: torch.stack([dict(m.named_parameters())[k].detach() for m in models]) for k in models[0].state_dict()}

    def loss(parameters: dict[str, torch.Tensor]) -> torch.Tensor:
        return torch.func.functional_call(models[0], parameters, (x,)).square().sum()

    together = torch.func.vmap(torch.func.grad(loss))(stacked)
    for i, model in enumerate(models):
        model(x).square().sum().backward()
        for name, parameter in model.named_parameters():
            torch.testing.assert_close(together[name][i], parameter.grad, rtol=1e-8, atol=1e-9)
