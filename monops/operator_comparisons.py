"""Operators and methods beside the reference: the comparisons of which a verification is made, and what they share."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from monops.arrays import Array, DType, as_dtype, namespace, to_numpy
from monops.implicit import equilibrium
from monops.linear import (
    CircularConv,
    Dense,
    Diagonal,
    Identity,
    LinearOperator,
    Restriction,
    StridedCircularConv,
    ZeroPad,
)
from monops.monotone import Affine, FromResolvent, MonotoneOperator, Subdifferential
from monops.reference import convolution
from monops.reference import equilibrium as reference_equilibrium
from monops.reference import linear as reference_linear
from monops.report import Check
from monops.solver import solve
from monops.splitting import SplittingMethod
from monops.testing import catalogue
from monops.testing.catalogue import Draw, LinearCase
from monops.testing.problems import kind_for, random_problems
from monops.tuning import search_step

# Largest relative errors allowed.
TOLERANCES = {
    "float64": {"evaluation": 1e-12, "equilibrium": 1e-9, "gradient": 1e-9},
    # A gradient may be a small sum of large terms: of a scale, say.
    "float32": {"evaluation": 1e-5, "equilibrium": 1e-5, "gradient": 1e-4},
}


@functools.singledispatch
def matrix_of(op: LinearOperator) -> np.ndarray:
    """The operator's matrix: from its data where the reference knows how, else column by column from the operator."""
    return to_numpy(op.to_dense()).astype(np.float64)


@matrix_of.register
def _(op: CircularConv) -> np.ndarray:
    return convolution.circular(to_numpy(op.weight).astype(np.float64), op.grid).toarray()


@matrix_of.register
def _(op: StridedCircularConv) -> np.ndarray:
    return convolution.circular(to_numpy(op.weight).astype(np.float64), op.grid, op.stride).toarray()


@matrix_of.register(Restriction | ZeroPad)
def _(op: Restriction | ZeroPad) -> np.ndarray:
    matrix = convolution.embedding(op.whole, op.inside, op.start).toarray()
    return matrix if isinstance(op, ZeroPad) else matrix.T


def linear_checks(name: str, case: LinearCase, draw: Draw) -> Iterator[Check]:
    """An operator against its explicit matrix."""
    op, matrix = case
    shape = (3,)
    x, y = draw.array(*shape, matrix.shape[1]), draw.array(*shape, matrix.shape[0])

    def got(operator: LinearOperator, at: np.ndarray) -> np.ndarray:
        return operator(draw.put(at).reshape(*shape, *operator.domain))

    yield check(f"{name}: apply", got(op, x), x @ matrix.T, draw)
    yield check(f"{name}: adjoint", got(op.H, y), y @ matrix, draw)
    size = reference_linear.norm(matrix)
    yield check(f"{name}: norm", op.norm(), size, draw)
    if op.domain != op.codomain:
        return
    m = reference_linear.monotonicity(matrix)
    yield check(f"{name}: monotonicity", op.monotonicity(), m, draw, scale=size)
    for step in (0.3, 0.3 / (1 + size)):
        if 1 + step * m < 0.1:
            continue
        J = op.resolvent(step)
        yield check(f"{name}: resolvent, step {step:.2g}", got(J, x), reference_linear.resolvent(matrix, step, x), draw)
        want = reference_linear.resolvent(matrix, step, x, transpose=True)
        yield check(f"{name}: resolvent.H, step {step:.2g}", got(J.H, x), want, draw)


def random_affine(draw: Draw) -> tuple[Affine, np.ndarray, np.ndarray]:
    """The paper's F for random data, with its plain matrix and right-hand side."""
    M, matrix = catalogue.LINEAR["Dense, I - W of the paper"](draw)
    b = draw.array(4, draw.size)
    return Affine(M, draw.put(b)), matrix, b


def affine_checks(name: str, A: Affine, matrix: np.ndarray, b: np.ndarray, draw: Draw) -> Iterator[Check]:
    """Values and resolvent of an affine operator."""
    z = draw.array(*np.broadcast_shapes(b.shape, (4, matrix.shape[0])))
    yield check(f"{name}: apply", A(draw.put(z)), z @ matrix.T - b, draw)
    want = reference_linear.resolvent(matrix, 0.6, z + 0.6 * b)
    yield check(f"{name}: resolvent", A.resolvent(0.6)(draw.put(z)), want, draw)


