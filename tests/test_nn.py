"""Layers: the paper's parameterisation, module behaviour, refusals, training."""

import copy
import io
import math
import pickle
from typing import Any

import numpy as np
import pytest
import torch
from cases import quick
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from monops import (
    ConvergenceWarning,
    DouglasRachford,
    ForwardBackward,
    PeacemanRachford,
    ReLU,
    Sigmoid,
    Status,
    Tanh,
    verify,
)
from monops.errors import DeviceError, DTypeError, MonopsError, NonFiniteError, OptionError, ShapeError
from monops.nn import Equilibrium, MonotoneDense

D = torch.float64


def layer_of(inputs: int = 3, features: int = 5, activation: Any = None, **options: Any) -> Any:
    torch.manual_seed(0)
    kind = {"dtype": options.pop("dtype", D), "m": options.pop("m", 1.0)}
    options.setdefault("method", PeacemanRachford(0.5))
    return Equilibrium(MonotoneDense(inputs, features, **kind), activation or Tanh(), **options)


def inputs(*batch: int, size: int = 3, dtype: torch.dtype = D) -> torch.Tensor:
    return torch.randn(*batch, size, dtype=dtype, generator=torch.Generator().manual_seed(1))


@quick
@given(m=st.floats(1e-3, 50), features=st.integers(1, 9), scale=st.floats(0, 100), seed=st.integers(0, 10**6))
def test_the_operator_is_always_strongly_monotone(m: float, features: int, scale: float, seed: int) -> None:
    torch.manual_seed(seed)
    linear: Any = MonotoneDense(2, features, m=m, dtype=D)
    with torch.no_grad():
        linear.A.mul_(scale), linear.B.mul_(scale)
    A, B = linear.A.detach(), linear.B.detach()
    M, identity = linear.operator().to_dense().detach(), torch.eye(features, dtype=D)
    W = (1 - m) * identity - A.T @ A + B - B.T
    torch.testing.assert_close(M, identity - W)
    assert linear.operator().monotonicity() >= m - 1e-12 * (1 + M.norm())
    x = inputs(4, size=2)
    torch.testing.assert_close(linear.inject(x), x @ linear.U.T + linear.bias)


@pytest.mark.parametrize("activation", [ReLU(), Tanh(), Sigmoid()], ids=lambda f: type(f).__name__)
@pytest.mark.parametrize("method", [ForwardBackward(0.1), PeacemanRachford("auto"), DouglasRachford("auto")])
def test_the_output_is_the_equilibrium(activation: Any, method: Any) -> None:
    layer, x = layer_of(activation=activation, method=method, tol=1e-11, max_steps=5000), inputs(2, 4)
    z = layer(x)
    linear = layer.linear
    W = torch.eye(5, dtype=D) - linear.operator().to_dense()
    torch.testing.assert_close(z, activation.prox(z @ W.T + linear.inject(x), 1.0), rtol=0, atol=1e-9)
    assert z.shape == (2, 4, 5)
    assert layer.last.status is Status.CONVERGED
    assert layer.last.residual.shape == layer.last.sample_steps.shape == (2, 4)
    torch.testing.assert_close(layer(x[0, 0]), z[0, 0], rtol=0, atol=1e-9)
    assert layer.last.residual.shape == ()
    assert verify(layer, x.reshape(8, 3))


def test_parameters_are_those_of_the_paper() -> None:
    for bias in (True, False):
        linear = MonotoneDense(784, 87, bias=bias)
        assert sum(p.numel() for p in linear.parameters()) == 2 * 87**2 + 784 * 87 + 87 * bias
    network = nn.Sequential(Equilibrium(MonotoneDense(784, 87)), nn.Linear(87, 10))
    assert sum(p.numel() for p in network.parameters()) == 84313
    assert {name for name, _ in network.named_parameters()} == {
        "0.linear.A", "0.linear.B", "0.linear.U", "0.linear.bias", "1.weight", "1.bias",
    }  # fmt: skip
    for p, columns in ((linear.A, 87), (linear.B, 87), (linear.U, 784)):
        assert abs(p).max() <= columns**-0.5
        assert abs(p).max() > 0.9 * columns**-0.5
    assert linear.bias is None
    assert torch.equal(linear.inject(torch.zeros(784)), torch.zeros(87))


