"""Derivatives of equilibria: of every order and mode, against the reference, unrolled autograd, finite differences."""

import functools
from typing import Any

import numpy as np
import pytest
import torch
from cases import calls_of, draw_of, jit_warning, orthogonal, paper, quick
from hypothesis import given
from hypothesis import strategies as st

import monops.linear.dense
from monops import (
    L1,
    Affine,
    Box,
    Dense,
    Diagonal,
    DouglasRachford,
    ForwardBackward,
    Function,
    Identity,
    LeakyReLU,
    PeacemanRachford,
    ReLU,
    SquaredL2,
    Subdifferential,
    Tanh,
    equilibrium,
    solve,
)
from monops.functions import Sigmoid, Softplus
from monops.linear import FromCallable
from monops.reference import equilibrium as reference
from monops.reference.functions import FUNCTIONS
from monops.testing import catalogue

D = torch.float64
METHODS = {"FB": ForwardBackward(0.1), "PR": PeacemanRachford(0.4), "DR": DouglasRachford(0.6)}
TIGHT: dict[str, Any] = {"tol": 1e-13, "max_steps": 20000, "warn": False}
Tensors = tuple[torch.Tensor, ...]


def tensors(*batch: int, size: int = 4, seed: int = 0) -> Tensors:
    """M and b of the paper's problem."""
    A, _, _ = paper(draw_of("torch64", seed, size), *batch, m=1.5)
    return A.linear.to_dense(), A.b


def point(M: torch.Tensor, b: torch.Tensor, f: Function, method: Any = METHODS["PR"]) -> torch.Tensor:
    return equilibrium(method, Affine(Dense(M), b), Subdifferential(f), **TIGHT).point


def leaves(*values: torch.Tensor) -> Tensors:
    return tuple(v.detach().clone().requires_grad_() for v in values)


@pytest.mark.parametrize("name", list(catalogue.FUNCTIONS))
@quick
@given(seed=st.integers(0, 10**6), step=st.sampled_from([0.1, 0.5, 1.0, 3.0]))
def test_gradients_are_those_of_the_reference(name: str, seed: int, step: float) -> None:
    """At every step: the prox's derivative belongs at its argument, z - step·A(z), and to that step."""
    case, draw = catalogue.FUNCTIONS[name](), draw_of("torch64", seed)
    M, b = leaves(*tensors(3, size=5, seed=seed))
    known = FUNCTIONS[case.reference]

    def slope(v: np.ndarray, step: float) -> np.ndarray:
        return known.prox_derivative(v, step, **case.parameters)

    z = point(M, b, case.f, PeacemanRachford(step))
    g = draw.array(3, 5)
    want = reference.gradient(M.detach().numpy(), b.detach().numpy(), z.detach().numpy(), g, slope)
    for mine, theirs in zip(torch.autograd.grad(z, (M, b), draw.put(g)), want, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=0, atol=1e-9 * (1 + np.abs(theirs).max()))


@pytest.mark.parametrize("method", list(METHODS))
@pytest.mark.parametrize("f", [Tanh(), ReLU(), Softplus(), L1(0.2)], ids=lambda f: type(f).__name__)
def test_gradients_are_those_of_unrolled_steps(method: str, f: Function) -> None:
    M, b = leaves(*tensors(2))
    B, g = Subdifferential(f), torch.randn(2, 4, dtype=D)
    unrolled = solve(METHODS[method], Affine(Dense(M), b), B, unroll=True, check_every=20, **TIGHT).point
    implicit = point(M, b, f, METHODS[method])
    torch.testing.assert_close(implicit, unrolled, rtol=0, atol=1e-10)
    for mine, theirs in zip(*(torch.autograd.grad(z, (M, b), g) for z in (implicit, unrolled)), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=0, atol=1e-8)