def algebra_checks(draw: Draw) -> Iterator[Check]:
    """The algebra of monotone operators, where everything is affine and so has an explicit matrix."""
    A, M, b = random_affine(draw)
    n, step = draw.size, 0.6
    eye, d = np.eye(n), np.abs(draw.array(n)) + 0.1
    v, z = draw.array(n), draw.array(4, n)
    K = draw.rng.permutation(eye) * draw.rng.choice([-1.0, 1.0], n)  # orthogonal without rounding
    share = np.clip(draw.rng.random(n), 0.1, 0.9).astype(np.float32).astype(np.float64)
    scaled = Identity((n,), 0.5, **draw.kind)
    cases: dict[str, tuple[MonotoneOperator, np.ndarray, np.ndarray]] = {
        "Multiple": (2.0 * A, 2 * M, 2 * b),
        "Translated": (A.translate(draw.put(v)), M, b + M @ v),
        "Perturbed": (A.inverse() + scaled + draw.put(v), np.linalg.inv(M) + 0.5 * eye, -v - b @ np.linalg.inv(M).T),
        "Inverse": (A.inverse(), np.linalg.inv(M), -b @ np.linalg.inv(M).T),
        "Affine + Diagonal": (A + Diagonal(draw.put(d)), M + np.diag(d), b),
        "FromResolvent": (FromResolvent(Diagonal(draw.put(share)), 0.4), np.diag((1 / share - 1) / 0.4), 0 * b),
    }
    for name, (operator, matrix, right) in cases.items():
        want = reference_linear.resolvent(matrix, step, z + step * right)
        yield check(f"{name}: resolvent", operator.resolvent(step)(draw.put(z)), want, draw)
    turned = A.precompose(Dense(draw.put(K)))
    want = reference_linear.resolvent(K.T @ M @ K, step, z + step * (b @ K))
    yield check("Precomposed: resolvent", turned.resolvent(step)(draw.put(z)), want, draw)
    total = A + Subdifferential(catalogue.FUNCTIONS["SquaredL2"]().f)
    yield check("MonotoneSum: apply", total(draw.put(z)), z @ M.T - b + 0.7 * z, draw)


def method_checks(name: str, method: SplittingMethod, draw: Draw) -> Iterator[Check]:
    """Equilibria for functions of every sort, and the gradients through them."""
    for function, problem in random_problems(0, kind_for(method, 0)).items():
        A, B = problem.operators(draw)
        if getattr(method, "step", None) == "auto":  # found once: A is the same for all functions
            method = search_step(method, A, B).method
        want, what = problem.solution, f"{name}, {function}"
        if namespace(draw.dtype) is np:
            result = solve(method, A, B, warn=False, **tight(draw.dtype))
            yield check(f"{what}: equilibrium", result.point, want, draw, kind="equilibrium")
            continue
        M, b = A.linear.to_dense().requires_grad_(), A.b.requires_grad_()
        A = Affine(Dense(M, symmetric=A.linear.symmetric), b)
        z = equilibrium(method, A, B, warn=False, **tight(draw.dtype)).point
        yield check(f"{what}: equilibrium", z, want, draw, kind="equilibrium")
        g = draw.array(*want.shape)
        got = torch.autograd.grad(z, (M, b), draw.put(g))
        theirs = reference_equilibrium.gradient(problem.matrix, problem.b, want, g, problem.maps[1])
        for part, mine, other in zip("Mb", got, theirs, strict=True):
            yield check(f"{what}: gradient in {part}", mine, other, draw, kind="gradient")


def tight(dtype: DType) -> dict[str, Any]:
    """Options that take a solve to what rounding allows, whether its own criterion says so or not."""
    return {"tol": 1e-12 if "64" in str(dtype) else 1e-6, "max_steps": 20000, "check_every": 10}


def check(
    name: str,
    got: Array | float,
    want: Any,
    draw: Draw,
    *,
    kind: str = "evaluation",
    scale: float | None = None,
    claim: float = 0.0,
) -> Check:
    """The relative error of `got`, in the norm of `want` unless a scale is given, and what is allowed of its kind.

    An answer that claims less accuracy than that is allowed what it claims.
    """
    return Check(name, _error(got, want, scale), max(claim, tolerance(draw.dtype, kind)))


def tolerance(dtype: DType, kind: str) -> float:
    """The largest relative error allowed of an "evaluation", an "equilibrium" or a "gradient"."""
    return TOLERANCES[str(as_dtype(dtype)).removeprefix("torch.")][kind]


def _error(got: Array | float, want: Any, scale: float | None = None) -> float:
    mine = np.asarray(to_numpy(got) if hasattr(got, "shape") else got, dtype=np.float64)
    theirs = np.asarray(want, dtype=np.float64)
    size = float(np.linalg.norm(theirs)) if scale is None else scale
    return float(np.linalg.norm(mine.reshape(theirs.shape) - theirs)) / (size or 1.0)