def test_gradients_reach_every_parameter_and_the_input() -> None:
    layer, x = layer_of(tol=1e-12, max_steps=2000), inputs(4).requires_grad_()
    parameters = dict(layer.named_parameters())

    def run(x: torch.Tensor, *values: torch.Tensor) -> torch.Tensor:
        return torch.func.functional_call(layer, dict(zip(parameters, values, strict=True)), (x,))

    assert torch.autograd.gradcheck(run, (x, *parameters.values()))
    layer(x).sum().backward()
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in parameters.values())


def test_it_is_an_ordinary_module() -> None:
    layer, x = layer_of(), inputs(4)
    want = layer(x)
    want.sum().backward()
    other = layer_of()
    other.linear.reset_parameters()
    assert not torch.equal(other(x), want)
    buffer = io.BytesIO()
    torch.save(layer.state_dict(), buffer)
    buffer.seek(0)
    other.load_state_dict(torch.load(buffer, weights_only=True))
    assert torch.equal(other(x), want)
    for twin in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert torch.equal(twin(x), want)
        with torch.no_grad():
            twin.linear.A.add_(1.0)
        assert torch.equal(layer(x), want)
    single = copy.deepcopy(layer).to(torch.float32)
    assert single(x.float()).dtype is torch.float32
    torch.testing.assert_close(single(x.float()), want.float(), atol=1e-3, rtol=0)
    assert single.to(D)(x).dtype is D
    assert set(layer.state_dict()) == {"linear.A", "linear.B", "linear.U", "linear.bias"}
    assert layer.eval()(x).shape == (4, 5)


def test_representation() -> None:
    text = repr(layer_of(m=0.5))
    for part in ("activation=Tanh", "PeacemanRachford(step=0.5)", "tol=0.0001", "3, 5, m=0.5, bias=True"):
        assert part in text


def test_the_last_result_is_kept_without_its_graph() -> None:
    layer, x = layer_of(), inputs(4)
    assert layer.last is None
    z = layer(x)
    last: Any = layer.last
    for value in (last.point, last.state):
        assert value.grad_fn is None  # no graph hangs on the layer
    torch.testing.assert_close(last.point, z.detach())
    assert last.backward is None
    assert last.error_bound.shape == (4,)
    z.sum().backward()
    assert last.backward is not None
    assert last.backward.steps > 0
    layer(x[:2])
    assert layer.last.residual.shape == (2,)
    assert last.residual.shape == (4,)


def test_tuning() -> None:
    layer, x = layer_of(method=PeacemanRachford("auto")), inputs(8)
    layer(x)
    first = layer.method.step
    assert isinstance(first, float)
    layer(2 * x)
    assert layer.method.step == first  # kept
    layer.method = PeacemanRachford(30.0)
    layer(x)
    slow = layer.last.steps
    assert layer.tune(x) == layer.method.step
    layer(x)
    assert layer.last.steps < slow
    assert not any(p.grad is not None for p in layer.parameters())


def test_the_default_method_and_activation() -> None:
    layer = Equilibrium(MonotoneDense(3, 5))
    assert isinstance(layer.activation, ReLU)
    assert layer.method == PeacemanRachford("auto")
    assert (layer(torch.randn(4, 3)) >= 0).all()


@pytest.mark.parametrize("method", [ForwardBackward("auto"), PeacemanRachford("auto"), DouglasRachford("auto")])
def test_training_reduces_the_loss(method: Any) -> None:
    torch.manual_seed(0)
    net: Any = nn.Sequential(Equilibrium(MonotoneDense(2, 8), ReLU(), method), nn.Linear(8, 1))
    x = torch.randn(64, 2)
    target = (x[:, :1] * x[:, 1:]).tanh()
    optimiser = torch.optim.Adam(net.parameters(), 0.02)
    losses = []
    for _ in range(40):
        optimiser.zero_grad()
        loss = nn.functional.mse_loss(net(x), target)
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]
    assert net[0].linear.operator().monotonicity() >= 1 - 1e-5


def test_warm_starts() -> None:
    layer, x = layer_of(warm_start=True, tol=1e-5, check_every=1), inputs(4)
    layer(x).sum().backward()
    first = layer.last.steps, layer.last.backward.steps
    layer(x).sum().backward()
    assert layer.last.steps <= 2 < first[0]
    assert layer.last.backward.steps <= 2 < first[1]
    layer(x[:2])  # another shape
    layer.to(torch.float32)(x[:2].float())  # another dtype
    assert layer.last.status is Status.CONVERGED


