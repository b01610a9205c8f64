"""Comparison with the independent SciPy reference: one call, one report."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch

from monops.arrays import Array, DType, as_dtype, epsilon, namespace, to_numpy
from monops.errors import OptionError
from monops.functions import Function
from monops.implicit import equilibrium
from monops.linear import Dense, LinearOperator
from monops.monotone import Affine, MonotoneOperator, NormalCone, Subdifferential
from monops.nn import Equilibrium, MonotoneDense
from monops.reference import equilibrium as reference_equilibrium
from monops.reference import linear as reference_linear
from monops.reference.functions import FUNCTIONS as REFERENCE_FUNCTIONS
from monops.report import Check, Report
from monops.solver import solve
from monops.splitting import SplittingMethod
from monops.testing import catalogue
from monops.testing.catalogue import Draw, FunctionCase, LinearCase

# Largest relative errors allowed: of one evaluation, and of a solution reached by iteration.
TOLERANCES = {"float64": (1e-12, 1e-9), "float32": (1e-5, 1e-5)}


def verify(
    thing: Any = None,
    x: torch.Tensor | None = None,
    *,
    device: Any = "cpu",
    dtype: DType = torch.float64,
    seed: int = 0,
    progress: Callable[[Check], None] | None = None,
) -> Report:
    """Compare `thing` with the SciPy reference.

    - a linear operator: apply, adjoint, resolvent and its adjoint, norm, monotonicity, against its explicit matrix;
    - a function: values, proxes and their derivatives at several steps, its conjugate's prox;
    - `Affine`, `Subdifferential`, `NormalCone`: their resolvents;
    - a splitting method: equilibria for every function, and the gradients through them;
    - a layer `Equilibrium` over `MonotoneDense`, with inputs `x`: its output, its error bound, all its gradients;
    - nothing: an instance of everything the package has.

    Args:
        thing: what to verify.
        x: inputs, for a layer.
        device: where the random data goes; operators and layers are verified where they are.
        dtype: float32 or float64, torch's or NumPy's; likewise.
        seed: of the random data.
        progress: called with each check as it is done.

    Returns:
        A `Report`, true if all passed. Tolerances are relative, in float64 1e-12 for one evaluation and 1e-9 for
        equilibria and gradients, in float32 1e-5.

    Raises:
        OptionError: there is no reference for this kind of thing; the laws in `monops.testing` still apply.

    Example:
        >>> import torch
        >>> from monops import Dense
        >>> print(verify(Dense(torch.eye(3, dtype=torch.float64))))  # doctest: +ELLIPSIS
        ok    Dense: apply ...
        8 passed, 0 failed
    """
    draw = Draw(seed, dtype=dtype, device=device)
    checks = []
    for check in _everything(draw) if thing is None else _checks(thing, draw, x):
        checks.append(check)
        if progress is not None:
            progress(check)
    return Report(tuple(checks))


def _everything(draw: Draw) -> Iterator[Check]:
    is_numpy = namespace(draw.dtype) is np
    for name, make in {**catalogue.LINEAR, **(catalogue.NUMPY_ONLY if is_numpy else catalogue.TORCH_ONLY)}.items():
        yield from _linear(name, make(draw), draw)
    if not is_numpy:  # what comes from SciPy lives in NumPy
        kind = Draw(0, dtype=np.dtype(str(draw.dtype).removeprefix("torch.")))
        for name, make in catalogue.NUMPY_ONLY.items():
            yield from _linear(name, make(kind), kind)
    for name, case in catalogue.FUNCTIONS.items():
        yield from _function(name, case(), draw)
        yield from _monotone_function(f"Subdifferential({name})", case(), draw)
    yield from _affine("Affine", *_random_affine(draw), draw)
    for name, method in catalogue.METHODS.items():
        yield from _method(name, method(), draw)
    if not is_numpy:
        layer = Equilibrium(MonotoneDense(4, draw.size, m=0.5, **draw.kind), tol=1e-2)
        yield from _layer(layer, draw.put(draw.array(5, 4)))


@functools.singledispatch
def _checks(thing: Any, draw: Draw, x: Any) -> Iterator[Check]:
    raise OptionError(
        f"there is no reference for a {type(thing).__name__}; see verify's documentation for what has one"
    )


@_checks.register
def _(op: LinearOperator, draw: Draw, x: Any) -> Iterator[Check]:
    matrix = to_numpy(op.to_dense()).astype(np.float64)
    return _linear(type(op).__name__, LinearCase(op, matrix), Draw(0, dtype=op.dtype, device=op.device))


@_checks.register
def _(f: Function, draw: Draw, x: Any) -> Iterator[Check]:
    return _function(type(f).__name__, _case_of(f), draw)


@_checks.register
def _(A: MonotoneOperator, draw: Draw, x: Any) -> Iterator[Check]:
    if isinstance(A, Affine):
        matrix = to_numpy(A.linear.to_dense()).astype(np.float64)
        kind = Draw(0, dtype=A.linear.dtype, device=A.linear.device)
        return _affine("Affine", A, matrix, to_numpy(A.b).astype(np.float64), kind)
    if isinstance(A, Subdifferential):
        return _monotone_function(type(A).__name__, _case_of(A.f), draw)
    raise OptionError(f"there is no reference for a {type(A).__name__}")


@_checks.register
def _(method: SplittingMethod, draw: Draw, x: Any) -> Iterator[Check]:
    return _method(type(method).__name__, method, draw)


@_checks.register
def _(layer: Equilibrium, draw: Draw, x: Any) -> Iterator[Check]:
    if x is None or not isinstance(layer.linear, MonotoneDense):
        raise OptionError("a layer is verified with inputs x, and over MonotoneDense")
    return _layer(layer, x)


def _case_of(f: Function) -> FunctionCase:
    name = type(f).__name__
    if name not in REFERENCE_FUNCTIONS:
        raise OptionError(f"the reference knows {', '.join(REFERENCE_FUNCTIONS)}, got {name}")
    values = {k: v for k, v in vars(f).items() if k != "axes" and not k.startswith("_")}
    return FunctionCase(f, name, {k: v if isinstance(v, float) else to_numpy(v) for k, v in values.items()})


def _linear(name: str, case: LinearCase, draw: Draw) -> Iterator[Check]:
    op, matrix = case
    shape = (3,)
    x, y = draw.array(*shape, matrix.shape[1]), draw.array(*shape, matrix.shape[0])

    def got(operator: LinearOperator, at: np.ndarray) -> np.ndarray:
        return operator(draw.put(at).reshape(*shape, *operator.domain))

    yield _check(f"{name}: apply", got(op, x), x @ matrix.T, draw)
    yield _check(f"{name}: adjoint", got(op.H, y), y @ matrix, draw)
    size = reference_linear.norm(matrix)
    yield _check(f"{name}: norm", op.norm(), size, draw)
    if op.domain != op.codomain:
        return
    m = reference_linear.monotonicity(matrix)
    yield _check(f"{name}: monotonicity", op.monotonicity(), m, draw, scale=size)
    for step in (0.3, 0.3 / (1 + size)):
        if 1 + step * m < 0.1:
            continue
        J = op.resolvent(step)
        yield _check(
            f"{name}: resolvent, step {step:.2g}", got(J, x), reference_linear.resolvent(matrix, step, x), draw
        )
        want = reference_linear.resolvent(matrix, step, x, transpose=True)
        yield _check(f"{name}: resolvent.H, step {step:.2g}", got(J.H, x), want, draw)


def _function(name: str, case: FunctionCase, draw: Draw) -> Iterator[Check]:
    f, parameters = case.f, case.parameters
    reference = REFERENCE_FUNCTIONS[case.reference]
    v = draw.array(20, 5, scale=2.0)
    for step in (0.1, 1.0, 7.0):
        point = reference.prox(v, step, **parameters)
        slope = reference.prox_derivative(v, step, **parameters)
        x = draw.put(v)
        yield _check(f"{name}: prox, step {step:g}", f.prox(x, step), point, draw)
        derivative = f.prox_derivative(x, step).apply(namespace(x).ones_like(x))
        yield _check(f"{name}: derivative of the prox, step {step:g}", derivative, slope, draw)
        dual = f.conjugate().prox(x, step)
        want = v - step * reference.prox(v / step, 1 / step, **parameters)
        yield _check(f"{name}: prox of the conjugate, step {step:g}", dual, want, draw)
    inside = reference.prox(v, 1.0, **parameters).astype(np.float32).astype(np.float64)
    inside = np.where(np.isfinite(reference.value(inside, **parameters)), inside, 0.0)
    want = reference.value(inside, **parameters).sum(-1)
    yield _check(f"{name}: value", f(draw.put(inside)), want, draw)


def _monotone_function(name: str, case: FunctionCase, draw: Draw) -> Iterator[Check]:
    reference = REFERENCE_FUNCTIONS[case.reference]
    A = NormalCone(case.f) if case.f.is_indicator else Subdifferential(case.f)
    v = draw.array(4, 5)
    for what, operator, step in ((name, A, 0.6), (f"2 · {name}", 2.0 * A, 0.3)):
        want = reference.prox(v, 0.6, **case.parameters)
        yield _check(f"{what}: resolvent", operator.resolvent(step)(draw.put(v)), want, draw)
    want = v - 0.6 * reference.prox(v / 0.6, 1 / 0.6, **case.parameters)
    yield _check(f"{name}⁻¹: resolvent", A.inverse().resolvent(0.6)(draw.put(v)), want, draw)


def _random_affine(draw: Draw) -> tuple[Affine, np.ndarray, np.ndarray]:
    M, matrix = catalogue.LINEAR["Dense, I - W of the paper"](draw)
    b = draw.array(4, draw.size)
    return Affine(M, draw.put(b)), matrix, b


def _affine(name: str, A: Affine, matrix: np.ndarray, b: np.ndarray, draw: Draw) -> Iterator[Check]:
    z = draw.array(*np.broadcast_shapes(b.shape, (4, matrix.shape[0])))
    yield _check(f"{name}: apply", A(draw.put(z)), z @ matrix.T - b, draw)
    want = reference_linear.resolvent(matrix, 0.6, z + 0.6 * b)
    yield _check(f"{name}: resolvent", A.resolvent(0.6)(draw.put(z)), want, draw)


def _method(name: str, method: SplittingMethod, draw: Draw) -> Iterator[Check]:
    A, matrix, b = _random_affine(draw)
    g = draw.array(*b.shape)
    for function, make in catalogue.FUNCTIONS.items():
        case = make()
        prox, slope = _reference_maps(case)
        want = reference_equilibrium.equilibrium(matrix, b, prox, slope)
        B = Subdifferential(case.f)
        what = f"{name}, {function}"
        if namespace(draw.dtype) is np:
            result = solve(method, A, B, warn=False, **_tight(draw.dtype))
            yield _check(f"{what}: equilibrium", result.point, want, draw, solved=True)
            continue
        M, c = draw.put(matrix).requires_grad_(), draw.put(b).requires_grad_()
        z = equilibrium(method, Affine(Dense(M), c), B, warn=False, **_tight(draw.dtype)).point
        yield _check(f"{what}: equilibrium", z, want, draw, solved=True)
        got = torch.autograd.grad(z, (M, c), draw.put(g))
        for part, mine, theirs in zip(
            ("M", "b"), got, reference_equilibrium.gradient(matrix, b, want, g, slope), strict=True
        ):
            yield _check(f"{what}: gradient in {part}", mine, theirs, draw, solved=True)


def _layer(layer: Equilibrium, x: torch.Tensor) -> Iterator[Check]:
    linear: Any = layer.linear
    draw = Draw(0, dtype=linear.A.dtype, device=linear.A.device)
    A, B, U = (to_numpy(p).astype(np.float64) for p in (linear.A, linear.B, linear.U))
    inputs = to_numpy(x).astype(np.float64).reshape(-1, U.shape[1])
    matrix = np.eye(len(A)) - reference_linear.paper_w(A, B, linear.m)
    b = inputs @ U.T + (0 if linear.bias is None else to_numpy(linear.bias).astype(np.float64))
    prox, slope = _reference_maps(_case_of(layer.activation))
    want = reference_equilibrium.equilibrium(matrix, b, prox, slope)

    with torch.no_grad():
        z = layer(x)
    assert layer.last is not None
    distance = np.linalg.norm(to_numpy(z).reshape(want.shape) - want, axis=-1)
    size = np.linalg.norm(want, axis=-1) + np.linalg.norm(b, axis=-1) / linear.m
    rounding = 10 * epsilon(draw.dtype) * (1 + reference_linear.norm(matrix)) * size
    bound = layer.last.error_bound.reshape(-1).astype(np.float64) + rounding
    ratio = float(np.max(distance / np.maximum(bound, 1e-300), initial=0))
    yield Check("layer: its error, as a share of its certified bound", ratio, 1.0)

    F, G = layer.problem(x)
    z = equilibrium(layer.method, F, G, warn=False, **_tight(draw.dtype)).point
    yield _check("layer: equilibrium at tight tolerance", z.reshape(want.shape), want, draw, solved=True)
    g = draw.array(*want.shape)
    names = [name for name, _ in linear.named_parameters()]
    got = torch.autograd.grad(z, list(linear.parameters()), draw.put(g).reshape(z.shape))
    theirs = reference_equilibrium.paper_gradient(A, inputs, *reference_equilibrium.gradient(matrix, b, want, g, slope))
    for name, mine in zip(names, got, strict=True):
        yield _check(f"layer: gradient in {name}", mine, theirs[name], draw, solved=True)


def _reference_maps(case: FunctionCase) -> tuple[Callable[..., Any], Callable[..., Any]]:
    reference = REFERENCE_FUNCTIONS[case.reference]
    return (
        functools.partial(reference.prox, **case.parameters),
        functools.partial(reference.prox_derivative, **case.parameters),
    )


def _tight(dtype: DType) -> dict[str, Any]:
    """Options that take a solve to what rounding allows, whether its own criterion says so or not."""
    return {"tol": 1e-12 if "64" in str(dtype) else 1e-6, "max_steps": 20000, "check_every": 10}


def _check(
    name: str, got: Array | float, want: Any, draw: Draw, *, solved: bool = False, scale: float | None = None
) -> Check:
    evaluation, solution = TOLERANCES[str(as_dtype(draw.dtype)).removeprefix("torch.")]
    mine = np.asarray(to_numpy(got) if hasattr(got, "shape") else got, dtype=np.float64)
    theirs = np.asarray(want, dtype=np.float64)
    size = float(np.linalg.norm(theirs)) if scale is None else scale
    error = float(np.linalg.norm(mine.reshape(theirs.shape) - theirs)) / (size or 1.0)
    return Check(name, error, solution if solved else evaluation)
