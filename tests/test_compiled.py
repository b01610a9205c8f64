"""Compiled steps: the same numbers, found again by later solves, and none of it where there is no compiler."""

from typing import Any

import numpy as np
import pytest
import torch
from torch._dynamo.exc import TorchDynamoException

from monops import (
    Affine,
    Dense,
    DouglasRachford,
    ForwardBackward,
    FromCallable,
    PeacemanRachford,
    ReLU,
    Subdifferential,
    compiled,
    equilibrium,
    solve,
)
from monops.errors import MonopsError, MonopsWarning, NonFiniteError, OptionError
from monops.nn import Equilibrium, MonotoneDense

D = torch.float64
relu = Subdifferential(ReLU())


def problem(n: int = 5) -> Affine:
    generator = torch.Generator().manual_seed(0)
    M = torch.randn(n, n, dtype=D, generator=generator)
    return Affine(Dense(2 * torch.eye(n, dtype=D) + M - M.mT), torch.randn(7, n, dtype=D, generator=generator))


@pytest.fixture
def eager(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """torch.compile which traces as ever, but leaves the code generation out, as that takes seconds."""
    seen: list[str] = []

    def backend(graph: torch.fx.GraphModule, _: Any) -> Any:
        seen.append("graph")
        return graph.forward

    monkeypatch.setattr(compiled, "_compiled", lambda: torch.compile(compiled.state_after, backend=backend))
    torch.compiler.reset()
    return seen


@pytest.mark.parametrize("method", [PeacemanRachford(0.3), DouglasRachford(0.3)])
def test_the_steps_are_the_same(method: Any, eager: list[str]) -> None:
    A = problem()
    plain, fused = solve(method, A, relu, tol=1e-12), solve(method, A, relu, tol=1e-12, compile=True)
    assert eager, "nothing was compiled"
    assert fused.steps == plain.steps
    torch.testing.assert_close(fused.point, plain.point, rtol=0, atol=1e-13)


def test_a_layer_compiles_both_solves(eager: list[str]) -> None:
    layer = Equilibrium(MonotoneDense(3, 4, dtype=D), compile=True, tol=1e-10)
    other = Equilibrium(layer.linear, method=layer.method, tol=1e-10)
    x = torch.randn(6, 3, dtype=D)
    grads = [torch.autograd.grad(this(x).square().sum(), list(this.parameters())) for this in (layer, other)]
    torch.testing.assert_close(*grads, rtol=0, atol=1e-9)
    assert eager


def test_where_compilation_fails_the_solve_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> Any:
        raise TorchDynamoException("no compiler at hand")

    monkeypatch.setattr(compiled, "_compiled", lambda: broken)
    with pytest.warns(MonopsWarning, match="compile=True has no effect.*no compiler at hand"):
        result = solve(PeacemanRachford(0.3), problem(), relu, compile=True)
    assert result.converged.all()

    def unsupported() -> Any:
        raise RuntimeError("not on this version of Python")

    monkeypatch.setattr(compiled, "_compiled", unsupported)
    with pytest.warns(MonopsWarning, match="version of Python"):
        assert solve(PeacemanRachford(0.3), problem(), relu, compile=True).converged.all()


def test_errors_of_operators_pass_through(eager: list[str]) -> None:
    def refuse(x: torch.Tensor) -> torch.Tensor:
        raise NonFiniteError("refused")

    A = Affine(FromCallable(refuse, refuse, (5,), dtype=D))
    with pytest.raises(NonFiniteError, match="refused"):
        solve(ForwardBackward(0.1, allow_unproven=True), A, relu, torch.ones(5, dtype=D), compile=True)


def test_it_wants_plain_tensors() -> None:
    M = np.eye(3)
    with pytest.raises(OptionError, match="compile wants tensors"):
        solve(PeacemanRachford(0.3), Affine(Dense(M), np.ones(3)), relu, compile=True)
    with pytest.raises(MonopsError, match="no unroll"):
        solve(PeacemanRachford(0.3), problem(), relu, compile=True, unroll=True)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_real_compiler_once() -> None:
    A = problem()
    try:
        result = equilibrium(PeacemanRachford(0.3), A, relu, tol=1e-12, compile=True)
    except MonopsWarning as reason:  # warnings are errors here
        pytest.skip(f"no compiler on this machine: {reason}")
    torch.testing.assert_close(result.point, solve(PeacemanRachford(0.3), A, relu, tol=1e-12).point, rtol=0, atol=1e-13)