def test_an_empty_batch() -> None:
    for method in (PeacemanRachford("auto"), PeacemanRachford(0.5), ForwardBackward("auto")):
        layer, x = layer_of(method=method), inputs(0).requires_grad_()
        z = layer(x)
        assert z.shape == (0, 5)
        z.sum().backward()
        assert x.grad is not None
        assert x.grad.shape == (0, 3)
        assert layer.last.status is Status.CONVERGED
        assert layer.last.error_bound.shape == (0,)
        assert layer(inputs(4)).shape == (4, 5)


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: MonotoneDense(3, 5, m=0.0), "m > 0, got 0"),
        (lambda: MonotoneDense(3, 5, m=-1.0), "m > 0, got -1"),
        (lambda: MonotoneDense(3, 5, m=math.nan), "m > 0, got nan"),
        (lambda: MonotoneDense(3, 5, m=math.inf), "m > 0, got inf"),
        (lambda: MonotoneDense(0, 5), "integers ≥ 1 as inputs, got 0"),
        (lambda: MonotoneDense(3, -5), "integers ≥ 1 as features, got -5"),
        (lambda: layer_of(activation="relu"), "a Function such as ReLU.*got 'relu'"),
        (lambda: layer_of(activation=torch.relu), "a Function such as ReLU"),
        (lambda: layer_of(method="pr"), "a SplittingMethod such as PeacemanRachford.*got 'pr'"),
        (lambda: layer_of(method=PeacemanRachford), "a SplittingMethod"),
        (lambda: layer_of(tol=0.0), "tol"),
        (lambda: layer_of(tol=-1.0), "tol"),
        (lambda: layer_of(backward_tol=-1.0), "backward_tol"),
        (lambda: layer_of(max_steps=0), "max_steps"),
        (lambda: layer_of(check_every=0), "check_every"),
    ],
)  # fmt: skip
def test_options_are_checked_at_construction(make: Any, match: str) -> None:
    with pytest.raises(OptionError, match=match):
        make()


def test_unknown_options_are_not_swallowed() -> None:
    with pytest.raises(TypeError, match="tolerance"):
        layer_of(tolerance=1e-3)
    with pytest.raises(TypeError, match="beta"):
        MonotoneDense(3, 5, beta=2.0)  # type: ignore[call-arg]


def test_inputs_that_do_not_fit_are_named() -> None:
    layer = layer_of()
    with pytest.raises(ShapeError, match=r"MonotoneDense expects shape \(\*batch, 3\), got \(7, 4\)"):
        layer(inputs(7, size=4))
    with pytest.raises(DTypeError, match=r"expects torch.float64 arrays, got torch.float32"):
        layer(inputs(7).float())
    with pytest.raises(DTypeError, match=r"got torch\.int64"):
        layer(torch.ones(7, 3, dtype=torch.int64))
    with pytest.raises(DeviceError, match="cpu, got an array on meta"):
        layer.linear.inject(inputs(7).to("meta"))
    with pytest.raises(MonopsError, match=r"numpy|ndarray|float64"):
        layer(np.ones((7, 3)))
    assert layer.last is None


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("method", [ForwardBackward(0.1), PeacemanRachford(0.5), PeacemanRachford("auto")])
def test_non_finite_inputs_are_named_with_their_samples(value: float, method: Any) -> None:
    layer, x = layer_of(method=method), inputs(6)
    x[4, 1] = value
    with pytest.raises(NonFiniteError, match=r"in the input, at samples \[\[4\]\] of 6"):
        layer(x)
    assert layer(inputs(6)).isfinite().all()  # and no harm is left


@pytest.mark.parametrize("name", ["A", "B", "U", "bias"])
@pytest.mark.parametrize("method", [ForwardBackward(0.1), PeacemanRachford(0.5), PeacemanRachford("auto")])
def test_non_finite_parameters_are_named(name: str, method: Any) -> None:
    layer = layer_of(method=method)
    with torch.no_grad():
        getattr(layer.linear, name).view(-1)[1] = math.nan
    with pytest.raises(NonFiniteError, match=rf"parameter {name} holds a NaN or infinity"):
        layer(inputs(6))


def test_out_of_steps_warns_and_goes_on() -> None:
    layer = layer_of(max_steps=3, tol=1e-10, method=PeacemanRachford(0.01))
    with pytest.warns(ConvergenceWarning, match="6 of 6 samples not converged after 3 steps"):
        z = layer(inputs(6))
    assert z.isfinite().all()
    assert layer.last.status is Status.MAX_STEPS