@jit_warning
@pytest.mark.parametrize("f", [Tanh(), Sigmoid(), Softplus(), LeakyReLU(0.3)], ids=lambda f: type(f).__name__)
def test_first_and_second_derivatives_in_both_modes(f: Function) -> None:
    inputs = leaves(*tensors(2, size=3))
    assert torch.autograd.gradcheck(lambda M, b: point(M, b, f), inputs, check_forward_ad=True)
    assert torch.autograd.gradgradcheck(lambda M, b: point(M, b, f), inputs)


@pytest.mark.parametrize("method", list(METHODS))
def test_second_derivatives_through_every_method(method: str) -> None:
    inputs = leaves(*tensors(size=3))
    assert torch.autograd.gradgradcheck(lambda M, b: point(M, b, Tanh(), METHODS[method]), inputs, fast_mode=True)


@pytest.mark.parametrize("step", [0.4, 1.5])
def test_parameters_of_functions_are_differentiated_too(step: float) -> None:
    M, b = tensors(2, size=3)
    method = PeacemanRachford(step)
    weight, edge = torch.tensor([0.3, 0.1, 0.5], dtype=D), torch.tensor([0.2, 0.4, 0.3], dtype=D)
    for make, values in (
        (lambda w: L1(w), (weight,)),
        (lambda w: SquaredL2(w), (weight,)),
        (lambda e: Box(-e, 2 * e), (edge,)),
        (lambda w: LeakyReLU(w), (weight,)),
    ):
        inputs = leaves(M, b, *values)
        assert torch.autograd.gradcheck(lambda M, b, *v, make=make: point(M, b, make(*v), method), inputs)
    assert torch.autograd.gradgradcheck(lambda M, b, w: point(M, b, SquaredL2(w), method), leaves(M, b, weight))


SKEW = torch.tensor([[0.0, 1.0, -0.5], [-1.0, 0.0, 2.0], [0.5, -2.0, 0.0]], dtype=D)
K = orthogonal(draw_of("torch64", 5), 3, 3, scale=1.0)
tanh = Subdifferential(Tanh())
TERMS: dict[str, Any] = {
    "translated A": lambda M, b, c: (Affine(Dense(M), b).translate(c), tanh),
    "perturbed A": lambda M, b, c: (0.7 * (Affine(Dense(M), b) + c), tanh),
    "translated B": lambda M, b, c: (Affine(Dense(M), b), tanh.translate(c)),
    "perturbed B": lambda M, b, c: (Affine(Dense(M), b), tanh + 0.3 * Identity((3,), dtype=D) + c),
    "inverse B": lambda M, b, c: (Affine(Dense(M), b + c), tanh.inverse()),
    "precomposed B": lambda M, b, c: (Affine(Dense(M), b + c), tanh.precompose(K)),
    "affine B, not symmetric": lambda M, b, c: (Affine(Dense(M), b), Affine(Dense(SKEW + torch.diag(c**2)), c)),
    "diagonal A": lambda M, b, c: (Affine(Diagonal(M.diagonal()), b + c), tanh),
    "smooth B": lambda M, b, c: (Affine(Dense(M), b + c), Subdifferential(SquaredL2(0.5))),
    "sum of A": lambda M, b, c: (Affine(Dense(M), b) + Affine(Diagonal(c**2)), tanh),
}


@jit_warning
@pytest.mark.parametrize(
    ("terms", "method"), [*((t, "PR") for t in TERMS), ("affine B, not symmetric", "FB"), ("perturbed B", "DR")]
)
def test_terms_of_every_kind_are_differentiated(terms: str, method: str) -> None:
    """Shifts, centres, multiples, compositions on either side; a second operator whose resolvent is a full matrix."""
    M, b = tensors(2, size=3)

    def solution(M: torch.Tensor, b: torch.Tensor, c: torch.Tensor) -> torch.Tensor:
        A, B = TERMS[terms](M, b, c)
        return equilibrium(METHODS[method], A, B, torch.zeros(2, 3, dtype=D), **TIGHT).point

    inputs = leaves(M, b, torch.tensor([0.3, -0.2, 0.5], dtype=D))
    assert torch.autograd.gradcheck(solution, inputs, fast_mode=True)
    assert torch.autograd.gradcheck(solution, inputs, check_forward_ad=True, check_backward_ad=False, fast_mode=True)


@jit_warning
@pytest.mark.parametrize("method", list(METHODS))
def test_a_first_operator_that_is_not_affine(method: str) -> None:
    """Its derivative is found by automatic differentiation: one operator a sample."""
    _, b = tensors(5, size=3)
    b = b * torch.tensor([1e-4, 1e-2, 1.0, 10.0, 100.0], dtype=D)[:, None]  # samples leave the batch one by one
    w = torch.tensor([1.0, 1.5, 2.0], dtype=D)

    def solution(w: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        A = Subdifferential(SquaredL2(w)) + -b
        B = Affine(Dense(torch.tensor([[0.5, 1.0, 0.0], [-1.0, 0.5, 0.0], [0.0, 0.0, 1.0]], dtype=D)))
        return equilibrium(METHODS[method], A, B, torch.zeros(5, 3, dtype=D), **TIGHT, check_every=1).point

    inputs = leaves(w, b)
    assert torch.autograd.gradcheck(solution, inputs, fast_mode=True)


@jit_warning
def test_transforms_of_functions() -> None:
    M, b = tensors(size=3)

    def loss(M: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return point(M, b, Tanh()).pow(3).sum()

    def dense(M: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        """The same by a hundred Douglas-Rachford steps of size 1, written out."""
        z = torch.zeros_like(b)
        for _ in range(100):
            x = torch.linalg.solve(torch.eye(3, dtype=D) + M, z + b)
            z = z + torch.tanh(2 * x - z) - x
        return torch.tanh(2 * torch.linalg.solve(torch.eye(3, dtype=D) + M, z + b) - z).pow(3).sum()

    v = torch.ones_like(b)
    torch.testing.assert_close(torch.func.grad(loss, (0, 1))(M, b), torch.func.grad(dense, (0, 1))(M, b))
    push = torch.func.jvp(lambda b: loss(M, b), (b,), (v,))[1]
    torch.testing.assert_close(push, torch.func.jvp(lambda b: dense(M, b), (b,), (v,))[1])
    pull = torch.func.vjp(lambda b: point(M, b, Tanh()), b)[1](v)[0]
    jacobian = torch.func.jacrev(lambda b: point(M, b, Tanh()))(b)
    torch.testing.assert_close(pull, jacobian.T @ v)
    torch.testing.assert_close(torch.func.jacfwd(lambda b: point(M, b, Tanh()))(b), jacobian)
    (bump,) = leaves(b)
    partial: Any = functools.partial(loss, M)
    want_hessian = torch.autograd.functional.hessian(functools.partial(dense, M), bump)
    torch.testing.assert_close(torch.func.hessian(partial)(b), want_hessian)
    torch.testing.assert_close(torch.autograd.functional.hessian(partial, bump), want_hessian)
    product = torch.func.jvp(torch.func.grad(partial), (b,), (v,))[1]
    torch.testing.assert_close(product, want_hessian @ v)


@pytest.mark.parametrize("dims", [(0, 0), (0, None), (None, 0), (1, 0), (0, 1)], ids=str)
@pytest.mark.parametrize("rows", [(), (2,)])
def test_vmap_is_a_loop(dims: Any, rows: tuple[int, ...]) -> None:
    Ms, bs = (torch.stack(v) for v in zip(*(tensors(*rows, size=3, seed=s) for s in range(4)), strict=True))

    def solution(M: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return point(M, b, Softplus())

    def pull(M: torch.Tensor, b: torch.Tensor) -> Tensors:
        return torch.func.grad(lambda M, b: solution(M, b).pow(2).sum(), (0, 1))(M, b)

    arguments = [v[0] if d is None else v.movedim(0, d) for v, d in zip((Ms, bs), dims, strict=True)]
    rows_of = [[v[0] if d is None else v[i] for v, d in zip((Ms, bs), dims, strict=True)] for i in range(4)]
    torch.testing.assert_close(
        torch.func.vmap(solution, dims)(*arguments), torch.stack([solution(*row) for row in rows_of])
    )
    got, want = torch.func.vmap(pull, dims)(*arguments), [pull(*row) for row in rows_of]
    for k in (0, 1):
        torch.testing.assert_close(got[k], torch.stack([w[k] for w in want]))


def test_vmap_over_parameters_that_do_not_say_how_they_broadcast() -> None:
    """Tensors of an operator by functions: one after the other, with the same result."""
    w, b = torch.rand(3, 4, dtype=D) + 0.5, torch.randn(4, dtype=D)

    def solution(w: torch.Tensor) -> torch.Tensor:
        op = FromCallable(lambda x, w: w * x, lambda y, w: w * y, (4,), params=(w,), dtype=D)
        return equilibrium(METHODS["PR"], Affine(op, b), Subdifferential(Tanh()), **TIGHT).point

    torch.testing.assert_close(torch.func.vmap(solution)(w), torch.stack([solution(v) for v in w]))


def test_dead_units_have_finite_and_zero_derivatives() -> None:
    M, b = leaves(*tensors(3))
    for f in (ReLU(), Box(-1e-9, 0.0), L1(1e3)):
        z = point(M, b * 0 - 5.0 if isinstance(f, ReLU) else b, f)
        for grad in torch.autograd.grad(z.pow(2).sum() + z.sum(), (M, b), create_graph=True):
            assert grad.isfinite().all()
            assert abs(grad).max() < 1e-8
    some = point(M, b, ReLU())
    (grad,) = torch.autograd.grad(some.sum(), b)
    assert (some == 0).any()
    assert (some > 0).any()
    assert grad.isfinite().all()
    assert (grad[some == 0] == 0).all()  # w = D u


def test_saturated_units_too() -> None:
    M, b = leaves(*tensors(3))
    for f in (Tanh(), Sigmoid(), Softplus()):
        for scale in (1e2, 1e5):
            z = point(M, b * scale, f, PeacemanRachford(1.0))
            for grad in torch.autograd.grad(z.sum(), (M, b)):
                assert grad.isfinite().all()


@pytest.mark.parametrize(("method", "expected"), [("FB", 0), ("PR", 1), ("DR", 1)])
def test_forward_and_backward_factorise_once(monkeypatch: pytest.MonkeyPatch, method: str, expected: int) -> None:
    calls = calls_of(monkeypatch, monops.linear.dense, "inverse")
    M, b = leaves(*tensors(3))
    z = point(M, b, Tanh(), METHODS[method])
    assert len(calls) == expected
    grad = torch.autograd.grad(z.pow(2).sum(), b, create_graph=True)[0]
    assert len(calls) == expected
    torch.autograd.grad(grad.sum(), M)
    assert len(calls) == expected


def saved_bytes(step: Any, *values: torch.Tensor) -> int:
    """How much the graph of `step(*values)` keeps."""
    sizes: dict[int, int] = {}

    def pack(x: torch.Tensor) -> torch.Tensor:
        sizes[x.untyped_storage().data_ptr()] = x.untyped_storage().nbytes()
        return x

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x):
        out = step(*values)
    assert out.requires_grad
    return sum(sizes.values())


@pytest.mark.parametrize("method", list(METHODS))
def test_memory_does_not_grow_with_the_steps(method: str) -> None:
    M, b = leaves(*tensors(16, size=8))
    f = Subdifferential(Tanh())

    def step(max_steps: int, run: Any, **options: Any) -> Any:
        def forward(M: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
            A = Affine(Dense(M), b)
            return run(METHODS[method], A, f, tol=1e-300, max_steps=max_steps, warn=False, **options).point

        return forward

    few, many = (saved_bytes(step(steps, equilibrium), M, b) for steps in (3, 300))
    assert few == many
    assert many <= 3 * M.nbytes + 6 * b.nbytes
    unrolled = [saved_bytes(step(steps, solve, unroll=True), M, b) for steps in (3, 30)]
    assert unrolled[1] > 5 * unrolled[0]  # the hook does see what is kept
